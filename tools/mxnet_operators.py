"""Asks real MXNet 1.9.1 what its operators give: run by an interpreter that has it, never imported by the tests.

python tools/mxnet_operators.py FAMILY …    tests/mxnet/ops/cases_FAMILY.py → tests/golden/mxnet/ops/FAMILY.npz
"""

import ctypes
import importlib.util
import json
import sys
import warnings
from pathlib import Path

warnings.simplefilter("ignore")

import mxnet as mx  # noqa: E402
import numpy as np  # noqa: E402
from mxnet._ctypes.ndarray import _imperative_invoke  # noqa: E402
from mxnet.base import _LIB, check_call  # noqa: E402

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))


def handle_of(name):
    handle = ctypes.c_void_p()
    check_call(_LIB.NNGetOpHandle(name.encode(), ctypes.byref(handle)))
    return handle.value


def plain(array):
    """NumPy values of an NDArray; bfloat16 as its bits."""
    values = array.asnumpy()
    return values.view(np.uint16) if values.dtype.names else values


def run(case):
    """What MXNet gives for a case: name → array, and facts."""
    record, facts = {}, {}
    with mx.util.np_shape(case.np):
        if case.seed is not None:
            mx.random.seed(case.seed)
        arrays = [mx.nd.array(a, dtype=a.dtype) for a in case.arrays()]
        floats = [i for i, a in enumerate(arrays) if a.dtype in (np.float32, np.float64, np.float16)]
        if case.grad:
            for i in floats:
                arrays[i].attach_grad()
        keys = [str(k) for k in case.attrs]
        values = [str(v) for v in case.attrs.values()]
        try:
            with mx.autograd.record(train_mode=case.train):
                out = case.targets(arrays)
                found = _imperative_invoke(handle_of(case.op), arrays, keys, values, out, False, False)
            outs = found if isinstance(found, list) else [found]
            facts["outputs"] = len(outs)
            for i, out in enumerate(outs):
                record[f"out{i}"] = plain(out)
            if case.grad and floats:
                kept = [out for out in outs if out.dtype in (np.float32, np.float64, np.float16)]
                heads = case.heads([out.shape for out in kept], [out.dtype for out in kept])
                mx.autograd.backward(kept, [mx.nd.array(h, dtype=h.dtype) for h in heads], train_mode=case.train)
                for i in floats:
                    record[f"grad{i}"] = plain(arrays[i].grad)
            for i, a in enumerate(arrays):  # auxiliary states change in place
                if not np.array_equal(plain(a), case.arrays()[i], equal_nan=True):
                    record[f"in{i}"] = plain(a)
        except (mx.base.MXNetError, ValueError) as err:  # newer operators raise ValueError
            record, facts = {}, {"error": str(err).strip()}
    return record, facts


def main():
    for family in sys.argv[1:]:
        path = ROOT / "tests" / "mxnet" / "ops" / f"cases_{family}.py"
        spec = importlib.util.spec_from_file_location(f"cases_{family}", path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        index, stored = {}, {}
        for number, case in enumerate(module.CASES):
            record, facts = run(case)
            assert case.key not in index, f"two cases are {case.key}"
            if ("error" in facts) != case.error:
                print(f"{case.key}: {facts.get('error', 'no error')}")
            index[case.key] = {"at": number, **facts}
            stored.update({f"{number}/{name}": value for name, value in record.items()})
        text = json.dumps({"mxnet": mx.__version__, "cases": index}, ensure_ascii=False)
        stored["index"] = np.frombuffer(text.encode(), dtype=np.uint8)
        out = ROOT / "tests" / "golden" / "mxnet" / "ops" / f"{family}.npz"
        out.parent.mkdir(parents=True, exist_ok=True)
        np.savez_compressed(out, **stored)
        print(f"{family}: {len(index)} cases, {out.stat().st_size} bytes")


main()
