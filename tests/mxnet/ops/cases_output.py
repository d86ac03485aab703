"""SoftmaxOutput, the regression outputs, SVMOutput, MakeLoss, CTCLoss, IdentityAttachKLSparseReg."""

from tests.mxnet.ops.case import Case, Given, Rand

LABEL = Given([2, 0, 1, 2])


def soft(data=(4, 3), label=LABEL, dtype="float32", **attrs):
    flags = {name: attrs.pop(name) for name in ("error", "note") if name in attrs}
    return Case("SoftmaxOutput", (Rand(data, dtype), label), attrs, train=True, **flags)


def reg(op, data=(4, 3), label=(4, 3), dtype="float32", **attrs):
    rtol = 1e-6 if dtype == "float64" else None  # grad_scale is a float32
    return Case(op, (Rand(data, dtype), Rand(label, dtype)), attrs, train=True, rtol=rtol)


REGRESSIONS = ("LinearRegressionOutput", "LogisticRegressionOutput", "MAERegressionOutput")
PLANES = Given([[[0, 2, 1], [1, 1, 0]], [[2, 2, 0], [0, 1, 2]]])
SIGNS = Given([0, 2, 1, 1])
CASES = [
    soft(),
    soft(grad_scale=0.5),
    soft(normalization="batch"),
    soft(normalization="valid"),
    soft(label=Given([2, -1, 1, -1]), use_ignore=True),
    soft(label=Given([2, 0, 1, 0]), use_ignore=True, ignore_label=0),
    soft(label=Given([2, -1, 1, -1]), use_ignore=True, normalization="valid"),
    soft(label=Given([2, -1, 1, -1]), use_ignore=True, normalization="batch", grad_scale=2.0),
    soft(out_grad=True),
    soft(out_grad=True, label=Given([2, -1, 1, -1]), use_ignore=True),
    soft(smooth_alpha=0.1),
    soft(smooth_alpha=0.1, label=Given([2, -1, 1, -1]), use_ignore=True, normalization="valid"),
    soft(label=(4, 3), note="probabilities"),
    soft(label=(4, 3), grad_scale=0.5, normalization="batch", note="probabilities"),
    soft(label=Given([2, 7, -3, 1]), note="out of range"),
    soft(label=Given([[2], [0], [1], [2]]), error=True, note="column"),
    soft(dtype="float64", label=Given([2, 0, 1, 2], "float64")),
    soft((2, 3, 2, 3), PLANES, multi_output=True),
    soft((2, 3, 2, 3), PLANES, multi_output=True, normalization="valid"),
    soft((2, 3, 2, 3), PLANES, multi_output=True, normalization="batch"),
    soft((2, 3, 2, 3), PLANES, multi_output=True, use_ignore=True, ignore_label=1, normalization="valid"),
    soft((2, 3, 2, 3), PLANES, multi_output=True, use_ignore=True, ignore_label=1, out_grad=True),
    soft((2, 3, 2, 3), PLANES, multi_output=True, smooth_alpha=0.2),
    soft((2, 3, 6), Rand((2, 6), "float32", "int", 0, 3), multi_output=True),
    soft((2, 3, 2, 3), Rand((2, 6), "float32", "int", 0, 3), multi_output=True, note="flat label"),
    soft((2, 2, 3), Rand((2, 2), "float32", "int", 0, 3), preserve_shape=True),
    soft((2, 2, 3), Rand((2, 2), "float32", "int", 0, 3), preserve_shape=True, normalization="valid"),
    soft((2, 2, 3), Rand((2, 2), "float32", "int", 0, 3), preserve_shape=True, normalization="batch"),
    soft((2, 2, 3), Given([[0, 1], [2, 1]]), note="flattened"),
    soft((2, 2, 3), Given([[0, 1], [2, 1]]), normalization="valid", note="flattened"),
    soft((2, 2, 3), Given([[0, 1], [-1, 1]]), normalization="valid", use_ignore=True, note="flattened"),
    soft((2, 2, 3), (2, 2, 3), note="flattened"),
    soft((2, 3, 2), (2, 3, 2), multi_output=True, grad_scale=0.5, note="probabilities"),
    soft((2, 3, 2), Given([[0, 1], [2, 1]]), multi_output=True, out_grad=True),
    soft((2, 2, 3), Given([0, 5]), error=True, note="flattened"),
    soft(label=Given([2, 0, 1]), error=True),
    *(reg(op) for op in REGRESSIONS),
    *(reg(op, grad_scale=0.5) for op in REGRESSIONS),
    *(reg(op, (4, 1), (4,)) for op in REGRESSIONS),
    *(reg(op, (4,), (4,)) for op in REGRESSIONS),
    *(reg(op, (2, 3, 2), (2, 3, 2)) for op in REGRESSIONS),
    *(reg(op, dtype="float64") for op in REGRESSIONS),
    *(Case(op, ((4, 3), (4, 2)), train=True, error=True) for op in REGRESSIONS),
    Case("SVMOutput", ((4, 3), SIGNS), train=True),
    Case("SVMOutput", ((4, 3), SIGNS), {"margin": 0.5, "regularization_coefficient": 2.0}, train=True),
    Case("SVMOutput", ((4, 3), SIGNS), {"use_linear": True}, train=True),
    Case(
        "SVMOutput", ((4, 3), SIGNS), {"use_linear": True, "margin": 0.3, "regularization_coefficient": 0.1}, train=True
    ),
    Case("MakeLoss", ((3, 4),), train=True),
    Case("MakeLoss", ((3, 4),), {"grad_scale": 0.25}, train=True),
    Case("MakeLoss", ((3, 4),), {"normalization": "batch"}, train=True),
    Case("MakeLoss", ((3, 4),), {"normalization": "valid", "valid_thresh": 0.1, "grad_scale": 3.0}, train=True),
    Case("MakeLoss", (Given([-1.0, -2.0]),), {"normalization": "valid"}, train=True),
    Case("MakeLoss", (Rand((3, 4), "float64"),), {"normalization": "batch"}, train=True, rtol=1e-6),
    Case("CTCLoss", ((5, 2, 4), Given([[1, 2, 0], [3, 3, 1]])), rtol=1e-4),
    Case("CTCLoss", ((5, 2, 4), Given([[1, 2, -1], [0, 0, 1]])), {"blank_label": "last"}, rtol=1e-4),
    Case("CTCLoss", ((2, 2, 4), Given([[1, 2, 3], [3, 0, 0]])), error=True, note="too short"),
    Case("CTCLoss", ((3, 2, 4), Given([[1, 1, 0], [2, 2, 0]])), rtol=1e-4),
    Case("CTCLoss", ((5, 2, 4), Given([[1, 2], [3, 1]]), Given([3, 5])), {"use_data_lengths": True}, rtol=1e-4),
    Case(
        "CTCLoss",
        (Given([[[1, 2, -1]], [[0.5, 0, 3]], [[2, 2, 1]], [[float("nan")] * 3]]), Given([[1, 2]]), Given([3])),
        {"use_data_lengths": True},
        rtol=1e-4,
        note="NaN behind the end",
    ),
    Case("CTCLoss", ((5, 2, 4), Given([[1, 2], [3, 1]]), Given([1, 2])), {"use_label_lengths": True}, rtol=1e-4),
    Case(
        "CTCLoss",
        ((5, 2, 4), Given([[1, 2], [3, 1]]), Given([4, 5]), Given([1, 2])),
        {"use_data_lengths": True, "use_label_lengths": True},
        rtol=1e-4,
    ),
    Case("CTCLoss", ((5, 2, 4), Given([[1, 2]])), error=True),
    Case("CTCLoss", ((5, 2), Given([[1, 2], [1, 1]])), error=True),
    Case("SoftmaxOutput", (Rand((4, 3), "float16"), Given([2, 0, 1, 2], "float16")), train=True, rtol=1e-2),
    Case("LogisticRegressionOutput", (Rand((4, 3), "float16"), Rand((4, 3), "float16")), train=True, rtol=1e-2),
]
