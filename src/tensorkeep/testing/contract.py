"""FormatContract: the tests that every file format passes. Subclass it in a test module, and pytest runs them all.

class TestNpz(FormatContract):
    name, suffix = "npz", ".npz"
    dtypes = FormatContract.numpy_dtypes
    kinds = FormatContract.all_kinds - {"sparse"}
    checksums = True
    examples = {"one vector": (bytes_that_numpy_wrote, {"x": np.arange(3)})}
"""

from __future__ import annotations

import io
import os
import random
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

import tensorkeep as tk
from tensorkeep.core.bytesource import BufferSource, ByteSource
from tensorkeep.core.dtypes import DTYPES, numpy_dtype
from tensorkeep.errors import TensorkeepError, UnsupportedDataError
from tensorkeep.testing import samples
from tensorkeep.testing._equal import difference, same
from tensorkeep.testing.guard import alarm

__all__ = ["CountingSource", "FormatContract"]

HEADER_NBYTES_READ = (
    1 << 18
)  # what opening may read of a file of 4 MiB: windows over headers, the end of a zip, never the data
SECONDS = 2.0  # a reader that takes longer on a small file hangs


class CountingSource(BufferSource):
    """Bytes in memory that count how many of them were asked for."""

    __slots__ = ("count",)

    def __init__(self, data: bytes) -> None:
        super().__init__(data, "<counted>")
        self.count = 0

    def view(self, offset: int, nbytes: int) -> memoryview:
        self.count += nbytes
        return super().view(offset, nbytes)


class FormatContract:
    """What every format keeps. The class attributes say what the format can hold.

    Attributes:
        name, suffix: the format's name and the suffix that tests save with.
        dtypes: names of the element types that it holds; float32 and int32 are among them.
        kinds: what data it holds: see `samples.KINDS`.
        checksums: it carries a checksum of every tensor, so that no changed bit goes unnoticed.
        metadata: it keeps strings beside the data.
        tied: tensors that are the same memory are stored once and come back as one.
        streams: it is one file, which can be written to a file object.
        examples: what to call it → (bytes that the format's own tool wrote, the data in them).
        written: what to call it → (data, the bytes that the format's own tool writes for them).
    """

    name: ClassVar[str]
    suffix: ClassVar[str]
    dtypes: ClassVar[frozenset[str]] = frozenset(DTYPES)
    kinds: ClassVar[frozenset[str]] = frozenset(samples.KINDS)
    checksums: ClassVar[bool] = False
    metadata: ClassVar[bool] = False
    tied: ClassVar[bool] = False
    streams: ClassVar[bool] = True
    examples: ClassVar[Mapping[str, tuple[bytes, Any]]] = {}
    written: ClassVar[Mapping[str, tuple[Any, bytes]]] = {}

    all_kinds: ClassVar[frozenset[str]] = frozenset(samples.KINDS)
    numpy_dtypes: ClassVar[frozenset[str]] = samples.NUMPY_DTYPES

    # What a subclass may change.

    def save(self, folder: Path, data: Any, **options: Any) -> Path:
        """Save into a folder; the path that loads it again."""
        path = folder / f"file{self.suffix}"
        tk.save(path, data, format=self.name, **options)
        return path

    def loaded(self, data: Any) -> Any:
        """What `data` come back as: themselves, unless the format knows fewer kinds."""
        return data

    def one(self, array: Any) -> Any:
        """One array in the smallest data that the format names its tensors in."""
        return {"w": array} if "dict" in self.kinds else array

    def the_one(self, data: Any) -> Any:
        """The array that `one` put in."""
        return data["w"] if isinstance(data, dict) else data

    # Tools for the tests.

    def small(self) -> Any:
        """A few tensors; every byte of them matters."""
        first = np.arange(1, 7, dtype=np.float32).reshape(2, 3)
        return {"w": first, "b": np.array([-1, 300], np.int32)} if "dict" in self.kinds else first

    def files(self, folder: Path, data: Any, **options: Any) -> dict[str, bytes]:
        """The files that a save makes, the one to load first."""
        folder.mkdir(exist_ok=True)
        main = self.save(folder, data, **options)
        rest = sorted(path for path in folder.iterdir() if path != main)
        return {path.name: path.read_bytes() for path in (main, *rest)}

    def load(self, folder: Path, files: Mapping[str, bytes], **options: Any) -> Any:
        """What lies in these files, loaded within SECONDS."""
        with alarm(SECONDS):
            if len(files) == 1 and self.streams:
                return tk.load(next(iter(files.values())), **options)
            for name, data in files.items():
                (folder / name).write_bytes(data)
            return tk.load(folder / next(iter(files)), **options)

    def round_trip(self, folder: Path, data: Any) -> Any:
        """`data` saved and loaded."""
        with alarm(10 * SECONDS):
            return tk.load(self.save(folder, data))

    def check_round_trip(self, folder: Path, data: Any) -> None:
        """`data` come back, of the same kind, dtype, shape, to the byte."""
        assert difference(self.round_trip(folder, data), self.loaded(data)) == ""

    def check_refused(self, folder: Path, data: Any, *, match: str = "[A-Z ]") -> None:
        """`data` are refused with advice, and nothing is written."""
        with pytest.raises(UnsupportedDataError, match=match) as caught:
            self.save(folder, data)

        assert len(str(caught.value)) > 40, "the text says what to do"
        assert os.listdir(folder) == []

    def check_damaged(self, folder: Path, files: dict[str, bytes], name: str, raw: bytes, intact: Any) -> str:
        """Load with one file changed: "refused" by an exception of ours, "equal" or (silently) "other" data."""
        try:
            found = self.load(folder, files | {name: raw})
        except TensorkeepError:
            return "refused"
        return "equal" if same(found, intact) else "other"

    # Element types and shapes.

    @pytest.mark.parametrize("dtype", DTYPES)
    def test_tensors_of_every_dtype_come_back_or_are_refused(self, tmp_path: Path, dtype: str) -> None:
        """Extremes, NaNs and infinities of each element type keep their bits; a type it cannot hold is refused in time."""
        array = samples.values(dtype)

        if dtype in self.dtypes:
            self.check_round_trip(tmp_path, self.one(array))
        else:
            self.check_refused(tmp_path, self.one(array), match=dtype)

    @pytest.mark.parametrize("shape", samples.SHAPES, ids=str)
    def test_every_shape_comes_back(self, tmp_path: Path, shape: tuple[int, ...]) -> None:
        """No dimensions, empty ones, eight of them."""
        self.check_round_trip(tmp_path, self.one(np.full(shape, 7.5, np.float32)))

    def test_a_large_tensor_comes_back(self, tmp_path: Path) -> None:
        """8 MiB with different values in every page, beside small ones of odd sizes."""
        large = np.arange(1 << 21, dtype=np.float32)  # whole numbers to 2**24 are exact
        data = {"a": np.ones(3, np.int8), "large": large, "z": np.ones(5, np.int8)} if "dict" in self.kinds else large

        self.check_round_trip(tmp_path, data)

    def test_many_tensors_come_back(self, tmp_path: Path) -> None:
        """2,000 of them, in their order."""
        if "dict" not in self.kinds:
            pytest.skip(f"{self.name} holds one tensor")
        self.check_round_trip(tmp_path, {f"layer.{i}.weight": np.full(i % 5 + 1, i, np.int32) for i in range(2_000)})

    @pytest.mark.parametrize("layout", samples.LAYOUTS)
    def test_every_layout_in_memory_is_written_as_its_values(self, tmp_path: Path, layout: str) -> None:
        """Transposed, sliced, reversed, broadcast, byte-swapped, unaligned input: the values count."""
        array = samples.LAYOUTS[layout]()
        expected = np.ascontiguousarray(array).astype(array.dtype.newbyteorder("=")).reshape(array.shape)

        assert difference(self.round_trip(tmp_path, self.one(array)), self.loaded(self.one(expected))) == ""

    # Kinds of data.

    @pytest.mark.parametrize("kind", samples.KINDS)
    def test_the_kind_comes_back_or_is_refused(self, tmp_path: Path, kind: str) -> None:
        """One tensor, lists, tuples, dicts, nestings, plain values, sparse tensors: as given, or a clear refusal."""
        data = samples.KINDS[kind]()

        if kind in self.kinds:
            self.check_round_trip(tmp_path, data)
        else:
            self.check_refused(tmp_path, data)

    @pytest.mark.parametrize("name", samples.NAMES, ids=ascii)
    def test_every_name_comes_back_or_is_refused(self, tmp_path: Path, name: str) -> None:
        """Empty, long, with dots, slashes, zero bytes, in any script: the same name, or a refusal that shows it."""
        data = {name: np.arange(3, dtype=np.float32), "other": np.ones(2, np.float32)}
        if "dict" not in self.kinds:
            return self.check_refused(tmp_path, data)
        refusal = ""
        try:
            path = self.save(tmp_path, data)
        except UnsupportedDataError as err:
            refusal = ascii(str(err))
        if refusal:
            assert os.listdir(tmp_path) == []
            assert ascii(name)[1:4].rstrip("'\"") in refusal
        else:
            assert difference(tk.load(path), self.loaded(data)) == ""
        return None

    def test_what_is_no_tensor_is_refused(self, tmp_path: Path) -> None:
        """Objects, strings in arrays, sets, classes: never pickled; the path inside the data is named."""
        dates = np.array(["2020"], "datetime64[D]")
        for value in (np.array([object()]), np.array(["a"]), {1, 2}, object(), dates, dates[0], np.bytes_(b"x")):
            self.check_refused(tmp_path, {"here": value}, match="here")

    def test_a_lone_surrogate_is_refused(self, tmp_path: Path) -> None:
        """A name that no encoding holds does not become another one."""
        self.check_refused(tmp_path, {"a\ud800": np.ones(2, np.float32)})

    def test_tied_tensors_are_stored_once(self, tmp_path: Path) -> None:
        """The same memory twice costs once, and is one array again when it is loaded."""
        if not self.tied:
            pytest.skip(f"{self.name} stores tied tensors twice")
        array = np.arange(50_000, dtype=np.float32)
        path = self.save(tmp_path, {"a": array, "b": array, "c": np.ones(2, np.float32)})
        found = tk.load(path)

        assert sum(each.stat().st_size for each in tmp_path.iterdir()) < 1.5 * array.nbytes
        assert found["a"] is found["b"]
        assert np.array_equal(found["b"], array)

    def test_a_view_is_stored_without_what_it_hides(self, tmp_path: Path) -> None:
        """Ten rows of a large array take the space of ten rows, and none of the others' bytes are in the file."""
        array = np.full((10_000, 16), 0x5EC2E7, np.int32)
        array[::1000] = 1
        files = self.files(tmp_path, self.one(array[::1000]))

        assert sum(map(len, files.values())) < 20_000
        assert not any(b"\xe7\xc2\x5e\x00" in raw for raw in files.values())

    def test_metadata_come_back_or_are_refused(self, tmp_path: Path) -> None:
        """Strings beside the data are kept by those that can, and not dropped by the others."""
        given = {"license": "Apache-2.0", "unicode": "λ", "": "empty key"}
        if self.metadata:
            with tk.open(self.save(tmp_path, self.small(), metadata=given)) as file:
                assert {key: file.metadata[key] for key in given} == given
        else:
            with pytest.raises(UnsupportedDataError, match="metadata"):
                self.save(tmp_path, self.small(), metadata=given)
            assert os.listdir(tmp_path) == []

    # Bytes.

    def test_files_of_the_real_tool_are_read(self, tmp_path: Path) -> None:
        """Literal bytes give the literal values."""
        for label, (raw, expected) in self.examples.items():
            assert difference(tk.load(raw), expected) == "", label

    def test_the_bytes_are_the_real_tools(self, tmp_path: Path) -> None:
        """Literal values give the literal bytes."""
        for i, (label, (data, expected)) in enumerate(self.written.items()):
            files = self.files(tmp_path / str(i), data)
            assert next(iter(files.values())) == expected, label

    def test_the_same_data_give_the_same_bytes(self, tmp_path: Path) -> None:
        """No time, no random number, no address gets into a file."""
        assert self.files(tmp_path / "a", self.small()) == self.files(tmp_path / "b", self.small())

    def test_a_file_object_gets_the_same_bytes(self, tmp_path: Path) -> None:
        """Written to a stream and to a path; read from a path, bytes, a memoryview, a stream at its position."""
        if not self.streams:
            pytest.skip(f"{self.name} is several files")
        out = io.BytesIO()
        out.write(b"before")
        tk.save(out, self.small(), format=self.name)
        raw = out.getvalue()[6:]
        out.seek(6)
        expected = self.loaded(self.small())

        assert raw == next(iter(self.files(tmp_path, self.small()).values()))
        for source in (raw, bytearray(raw), memoryview(raw), out, io.BytesIO(raw)):
            assert difference(tk.load(source), expected) == ""

    def test_the_content_tells_the_format(self, tmp_path: Path) -> None:
        """Under a suffix that means nothing the file is recognised."""
        if not self.streams:
            pytest.skip(f"{self.name} is several files")
        renamed = tmp_path / "file.dat"
        self.save(tmp_path, self.small()).rename(renamed)

        with tk.open(renamed) as file:
            assert tk.open(renamed).format == file.format
            assert file.format in (self.name, self.name.partition("-")[0])
        assert difference(tk.load(renamed), self.loaded(self.small())) == ""

    # Damage.

    def test_a_file_cut_anywhere_is_refused(self, tmp_path: Path) -> None:
        """Every length short of the whole: an exception of ours, or (cut behind all data) the same data."""
        files = self.files(tmp_path / "good", self.small())
        intact = self.load(tmp_path / "good", files)

        for name, raw in files.items():
            found = {n: self.check_damaged(tmp_path / "good", files, name, raw[:n], intact) for n in range(len(raw))}
            assert [n for n, verdict in found.items() if verdict == "other"] == []
            assert list(found.values()).count("refused") > 0.9 * len(raw)

    def test_a_flipped_bit_of_the_structure_does_no_harm(self, tmp_path: Path) -> None:
        """Each bit of the first and last 256 bytes: refused by an exception of ours, in time; with checksums, no other data."""
        files = self.files(tmp_path / "good", self.small())
        intact = self.load(tmp_path / "good", files)

        for name, raw in files.items():
            silent = []
            for bit in _edges(len(raw), 256):
                if self.check_damaged(tmp_path / "good", files, name, flipped(raw, bit), intact) == "other":
                    silent.append(bit)
            if self.checksums:
                assert silent == [], name

    def test_a_flipped_bit_of_the_data_is_noticed(self, tmp_path: Path) -> None:
        """300 random bits all over the files: with checksums none gives other data."""
        if not self.checksums:
            pytest.skip(f"{self.name} has no checksums")
        rng = random.Random(5)
        files = self.files(tmp_path / "good", self.one(np.arange(5_000, dtype=np.int32)))
        intact = self.load(tmp_path / "good", files)
        verdicts = []

        for _ in range(300):
            name = rng.choice(list(files))
            bit = rng.randrange(8 * len(files[name]))
            verdicts.append(self.check_damaged(tmp_path / "good", files, name, flipped(files[name], bit), intact))

        assert verdicts.count("other") == 0
        assert verdicts.count("refused") > 200

    def test_bytes_behind_the_end_are_not_passed_over(self, tmp_path: Path) -> None:
        """Something appended is refused, or known to do no harm."""
        files = self.files(tmp_path / "good", self.small())
        intact = self.load(tmp_path / "good", files)

        for name, raw in files.items():
            for tail in (b"\0", b"\n", b"rubbish" * 40, raw):
                assert self.check_damaged(tmp_path / "good", files, name, raw + tail, intact) != "other"

    def test_verify_tells_good_from_damaged(self, tmp_path: Path) -> None:
        """Good as written (unchecked without checksums); damaged when the last data byte changed."""
        files = self.files(tmp_path / "good", self.small())
        path = tmp_path / "good" / next(iter(files))

        assert tk.verify(path).status == ("good" if self.checksums else "unchecked")
        if self.checksums and self.streams:
            marker = np.arange(1, 7, dtype="<f4").tobytes()
            raw = files[path.name]
            at = raw.index(marker)
            path.write_bytes(raw[:at] + b"\xff" + raw[at + 1 :])
            assert tk.verify(path).status == "damaged"

    def test_nothing_in_it_would_run(self, tmp_path: Path) -> None:
        """What we write is data only, and scan proves it."""
        report = tk.scan(self.save(tmp_path, self.small()))

        assert report.data_only
        assert report.unknown == ()

    def test_a_refused_save_leaves_the_old_file(self, tmp_path: Path) -> None:
        """What cannot be stored is found before a byte is written."""
        before = self.files(tmp_path, self.small())
        with pytest.raises(UnsupportedDataError, match="bad"):
            self.save(tmp_path, {"w": np.ones(3), "bad": object()})

        assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before

    # Reading.

    def test_opening_reads_the_header_only(self, tmp_path: Path) -> None:
        """Names, shapes and dtypes of 4 MiB cost a few kilobytes; a tensor costs its own bytes."""
        if not self.streams:
            pytest.skip(f"{self.name} is several files")
        array = np.arange(1 << 20, dtype=np.float32).reshape(1024, 1024)
        source = CountingSource(next(iter(self.files(tmp_path, self.one(array)).values())))
        file = self.opened(source)
        (tensor,) = file.values()
        assert isinstance(tensor, tk.Tensor)

        assert (tensor.shape, tensor.dtype) == ((1024, 1024), "float32")
        assert source.count < HEADER_NBYTES_READ
        assert np.array_equal(tensor[100:110], array[100:110])
        assert source.count < HEADER_NBYTES_READ + (1 << 17), "a slice reads its rows"

    def opened(self, source: ByteSource) -> tk.TensorFile:
        """The source opened lazily by this format."""
        from tensorkeep import formats

        opener = formats.detect(source).open
        assert opener is not None
        return opener(source, "refuse")

    def test_open_gives_a_mapping(self, tmp_path: Path) -> None:
        """Names, specs and values as load has them; arrays outlive the file."""
        with tk.open(self.save(tmp_path, self.small())) as file:
            arrays = {name: tensor.numpy() for name, tensor in file.items() if isinstance(tensor, tk.Tensor)}
            specs = {name: (tensor.shape, str(tensor.dtype)) for name, tensor in file.items()}
            assert self.name.partition("-")[0] in file.format
            assert file.nbytes >= sum(array.nbytes for array in arrays.values())
            with pytest.raises(KeyError, match="no tensor is named"):
                file["no such name"]

        assert specs == {name: (array.shape, array.dtype.name) for name, array in arrays.items()}
        expected = self.loaded(self.small())
        wanted = list(expected.values()) if isinstance(expected, dict) else [self.the_one(expected)]
        assert all(np.array_equal(a, b) for a, b in zip(arrays.values(), wanted, strict=True))

    def test_an_open_file_keeps_its_bytes_when_it_is_replaced(self, tmp_path: Path) -> None:
        """A reader that has the old file goes on reading the old file."""
        old, new = np.zeros(1 << 16, np.int32), np.ones(1 << 16, np.int32)
        with tk.open(self.save(tmp_path, self.one(old))) as file:
            (tensor,) = file.values()
            assert isinstance(tensor, tk.Tensor)
            if self.streams:
                self.save(tmp_path, self.one(new))
            assert np.array_equal(tensor.numpy(), old)

    def test_loaded_arrays_belong_to_the_caller(self, tmp_path: Path) -> None:
        """Writable, C-contiguous, aligned, native; changing one changes neither the file nor another array."""
        path = self.save(tmp_path, self.small())
        first = tk.load(path)
        arrays = list(first.values()) if isinstance(first, dict) else [self.the_one(first)]
        for array in arrays:
            assert array.flags.writeable
            assert array.flags.c_contiguous
            assert array.flags.aligned
            assert array.dtype.isnative
        copies = [array.copy() for array in arrays[1:]]
        arrays[0][...] = 9

        assert all(np.array_equal(a, b) for a, b in zip(arrays[1:], copies, strict=True))
        assert difference(tk.load(path), self.loaded(self.small())) == ""

    def test_only_some_are_loaded(self, tmp_path: Path) -> None:
        """A glob chooses; the others are not read."""
        if "dict" not in self.kinds:
            pytest.skip(f"{self.name} holds one tensor")
        found = tk.load(self.save(tmp_path, self.small()), only="w")

        assert difference(found, {"w": self.small()["w"]}) == ""

    def test_converting_there_and_back_keeps_everything(self, tmp_path: Path) -> None:
        """From safetensors to this format and back to the same values."""
        tk.save(tmp_path / "a.safetensors", self.small())
        (tmp_path / "middle").mkdir()
        middle = tmp_path / "middle" / f"file{self.suffix}"
        tk.convert(tmp_path / "a.safetensors", middle, format=self.name)
        tk.convert(middle, tmp_path / "b.safetensors")

        assert difference(tk.load(tmp_path / "b.safetensors"), self.loaded(self.small())) == ""

    def test_torch_tensors_are_saved_as_arrays_are(self, tmp_path: Path) -> None:
        """The same bytes from torch's memory, bfloat16 included."""
        torch = pytest.importorskip("torch")
        array = np.arange(12, dtype=np.float32).reshape(3, 4)
        made = self.files(tmp_path / "torch", self.one(torch.from_numpy(array).T))

        assert made == self.files(tmp_path / "numpy", self.one(array.T))
        if "bfloat16" in self.dtypes:
            half = array.astype(numpy_dtype(DTYPES["bfloat16"]))
            given = self.one(torch.from_numpy(array).to(torch.bfloat16))
            assert self.files(tmp_path / "bf", given) == self.files(tmp_path / "ml", self.one(half))


def flipped(raw: bytes, bit: int) -> bytes:
    """`raw` with one bit changed."""
    out = bytearray(raw)
    out[bit // 8] ^= 1 << bit % 8
    return bytes(out)


def _edges(size: int, nbytes: int) -> Iterator[int]:
    """The bits of the first and the last bytes."""
    if size <= 2 * nbytes:
        yield from range(8 * size)
    else:
        yield from range(8 * nbytes)
        yield from range(8 * (size - nbytes), 8 * size)
