"""Asks real MXNet: run by an interpreter that has it (1.9.1 or 2.0), never imported by the tests.

python tools/mxnet_oracle.py describe FOLDER    JSON on stdout: what MXNet reads in each file of FOLDER
python tools/mxnet_oracle.py write FOLDER       list files that MXNet writes, and their facts as JSON on stdout
"""

import contextlib
import hashlib
import json
import sys
import warnings
from pathlib import Path

warnings.simplefilter("ignore")

import mxnet as mx  # noqa: E402
import numpy as np  # noqa: E402

DTYPES = (
    "float32",
    "float64",
    "float16",
    "uint8",
    "int32",
    "int8",
    "int64",
    "bool",
    "int16",
    "uint16",
    "uint32",
    "uint64",
)


@contextlib.contextmanager
def semantics(numpy: bool):
    """NumPy semantics (V3) or the older ones (V0 to V2), whatever the default of this MXNet is."""
    with contextlib.ExitStack() as stack:
        stack.enter_context(mx.util.np_array(False))
        stack.enter_context(mx.util.np_shape(numpy))
        yield


def describe_array(array) -> dict:
    if array.stype != "default":
        parts = {"data": array.data, "indices": array.indices}
        if array.stype == "csr":
            parts["indptr"] = array.indptr
        facts = {"shape": list(array.shape), "dtype": np.dtype(array.dtype).name, "stype": array.stype}
        return {**facts, **{name: describe_array(part) for name, part in parts.items()}}
    values = array.asnumpy()
    dtype = "bfloat16" if values.dtype.names else values.dtype.name
    return {"shape": list(array.shape), "dtype": dtype, "sha256": hashlib.sha256(values.tobytes()).hexdigest()}


def describe(path: Path) -> dict:
    errors = []
    for numpy in (False, True):
        with semantics(numpy):
            try:
                found = mx.nd.load(str(path))
                if isinstance(found, dict):
                    return {"kind": "dict", "arrays": {name: describe_array(array) for name, array in found.items()}}
                return {"kind": "list", "arrays": [describe_array(array) for array in found]}
            except Exception as err:  # noqa: BLE001  # for "none" arrays it raises the bare class
                errors.append(str(err).strip().splitlines()[-1])
    return {"error": errors}


def write(folder: Path) -> dict:
    """Files of this MXNet: every dtype that it has, in both semantics, shapes, names, sparse arrays."""
    folder.mkdir(parents=True, exist_ok=True)
    facts = {}

    def save(name: str, data, numpy: bool = False) -> None:
        with semantics(numpy):
            try:
                mx.nd.save(str(folder / name), data() if callable(data) else data)
            except (mx.base.MXNetError, TypeError, KeyError) as err:
                facts[name] = {"error": str(err).strip().splitlines()[-1]}
                (folder / name).unlink(missing_ok=True)
                return
        facts[name] = {**describe(folder / name), "np_semantics": numpy}

    for numpy in (False, True):
        version = "v3" if numpy else "v2"
        for dtype in DTYPES:
            values = (np.arange(6).reshape(2, 3) % 2 if dtype == "bool" else np.arange(6).reshape(2, 3)).astype(dtype)
            save(f"{version}_{dtype}.params", lambda v=values: {"w": mx.nd.array(v, dtype=v.dtype)}, numpy)
    save("v3_shapes.params", lambda: [mx.nd.zeros(()), mx.nd.zeros((0, 3)), mx.nd.ones((1,) * 8)], True)
    save("v2_names.params", lambda: {"": mx.nd.ones(1), "数据/w": mx.nd.ones(2), "arg:é": mx.nd.ones(3)})
    rows = mx.nd.array([[1, 2], [3, 4]])
    save("v2_row_sparse.params", lambda: {"r": mx.nd.sparse.row_sparse_array((rows, [1, 3]), shape=(5, 2))})
    save("v2_csr.params", lambda: [mx.nd.sparse.csr_matrix(([1, 2, 3], [0, 2, 1], [0, 2, 2, 3]), shape=(3, 3))])
    return facts


def main() -> None:
    command, folder = sys.argv[1], Path(sys.argv[2])
    if command == "write":
        facts = write(folder)
    else:
        facts = {path.name: describe(path) for path in sorted(folder.iterdir()) if path.suffix == ".params"}
    print(json.dumps({"version": mx.__version__, "files": facts}, ensure_ascii=False))


main()
