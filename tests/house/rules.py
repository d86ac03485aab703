"""The house rules of the source tree, as functions that return what breaks them: one line a violation.

Each takes the package's folder, so that the tests can show on made-up trees that it finds what it is for.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

MAX_LINES = 600

# From the ground up: a room imports rooms with a lower number, never one of its own height beside it.
HEIGHTS = {
    "errors": 0,
    "_optional": 1,
    "core": 2,
    "formats": 3,
    "storage": 3,
    "mxnet": 4,
    "adapters": 5,
    "models": 6,
    "checkpoint": 7,
    "api": 8,
    "cli": 9,
    "viewer": 9,
    "__main__": 10,
    "testing": 11,  # may import anything; nothing imports it
}

# Folders whose files stand side by side: file → names that each of them may import besides the `_helpers`.
SEPARATE: dict[tuple[str, ...], frozenset[str]] = {
    ("formats",): frozenset(),
    ("adapters",): frozenset({"base", "match"}),
    ("mxnet", "ops"): frozenset(),
    ("checkpoint", "integrations"): frozenset(),
}

# Subclasses of a framework's own classes: whoever imports such a file trains with that framework, and nothing in src does.
# They stand above the verbs, as the command line does.
INTEGRATIONS = ("checkpoint", "integrations")
BASES = {
    "huggingface": frozenset({"transformers"}),
    "keras": frozenset({"keras"}),
    "lightning": frozenset({"lightning", "lightning_fabric", "pytorch_lightning"}),
}

HEAVY = frozenset({"h5py", "jax", "ml_dtypes", "mxnet", "numpy", "safetensors", "scipy", "torch"}).union(
    *BASES.values()
)
COMMAND_LINE = frozenset({"click", "rich"})
ROOMS_WITH_HEAVY = frozenset({"mxnet", "testing"})  # whoever imports these has chosen the framework already

RUNS_CODE_MODULES = frozenset({"_pickle", "cloudpickle", "dill", "joblib", "marshal", "pickle", "shelve"})
WRITES_PICKLES = frozenset({"PicklingError", "_Pickler", "dump", "dumps"})  # mxnet/ may import these: they read nothing
RUNS_CODE_CALLS = frozenset({"__import__", "compile", "eval", "exec"})
WRITING_METHODS = frozenset({"tofile", "write_bytes", "write_text"})
WRITING_FLAGS = frozenset({"O_APPEND", "O_CREAT", "O_RDWR", "O_TRUNC", "O_WRONLY"})
RENAMES = frozenset({"link", "rename", "renames", "replace", "symlink"})


@dataclass(frozen=True)
class Import:
    """One import of a module, wherever in a file it stands."""

    target: str
    line: int
    at_top: bool


def modules(package: Path) -> dict[tuple[str, ...], Path]:
    """Path parts below the package (without `__init__`) → file."""
    found = {}
    for path in sorted(package.rglob("*.py")):
        parts = path.relative_to(package).with_suffix("").parts
        found[parts[:-1] if parts[-1] == "__init__" else parts] = path
    return found


def layers(package: Path) -> list[str]:
    """Imports that do not point down, rooms that have no height."""
    tree = modules(package)
    broken = []
    for parts, path in tree.items():
        if not parts:
            continue  # the front door: its own test holds that it loads nothing
        if parts[0] not in HEIGHTS:
            broken.append(f"{path.name}: {parts[0]!r} is no room of design section 3; give it a height in rules.py")
            continue
        for found in imports(path, package):
            target = _below(found.target, package.name)
            if target is None or parts[0] == "testing":
                continue
            if not target:
                broken.append(f"{_at(path, package, found.line)}: imports the front door; import the room instead")
            elif target[0] not in HEIGHTS:
                broken.append(f"{_at(path, package, found.line)}: imports {target[0]!r}, which is no room")
            elif target[:2] == INTEGRATIONS and parts[:2] != INTEGRATIONS:
                broken.append(f"{_at(path, package, found.line)}: imports an integration; only users do")
            elif target[0] != parts[0] and HEIGHTS[target[0]] >= _height(parts):
                broken.append(
                    f"{_at(path, package, found.line)}: {parts[0]} imports {target[0]}, which is not below it"
                )
    return broken


def _height(parts: tuple[str, ...]) -> int:
    return HEIGHTS["cli"] if parts[:2] == INTEGRATIONS else HEIGHTS[parts[0]]


def separate(package: Path) -> list[str]:
    """Files of formats/, adapters/ and mxnet/ops/ that import a file beside them which is no helper."""
    broken = []
    for parts, path in modules(package).items():
        folder = next((f for f in SEPARATE if parts[: len(f)] == f and len(parts) > len(f)), None)
        if folder is None:
            continue
        own = parts[len(folder)]
        for found in imports(path, package):
            target = _below(found.target, package.name)
            if target is None or target[: len(folder)] != folder or len(target) == len(folder):
                continue
            other = target[len(folder)]
            if other != own and not other.startswith("_") and other not in SEPARATE[folder]:
                broken.append(f"{_at(path, package, found.line)}: {own} imports {other} beside it; share a _helper")
    return broken


def heavy_at_top(package: Path) -> list[str]:
    """Imports of frameworks (and of the command line's packages elsewhere) that run when the module is imported."""
    broken = []
    for parts, path in modules(package).items():
        room = parts[0] if parts else ""
        refused = (frozenset() if room in ROOMS_WITH_HEAVY else HEAVY) | (
            frozenset() if room in {"cli", "viewer", "testing"} else COMMAND_LINE
        )
        if parts[:2] == INTEGRATIONS:
            refused -= BASES.get(parts[-1], frozenset())
        broken += [
            f"{_at(path, package, found.line)}: imports {found.target} at module level; do it in the function"
            for found in imports(path, package)
            if found.at_top and found.target.partition(".")[0] in refused
        ]
    return broken


def too_long(package: Path) -> list[str]:
    """Modules past MAX_LINES."""
    counts = {path: len(path.read_text("utf-8").splitlines()) for path in modules(package).values()}
    return [f"{p.relative_to(package)}: {n} lines, at most {MAX_LINES}" for p, n in counts.items() if n > MAX_LINES]


def writes(package: Path) -> list[str]:
    """Files opened for writing, or renamed, outside storage/ (and testing/, which breaks files on purpose)."""
    return _calls(package, _writes, {"storage", "testing"}, "write through storage, which is atomic")


def runs_code(package: Path) -> list[str]:
    """Modules and calls that run what a file names: nothing in a file is ever executed."""
    broken = _calls(package, _runs, {"testing"}, "nothing in a file may run")
    for parts, path in modules(package).items():
        if parts[:1] == ("testing",):
            continue
        harmless = _writing_imports(path) if parts[:1] == ("mxnet",) else set()
        broken += [
            f"{_at(path, package, found.line)}: imports {found.target}; nothing in a file may run"
            for found in imports(path, package)
            if found.target.partition(".")[0] in RUNS_CODE_MODULES and found.line not in harmless
        ]
    return broken


def _writing_imports(path: Path) -> set[int]:
    """The lines that take nothing but writers from pickle."""
    return {
        node.lineno
        for node in ast.walk(ast.parse(path.read_text("utf-8"), str(path)))
        if isinstance(node, ast.ImportFrom)
        and node.module == "pickle"
        and all(alias.name in WRITES_PICKLES for alias in node.names)
    }


def imports(path: Path, package: Path) -> Iterator[Import]:
    """Every import of a file: statements at any depth, and `import_module`/`require` with the name written out."""
    tree = ast.parse(path.read_text("utf-8"), str(path))
    known = {(package.name, *parts) for parts in modules(package)}
    at_top = set(_top_statements(tree.body))
    parts = path.relative_to(package.parent).with_suffix("").parts
    for node in ast.walk(tree):
        top = node in at_top
        if isinstance(node, ast.Import):
            yield from (Import(alias.name, node.lineno, top) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = list(parts[: len(parts) - node.level]) if node.level else []
            base += node.module.split(".") if node.module else []
            for alias in node.names:
                whole = (*base, alias.name)
                yield Import(".".join(whole if whole in known else base), node.lineno, top)
        elif isinstance(node, ast.Call) and _callee(node) in {"import_module", "require"} and node.args:
            name = _constant(node.args[0])
            if name is not None:
                yield Import(name, node.lineno, top)


def _top_statements(body: list[ast.stmt]) -> Iterator[ast.AST]:
    """What runs at import: not the bodies of functions, not what stands under TYPE_CHECKING."""
    for node in body:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            continue
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            yield from _top_statements(node.orelse)
            continue
        inner = [s for s in ast.iter_child_nodes(node) if isinstance(s, (ast.stmt, ast.ExceptHandler))]
        if not inner:
            yield from ast.walk(node)
        for part in inner:
            yield from _top_statements(part.body if isinstance(part, ast.ExceptHandler) else [part])


def _below(target: str, name: str) -> tuple[str, ...] | None:
    first, *rest = target.split(".")
    return tuple(rest) if first == name else None


def _calls(package: Path, judge: Callable[[ast.Call], str | None], exempt: set[str], remedy: str) -> list[str]:
    broken = []
    for parts, path in modules(package).items():
        if parts[:1] and parts[0] in exempt:
            continue
        for node in ast.walk(ast.parse(path.read_text("utf-8"), str(path))):
            if isinstance(node, ast.Call) and (what := judge(node)):
                broken.append(f"{_at(path, package, node.lineno)}: {what}; {remedy}")
    return broken


def _writes(call: ast.Call) -> str | None:
    name, owner = _callee(call), _owner(call)
    if name in {"open", "fdopen"}:
        if any(isinstance(node, ast.Attribute) and node.attr in WRITING_FLAGS for node in ast.walk(call)):
            return "os.open with a flag that writes"
        # Path("x").open("w") has its mode first, open("x", "w") second; a keyword names it anywhere.
        candidates = [*call.args[:2], *(k.value for k in call.keywords if k.arg == "mode")]
        modes = [text for text in map(_constant, candidates) if text and set(text) <= set("rwaxbt+")]
        return next((f"open with mode {mode!r}" for mode in modes if set(mode) & set("wax+")), None)
    if name in WRITING_METHODS and owner is not None:
        return f".{name}()"
    return f"os.{name}()" if name in RENAMES and owner == "os" else None


def _runs(call: ast.Call) -> str | None:
    name, owner = _callee(call), _owner(call)
    if owner is None and name in RUNS_CODE_CALLS:
        return f"{name}()"
    if name == "load" and owner in {"torch", "pickle", "marshal", "joblib"}:
        return f"{owner}.load()"
    keywords = {k.arg: k.value for k in call.keywords}
    pickled = keywords.get("allow_pickle")
    return "allow_pickle" if pickled is not None and getattr(pickled, "value", None) is not False else None


def _callee(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")


def _owner(call: ast.Call) -> str | None:
    return ast.unparse(call.func.value) if isinstance(call.func, ast.Attribute) else None


def _constant(node: ast.AST) -> str | None:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


def _at(path: Path, package: Path, line: int) -> str:
    return f"{path.relative_to(package)}:{line}"
