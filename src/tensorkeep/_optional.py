"""Optional packages: import one, or say in one sentence how to get it."""

from __future__ import annotations

import importlib
from typing import Any

from tensorkeep.errors import MissingExtraError

__all__ = ["require"]


def require(module: str, *, extra: str, for_: str) -> Any:
    """The imported `module`.

    Args:
        module: what to import, e.g. "torch".
        extra: the extra of tensorkeep that installs it.
        for_: what the caller needs it for, as it stands in the error text.
    Raises:
        MissingExtraError: it is not installed (or its own import fails; that error is chained).
    """
    try:
        return importlib.import_module(module)
    except ImportError as err:
        raise MissingExtraError(
            f"{for_} needs the package {module.partition('.')[0]!r}, which cannot be imported ({err}). "
            f"Install it: pip install 'tensorkeep[{extra}]'."
        ) from err
