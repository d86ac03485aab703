"""Iterators against what real MXNet 1.9.1 gave (tools/mxnet_iterators.py asks it again)."""

from __future__ import annotations

import gzip
import json
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import tensorkeep.mxnet as mx  # noqa: E402
from tensorkeep.mxnet.base import MXNetError  # noqa: E402
from tests.mxnet import cases_io as cases  # noqa: E402

GOLDEN = json.loads(gzip.decompress((Path(__file__).parents[1] / "golden" / "mxnet" / "io.json.gz").read_bytes()))


def sentence(text: str) -> str:
    """MXNet's text without its file, line and condition."""
    for condition in ("false: ", "files_.size() != 0U (0 vs. 0) : ", "allow_null: :"):
        text = text.replace(f"Check failed: {condition}", "")
    return text.split("MXNetError: ")[-1].split("\n")[-1].strip()


@pytest.mark.parametrize("name", cases.CASES)
def test_batches_are_those_of_mxnet(name: str, tmp_path: Path) -> None:
    """Three epochs: values, dtypes, padding, numbers, descriptions; and the refusals."""
    cases.write_files(tmp_path)
    want = GOLDEN["cases"][name]
    if len(want) == 2 and want[0].endswith("Error"):
        want = [want[0], sentence(want[1])]

    assert json.loads(json.dumps(cases.run(mx, name, tmp_path))) == want


def test_gzipped_mnist(tmp_path: Path) -> None:
    """The files as they are downloaded give the same images."""
    cases.write_files(tmp_path)
    for name in ("images", "labels"):
        (tmp_path / f"{name}.gz").write_bytes(gzip.compress((tmp_path / name).read_bytes()))
    given: dict[str, Any] = {"batch_size": 4, "shuffle": False, "silent": True}
    plain = mx.io.MNISTIter(image=str(tmp_path / "images"), label=str(tmp_path / "labels"), **given)
    packed = mx.io.MNISTIter(image=str(tmp_path / "images.gz"), label=str(tmp_path / "labels.gz"), **given)

    assert np.array_equal(plain.next().data[0].asnumpy(), packed.next().data[0].asnumpy())


def test_files_that_are_cut_off_are_refused(tmp_path: Path) -> None:
    """A header that promises more than there is; a row of another length; a cell that is no number."""
    cases.write_files(tmp_path)
    whole = (tmp_path / "images").read_bytes()
    (tmp_path / "images").write_bytes(whole[:-1])
    with pytest.raises(MXNetError, match=r"invalid mnist format: .* is cut off"):
        mx.io.MNISTIter(image=str(tmp_path / "images"), label=str(tmp_path / "labels"), batch_size=2)
    (tmp_path / "a.csv").write_text("1,2\n3\n")
    with pytest.raises(MXNetError, match=r"the csv row-length=1 \(.*a.csv, line 2\)"):
        mx.io.CSVIter(data_csv=str(tmp_path / "a.csv"), data_shape=(2,), batch_size=1)
    (tmp_path / "a.csv").write_text("1,2\nx,3\n")
    with pytest.raises(MXNetError, match="holds something that is no number"):
        mx.io.CSVIter(data_csv=str(tmp_path / "a.csv"), data_shape=(2,), batch_size=1)
    (tmp_path / "data.t").write_text("1 3:2\n")
    with pytest.raises(MXNetError, match="a column is outside of 0 … 2"):
        mx.io.LibSVMIter(data_libsvm=str(tmp_path / "data.t"), data_shape=(3,), batch_size=1)


def test_errors_of_a_prefetching_thread_are_raised_where_the_batch_is_asked_for() -> None:
    """Nothing hangs, and no thread is left."""

    class Broken(mx.io.DataIter):
        provide_data = provide_label = [mx.io.DataDesc("data", (1, 2))]

        def next(self) -> Any:
            raise ValueError("broken")

    before = threading.active_count()
    it = mx.io.PrefetchingIter(Broken())
    with pytest.raises(ValueError, match="broken"):
        it.next()

    assert threading.active_count() == before


def test_descriptions() -> None:
    """A DataDesc is a pair that knows dtype and layout."""
    desc = mx.io.DataDesc("data", (2, 3), layout="TNC")

    assert desc == ("data", (2, 3))
    assert repr(desc) == "DataDesc[data,(2, 3),<class 'numpy.float32'>,TNC]"
    assert [mx.io.DataDesc.get_batch_axis(x) for x in ("TNC", "NCHW", None)] == [1, 0, 0]
    assert mx.io.DataDesc.get_list([("a", (1,))], [("a", "int8")])[0].dtype == "int8"
    assert mx.io.DataDesc.__module__ == "mxnet.io.io"
