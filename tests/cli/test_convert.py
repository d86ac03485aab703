"""`tkeep convert`, `pick` and `repair` write new files; other libraries read them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from tests.cli.conftest import Run
from tests.cli.test_check import cut, flip_last


def test_torch_becomes_safetensors(tkeep: Run, tmp_path: Path) -> None:
    """What torch wrote, the reference library reads."""
    torch = pytest.importorskip("torch")
    torch.save({"a": torch.arange(6.0).reshape(2, 3), "b": torch.ones(2)}, tmp_path / "x.pt")
    result = tkeep("convert", "x.pt", "x.safetensors")

    assert result.code == 0
    assert "x.pt → x.safetensors  safetensors · 2 tensors" in result.out
    np.testing.assert_array_equal(load_file(tmp_path / "x.safetensors")["a"], np.arange(6.0).reshape(2, 3))


def test_only_and_rename_choose_and_name(tkeep: Run, plain: Path, tmp_path: Path) -> None:
    """A glob chooses, a prefix and a name are renamed."""
    result = tkeep(
        *("convert", plain, "x.npz", "--only", "encoder.*", "--only", "steps"),
        *("--rename", "encoder.0.=layer.", "--rename", "steps=count"),
    )

    assert result.code == 0
    with np.load(tmp_path / "x.npz") as found:
        assert sorted(found) == ["count", "layer.bias", "layer.weight"]


def test_a_prefix_may_end_with_a_colon(tkeep: Run, tmp_path: Path) -> None:
    """--rename arg:= takes MXNet's prefixes off; other names stay."""
    np.savez(tmp_path / "x.npz", **{"arg:w": np.ones(2), "aux:m": np.zeros(2), "warg:x": np.ones(1)})
    tkeep("convert", "x.npz", "y.npz", "--rename", "arg:=", "--rename", "aux:=moving_")

    with np.load(tmp_path / "y.npz") as found:
        assert sorted(found) == ["moving_m", "w", "warg:x"]


def test_a_rename_that_fits_nothing_is_told(tkeep: Run, plain: Path, tmp_path: Path) -> None:
    """A mistyped name must not end in a file that only looks renamed."""
    result = tkeep("convert", plain, "x.npz", "--rename", "encoder.0.=a.", "--rename", "haed.=b.")

    assert result.code == 2
    assert "'haed.'" in result.err
    assert "'encoder.0.'" not in result.err
    assert not (tmp_path / "x.npz").exists()


def test_an_empty_old_name_is_a_prefix_for_all(tkeep: Run, plain: Path, tmp_path: Path) -> None:
    """--rename =net. puts it before every name that no other option renames."""
    tkeep("convert", plain, "x.safetensors", "--rename", "=net.", "--rename", "steps=count")

    assert sorted(load_file(tmp_path / "x.safetensors")) == [
        "count",
        "net.encoder.0.bias",
        "net.encoder.0.weight",
        "net.head.weight",
    ]


def test_rules_are_regular_expressions(tkeep: Run, plain: Path, tmp_path: Path) -> None:
    """A file of PATTERN -> REPLACEMENT lines; comments are left out."""
    (tmp_path / "rules").write_text("# layers\n" r"^encoder\.(\d+)\. -> blocks.\1.attn." "\n\nhead -> out\n")
    tkeep("convert", plain, "x.safetensors", "--rules", "rules")

    assert sorted(load_file(tmp_path / "x.safetensors")) == [
        "blocks.0.attn.bias",
        "blocks.0.attn.weight",
        "out.weight",
        "steps",
    ]


@pytest.mark.parametrize(("text", "why"), [("a => b", "is not PATTERN"), ("( -> b", "no regular expression")])
def test_wrong_rules_are_told_with_their_line(tkeep: Run, plain: Path, tmp_path: Path, text: str, why: str) -> None:
    """Exit code 2, file and line."""
    (tmp_path / "rules").write_text(f"x -> y\n{text}\n")
    result = tkeep("convert", plain, "x.npz", "--rules", "rules")

    assert result.code == 2
    assert f"rules, line 2: {text.split(' ')[0]}" in result.err.replace("'", "")
    assert why in result.err


def test_dtype_casts_floating_point_tensors(tkeep: Run, plain: Path, tmp_path: Path) -> None:
    """Floats become float16, the counter stays int64."""
    tkeep("convert", plain, "x.safetensors", "--dtype", "float16")
    found = load_file(tmp_path / "x.safetensors")

    assert {name: str(array.dtype) for name, array in found.items()} == {
        "encoder.0.weight": "float16",
        "encoder.0.bias": "float16",
        "head.weight": "float16",
        "steps": "int64",
    }


def test_an_existing_file_is_not_replaced_unasked(tkeep: Run, plain: Path, tmp_path: Path) -> None:
    """Exit code 2 and the file as it was; --force replaces it."""
    (tmp_path / "x.npz").write_bytes(b"precious")
    result = tkeep("convert", plain, "x.npz")

    assert result.code == 2
    assert "--force" in result.err
    assert (tmp_path / "x.npz").read_bytes() == b"precious"
    assert tkeep("convert", plain, "x.npz", "--force").code == 0
    assert (tmp_path / "x.npz").read_bytes()[:2] == b"PK"


def test_a_format_that_is_not_written_is_told_first(tkeep: Run, tmp_path: Path) -> None:
    """Before the source is even looked for."""
    assert "read but not written" in tkeep("convert", "absent.pt", "x", "--format", "pickle").err
    result = tkeep("convert", "absent.pt", "x.npz", "--format", "onnxx")
    assert result.code == 2
    assert "is not known" in result.err


def test_nesting_needs_flat_where_the_format_has_none(tkeep: Run, hashed: Path, tmp_path: Path) -> None:
    """MXNet's files hold names only: the error says --flat, and --flat works."""
    result = tkeep("convert", hashed, "x.params")

    assert result.code == 2
    assert "--flat" in result.err
    assert not (tmp_path / "x.params").exists()
    assert tkeep("convert", hashed, "x.params", "--flat").code == 0
    assert ["net.b", "float32", "10", "40 B"] in tkeep("ls", "x.params").lines()


def test_damage_is_not_carried_over(tkeep: Run, hashed: Path, tmp_path: Path) -> None:
    """A file whose checksums do not fit is refused; --no-verify takes it as it is."""
    flip_last(hashed)
    result = tkeep("convert", hashed, "x.npz")

    assert result.code == 3
    assert "--no-verify" in result.err
    assert not (tmp_path / "x.npz").exists()
    assert tkeep("convert", hashed, "x.npz", "--no-verify").code == 0


def test_unknown_classes_are_refused_or_left_out(tkeep: Run, hostile: Path, tmp_path: Path) -> None:
    """The error lists what the file asks for and the way out."""
    result = tkeep("convert", hostile, "x.safetensors")

    assert result.code == 3
    assert "print" in result.err
    assert "--unknown inert" in result.err
    assert tkeep("convert", hostile, "x.safetensors", "--unknown", "inert", "--flat").code == 0
    assert list(load_file(tmp_path / "x.safetensors")) == ["w"]


def test_shards_are_written(tkeep: Run, hashed: Path, tmp_path: Path) -> None:
    """An index and several files, which list as one."""
    result = tkeep("convert", hashed, "out.safetensors", "--shard-size", "1kB", "--json")
    document = json.loads(result.out)

    assert len(document["files"]) >= 3
    assert tkeep("verify", document["path"]).code == 0


def test_pick_extracts(tkeep: Run, plain: Path, tmp_path: Path) -> None:
    """The chosen tensors by name, with the metadata of the one file."""
    result = tkeep("pick", plain, "--only", "encoder.*", "-o", "x.safetensors")

    assert result.code == 0
    assert sorted(load_file(tmp_path / "x.safetensors")) == ["encoder.0.bias", "encoder.0.weight"]
    assert json.loads(tkeep("ls", "--json", "x.safetensors").out)["files"][0]["metadata"]["author"] == "somebody"


def test_pick_merges_with_prefixes(tkeep: Run, plain: Path, tmp_path: Path) -> None:
    """Two files, a prefix for each."""
    save_file({"steps": np.array(9)}, tmp_path / "b.safetensors")
    result = tkeep("pick", plain, "b.safetensors", "-o", "x.safetensors", "--prefix", "a.", "--prefix", "b.")
    found = load_file(tmp_path / "x.safetensors")

    assert result.code == 0
    assert (int(found["a.steps"]), int(found["b.steps"])) == (7, 9)


def test_all_clashes_are_told_with_the_way_out(tkeep: Run, plain: Path, tmp_path: Path) -> None:
    """Nothing is written, every name that would stand twice is counted."""
    save_file({"steps": np.array(9), "head.weight": np.array(1)}, tmp_path / "b.safetensors")
    result = tkeep("pick", plain, "b.safetensors", "-o", "x.safetensors")

    assert result.code == 2
    assert "2 names would stand twice" in result.err
    assert "'steps'" in result.err
    assert "--prefix" in result.err
    assert not (tmp_path / "x.safetensors").exists()


def test_pick_of_nothing_is_told(tkeep: Run, plain: Path) -> None:
    """A glob that fits no name writes no empty file."""
    result = tkeep("pick", plain, "--only", "decoder.*", "-o", "x.npz")

    assert result.code == 2
    assert "no tensor is chosen" in result.err


def test_repair_saves_what_is_whole(tkeep: Run, hashed: Path, tmp_path: Path) -> None:
    """Of a cut file one of two tensors, equal to what was written; the file itself is not touched."""
    cut(hashed, hashed.stat().st_size - 8)
    before = hashed.read_bytes()
    result = tkeep("repair", hashed, "--salvage", "x.safetensors")

    assert result.code == 0
    assert "is cut" in result.out
    assert "1 of 2 tensors saved to x.safetensors" in result.out
    np.testing.assert_array_equal(load_file(tmp_path / "x.safetensors")["net.w"], np.arange(1000, dtype=np.float32))
    assert hashed.read_bytes() == before


def test_repair_names_what_is_lost(tkeep: Run, hashed: Path) -> None:
    """A tensor whose checksum does not fit is left out and named."""
    flip_last(hashed)
    result = tkeep("repair", hashed, "--salvage", "x.safetensors")
    document = json.loads(tkeep("repair", hashed, "--salvage", "y.safetensors", "--json").out)

    assert "lost: net.b" in result.out
    assert document["lost"] == ["net.b"]
    assert document["saved"] == ["net.w"]


def test_a_whole_file_needs_no_repair(tkeep: Run, hashed: Path) -> None:
    """It is said, and all tensors are written."""
    result = tkeep("repair", hashed, "--salvage", "x.safetensors")

    assert "no damage found" in result.out
    assert "2 of 2 tensors saved" in result.out
