"""Where a step comes from: command line, commit, versions, machine. Nothing is asked of the network."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any

__all__ = ["provenance"]

_PACKAGES = (
    "tensorkeep",
    "numpy",
    "torch",
    "jax",
    "flax",
    "keras",
    "lightning",
    "transformers",
    "accelerate",
    "safetensors",
)
_GIT_TIMEOUT_S = 5.0


@cache
def provenance() -> dict[str, Any]:
    """What a manifest says of the process that writes it; asked once."""
    found: dict[str, Any] = {
        "command": sys.argv if sys.argv else [],
        "python": platform.python_version(),
        "host": platform.node(),
        "packages": _versions(),
    }
    commit = _git("rev-parse", "HEAD")
    if commit:
        found["git"] = {"commit": commit, "dirty": bool(_git("status", "--porcelain", "--untracked-files=no"))}
    return found


def _versions() -> dict[str, str]:
    """Of the packages that are loaded: what is installed besides did not take part."""
    found = {}
    for name in _PACKAGES:
        if name in sys.modules:
            try:
                found[name] = version(name)
            except PackageNotFoundError:
                continue
    return found


def _git(*args: str) -> str:
    """What git says of the working directory; "" where there is no git or no repository."""
    environment = {**os.environ, "GIT_OPTIONAL_LOCKS": "0"}
    try:
        done = subprocess.run(
            ["git", *args], capture_output=True, text=True, timeout=_GIT_TIMEOUT_S, env=environment, check=False
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
