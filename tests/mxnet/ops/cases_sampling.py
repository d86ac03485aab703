"""BilinearResize2D, UpSampling, Crop, grids and samplers, Correlation."""

from tests.mxnet.ops.case import Case, Given, Rand

X = (1, 2, 4, 5)
RESIZE = "_contrib_BilinearResize2D"
MODES = ("to_even_down", "to_even_up", "to_odd_down", "to_odd_up")
THETA = Given([[0.8, 0.1, 0.05, -0.2, 0.9, 0.1], [1.3, 0.0, 0.3, 0.0, 1.1, -0.4]])
AFFINE = {"transform_type": "affine", "target_shape": (3, 4)}
SPATIAL = {**AFFINE, "sampler_type": "bilinear"}
INSIDE = Rand((2, 2, 3, 4), "float32", "uniform", -0.9, 0.9)
WIDE = Rand((2, 2, 3, 4), "float32", "uniform", -1.5, 1.5)
CASES = [
    *(Case(RESIZE, (X,), {"height": h, "width": w}) for h, w in ((7, 9), (2, 3), (4, 5), (1, 1), (8, 1))),
    *(Case(RESIZE, (X,), {"height": h, "width": w, "align_corners": False}) for h, w in ((7, 9), (2, 3))),
    Case(RESIZE, (X,), {"scale_height": 2.0, "scale_width": 1.5}),
    Case(RESIZE, (X,), {"scale_height": 1.5, "scale_width": 0.5, "mode": "odd_scale"}),
    *(Case(RESIZE, (X,), {"mode": mode}) for mode in MODES),
    Case(RESIZE, (X, (1, 1, 3, 7)), {"mode": "like"}),
    Case(RESIZE, (Rand(X, "float64"),), {"height": 3, "width": 3}),
    Case(RESIZE, ((2, 3, 4),), {"height": 3, "width": 3}, error=True),
    Case("UpSampling", (X,), {"scale": 2, "sample_type": "nearest", "num_args": 1}),
    Case("UpSampling", (X, (1, 3, 4, 5)), {"scale": 2, "sample_type": "nearest", "num_args": 2}),
    Case("UpSampling", (X, (1, 1, 8, 10)), {"scale": 2, "sample_type": "nearest", "num_args": 2}),
    Case("UpSampling", (X, X), {"scale": 3, "sample_type": "nearest", "num_args": 2, "multi_input_mode": "sum"}),
    Case("UpSampling", (X, (2, 1, 4, 4)), {"scale": 2, "sample_type": "bilinear", "num_filter": 2, "num_args": 2}),
    Case("UpSampling", (X, (2, 1, 5, 5)), {"scale": 3, "sample_type": "bilinear", "num_filter": 2, "num_args": 2}),
    Case("UpSampling", (X, (2, 1, 8, 8)), {"scale": 4, "sample_type": "bilinear", "num_filter": 2, "num_args": 2}),
    Case("UpSampling", (X, (2, 1, 3, 3)), {"scale": 2, "sample_type": "bilinear", "num_args": 2}, error=True),
    Case("Crop", (X,), {"h_w": (2, 3), "num_args": 1}),
    Case("Crop", (X,), {"h_w": (2, 3), "offset": (1, 2), "num_args": 1}),
    Case("Crop", (X,), {"h_w": (3, 2), "center_crop": True, "num_args": 1}),
    Case("Crop", (X, (1, 1, 3, 2)), {"num_args": 2}),
    Case("Crop", (X, (1, 1, 3, 2)), {"num_args": 2, "offset": (1, 1)}),
    Case("Crop", (X, (1, 1, 3, 2)), {"num_args": 2, "center_crop": True}),
    Case("Crop", (X,), {"h_w": (6, 2), "num_args": 1}, error=True),
    Case("Crop", (X,), {"h_w": (2, 2), "offset": (3, 0), "num_args": 1}, error=True),
    Case("GridGenerator", (THETA,), AFFINE),
    Case("GridGenerator", ((2, 6),), {"transform_type": "affine", "target_shape": (2, 5)}),
    Case("GridGenerator", ((2, 2, 3, 4),), {"transform_type": "warp"}),
    Case("GridGenerator", ((2, 5),), AFFINE, error=True),
    Case("BilinearSampler", ((2, 3, 4, 5), INSIDE), rtol=1e-4),
    Case("BilinearSampler", ((2, 3, 4, 5), WIDE), rtol=1e-4),
    Case("SpatialTransformer", ((2, 3, 4, 5), THETA), SPATIAL, rtol=1e-4),
    Case("SpatialTransformer", ((2, 3, 4, 5), (2, 5)), SPATIAL, error=True),
    Case("Correlation", ((2, 3, 5, 6), (2, 3, 5, 6))),
    Case("Correlation", ((2, 3, 5, 6), (2, 3, 5, 6)), {"pad_size": 1}),
    Case("Correlation", ((1, 2, 6, 6), (1, 2, 6, 6)), {"kernel_size": 3, "max_displacement": 2, "pad_size": 3}),
    Case(
        "Correlation", ((1, 2, 7, 7), (1, 2, 7, 7)), {"max_displacement": 2, "stride2": 2, "pad_size": 2, "stride1": 2}
    ),
    Case("Correlation", ((1, 2, 6, 6), (1, 2, 6, 6)), {"is_multiply": False, "pad_size": 1}),
    Case(
        "Correlation",
        ((1, 2, 8, 8), (1, 2, 8, 8)),
        {"kernel_size": 3, "stride1": 3, "max_displacement": 1, "pad_size": 1},
    ),
    Case("Correlation", ((1, 2, 6, 6), (1, 2, 6, 6)), {"kernel_size": 2}, error=True),
    Case("Correlation", ((1, 2, 6, 6), (1, 2, 6, 6)), {"max_displacement": 4}, error=True),
    Case(
        "Correlation",
        (Rand((1, 2, 4, 4), kind="int", high=3), Rand((1, 2, 4, 4), kind="int", high=3)),
        {"is_multiply": False, "pad_size": 1},
    ),
    Case("_contrib_BilinearResize2D", ((1, 1, 10, 10),), {"scale_height": 0.7, "scale_width": 1.3}),
    Case(
        "_contrib_BilinearResize2D",
        ((1, 1, 11, 10),),
        {"scale_height": 0.7, "scale_width": 1.3, "mode": "odd_scale"},
    ),
]
