"""Sharded safetensors, against what the Hugging Face tools write and read."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy

import tensorkeep as tk
from tensorkeep.errors import CorruptFileError, TruncatedFileError, UnsafeFileError, UnsupportedFormatError

DATA = {f"layer.{i}.weight": np.full((10, 10), i, np.float32) for i in range(6)}


def reference_shards(folder: Path) -> Path:
    """Two shards and an index as the Hugging Face tools lay them out."""
    names = list(DATA)
    weight_map = {}
    for number, part in enumerate((names[:4], names[4:]), 1):
        file = f"model-{number:05d}-of-00002.safetensors"
        safetensors.numpy.save_file({name: DATA[name] for name in part}, folder / file)
        weight_map.update(dict.fromkeys(part, file))
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"metadata": {"total_size": 2400}, "weight_map": weight_map}, indent=2))
    return index


def equal(loaded: object) -> bool:
    assert isinstance(loaded, dict)
    return list(loaded) == list(DATA) and all(np.array_equal(loaded[name], DATA[name]) for name in DATA)


def test_reads_shards_by_index_by_folder_and_by_the_name_of_the_whole(tmp_path: Path) -> None:
    """The index, its folder, and "model.safetensors" that does not exist all lead to the tensors."""
    index = reference_shards(tmp_path)

    assert equal(tk.load(index))
    assert equal(tk.load(tmp_path))
    assert equal(tk.load(tmp_path / "model.safetensors"))


def test_reads_numbered_shards_without_an_index(tmp_path: Path) -> None:
    """All shards of one model in a folder are joined; loose files are not."""
    reference_shards(tmp_path).unlink()

    assert equal(tk.load(tmp_path))
    (tmp_path / "other.safetensors").write_bytes((tmp_path / "model-00001-of-00002.safetensors").read_bytes())
    with pytest.raises(UnsupportedFormatError, match="Open one of them by its path"):
        tk.load(tmp_path)


def test_what_is_written_follows_the_layout(tmp_path: Path) -> None:
    """Index with weight_map and total_size; shards that the reference library reads, none above the size."""
    receipt = tk.save(tmp_path / "model.safetensors", DATA, shard_size=900)

    index = json.loads((tmp_path / "model.safetensors.index.json").read_text())
    assert index["metadata"]["total_size"] == 2400
    assert set(index["weight_map"].values()) == {f"model-{i:05d}-of-00003.safetensors" for i in (1, 2, 3)}
    for name, file in index["weight_map"].items():
        np.testing.assert_array_equal(safetensors.numpy.load_file(tmp_path / file)[name], DATA[name])
    assert receipt.files[-1].endswith(".index.json")
    assert equal(tk.load(tmp_path))


def test_structure_and_ties_survive_sharding(tmp_path: Path) -> None:
    """Nesting, plain values and tied tensors come back from the index."""
    w = np.arange(100.0)
    tk.save(tmp_path / "m.safetensors", {"a": [w, 3, "x"], "tied": w, "b": (np.ones(100),)}, shard_size=800)

    loaded = tk.load(tmp_path / "m.safetensors")

    assert loaded["a"][1:] == [3, "x"]
    assert loaded["tied"] is loaded["a"][0]
    assert isinstance(loaded["b"], tuple)


def test_a_new_save_never_touches_the_shards_of_the_old_before_it_is_there(tmp_path: Path) -> None:
    """Saving again writes other file names, then the index, then removes the old shards."""
    tk.save(tmp_path / "m.safetensors", DATA, shard_size=900)
    before = {p.name for p in tmp_path.iterdir()}
    tk.save(tmp_path / "m.safetensors", {k: v + 1 for k, v in DATA.items()}, shard_size=900)
    after = {p.name for p in tmp_path.iterdir()}

    assert before & after == {"m.safetensors.index.json"}
    assert len(after) == 4
    assert tk.load(tmp_path)["layer.0.weight"][0, 0] == 1


def test_a_failed_sharded_save_leaves_the_old_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The third shard cannot be written: the old tensors load, and no new file is left."""
    tk.save(tmp_path / "m.safetensors", DATA, shard_size=900)
    before = {p.name for p in tmp_path.iterdir()}
    from tensorkeep.storage import writing

    real, calls = writing.write_file, []

    def failing(path: str, plan: object) -> object:
        calls.append(path)
        if len(calls) == 3:
            raise OSError(28, "No space left on device")
        return real(path, plan)  # type: ignore[arg-type]

    monkeypatch.setattr(writing, "write_file", failing)
    with pytest.raises(OSError, match="No space left"):
        tk.save(tmp_path / "m.safetensors", {k: v + 1 for k, v in DATA.items()}, shard_size=900)

    assert {p.name for p in tmp_path.iterdir()} == before
    assert equal(tk.load(tmp_path))


def test_shards_of_two_saves_are_not_mixed(tmp_path: Path) -> None:
    """A shard of an older save under the right name is noticed, although it is whole."""
    tk.save(tmp_path / "m.safetensors", DATA, shard_size=900)
    other = tmp_path / "other"
    other.mkdir()
    tk.save(other / "m.safetensors", {k: v + 1 for k, v in DATA.items()}, shard_size=900)
    shutil.copy(other / "m-00002-of-00003.safetensors", tmp_path / "m-00002-of-00003.safetensors")

    with pytest.raises(CorruptFileError, match=r"m-00002-of-00003\.safetensors is not of the save"):
        tk.load(tmp_path / "m.safetensors")


def test_a_changed_index_is_noticed(tmp_path: Path) -> None:
    """Two tensors that swap names in the index do not load as each other."""
    tk.save(tmp_path / "m.safetensors", DATA, shard_size=900)
    index = tmp_path / "m.safetensors.index.json"
    text = index.read_text()
    index.write_text(text.replace('"total_size": 2400', '"total_size": 2401'))

    with pytest.raises(CorruptFileError, match="index's checksum does not fit"):
        tk.load(index)


def test_missing_shards_are_named(tmp_path: Path) -> None:
    """How many, which, and where to put them."""
    index = reference_shards(tmp_path)
    (tmp_path / "model-00002-of-00002.safetensors").unlink()

    with pytest.raises(TruncatedFileError, match=r"1 of 2 shards are missing beside it: model-00002-of-00002"):
        tk.load(index)


@pytest.mark.parametrize(
    "file", ["../secret.safetensors", "/etc/x.safetensors", "a\\b.safetensors", "C:x.safetensors", "", "..", "x.bin", 3]
)
def test_an_index_names_files_beside_it_only(tmp_path: Path, file: object) -> None:
    """Paths, drives, empty names and other suffixes are refused before anything is opened."""
    index = tmp_path / "m.safetensors.index.json"
    index.write_text(json.dumps({"metadata": {}, "weight_map": {"w": file}}))

    with pytest.raises(UnsafeFileError, match="Nothing was opened"):
        tk.load(index)


def test_a_tensor_that_its_shard_lacks_is_refused(tmp_path: Path) -> None:
    """The index and the shards must agree."""
    index = reference_shards(tmp_path)
    index.write_text(index.read_text().replace('"layer.5.weight"', '"layer.9.weight"'))

    with pytest.raises(CorruptFileError, match=r"'layer\.9\.weight'"):
        tk.load(index)


def test_one_shard_is_a_plain_file(tmp_path: Path) -> None:
    """What fits into shard_size is saved as the one file that was named."""
    tk.save(tmp_path / "m.safetensors", DATA, shard_size="1GB")

    assert [p.name for p in tmp_path.iterdir()] == ["m.safetensors"]
