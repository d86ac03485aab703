"""`tkeep ls` shows what is in a file, from its header alone."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from tests.cli.conftest import Run

FRAMEWORKS = ("numpy", "torch", "jax", "ml_dtypes", "scipy", "rich", "safetensors")


def test_each_tensor_is_a_row(tkeep: Run, plain: Path) -> None:
    """Name, type, shape and size of what the reference library wrote, then the totals."""
    result = tkeep("ls", plain)
    rows = result.lines()

    assert result.code == 0
    assert ["encoder.0.weight", "float32", "3 × 4", "48 B"] in rows
    assert ["head.weight", "float16", "2 × 3", "12 B"] in rows
    assert ["steps", "int64", "scalar", "8 B"] in rows
    assert ["4 tensors", "22 values", "80 B"] in rows


def test_the_columns_are_aligned(tkeep: Run, plain: Path) -> None:
    """Types begin in one column, sizes end in one."""
    rows = [line for line in tkeep("ls", plain).out.splitlines() if " B" in line and "·" not in line]

    assert len({line.index("float") for line in rows if "float" in line}) == 1
    assert len({len(line) for line in rows}) == 1


def test_the_head_line_names_format_and_checksums(tkeep: Run, plain: Path, hashed: Path) -> None:
    """A file of ours says which checksums it carries, another's has none."""
    first = tkeep("ls", plain).out.splitlines()[0]
    second = tkeep("ls", hashed).out.splitlines()[0]

    assert "safetensors" in first
    assert "xxh3-128" not in first
    assert "checksums xxh3-128" in second


def test_metadata_and_values_are_listed(tkeep: Run, plain: Path, hashed: Path) -> None:
    """Strings of the metadata, and the plain values that stand beside the tensors."""
    assert ["author", "somebody"] in tkeep("ls", plain).lines()
    rows = tkeep("ls", hashed).lines()
    assert ["step", "3"] in rows
    assert ["name", '"run 1"'] in rows


def test_only_chooses_by_glob(tkeep: Run, plain: Path) -> None:
    """--only takes names and globs, several of them; the totals follow."""
    result = tkeep("ls", plain, "--only", "*.bias", "--only", "steps")

    assert "encoder.0.bias" in result.out
    assert "steps" in result.out
    assert "weight" not in result.out
    assert ["2 tensors", "4 values", "20 B"] in result.lines()


def test_a_glob_that_fits_nothing_is_told(tkeep: Run, plain: Path) -> None:
    """An empty table would look like an empty file."""
    assert "none of its 4 tensors fits" in tkeep("ls", plain, "--only", "decoder.*").out


@pytest.mark.parametrize(
    ("order", "names"),
    [("name", ["a.2", "a.10", "b"]), ("size", ["a.10", "b", "a.2"]), ("file", ["b", "a.10", "a.2"])],
)
def test_sort_orders_the_rows(tkeep: Run, tmp_path: Path, order: str, names: list[str]) -> None:
    """By name with numbers as numbers, by size from the largest, or as in the file."""
    np.savez(tmp_path / "x.npz", **{"b": np.zeros(2), "a.10": np.zeros(3), "a.2": np.zeros(1)})
    rows = tkeep("ls", "x.npz", "--sort", order).lines()

    assert [row[0] for row in rows if len(row) == 4 and row[1] == "float64"] == names


def test_limit_says_what_it_leaves_out(tkeep: Run, plain: Path) -> None:
    """The rows are cut, the totals are not."""
    result = tkeep("ls", plain, "--limit", 1)

    assert "… and 3 more tensors" in result.out
    assert ["4 tensors", "22 values", "80 B"] in result.lines()
    assert "head.weight" not in result.out


def test_tree_groups_with_subtotals(tkeep: Run, plain: Path) -> None:
    """A group that holds one group only shares its line; each group has its size."""
    out = tkeep("ls", plain, "--tree").out

    assert "├─ encoder.0" in out
    assert ["├─ encoder.0", "2 tensors", "60 B"] in tkeep("ls", plain, "--tree").lines()
    assert "│  ├─ bias" in out
    assert "│  └─ weight" in out
    assert "├─ steps" in out
    assert "└─ head.weight" in out


def test_depth_cuts_the_tree(tkeep: Run, tmp_path: Path) -> None:
    """--depth 1 shows the top groups alone."""
    np.savez(tmp_path / "x.npz", **{"a.b.c": np.zeros(2), "a.d.e": np.zeros(2), "a.d.f": np.zeros(2)})
    out = tkeep("ls", "x.npz", "--depth", 2).out

    assert "d" in out
    assert "2 tensors" in out
    assert "─ e" not in out


def test_names_of_mxnet_are_parted_at_underscores(tkeep: Run, tmp_path: Path) -> None:
    """Where no name has a dot, "_" makes the groups."""
    np.savez(tmp_path / "x.npz", conv0_weight=np.zeros(2), conv0_bias=np.zeros(2), fc_weight=np.zeros(2))
    rows = tkeep("ls", "x.npz", "--tree").lines()

    assert ["├─ conv0", "2 tensors", "32 B"] in rows


def test_json_is_one_document_with_stable_keys(tkeep: Run, plain: Path) -> None:
    """What docs/reference/cli.md promises to programs."""
    document = json.loads(tkeep("ls", "--json", plain).out)
    (file,) = document["files"]

    assert set(file) == {
        *("path", "format", "nbytes", "checksum", "totals", "tensors", "tied", "values", "metadata", "notes", "graph")
    }
    assert file["nbytes"] == plain.stat().st_size
    assert file["totals"] == {"tensors": 4, "values": 22, "nbytes": 80}
    assert {"name": "steps", "dtype": "int64", "shape": [], "nbytes": 8, "kind": "dense"} in file["tensors"]
    assert file["metadata"] == {"author": "somebody"}


def test_json_of_a_missing_file_is_a_document_too(tkeep: Run, plain: Path) -> None:
    """The error stands in the file's place, and on standard error; the other file is listed."""
    result = tkeep("ls", "--json", "absent.npz", plain)
    first, second = json.loads(result.out)["files"]

    assert result.code == 3
    assert first["error"]["kind"] == "FileNotFoundError"
    assert second["format"] == "safetensors"
    assert "no such file" in result.err


def test_escape_sequences_in_names_do_not_reach_the_terminal(tkeep: Run, tmp_path: Path) -> None:
    """Names, metadata and values of a file cannot colour, clear or turn around what stands beside them."""
    evil = "\x1b[2J\x1b]0;owned\x07\u202ex\x9b31m\n"
    save_file({evil + "w": np.zeros(1, np.float32)}, tmp_path / "x.safetensors", metadata={"k" + evil: evil})
    for command in (["ls"], ["ls", "--tree"], ["ls", "--json"], ["show", "--json"]):
        name = [evil + "w"] if command[0] == "show" else []
        result = tkeep(command[0], "x.safetensors", *name, *command[1:])

        assert result.code == 0
        assert {each for each in result.out if not each.isprintable()} <= {"\n"}
    assert "\\x1b[2J\\x1b]0;owned\\x07\\u202ex\\x9b31m\\nw" in tkeep("ls", "x.safetensors").out


def test_tied_tensors_are_named(tkeep: Run, tmp_path: Path) -> None:
    """A tensor that stands in two places is counted once, the other name refers to it."""
    import tensorkeep

    shared = np.arange(6, dtype=np.float32)
    tensorkeep.save(tmp_path / "x.safetensors", {"a": {"w": shared}, "b": {"w": shared}})
    result = tkeep("ls", "x.safetensors")

    assert ["b.w", "= a.w"] in result.lines()
    assert ["b.w", "float32", "6", "tied"] in result.lines()
    assert ["2 tensors", "6 values", "24 B"] in result.lines()


def test_a_pickle_that_asks_for_code_is_listed_without_running_it(tkeep: Run, hostile: Path) -> None:
    """The tensors are there, the call is shown as a record, nothing was printed by it."""
    result = tkeep("ls", hostile)

    assert result.code == 0
    assert ["w", "float32", "3", "12 B"] in result.lines()
    assert ["x", "object of __builtin__.print"] in result.lines()
    assert ["x.args.0", '"it ran"'] in result.lines()
    assert "it ran" not in result.out.replace('"it ran"', "")


def test_a_network_shows_operators_arguments_and_heads(tkeep: Run, tmp_path: Path) -> None:
    """The symbol.json of x + y through an activation, written down by hand."""
    nodes = [
        {"op": "null", "name": "x", "inputs": []},
        {"op": "null", "name": "y", "inputs": []},
        {"op": "elemwise_add", "name": "plus", "inputs": [[0, 0, 0], [1, 0, 0]]},
        {"op": "Activation", "name": "act", "attrs": {"act_type": "relu"}, "inputs": [[2, 0, 0]]},
        {"op": "SliceChannel", "name": "halves", "attrs": {"num_outputs": "2"}, "inputs": [[3, 0, 0]]},
        {"op": "Flatten", "name": "flat", "inputs": [[4, 1, 0]]},
    ]
    network = {"nodes": nodes, "arg_nodes": [0, 1], "node_row_ptr": [0, 1, 2, 3, 4, 6, 7], "heads": [[5, 0, 0]]}
    (tmp_path / "net-symbol.json").write_text(json.dumps(network))
    rows = tkeep("ls", "net-symbol.json").lines()

    assert ["plus", "elemwise_add", "x, y"] in rows
    assert ["act", "Activation", "plus", "act_type=relu"] in rows
    assert ["x, y"] in rows
    assert ["flat", "Flatten", "halves[1]"] in rows
    assert ["flat_output"] in rows
    graph = json.loads(tkeep("ls", "--json", "net-symbol.json").out)["files"][0]["graph"]
    assert graph["operators"] == {"Activation": 1, "Flatten": 1, "SliceChannel": 1, "elemwise_add": 1}
    assert graph["arguments"] == ["x", "y"]


def test_long_names_are_whole_in_a_narrow_terminal(tkeep: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What all names share is told once; what tells them apart is never shortened away."""
    monkeypatch.setattr("tensorkeep.cli.ls.terminal_width", lambda: 60)
    monkeypatch.setattr("tensorkeep.cli._text.terminal_width", lambda: 60)
    before = "state_dict.model.visual_encoder.transformer.resblocks."
    names = [f"{before}{i}.attention.out_projection_weight_of_block_{i}" for i in range(3)]
    save_file({name: np.zeros((4, 4), np.float32) for name in names}, tmp_path / "x.safetensors")
    out = tkeep("ls", "x.safetensors").out

    assert f"… = {before}" in out
    assert all(f"…{name.removeprefix(before)}" in out for name in names)


def test_nothing_heavy_is_imported(plain: Path) -> None:
    """A fresh interpreter that lists a file has loaded no framework, not NumPy, not rich."""
    probe = (
        "import sys; from tensorkeep.cli import main; code = main(['ls', sys.argv[1]]); "
        f"print([name for name in {FRAMEWORKS!r} if name in sys.modules], code)"
    )
    done = subprocess.run([sys.executable, "-c", probe, str(plain)], capture_output=True, text=True, check=True)

    assert done.stdout.splitlines()[-1] == "[] 0"
