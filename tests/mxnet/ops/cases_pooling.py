"""Pooling, Pooling_v1, AdaptiveAvgPooling2D."""

from tests.mxnet.ops.case import Case, Rand

X1, X2, X3 = (2, 2, 7), (2, 2, 6, 5), (1, 2, 4, 5, 4)
KINDS = ("max", "avg", "sum")


def pool(data, op="Pooling", dtype="float32", **attrs):
    flags = {name: attrs.pop(name) for name in ("error", "note", "grad", "rtol") if name in attrs}
    # Different values everywhere: the gradient of a maximum is not defined for equal ones.
    values = Rand(data, dtype, "perm") if dtype == "float32" else Rand(data, dtype)
    return Case(op, (values,), attrs, train=True, **flags)


LONE = ((6, 2, 4, 1), (3, 2, 2, 1), (5, 2, 3, 1))
"""size, kernel, stride, pad: with "full" the last window begins in the padding."""
CASES = [
    *(pool(X2, kernel=(2, 2), pool_type=kind) for kind in KINDS),
    *(pool(X2, kernel=(3, 2), pool_type=kind, stride=(2, 1), pad=(1, 1)) for kind in KINDS),
    *(pool(X2, kernel=(3, 3), pool_type=kind, stride=(2, 2), pooling_convention="full") for kind in KINDS),
    *(pool(X2, kernel=(2, 2), pool_type=k, stride=(2, 2), pad=(1, 1), pooling_convention="full") for k in KINDS),
    *(
        pool((2, 2, size, size), kernel=(k, k), pool_type=kind, stride=(s, s), pad=(p, p), pooling_convention="full")
        for size, k, s, p in LONE
        for kind in ("avg", "sum")
    ),
    *(
        pool((2, 2, n, n), kernel=(k, k), stride=(s, s), pad=(p, p), pooling_convention="full", grad=False)
        for n, k, s, p in LONE
    ),
    *(pool(X2, global_pool=True, pool_type=kind) for kind in KINDS),
    *(pool(X2, global_pool=True, pool_type=kind, kernel=(2, 2), pad=(1, 1), stride=(2, 2)) for kind in KINDS),
    *(pool(X1, kernel=(3,), pool_type=kind, stride=(2,), pad=(1,)) for kind in KINDS),
    *(pool(X1, global_pool=True, pool_type=kind) for kind in KINDS),
    *(pool(X3, kernel=(2, 3, 2), pool_type=kind, stride=(2, 2, 1), pad=(0, 1, 1)) for kind in KINDS),
    *(pool(X3, global_pool=True, pool_type=kind) for kind in KINDS),
    pool(X3, kernel=(2, 2, 2), pool_type="avg", stride=(3, 3, 3), pooling_convention="full", grad=False),
    pool(X2, kernel=(3, 3), pool_type="avg", pad=(1, 1), count_include_pad=False),
    pool(X2, kernel=(3, 3), pool_type="avg", pad=(1, 1), count_include_pad=True),
    pool(X2, kernel=(3, 3), pool_type="avg", stride=(2, 2), pooling_convention="full", count_include_pad=False),
    pool(
        (1, 2, 3, 3),
        kernel=(2, 2),
        pool_type="avg",
        stride=(2, 2),
        pad=(1, 1),
        pooling_convention="full",
        count_include_pad=False,
        grad=False,
    ),
    *(pool(X2, kernel=(2, 2), pool_type="lp", p_value=p, dtype="float64", rtol=1e-6) for p in (1, 2, 3)),
    pool(X2, kernel=(2, 2), pool_type="lp", p_value=2, stride=(2, 2), pad=(1, 1), rtol=1e-4),
    pool(X2, global_pool=True, pool_type="lp", p_value=2, rtol=1e-4),
    *(pool((2, 6, 5, 2), kernel=(2, 2), pool_type=kind, layout="NHWC", stride=(2, 1)) for kind in KINDS),
    *(pool((2, 6, 5, 2), global_pool=True, pool_type=kind, layout="NHWC") for kind in KINDS),
    pool((2, 7, 2), kernel=(2,), layout="NWC", stride=(2,)),
    pool((1, 4, 5, 4, 2), kernel=(2, 2, 2), layout="NDHWC", pool_type="avg"),
    *(pool(X2, kernel=(2, 2), pool_type=kind, dtype="float64") for kind in KINDS),
    pool(X2, kernel=(2, 2), dtype="float16"),
    pool(X2, kernel=(2, 2), pool_type="avg", dtype="float16", rtol=1e-2),
    pool(X2, kernel=(4, 4), pad=(3, 3), grad=False),
    pool(X2, kernel=(3, 3), pad=(2, 2), pool_type="avg"),
    pool(X2, kernel=(9, 9), error=True),
    pool(X2, kernel=(2,), error=True),
    pool(X2, kernel=(2, 2), stride=(2,), error=True),
    pool(X2, kernel=(2, 2), pool_type="lp", error=True),
    pool(X2, kernel=(2, 2), pooling_convention="same", error=True),
    pool(X2, error=True),
    pool(X2, kernel=(2, 2), layout="NCW", error=True),
    pool((2, 3), kernel=(2,), error=True),
    *(pool(X2, op="Pooling_v1", kernel=(3, 2), pool_type=kind, stride=(2, 1), pad=(1, 0)) for kind in KINDS),
    *(pool(X2, op="Pooling_v1", kernel=(3, 3), pool_type=k, stride=(2, 2), pooling_convention="full") for k in KINDS),
    *(pool(X2, op="Pooling_v1", global_pool=True, pool_type=kind, kernel=(1, 1)) for kind in KINDS),
    pool(X2, op="_contrib_AdaptiveAvgPooling2D"),
    pool(X2, op="_contrib_AdaptiveAvgPooling2D", output_size=3),
    pool(X2, op="_contrib_AdaptiveAvgPooling2D", output_size=(2, 4)),
    pool(X2, op="_contrib_AdaptiveAvgPooling2D", output_size=(7, 8)),
    pool(X2, op="_contrib_AdaptiveAvgPooling2D", output_size=(1,), dtype="float64"),
    pool(X1, op="_contrib_AdaptiveAvgPooling2D", error=True),
    Case("Pooling", ((0, 2, 4, 4),), {"kernel": (3, 3)}, np=True, grad=False),
    # The gradient that MXNet gives with more pads than dimensions is now right, now not.
    *(
        Case(
            "Pooling",
            ((1, 1, 10),),
            {"kernel": (2,), "stride": (2,), "pad": (0, 0, 0), "pooling_convention": convention},
            grad=False,
        )
        for convention in ("valid", "full", "same")
    ),
    Case("Pooling", ((1, 1, 5, 6),), {"kernel": (2, 3), "stride": (2, 2), "pad": (1, 0, 0)}, grad=False),
]
