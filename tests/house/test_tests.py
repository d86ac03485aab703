"""The tests themselves: each says in a sentence what it claims."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

TESTS = Path(__file__).parents[1]


def without_sentence(source: str) -> Iterator[tuple[int, str]]:
    """(line, name) of the tests in a module that have no docstring."""
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            continue
        if node.name.startswith("test_") and not ast.get_docstring(node):
            yield node.lineno, node.name


def test_every_test_has_its_sentence() -> None:
    """The name is a claim, the docstring says it in words."""
    found = [
        f"{path.relative_to(TESTS)}:{line}: {name}"
        for path in sorted(TESTS.rglob("test_*.py"))
        for line, name in without_sentence(path.read_text(encoding="utf-8"))
    ]

    assert found == []


def test_a_test_without_a_sentence_is_found() -> None:
    """At any depth; helpers need none."""
    source = "class TestX:\n    def test_a(self):\n        pass\n\n\ndef helper():\n    pass\n\n\ndef test_b():\n    'Said.'\n"

    assert list(without_sentence(source)) == [(2, "test_a")]
