"""The public names: they exist, they are documented, and importing them costs nothing."""

from __future__ import annotations

import inspect
import json
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path

import pytest

import tensorkeep

ROOT = Path(__file__).resolve().parents[2]
NOT_LOADED = ("numpy", "torch", "jax", "ml_dtypes", "mxnet", "click", "rich", "scipy", "xxhash", "safetensors")


def undocumented(thing: object) -> bool:
    """Whether a function, class or module has no docstring of its own (a dataclass writes its signature there)."""
    doc = thing.__dict__.get("__doc__") if isinstance(thing, type) else getattr(thing, "__doc__", None)
    first = (doc or "").strip()
    return not first or (isinstance(thing, type) and first.startswith(f"{thing.__name__}("))


def test_public_names_exist() -> None:
    """Every name of `__all__` is there, once, and `dir` shows it."""
    names = tensorkeep.__all__

    assert len(names) == len(set(names))
    assert [name for name in names if not hasattr(tensorkeep, name)] == []
    assert set(names) <= set(dir(tensorkeep))


def test_public_names_are_documented() -> None:
    """Every public function, class and module has a docstring of its own, and every public method of a class."""
    bare = []
    for name in tensorkeep.__all__:
        thing = getattr(tensorkeep, name)
        if isinstance(thing, type) or inspect.isroutine(thing) or inspect.ismodule(thing):
            bare += [name] if undocumented(thing) else []
        if isinstance(thing, type):
            methods = {k: v for k, v in vars(thing).items() if not k.startswith("_") and inspect.isfunction(v)}
            bare += [f"{name}.{k}" for k, method in methods.items() if not inspect.getdoc(getattr(thing, k))]

    assert bare == []


def test_undocumented_is_told_apart() -> None:
    """A missing docstring, an inherited one and the one that a dataclass writes all count as none."""

    class Documented:
        """What it is."""

    class Inherits(Documented):
        pass

    @dataclass
    class Written:
        x: int

    assert [undocumented(thing) for thing in (Documented, Inherits, Written)] == [False, True, True]
    assert undocumented(lambda: None)


@pytest.mark.parametrize("statement", ["import tensorkeep", "import tensorkeep; dir(tensorkeep)"])
def test_importing_loads_no_framework(statement: str) -> None:
    """A fresh interpreter that imports tensorkeep has loaded neither a framework nor the command line's packages."""
    probe = f"{statement}; import json, sys; print(json.dumps(sorted(sys.modules)))"
    loaded = json.loads(subprocess.run([sys.executable, "-c", probe], check=True, capture_output=True).stdout)

    assert "tensorkeep" in loaded
    assert [name for name in NOT_LOADED if name in loaded] == []


def test_the_probe_sees_what_is_loaded() -> None:
    """The same question after importing NumPy names NumPy: the test above can fail."""
    probe = "import tensorkeep, numpy, sys; print('numpy' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", probe], check=True, capture_output=True).stdout.split() == [b"True"]


def test_the_version_is_one() -> None:
    """The package, pyproject.toml and the change log name the same version."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]

    assert tensorkeep.__version__ == project["version"]
    assert f"## [{project['version']}]" in (ROOT / "CHANGELOG.md").read_text("utf-8")
