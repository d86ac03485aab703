"""Activation, LeakyReLU, softmax and its kin, Dropout where it is not random."""

from tests.mxnet.ops.case import Case, Given, Rand

INF, NAN = float("inf"), float("nan")
WIDE = Given([-INF, -100.0, -1.5, -1e-3, 0.0, 1e-3, 2.5, 100.0, INF])
ACTIVATIONS = ("relu", "sigmoid", "softrelu", "softsign", "tanh")
LEAKY = ("elu", "gelu", "leaky", "selu")

CASES = [
    *(Case("LeakyReLU", ((2, 3, 4),), {"act_type": kind}, grad=kind != "selu") for kind in LEAKY),
    *(Case("LeakyReLU", (Rand((3, 4), "float64"),), {"act_type": kind}, rtol=1e-6) for kind in LEAKY),
    *(
        Case("LeakyReLU", (Rand((3, 4), "float16"),), {"act_type": kind}, rtol=1e-2)
        for kind in ("elu", "gelu", "leaky")
    ),
    *(Case("LeakyReLU", (WIDE,), {"act_type": kind}, grad=False) for kind in ("elu", "leaky", "selu")),
    Case("LeakyReLU", ((2, 3),)),
    Case("LeakyReLU", ((2, 3),), {"slope": 0.1}),
    Case("LeakyReLU", ((2, 3),), {"act_type": "elu", "slope": 1.5}),
    Case("LeakyReLU", ((2, 3, 2), (3,)), {"act_type": "prelu"}),
    Case("LeakyReLU", ((2, 3), (3,)), {"act_type": "prelu"}),
    Case("LeakyReLU", ((2, 3, 2, 2), (1,)), {"act_type": "prelu"}, note="one gamma"),
    Case("LeakyReLU", ((2, 3, 2, 2), (3,)), {"act_type": "prelu"}),
    *(Case("Activation", ((2, 3, 4),), {"act_type": kind}) for kind in ACTIVATIONS),
    *(Case("Activation", (Rand((3, 4), "float64"),), {"act_type": kind}) for kind in ACTIVATIONS),
    *(Case("Activation", (Rand((3, 4), "float16"),), {"act_type": kind}, rtol=1e-2) for kind in ACTIVATIONS),
    *(Case("Activation", (WIDE,), {"act_type": k}, grad=False) for k in ACTIVATIONS if k != "softsign"),
    Case("Activation", (Rand((), "float32"),), {"act_type": "tanh"}, np=True),
    Case("Activation", ((0, 2),), {"act_type": "relu"}, np=True),
    Case("Activation", (Rand((3,), "int32", "int", -3, 3),), {"act_type": "relu"}, error=True),
    Case("Activation", ((3,),), {"act_type": "gelu"}, error=True),
    Case("Activation", ((3,),), error=True),
    *(Case("softmax", ((2, 3, 4),), {"axis": axis}) for axis in (-1, 0, 1, -2)),
    Case("softmax", ((2, 3),)),
    Case("softmax", ((2, 3),), {"temperature": 2.0}),
    Case("softmax", ((2, 3),), {"dtype": "float64"}, rtol=2e-5),
    Case("softmax", (Rand((2, 3), "float16"),), {"dtype": "float32"}, rtol=4e-3),
    Case("softmax", (Rand((2, 3), "float64"),)),
    Case("softmax", (Rand((2, 3), "float16"),), rtol=1e-2),
    Case("softmax", (Given([[-1e4, 0.0, 1e4], [1.0, 1.0, 1.0]]),), note="large"),
    Case("softmax", ((3, 4), Given([1, 3, 4], "int32")), {"use_length": True}),
    Case("softmax", ((3, 4), Given([0, 2, 4], "int64")), {"use_length": True, "temperature": 0.5}),
    Case("softmax", ((2, 3, 4), Rand((2, 4), "int32", "int", 1, 4)), {"use_length": True, "axis": 1}),
    Case("softmax", ((3, 4), Given([1, 3, 4])), {"use_length": True}, error=True),
    Case("softmax", (Rand((2, 3), "int32", "int", 0, 4),), error=True),
    Case("softmax", ((2, 3),), {"axis": 2}, error=True),
    Case("softmax", ((2, 3),), {"axis": -3}, error=True),
    *(Case(op, ((2, 3, 4),), {"axis": axis}) for op in ("log_softmax", "softmin") for axis in (-1, 0, 1)),
    *(Case(op, ((2, 3),), {"temperature": 0.5}) for op in ("log_softmax", "softmin")),
    *(Case(op, ((2, 3),), {"dtype": "float64"}, rtol=2e-5) for op in ("log_softmax", "softmin")),
    *(Case(op, (Rand((2, 3), "float64"),)) for op in ("log_softmax", "softmin")),
    *(Case(op, (Rand((2, 3), "float16"),), rtol=1e-2) for op in ("log_softmax", "softmin")),
    *(Case(op, (Rand((2, 3), "int32", "int", 0, 4),), error=True) for op in ("log_softmax", "softmin")),
    Case("SoftmaxActivation", ((2, 3),)),
    Case("SoftmaxActivation", ((2, 3, 2),)),
    Case("SoftmaxActivation", ((2, 3, 2, 2),), {"mode": "channel"}),
    Case("SoftmaxActivation", ((2, 3),), {"mode": "channel"}, error=True),
    Case("Dropout", ((3, 4),)),
    Case("Dropout", ((3, 4),), {"p": 0.0}, train=True),
    Case("Dropout", ((3, 4),), {"p": 0.9, "axes": (1,)}),
    Case("Dropout", (Rand((3, 4), "float16"),), {"p": 0.3}),
    Case("Dropout", ((3, 4),), {"p": 1.0}, train=True),
    Case("Dropout", ((3, 4),), {"p": 1.0, "axes": (0,)}, train=True),
    Case("Dropout", ((3, 4),), {"p": 1.5}, error=True),
    Case("Dropout", ((3, 4),), {"p": -0.5}, train=True, error=True),
]
