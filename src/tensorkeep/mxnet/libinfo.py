"""Which MXNet this is like; there is no compiled library of it."""

from __future__ import annotations

from tensorkeep.mxnet._refused import refuse

__all__ = ["__version__"]

__version__ = "1.9.1"

refuse(
    globals(),
    ("find_conf_path", "find_include_path", "find_lib_path"),
    "There is no libmxnet here: everything is computed by PyTorch.",
)
