"""Asks real MXNet 1.9.1 for networks whose layers oneDNN fuses, of floats and of bytes: run by an interpreter with it.

python tools/mxnet_fused.py    → tests/golden/mxnet/fused/: network and eight_bit, each a symbol and its arrays
"""

from pathlib import Path

import mxnet as mx
import numpy as np
from mxnet.contrib.quantization import quantize_model_mkldnn

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


def network():
    """Convolutions and dense layers in every combination that oneDNN fuses."""
    a = block(sym.var("data"), "c0", bn=False)
    b = block(a, "c1")
    c = block(b, "c2", add=a, first=True)
    d = block(c, "c3", add=b, act=False)
    e = sym.Activation(sym.FullyConnected(sym.flatten(d), num_hidden=5, name="fc"), act_type="relu", name="fc_act")
    return sym.FullyConnected(e, num_hidden=3, name="fc2")


def save(name, symbol, arguments, states, **more):
    """The network, its arrays and what MXNet gives for them."""
    executor = symbol.bind(mx.cpu(), arguments, aux_states=states)
    arrays = {f"arg:{n}": v.asnumpy() for n, v in arguments.items()}
    arrays |= {f"aux:{n}": v.asnumpy() for n, v in states.items()}
    symbol.save(str(OUT / f"{name}-symbol.json"))
    np.savez_compressed(OUT / f"{name}.npz", output=executor.forward()[0].asnumpy(), **arrays, **more)


def inner(symbol, arguments, states):
    """The 8-bit values that each layer gives."""
    found = {}
    for name in symbol.get_internals().list_outputs():
        if (
            name.startswith("quantized_")
            and name.endswith("_output")
            and name[-10:] not in ("min_output", "max_output")
        ):
            part = symbol.get_internals()[name]
            taken = {n: v for n, v in arguments.items() if n in part.list_arguments()}
            kept = {n: v for n, v in states.items() if n in part.list_auxiliary_states()}
            found[f"inner:{name}"] = part.bind(mx.cpu(), taken, aux_states=kept).forward()[0].asnumpy()
    return found


def main():
    OUT.mkdir(parents=True, exist_ok=True)
    plain = network()
    shapes, _, sizes = plain.infer_shape(data=(2, 3, 4, 4))
    rng = np.random.RandomState(0)
    names, kept = plain.list_arguments(), plain.list_auxiliary_states()
    arguments = {n: mx.nd.array(rng.randn(*s) * 0.3) for n, s in zip(names, shapes, strict=True)}
    states = {n: mx.nd.array(rng.rand(*s) + 0.5) for n, s in zip(kept, sizes, strict=True)}
    save("network", plain.get_backend_symbol("MKLDNN"), arguments, states)

    data = arguments.pop("data")
    quantized, arguments, states = quantize_model_mkldnn(
        plain, arguments, states, data_names=["data"], label_names=None, ctx=mx.cpu(), calib_mode="naive",
        calib_data=mx.io.NDArrayIter(data.asnumpy(), batch_size=2), num_calib_examples=2, quantized_dtype="auto",
        logger=None,
    )  # fmt: skip
    arguments["data"] = data
    save("eight_bit", quantized, arguments, states, **inner(quantized, arguments, states))


main()
