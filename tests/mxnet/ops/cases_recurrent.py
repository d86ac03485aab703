"""RNN in its modes, and _rnn_param_concat."""

from tests.mxnet.ops.case import Case, Rand

GATES = {"rnn_relu": 1, "rnn_tanh": 1, "lstm": 4, "gru": 3}


def rnn(mode, layers=1, both=False, size=3, steps=3, batch=2, inputs=4, dtype="float32", flat=None, **attrs):
    """A case whose parameters have the right number, or `flat` of them."""
    flags = {name: attrs.pop(name) for name in ("error", "note", "rtol", "grad", "train") if name in attrs}
    ways, project = 1 + both, attrs.get("projection_size")
    total = 0
    for layer in range(layers):
        width = inputs if layer == 0 else (project or size) * ways
        each = GATES[mode] * size * (width + (project or size) + 2) + (project or 0) * size
        total += ways * each
    arrays = [Rand((steps, batch, inputs), dtype), Rand((flat or total,), dtype, "uniform", -0.6, 0.6)]
    arrays.append(Rand((layers * ways, batch, project or size), dtype))
    if mode == "lstm":
        arrays.append(Rand((layers * ways, batch, size), dtype))
    attrs = {"state_size": size, "num_layers": layers, "mode": mode, **attrs}
    if both:
        attrs["bidirectional"] = True
    return Case("RNN", tuple(arrays), attrs, train=flags.pop("train", True), rtol=flags.pop("rtol", 1e-4), **flags)


CASES = [
    *(rnn(mode) for mode in GATES),
    *(rnn(mode, state_outputs=True) for mode in GATES),
    *(rnn(mode, layers=2, state_outputs=True) for mode in GATES),
    *(rnn(mode, both=True, state_outputs=True) for mode in GATES),
    *(rnn(mode, layers=2, both=True, state_outputs=True) for mode in GATES),
    *(rnn(mode, layers=2, p=0.5, train=False, grad=False) for mode in GATES),
    *(rnn(mode, dtype="float64", rtol=1e-6) for mode in GATES),
    *(rnn(mode, steps=1, batch=1, inputs=1, size=1) for mode in GATES),
    rnn("lstm", flat=5, error=True),
    rnn("gru", flat=500, error=True),
    Case("RNN", ((3, 2, 4), (96,), (1, 2, 3)), {"state_size": 3, "num_layers": 1, "mode": "lstm"}, error=True),
    Case("RNN", ((2, 4), (24,), (1, 2, 3)), {"state_size": 3, "num_layers": 1, "mode": "rnn_tanh"}, error=True),
    Case("RNN", ((3, 2, 4), (24,), (1, 1, 3)), {"state_size": 3, "num_layers": 1, "mode": "rnn_tanh"}, error=True),
    Case("_rnn_param_concat", ((2,), (3,)), {"dim": 0, "num_args": 2}),
    Case("_rnn_param_concat", ((2,), (3,), (1,)), {"dim": 0, "num_args": 3}),
]
