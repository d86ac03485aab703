"""`tkeep match` and `tkeep load-check`: two files, one of which stands for a model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from tests.cli.conftest import Run

pytest.importorskip("scipy")


def net(names: list[str], classes: int = 2, dtype: Any = np.float32) -> dict[str, Any]:
    shapes = [(6, 4), (6,), (classes, 6), (classes,)]
    return {name: np.full(shape, i, dtype) for i, (name, shape) in enumerate(zip(names, shapes, strict=True))}


MODEL = ["body.weight", "body.bias", "head.weight", "head.bias"]
OTHER = ["hidden.weight", "hidden.bias", "output.weight", "output.bias"]


@pytest.fixture
def files(tmp_path: Path) -> tuple[str, str]:
    """A model's file, and another with other names."""
    save_file(net(MODEL), tmp_path / "model.safetensors")
    save_file(net(OTHER), tmp_path / "other.safetensors")
    return str(tmp_path / "model.safetensors"), str(tmp_path / "other.safetensors")


def test_match_proposes_rules_and_load_check_takes_them(tkeep: Run, files: tuple[str, str], tmp_path: Path) -> None:
    """The rules are written to a file, read by a person, and fit."""
    rules = str(tmp_path / "rules.json")

    found = tkeep("match", *files, "-o", rules)
    refused = tkeep("load-check", *files)
    fits = tkeep("load-check", *files, "--rename", rules)

    assert found.code == 0
    assert "hidden. → body." in found.out.replace("  ", " ")
    assert json.loads(Path(rules).read_text()) == {"hidden.": "body.", "output.": "head."}
    assert refused.code == 1
    assert "missing in the file, 4 of 4: body.bias" in refused.out
    assert "Give --allow-missing to keep" in refused.out
    assert fits.code == 0
    assert "4 of 4 tensors of the model would be loaded" in fits.out


def test_match_does_not_replace_a_file_unasked(tkeep: Run, files: tuple[str, str], tmp_path: Path) -> None:
    """As every command that writes."""
    rules = tmp_path / "rules.json"
    rules.write_text("{}")

    refused = tkeep("match", *files, "-o", str(rules))
    done = tkeep("match", *files, "-o", str(rules), "--force", "--json")

    assert refused.code == 2
    assert "Add --force" in refused.err
    assert json.loads(done.out)["rules"] == json.loads(rules.read_text()) == {"hidden.": "body.", "output.": "head."}


def test_match_tells_what_has_no_partner(tkeep: Run, files: tuple[str, str], tmp_path: Path) -> None:
    """Exit code 1, each name on a line."""
    save_file(net(OTHER, classes=3), tmp_path / "wide.safetensors")

    found = tkeep("match", files[0], str(tmp_path / "wide.safetensors"))

    assert found.code == 1
    assert "without a partner in the file: head.weight" in found.out
    assert "left over in the file: output.bias" in found.out


def test_load_check_takes_rules_on_the_command_line(tkeep: Run, files: tuple[str, str]) -> None:
    """OLD=NEW, prefixes with a dot."""
    fits = tkeep("load-check", *files, "--rename", "hidden.=body.", "--rename", "output.=head.")
    wrong = tkeep("load-check", *files, "--rename", "hidden.")

    assert fits.code == 0
    assert wrong.code == 2
    assert "neither OLD=NEW nor a file of rules" in wrong.err


def test_load_check_says_everything_and_every_option_helps(tkeep: Run, files: tuple[str, str], tmp_path: Path) -> None:
    """Shapes, dtypes, extra tensors: all at once, in the words of the command line, and as JSON."""
    other = net(MODEL, classes=3, dtype=np.float64)
    other["more"] = np.zeros(2, np.float32)
    save_file(other, tmp_path / "b.safetensors")
    pair = (files[0], str(tmp_path / "b.safetensors"))

    refused = tkeep("load-check", *pair, "--json")
    allowed = tkeep("load-check", *pair, "--ignore-extra", "--cast", "--mismatched", "crop")
    part = tkeep("load-check", *pair, "--only", "body.*", "--cast", "--ignore-extra")

    document = json.loads(refused.out)
    assert refused.code == 1
    assert document["fits"] is False
    assert document["extra"] == ["more"]
    assert document["differing"]["head.bias"] == ["[3]", "[2]"]
    assert "--mismatched skip keeps the model's own values" in document["refused"]
    assert "Give --cast to cast" in document["refused"]
    assert allowed.code == 0
    assert "cropped: 2" in allowed.out
    assert part.code == 0
    assert "2 of 2 tensors" in part.out


def test_load_check_changes_neither_file(tkeep: Run, files: tuple[str, str]) -> None:
    """It looks."""
    before = [Path(path).read_bytes() for path in files]

    tkeep("load-check", *files, "--rename", "hidden.=body.", "--rename", "output.=head.")

    assert [Path(path).read_bytes() for path in files] == before


def test_averaged_weights_are_asked_for(tkeep: Run, files: tuple[str, str], tmp_path: Path) -> None:
    """--weights as load_parameters has it."""
    both = {f"state_dict.{name}": value for name, value in net(MODEL).items()}
    both |= {f"model_ema.{name}": value for name, value in net(MODEL).items()}
    save_file(both, tmp_path / "both.safetensors")

    fits = tkeep("load-check", files[0], str(tmp_path / "both.safetensors"), "--weights", "ema")
    absent = tkeep("load-check", *files, "--weights", "ema")

    assert fits.code == 0
    assert absent.code == 1
    assert "asks for averaged weights" in absent.out + absent.err


def test_a_file_that_is_not_there_is_an_error(tkeep: Run, files: tuple[str, str]) -> None:
    """Exit code 3, as everywhere."""
    assert tkeep("load-check", files[0], "absent.safetensors").code == 3
