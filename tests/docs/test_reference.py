"""The reference is made from the docstrings: all public names are in it, and it says what the code says."""

from __future__ import annotations

import importlib.util
import inspect
from types import ModuleType

import pytest

import tensorkeep
from tests.docs import pages


@pytest.fixture(scope="module")
def reference() -> ModuleType:
    """tools/reference.py."""
    spec = importlib.util.spec_from_file_location("reference", pages.ROOT / "tools/reference.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_public_name_has_its_place(reference: ModuleType) -> None:
    """What `tensorkeep.__all__` promises stands on exactly one page."""
    listed = [name for _, _, names in reference.PAGES.values() for name in names]

    assert sorted(listed) == sorted(tensorkeep.__all__)


@pytest.mark.parametrize("name", tensorkeep.__all__)
def test_a_name_is_shown_with_its_first_sentence(reference: ModuleType, name: str) -> None:
    """Heading and the first words of the docstring are on the page."""
    (page,) = [page for page, (_, _, names) in reference.PAGES.items() if name in names]
    text = reference.page(page)
    first = (inspect.getdoc(getattr(tensorkeep, name)) or "").split("\n")[0]
    assert first

    part = text.partition(f"## {name}\n")[2].partition("\n## ")[0]

    assert reference.escape(first) in part


def test_arguments_are_listed_by_name(reference: ModuleType) -> None:
    """`load`'s keyword arguments each have their line."""
    part = reference.page("reference/verbs.md").partition("## load\n")[2].partition("\n## ")[0]

    assert [
        name for name in ("only", "rename", "framework", "device", "dtype", "verify") if f"- `{name}`" not in part
    ] == []
