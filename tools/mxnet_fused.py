"""Asks real MXNet 1.9.1 for a network whose layers oneDNN fuses: run by an interpreter that has it.

python tools/mxnet_fused.py    → tests/golden/mxnet/fused/network-symbol.json, values.npz
"""

from pathlib import Path

import mxnet as mx
import numpy as np

OUT = Path(__file__).resolve().parent.parent / "tests" / "golden" / "mxnet" / "fused"
sym = mx.sym


def block(x, name, *, bn=True, add=None, first=False, act=True):
    """Convolution with what may follow it: BatchNorm, a sum (with `first` the other operand stands first), relu."""
    y = sym.Convolution(x, kernel=(3, 3), pad=(1, 1), num_filter=4, name=name, no_bias=bn)
    if bn:
        y = sym.BatchNorm(y, fix_gamma=False, name=f"{name}_bn")
    if add is not None:
        y = add + y if first else sym.elemwise_add(y, add)
    return sym.Activation(y, act_type="relu", name=f"{name}_act") if act else y


def main():
    a = block(sym.var("data"), "c0", bn=False)
    b = block(a, "c1")
    c = block(b, "c2", add=a, first=True)
    d = block(c, "c3", add=b, act=False)
    e = sym.Activation(sym.FullyConnected(sym.flatten(d), num_hidden=5, name="fc"), act_type="relu", name="fc_act")
    network = sym.FullyConnected(e, num_hidden=3, name="fc2").get_backend_symbol("MKLDNN")
    shapes, _, states = network.infer_shape(data=(2, 3, 4, 4))
    rng = np.random.RandomState(0)
    values = {n: (rng.randn(*s) * 0.3).astype("float32") for n, s in zip(network.list_arguments(), shapes, strict=True)}
    aux = {
        n: (rng.rand(*s) + 0.5).astype("float32") for n, s in zip(network.list_auxiliary_states(), states, strict=True)
    }
    executor = network.bind(
        mx.cpu(), {n: mx.nd.array(v) for n, v in values.items()}, aux_states={n: mx.nd.array(v) for n, v in aux.items()}
    )
    output = executor.forward()[0].asnumpy()
    OUT.mkdir(parents=True, exist_ok=True)
    network.save(str(OUT / "network-symbol.json"))
    arrays = {**{f"arg:{n}": v for n, v in values.items()}, **{f"aux:{n}": v for n, v in aux.items()}}
    np.savez_compressed(OUT / "values.npz", output=output, **arrays)


main()
