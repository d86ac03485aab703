"""Pictures: tensors from them, crops, sizes, mirrors, colours."""

from tests.mxnet.ops.case import Case, Rand

BYTES = Rand((4, 6, 3), "uint8", "int", 0, 256)
FLOATS = Rand((4, 6, 3), "float32", "uniform", 0, 255)
GREY = Rand((3, 4, 1), "uint8", "int", 0, 256)
BATCH = Rand((2, 3, 4, 3), "uint8", "int", 0, 256)
TENSOR = (3, 2, 4)
FACTORS = {"min_factor": 0.5, "max_factor": 1.5}
JITTER = {"brightness": 0.3, "contrast": 0.3, "saturation": 0.3, "hue": 0.3}

CASES = [
    *(
        Case("_image_to_tensor", (data,), grad=False)
        for data in [
            BYTES, FLOATS, GREY, BATCH, Rand((2, 2, 3), "float64"), Rand((2, 2, 3), "float16"),
            Rand((2, 2, 3), "int32", "int", 0, 256),
        ]
    ),
    Case("_image_to_tensor", (Rand((4, 3)),), error=True),
    Case("_image_normalize", (TENSOR,), {"mean": (0.1, 0.2, 0.3), "std": (0.5, 0.6, 0.7)}),
    Case("_image_normalize", (TENSOR,), {"mean": 0.1, "std": 0.5}),
    Case("_image_normalize", ((2, 3, 2, 4),), {"mean": 0.1, "std": (1, 2, 3)}),
    Case("_image_normalize", ((1, 3, 3),), {"mean": (1,), "std": (2,)}),
    Case("_image_normalize", (TENSOR,), error=True),
    Case("_image_normalize", (TENSOR,), {"mean": (0.1, 0.2), "std": 1}, error=True),
    Case("_image_normalize", ((2, 3, 3),), {"mean": 0, "std": 1}, error=True),
    Case("_image_crop", (BYTES,), {"x": 1, "y": 0, "width": 2, "height": 3}, grad=False),
    Case("_image_crop", (FLOATS,), {"x": 1, "y": 2, "width": 5, "height": 2}),
    Case("_image_crop", (BATCH,), {"x": 0, "y": 1, "width": 2, "height": 2}, grad=False),
    Case("_image_crop", (BYTES,), {"x": 3, "y": 0, "width": 4, "height": 1}, error=True),
    Case("_image_crop", (BYTES,), {"x": 1, "y": 0, "width": 0, "height": 1}, error=True),
    Case("_image_crop", (TENSOR,), {"x": 0, "y": 0, "width": 2, "height": 1}, error=True),
    *(
        Case("_image_resize", (data,), {"size": size, "interp": interp}, grad=False)
        for size in [(3, 2), (9, 7), 5]
        for interp in (0, 1, 3)
        for data in (BYTES, FLOATS)
    ),
    *(
        Case("_image_resize", (FLOATS,), {"size": size, "interp": interp}, grad=False)
        for size in [(5, 7), (4, 2)]
        for interp in (2, 4)
    ),
    Case("_image_resize", (BYTES,), {"size": (7, 5), "interp": 4}, grad=False),
    Case("_image_resize", (BYTES,), {"size": (7, 5), "interp": 2}, grad=False),
    Case("_image_resize", (Rand((23, 17, 3), "uint8", "int", 0, 256),), {"size": (13, 11), "interp": 2}, grad=False),
    Case("_image_resize", (BATCH,), {"size": (3, 2)}, grad=False),
    Case("_image_resize", (GREY,), {"size": (7, 5)}, grad=False),
    Case("_image_resize", (Rand((5, 7, 3), "float64", "uniform", 0, 255),), {"size": (3, 4)}, grad=False),
    Case("_image_resize", (Rand((5, 9, 3), "uint8", "int", 0, 256),), {"size": 4, "keep_ratio": True}, grad=False),
    Case("_image_resize", (Rand((9, 5, 3), "uint8", "int", 0, 256),), {"size": 4, "keep_ratio": True}, grad=False),
    *(Case("_image_resize", (BYTES,), {"size": size}, error=True) for size in ((), (3, 2, 1), 0)),
    Case("_image_resize", (BYTES,), {"size": 3, "interp": 9}, error=True),
    Case("_image_resize", (Rand((2, 2, 3), "int32", "int", 0, 9),), {"size": 3}, error=True),
    *(
        Case(op, (data,), grad=False)
        for op in ("_image_flip_left_right", "_image_flip_top_bottom")
        for data in (BYTES, FLOATS)
    ),
    Case("_image_flip_left_right", (BATCH,), error=True),
    *(
        Case(op, (BYTES,), grad=False, seed=seed, note=f"seed {seed}")
        for op in ("_image_random_flip_left_right", "_image_random_flip_top_bottom")
        for seed in (1, 2)
    ),
    *(
        Case(f"_image_random_{name}", (data,), attrs, grad=False, seed=seed, note=f"seed {seed}")
        for name, attrs in [
            ("brightness", FACTORS), ("contrast", FACTORS), ("saturation", FACTORS), ("hue", FACTORS),
            ("color_jitter", JITTER), ("lighting", {"alpha_std": 5}), ("lighting", {}),
        ]
        for data in (BYTES, FLOATS, GREY)
        for seed in (1, 2)
        # MXNet leaves these undefined for grey pictures.
        if data is not GREY or name not in ("hue", "color_jitter", "lighting")
    ),
    *(
        Case("_image_random_color_jitter", (FLOATS,), {**JITTER, "hue": 0}, grad=False, seed=seed, note=f"seed {seed}")
        for seed in (3, 4, 5)
    ),
    Case("_image_adjust_lighting", (FLOATS,), {"alpha": (0.1, 0.2, 0.3)}, grad=False),
    Case("_image_adjust_lighting", (BYTES,), {"alpha": (1, -2, 3)}, grad=False),
]  # fmt: skip
