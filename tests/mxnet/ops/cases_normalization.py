"""BatchNorm and its kin, InstanceNorm, LayerNorm, GroupNorm, L2Normalization, LRN."""

from tests.mxnet.ops.case import Case, Given, Rand


def batch(data=(3, 4, 2, 3), dtype="float32", op="BatchNorm", channels=4, params=None, **attrs):
    params = params or dtype
    flags = {name: attrs.pop(name) for name in ("error", "note", "train", "rtol", "atol", "grad") if name in attrs}
    if op == "_contrib_SyncBatchNorm":
        attrs["key"] = "k"
    one = Rand((channels,), params)
    return Case(op, (Rand(data, dtype), one, one, one, Rand((channels,), params, "uniform", 0.5, 2.0)), attrs, **flags)


ROUGH = {"rtol": 2e-4}  # gradients of a normalisation are differences of nearly equal numbers
CASES = [
    batch(),
    batch(fix_gamma=False),
    batch(fix_gamma=False, axis=-1, data=(3, 2, 3, 4)),
    batch(fix_gamma=False, axis=3, data=(3, 2, 3, 4), train=True, **ROUGH),
    batch(train=True, **ROUGH),
    batch(fix_gamma=False, train=True, **ROUGH),
    batch(fix_gamma=False, train=True, momentum=0.5, eps=0.1, **ROUGH),
    batch(fix_gamma=False, train=True, use_global_stats=True),
    batch(fix_gamma=True, train=True, use_global_stats=True),
    batch(fix_gamma=False, eps=1e-5, dtype="float64"),
    batch(fix_gamma=False, eps=1e-5, dtype="float64", train=True, rtol=1e-6),
    batch(fix_gamma=False, output_mean_var=True, note="statistics"),
    batch(fix_gamma=False, output_mean_var=True, train=True, note="statistics", **ROUGH),
    batch(data=(6, 4), fix_gamma=False, train=True, **ROUGH),
    batch(data=(6, 4), fix_gamma=False),
    batch(data=(3, 4, 5), fix_gamma=False, train=True, **ROUGH),
    batch(data=(2, 4, 2, 2, 3), fix_gamma=False, train=True, **ROUGH),
    batch(data=(2, 2, 4, 3), axis=2, fix_gamma=False, train=True, **ROUGH),
    batch(dtype="float16", params="float32", fix_gamma=False, rtol=2e-2),
    batch(dtype="float16", params="float32", fix_gamma=False, train=True, rtol=2e-2),
    batch(dtype="float16", error=True),
    batch(dtype="float64", params="float32", error=True),
    batch(dtype="int32", error=True),
    batch(axis=4, error=True),
    batch(op="BatchNorm_v1"),
    batch(op="BatchNorm_v1", fix_gamma=False, momentum=0.7),
    batch(op="BatchNorm_v1", fix_gamma=False, train=True, **ROUGH),
    batch(op="BatchNorm_v1", fix_gamma=False, train=True, use_global_stats=True, eps=0.01),
    batch(op="_contrib_SyncBatchNorm", fix_gamma=False),
    batch(op="_contrib_SyncBatchNorm", fix_gamma=False, train=True, **ROUGH),
    batch(op="_contrib_SyncBatchNorm", train=True, momentum=0.5, eps=0.01, **ROUGH),
    batch(op="_contrib_BatchNormWithReLU", fix_gamma=False, grad=False),
    batch(op="_contrib_BatchNormWithReLU", fix_gamma=False, train=True, **ROUGH),
    batch(op="_contrib_BatchNormWithReLU", train=True, eps=0.01, **ROUGH),
    Case("InstanceNorm", ((2, 3, 4), (3,), (3,)), rtol=2e-4),
    Case("InstanceNorm", ((2, 3, 4, 2), (3,), (3,)), {"eps": 1e-5}, rtol=2e-4),
    Case("InstanceNorm", ((2, 3, 2, 2, 3), (3,), (3,)), rtol=2e-4),
    Case("InstanceNorm", ((2, 3), (3,), (3,)), error=True),
    Case("InstanceNorm", ((2, 3, 4), (4,), (4,)), error=True),
    Case("LayerNorm", ((2, 3, 4), (4,), (4,)), rtol=2e-4),
    Case("LayerNorm", ((2, 3, 4), (4,), (4,)), {"eps": 0.1}, rtol=2e-4),
    Case("LayerNorm", ((2, 3, 4), (3,), (3,)), {"axis": 1}, rtol=2e-4),
    Case("LayerNorm", ((4, 3, 2), (4,), (4,)), {"axis": -3}, rtol=2e-4),
    Case("LayerNorm", ((2, 3, 4), (4,), (4,)), {"output_mean_var": True}, rtol=2e-4, grad=False),
    Case("LayerNorm", ((2, 3, 4), (3,), (3,)), {"output_mean_var": True, "axis": 1}, rtol=2e-4, grad=False),
    Case("LayerNorm", (Rand((3, 4), "float64"), Rand((4,), "float64"), Rand((4,), "float64")), rtol=1e-6),
    Case("LayerNorm", (Rand((3, 4), "float16"), Rand((4,), "float16"), Rand((4,), "float16")), rtol=2e-2),
    Case("LayerNorm", (Given([[2.0, 2.0, 2.0]]), (3,), (3,)), rtol=2e-4, note="no variance"),
    Case("LayerNorm", ((2, 3, 4), (3,), (3,)), error=True),
    Case("LayerNorm", ((2, 3, 4), (4,), (4,)), {"axis": 3}, error=True),
    Case("GroupNorm", ((2, 4, 3), (1,), (1,)), rtol=2e-4),
    Case("GroupNorm", ((2, 4, 3), (2,), (2,)), {"num_groups": 2}, rtol=2e-4),
    Case("GroupNorm", ((2, 4, 3, 2), (4,), (4,)), {"num_groups": 4, "eps": 0.1}, rtol=2e-4),
    Case("GroupNorm", ((2, 4, 3), (2,), (2,)), {"num_groups": 2, "output_mean_var": True}, rtol=2e-4, grad=False),
    Case("GroupNorm", ((2, 4, 3), (4,), (4,)), {"num_groups": 2}, error=True),
    Case("GroupNorm", ((2, 4, 3), (3,), (3,)), {"num_groups": 3}, error=True),
    Case("L2Normalization", ((3, 4),)),
    Case("L2Normalization", ((2, 3, 4),)),
    Case("L2Normalization", ((2, 3, 2, 2),), {"mode": "channel"}),
    Case("L2Normalization", ((2, 3, 4),), {"mode": "channel", "eps": 0.5}),
    Case("L2Normalization", ((2, 3, 2, 2),), {"mode": "spatial"}),
    Case("L2Normalization", (Rand((2, 3, 4), "float64"),), {"mode": "spatial"}),
    Case("L2Normalization", (Given([[0.0, 0.0]]),), grad=False, note="zeros"),
    Case("L2Normalization", ((3, 4),), {"mode": "channel"}, error=True),
    Case("LRN", ((2, 6, 2, 3),), {"nsize": 3}),
    Case("LRN", ((2, 6, 2, 3),), {"nsize": 5, "alpha": 0.5, "beta": 0.5, "knorm": 1.0}),
    Case("LRN", ((2, 6, 2),), {"nsize": 3}, error=True),
    Case("LRN", ((2, 6, 2, 3),), error=True),
    Case("BatchNorm", ((0, 3), (3,), (3,), (3,), Rand((3,), "float32", "uniform", 1, 2)), np=True, grad=False),
    Case("LayerNorm", ((0, 3), (3,), (3,)), np=True, grad=False),
]
