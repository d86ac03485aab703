"""DeformableConvolution; MXNet computes ModulatedDeformableConvolution on GPUs only (test_layers.py)."""

from tests.mxnet.ops.case import Case, Rand

ONE, TWO = "_contrib_DeformableConvolution", "_contrib_ModulatedDeformableConvolution"
X = (2, 4, 5, 6)


def case(op, offset, weight, shares=1, bias=True, spread=1.5, **attrs):
    taps = weight[2] * weight[3] * shares
    arrays = [X, Rand((2, 2 * taps, *offset), "float32", "uniform", -spread, spread)]
    if op == TWO:
        arrays.append(Rand((2, taps, *offset), "float32", "uniform", 0, 1))
    arrays.append(weight)
    if bias:
        arrays.append((weight[0],))
    attrs = {"kernel": weight[2:], "num_filter": weight[0], "num_deformable_group": shares, **attrs}
    if not bias:
        attrs["no_bias"] = True
    error = attrs.pop("error", False)
    return Case(op, tuple(arrays), attrs, rtol=1e-4, error=error)


CASES = [
    case(ONE, (3, 4), (3, 4, 3, 3)),
    case(ONE, (5, 6), (3, 4, 3, 3), bias=False, pad=(1, 1)),
    case(ONE, (5, 6), (2, 4, 3, 3), shares=2, pad=(2, 2), dilate=(2, 2)),
    case(ONE, (2, 3), (4, 2, 2, 2), num_group=2, stride=(2, 2)),
    *(case(op, (3, 3), (3, 4, 3, 3), error=True) for op in (ONE, TWO)),
]
