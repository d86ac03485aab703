"""Initializers and arrays to fill: (key, initializer from the module mx.init, name, shape, dtype)."""


def _row(key, make, name="dense0_weight", shape=(3, 4), dtype="float32"):
    return (f"{key}|{name}|{shape}|{dtype}", make, name, shape, dtype)


CASES = [
    _row("Zero", lambda init: init.Zero()),
    _row("One", lambda init: init.One()),
    _row("Constant", lambda init: init.Constant(2.5)),
    _row("Uniform", lambda init: init.Uniform()),
    _row("Uniform", lambda init: init.Uniform(), dtype="float16"),
    _row("Uniform", lambda init: init.Uniform(), dtype="float64"),
    _row("Uniform", lambda init: init.Uniform(), shape=(20, 7)),
    _row("Normal", lambda init: init.Normal(0.1)),
    _row("Normal", lambda init: init.Normal(), shape=(3, 2, 5)),
    _row("Orthogonal", lambda init: init.Orthogonal()),
    _row("Orthogonal tall", lambda init: init.Orthogonal(), shape=(5, 2, 1)),
    _row("Orthogonal normal", lambda init: init.Orthogonal(scale=1.0, rand_type="normal"), shape=(4, 4)),
    _row("Xavier", lambda init: init.Xavier()),
    _row("Xavier in", lambda init: init.Xavier(factor_type="in", magnitude=2.34), shape=(4, 3, 2, 2)),
    _row("Xavier out", lambda init: init.Xavier(rnd_type="gaussian", factor_type="out", magnitude=2)),
    _row("Xavier vector", lambda init: init.Xavier(), shape=(4,)),
    _row("Xavier factor", lambda init: init.Xavier(factor_type="both")),
    _row("Xavier type", lambda init: init.Xavier(rnd_type="poisson")),
    _row("MSRAPrelu", lambda init: init.MSRAPrelu()),
    _row("Bilinear", lambda init: init.Bilinear(), shape=(2, 1, 4, 4)),
    _row("Bilinear odd", lambda init: init.Bilinear(), shape=(1, 1, 3, 5)),
    _row("LSTMBias", lambda init: init.LSTMBias(2.0), shape=(8,)),
    _row("bias", lambda init: init.Normal(), name="dense0_bias"),
    _row("gamma", lambda init: init.Normal(), name="bn_gamma"),
    _row("beta", lambda init: init.Normal(), name="bn_beta"),
    _row("min", lambda init: init.Normal(), name="x_min"),
    _row("max", lambda init: init.Normal(), name="x_max"),
    _row("quantized weight", lambda init: init.Normal(), name="x_weight_quantize", dtype="int8"),
    _row("quantized bias", lambda init: init.Normal(), name="x_bias_quantize"),
    _row("unknown", lambda init: init.Normal(), name="something"),
    _row("Mixed", lambda init: init.Mixed(["dense1.*", ".*"], [init.One(), init.Uniform(0.5)])),
    _row("Mixed none", lambda init: init.Mixed(["dense1.*"], [init.One()])),
    _row("Load none", lambda init: init.Load({})),
    _row("create", lambda init: init.create("normal", sigma=0.2)),
    _row("create zeros", lambda init: init.create("zeros")),
    _row("create json", lambda init: init.create('["xavier", {"magnitude": 2}]')),
    _row("create unknown", lambda init: init.create("nonesuch")),
    _row("FusedRNN lstm", lambda init: init.FusedRNN(init.Uniform(0.5), 2, 1, "lstm"), name="parameters_weight", shape=(48,)),
    _row("FusedRNN gru", lambda init: init.FusedRNN(init.Normal(0.5), 2, 1, "gru", True), name="parameters_weight", shape=(84,)),
]  # fmt: skip
