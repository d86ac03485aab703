"""Convolution, Deconvolution, im2col, col2im."""

from tests.mxnet.ops.case import Case, Rand

X1, X2, X3 = (2, 4, 7), (2, 4, 6, 5), (1, 2, 4, 5, 4)


def conv(data, weight, dtype="float32", op="Convolution", bias=True, **attrs):
    filters = int(attrs["num_filter"])
    shapes = [data, weight, (filters,)] if bias else [data, weight]
    if not bias:
        attrs["no_bias"] = True
    flags = {name: attrs.pop(name) for name in ("error", "note", "rtol") if name in attrs}
    return Case(op, tuple(Rand(shape, dtype) for shape in shapes), attrs, **flags)


def deconv(data, weight, dtype="float32", bias=True, **attrs):
    filters = int(attrs["num_filter"])
    shapes = [data, weight, (filters,)] if bias else [data, weight]
    if bias:
        attrs["no_bias"] = False
    flags = {name: attrs.pop(name) for name in ("error", "note", "rtol") if name in attrs}
    return Case("Deconvolution", tuple(Rand(shape, dtype) for shape in shapes), attrs, **flags)


CASES = [
    conv(X2, (3, 4, 3, 3), kernel=(3, 3), num_filter=3),
    conv(X2, (3, 4, 3, 3), kernel=(3, 3), num_filter=3, bias=False),
    conv(X2, (3, 4, 3, 2), kernel=(3, 2), num_filter=3, stride=(2, 1), pad=(1, 0)),
    conv(X2, (3, 4, 2, 2), kernel=(2, 2), num_filter=3, dilate=(2, 3), pad=(1, 1)),
    conv(X2, (4, 1, 3, 3), kernel=(3, 3), num_filter=4, num_group=4, pad=(1, 1)),
    conv(X2, (6, 2, 1, 1), kernel=(1, 1), num_filter=6, num_group=2, stride=(2, 2)),
    conv(X2, (3, 4, 3, 3), kernel="[3,3]", num_filter="3", stride="(1, 1)", layout="NCHW", note="texts"),
    conv(X2, (3, 4, 3, 3), dtype="float64", kernel=(3, 3), num_filter=3),
    conv(X1, (3, 4, 3), kernel=(3,), num_filter=3, stride=(2,), pad=(1,)),
    conv(X1, (4, 2, 2), kernel=(2,), num_filter=4, num_group=2, dilate=(2,), layout="NCW"),
    conv(X3, (3, 2, 2, 3, 2), kernel=(2, 3, 2), num_filter=3, stride=(1, 2, 1), pad=(0, 1, 1)),
    conv(X3, (4, 1, 2, 2, 2), kernel=(2, 2, 2), num_filter=4, num_group=2, layout="NCDHW"),
    conv(X2, (3, 4, 3, 3), kernel=(3, 3), num_filter=3, cudnn_tune="off", workspace=256, cudnn_off=True),
    conv(X2, (3, 4, 3, 3), kernel=(2, 2), num_filter=3, error=True),
    conv(X2, (3, 4, 3, 3), kernel=(3, 3), num_filter=4, error=True),
    conv(X2, (3, 5, 3, 3), kernel=(3, 3), num_filter=3, error=True),
    conv(X2, (3, 4, 7, 7), kernel=(7, 7), num_filter=3, error=True),
    conv(X2, (3, 4, 3, 3), kernel=(3, 3), num_filter=3, stride=(1,), error=True),
    conv(X2, (3, 4, 3, 3), kernel=(3, 3), num_filter=3, stride=(0, 1), error=True),
    conv(X2, (3, 4, 3, 3), kernel=(3, 3), num_filter=3, num_group=3, error=True),
    conv(X1, (3, 4, 3, 3), kernel=(3, 3), num_filter=3, error=True),
    conv(X2, (3, 4, 3, 3), dtype="int32", kernel=(3, 3), num_filter=3, error=True),
    Case("Convolution", (X2, (3, 4, 3, 3)), {"kernel": (3, 3), "num_filter": 3}, error=True),
    Case("Convolution", (X2, Rand((3, 4, 3, 3), "float64"), (3,)), {"kernel": (3, 3), "num_filter": 3}, error=True),
    conv(X2, (3, 4, 3, 3), op="Convolution_v1", kernel=(3, 3), num_filter=3, pad=(1, 1), stride=(2, 2)),
    conv(X2, (4, 2, 3, 3), op="Convolution_v1", kernel=(3, 3), num_filter=4, num_group=2, bias=False),
    deconv(X2, (4, 3, 3, 3), kernel=(3, 3), num_filter=3),
    deconv(X2, (4, 3, 3, 3), kernel=(3, 3), num_filter=3, bias=False),
    deconv(X2, (4, 3, 4, 3), kernel=(4, 3), num_filter=3, stride=(2, 3), pad=(1, 0), adj=(0, 2), bias=False),
    deconv(X2, (4, 3, 4, 4), kernel=(4, 4), num_filter=3, stride=(2, 2), pad=(1, 1), adj=(1, 1)),
    deconv(X2, (4, 2, 3, 3), kernel=(3, 3), num_filter=4, num_group=2, stride=(2, 2)),
    deconv(X2, (4, 1, 4, 4), kernel=(4, 4), num_filter=4, num_group=4, stride=(2, 2), pad=(1, 1), bias=False),
    deconv(X2, (4, 3, 3, 3), dtype="float64", kernel=(3, 3), num_filter=3, pad=(1, 1)),
    deconv(X1, (4, 3, 3), kernel=(3,), num_filter=3, stride=(2,), pad=(1,), adj=(1,)),
    deconv(X3, (2, 3, 2, 3, 2), kernel=(2, 3, 2), num_filter=3, stride=(2, 1, 2), pad=(0, 1, 0)),
    deconv(X2, (4, 3, 3, 3), kernel=(3, 3), num_filter=2, error=True),
    deconv(X2, (3, 4, 3, 3), kernel=(3, 3), num_filter=3, bias=False, error=True),
    deconv(X2, (4, 3, 3, 3), kernel=(3, 3), num_filter=3, stride=(2, 2), target_shape=(40, 40), error=True),
    Case("im2col", (X2,), {"kernel": (2, 3)}),
    Case("im2col", (X2,), {"kernel": (2, 2), "stride": (2, 1), "dilate": (1, 2), "pad": (1, 0)}),
    Case("im2col", (X1,), {"kernel": (3,), "stride": (2,), "pad": (1,)}, error=True),
    Case("im2col", (X3,), {"kernel": (2, 2, 3), "stride": (1, 2, 1), "pad": (1, 0, 1)}, error=True),
    Case("im2col", (X3,), {"kernel": (2, 2, 1), "dilate": (2, 1, 1)}, error=True),
    Case("im2col", (Rand(X2, "float64"),), {"kernel": (3, 3)}),
    Case("col2im", ((2, 12, 20),), {"output_size": (6, 6), "kernel": (2, 2), "stride": (1, 1), "dilate": (2, 1)}),
    Case("col2im", ((2, 12, 12),), {"output_size": (6, 5), "kernel": (2, 2), "stride": (2, 2), "pad": (1, 1)}),
    Case("col2im", ((2, 6, 4),), {"output_size": (7,), "kernel": (3,), "stride": (2,), "pad": (1,)}, error=True),
    Case("Convolution", ((0, 4, 6, 5), (3, 4, 3, 3), (3,)), {"kernel": (3, 3), "num_filter": 3}, np=True, grad=False),
]
