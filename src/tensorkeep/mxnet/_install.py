"""`import mxnet` gives tensorkeep.mxnet: for whole programs (install), and for unpickling where there is no MXNet.

Finders on sys.meta_path answer for "mxnet" and everything below it with the modules of this package themselves, so that
mxnet.nd.NDArray and tensorkeep.mxnet.nd.NDArray are one class. After install() they are asked first. Merely importing
tensorkeep.mxnet has them asked last, so where no MXNet is installed: pickles name mxnet's modules.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import ModuleType
from typing import Any

from tensorkeep.mxnet._state import settings

__all__ = ["fallback", "install", "serves", "uninstall"]

_OURS = "tensorkeep.mxnet"
_ALIASES = {
    "mxnet.nd": "ndarray", "mxnet.sym": "symbol", "mxnet.np": "numpy", "mxnet.npx": "numpy_extension",
    "mxnet.img": "image", "mxnet.init": "initializer", "mxnet.kv": "kvstore", "mxnet.mod": "module",
    "mxnet.mon": "monitor", "mxnet.opt": "optimizer", "mxnet.rnd": "random", "mxnet.viz": "visualization",
    "mxnet.ndarray.np": "numpy", "mxnet.ndarray.npx": "numpy_extension", "mxnet.ndarray.numpy": "numpy",
    "mxnet.ndarray.numpy_extension": "numpy_extension",
}  # fmt: skip
"""Names of MXNet's that are not the path of a module of ours."""


def _path(name: str) -> str:
    """The module of ours behind a name of MXNet's."""
    for alias, ours in _ALIASES.items():
        if name == alias or name.startswith(alias + "."):
            return f"{_OURS}.{ours}{name[len(alias) :]}"
    return _OURS + name[len("mxnet") :]


class _Finder(MetaPathFinder, Loader):
    """Finds our modules under MXNet's names.

    Attributes:
        top: whether it answers for "mxnet" itself.
        below: whether it answers for what is below an "mxnet" that is ours; it must come before the finder of files then,
            which would load our files a second time.
    """

    def __init__(self, *, top: bool, below: bool) -> None:
        self.top = top
        self.below = below
        self._kept: dict[str, Any] = {}

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname == "mxnet":
            return ModuleSpec(fullname, self, origin=_OURS) if self.top else None
        if not (self.below and fullname.startswith("mxnet.") and sys.modules.get("mxnet") is sys.modules[_OURS]):
            return None
        ours = _path(fullname)
        if ours not in sys.modules and not _exists(ours):
            raise ModuleNotFoundError(
                f"No module named {fullname!r}: tensorkeep does not have this part of MXNet.", name=fullname
            )
        return ModuleSpec(fullname, self, origin=ours)

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        assert spec.origin is not None
        module = import_module(spec.origin)
        # The import system is about to write these, which would make our module another one's.
        self._kept = {name: module.__dict__[name] for name in _WRITTEN if name in module.__dict__}
        return module

    def exec_module(self, module: ModuleType) -> None:
        for name in _WRITTEN:
            if name in self._kept:
                setattr(module, name, self._kept[name])
            else:
                module.__dict__.pop(name, None)


def _exists(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:
        return False


_WRITTEN = ("__loader__", "__package__", "__path__", "__spec__")
_FIRST = _Finder(top=False, below=True)
_LAST = _Finder(top=True, below=False)


def install(gpu: str | None = None) -> None:
    """From now on `import mxnet` gives tensorkeep.mxnet, whether or not an MXNet is installed.

    Args:
        gpu: "cpu" computes on the CPU what a program puts on gpu(0), where there is no GPU; gpu(0) stays in what is
            printed and saved. None leaves MXNet's error.
    Raises:
        ValueError: another word for `gpu`.
        RuntimeError: another MXNet was imported already.
    """
    if gpu not in (None, "cpu"):
        raise ValueError(f'gpu is None or "cpu", not {gpu!r}')
    other = sys.modules.get("mxnet")
    if other is not None and other is not sys.modules[_OURS]:
        raise RuntimeError(
            f"mxnet was imported already, from {getattr(other, '__file__', None)}. Call tensorkeep.mxnet.install() "
            "before the first `import mxnet`."
        )
    settings.gpu = gpu
    fallback()
    _FIRST.top = True


def uninstall() -> None:
    """Undo install(): `import mxnet` finds an MXNet that is installed, and this package only where there is none.

    Modules that hold a name of ours keep it.
    """
    settings.gpu = None
    _FIRST.top = False
    for name in [name for name in sys.modules if name == "mxnet" or name.startswith("mxnet.")]:
        if getattr(sys.modules[name], "__name__", "").startswith(_OURS):
            del sys.modules[name]


def fallback() -> None:
    """Let `mxnet` be found here when nothing else has it: what pickle needs, which names mxnet's modules."""
    if _FIRST not in sys.meta_path:
        sys.meta_path.insert(0, _FIRST)
        sys.meta_path.append(_LAST)


def serves(module: str) -> bool:
    """Whether importing a module by MXNet's name gives ours."""
    try:
        return import_module(module) is import_module(_path(module))
    except ImportError:
        return False
