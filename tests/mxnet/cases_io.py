"""Iterators to run: what real MXNet 1.9.1 and tensorkeep both do with the same arrays and files. Needs NumPy only."""

import struct
from pathlib import Path

import numpy as np


def write_files(folder: Path) -> None:
    """The files that the cases read."""
    rows = "1,2,3,4,5,6\n2,3,4,5,6,7.5\n3,4,5,6,7,8\n-4,5e-1,6,7,8,9\n5,6,7,8,9,10\n"
    texts = {
        "a.csv": rows,
        "l.csv": "1\n2\n3\n4\n5\n",
        "l2.csv": "1,9\n2,8\n3,7\n4,6\n5,5\n",
        "data.t": "1.0 0:0.5 2:1.2\n-2.0\n-3.0 0:0.6 1:2.4 2:1.2\n4 2:-1.2\n",
        "label.t": "1.0\n-2.0 0:0.125\n-3.0 2:1.2\n4 1:1.0 2:-1.2\n",
    }
    for name, text in texts.items():
        (folder / name).write_text(text)
    images = np.random.RandomState(0).randint(0, 256, (10, 2, 3)).astype("uint8")
    (folder / "images").write_bytes(struct.pack(">iiii", 2051, 10, 2, 3) + images.tobytes())
    (folder / "labels").write_bytes(struct.pack(">ii", 2049, 10) + bytes(range(10)))


A = np.arange(14, dtype="float32").reshape(7, 2)
B = np.arange(21, dtype="float64").reshape(7, 3)
L = np.arange(7, dtype="float32")


def arrays(**kwargs):
    return lambda mx, folder: mx.io.NDArrayIter(**kwargs)


def file(name, paths, **kwargs):
    def make(mx, folder):
        return getattr(mx.io, name)(**{key: str(folder / path) for key, path in paths.items()}, **kwargs)

    return make


CSV, SVM = {"data_csv": "a.csv"}, {"data_libsvm": "data.t"}
MNIST = {"image": "images", "label": "labels"}
CASES = {
    "pad": arrays(data=A, label=L, batch_size=3),
    "pad exact": arrays(data=A[:6], label=L[:6], batch_size=3),
    "pad beyond": arrays(data=A[:2], label=L[:2], batch_size=7),
    "discard": arrays(data=A, label=L, batch_size=3, last_batch_handle="discard"),
    "roll over": arrays(data=A, label=L, batch_size=3, last_batch_handle="roll_over"),
    "no label": arrays(data=A, batch_size=4),
    "list": arrays(data=[A, B], label=[L, L], batch_size=4),
    "dict": arrays(data={"z": A, "a": B}, label={"y": L}, batch_size=5),
    "names": arrays(data=A, label=L, batch_size=4, data_name="x", label_name="y"),
    "layout": arrays(data=A.T.copy(), batch_size=2, layout="CN"),
    "shuffle": arrays(data=A, label=L, batch_size=3, shuffle=True),
    "shuffle roll over": arrays(data=A, label=L, batch_size=3, shuffle=True, last_batch_handle="roll_over"),
    "wrong": arrays(data="text"),
    "resize": lambda mx, folder: mx.io.ResizeIter(mx.io.NDArrayIter(A, L, batch_size=4), 3),
    "resize on": lambda mx, folder: mx.io.ResizeIter(mx.io.NDArrayIter(A, L, batch_size=4), 1, reset_internal=False),
    "prefetch": lambda mx, folder: mx.io.PrefetchingIter(
        [mx.io.NDArrayIter(A, L, batch_size=4), mx.io.NDArrayIter(B, batch_size=4, data_name="more")],
        rename_data=[{"data": "first"}, {"more": "second"}],
    ),
    "csv": file("CSVIter", CSV, data_shape=(3, 2), batch_size=2),
    "csv round": file("CSVIter", {**CSV, "label_csv": "l.csv"}, data_shape=(6,), batch_size=3),
    "csv not round": file(
        "CSVIter", {**CSV, "label_csv": "l2.csv"}, data_shape=(6,), label_shape=(2,), batch_size=3, round_batch=False
    ),
    "csv int": file("CSVIter", CSV, data_shape="(6,)", batch_size="2", dtype="int32", data_name="x"),
    "csv float64": file("CSVIter", CSV, data_shape=(6,), batch_size=2, dtype="float64"),
    "csv nowhere": file("CSVIter", {"data_csv": "none.csv"}, data_shape=(6,), batch_size=2),
    "csv no shape": file("CSVIter", CSV, batch_size=2),
    "libsvm": file("LibSVMIter", SVM, data_shape=(3,), batch_size=3),
    "libsvm labels": file("LibSVMIter", {**SVM, "label_libsvm": "label.t"}, data_shape=(3,), label_shape=(3,), batch_size=3),
    "mnist": file("MNISTIter", MNIST, batch_size=4, shuffle=0, silent=1),
    "mnist flat": file("MNISTIter", MNIST, batch_size=4, shuffle=0, flat=1, silent=1),
    "mnist shuffled": file("MNISTIter", MNIST, batch_size=5, shuffle=1, seed=7, flat=1, silent=1),
    "mnist part": file("MNISTIter", MNIST, batch_size=2, shuffle=0, num_parts=2, part_index=1, flat=1, silent=1),
    "mnist nowhere": file("MNISTIter", {**MNIST, "image": "none"}, batch_size=2, silent=1),
}  # fmt: skip


def run(mx, name, folder):
    """What three epochs give, or the type and the text of the refusal."""
    np.random.seed(3)
    try:
        it = CASES[name](mx, folder)
        steps = [str(it.provide_data), str(it.provide_label), it.batch_size]
        for _ in range(3):
            for batch in it:
                index = batch.index.tolist() if batch.index is not None and "mnist" not in name else None
                steps.append([plain(batch.data), plain(batch.label), batch.pad, index, str(batch)])
            it.reset()
            steps.append("reset")
        return steps
    except (mx.base.MXNetError, TypeError, ValueError, NotImplementedError) as err:
        return [type(err).__name__, str(err).replace(str(folder), "FOLDER")]


def plain(arrays):
    return [[each.stype, str(each.asnumpy().dtype), each.asnumpy().tolist()] for each in arrays]
