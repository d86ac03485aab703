"""tensorkeep: save, load, open and checkpoint the tensors and models of any framework.

import tensorkeep as tk

tk.save("model.safetensors", {"w": w, "step": 3})      # atomic, durable, hashed
data = tk.load("model.safetensors")                    # verified; nothing in a file is ever executed
with tk.open("model.pth") as f:                        # lazy: f.keys(), f["w"].shape, f["w"][0:10]
    ...
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from tensorkeep.adapters._propose import Match
    from tensorkeep.api import (
        Diff,
        TensorWriter,
        convert,
        diff,
        graft,
        load,
        load_optimizer,
        load_parameters,
        match,
        open,
        repair,
        save,
        save_optimizer,
        save_parameters,
        scan,
        verify,
        writer,
    )
    from tensorkeep.checkpoint.averaging import average
    from tensorkeep.checkpoint.checkpointer import Checkpointer, NotCapturedWarning, NotRestoredWarning, SaveHandle
    from tensorkeep.checkpoint.distributed import TensorkeepReader, TensorkeepWriter
    from tensorkeep.checkpoint.policies import every, keep_all, keep_best, keep_every, keep_last
    from tensorkeep.checkpoint.steps import Step
    from tensorkeep.core.loadreport import LoadReport
    from tensorkeep.core.plan import Receipt
    from tensorkeep.core.reports import ScanReport, VerifyReport
    from tensorkeep.core.tensor import SparseTensor, Tensor, TensorSpec
    from tensorkeep.core.tensorfile import TensorFile
    from tensorkeep.core.tree import Inert
    from tensorkeep.errors import (
        CorruptFileError,
        LimitError,
        MismatchError,
        MissingExtraError,
        NotEnoughSpaceError,
        SaveError,
        StepExistsError,
        TensorkeepError,
        TensorNotFoundError,
        TruncatedFileError,
        UnsafeFileError,
        UnsupportedDataError,
        UnsupportedFormatError,
        WriterConflictError,
    )

_HOMES = {
    "tensorkeep.api": (
        "Diff",
        "TensorWriter",
        "convert",
        "diff",
        "graft",
        "load",
        "load_optimizer",
        "load_parameters",
        "match",
        "open",
        "repair",
        "save",
        "save_optimizer",
        "save_parameters",
        "scan",
        "verify",
        "writer",
    ),
    "tensorkeep.adapters._propose": ("Match",),
    "tensorkeep.checkpoint.averaging": ("average",),
    "tensorkeep.checkpoint.checkpointer": ("Checkpointer", "NotCapturedWarning", "NotRestoredWarning", "SaveHandle"),
    "tensorkeep.checkpoint.distributed": ("TensorkeepReader", "TensorkeepWriter"),
    "tensorkeep.checkpoint.policies": ("every", "keep_all", "keep_best", "keep_every", "keep_last"),
    "tensorkeep.checkpoint.steps": ("Step",),
    "tensorkeep.core.loadreport": ("LoadReport",),
    "tensorkeep.core.plan": ("Receipt",),
    "tensorkeep.core.reports": ("ScanReport", "VerifyReport"),
    "tensorkeep.core.tensor": ("SparseTensor", "Tensor", "TensorSpec"),
    "tensorkeep.core.tensorfile": ("TensorFile",),
    "tensorkeep.core.tree": ("Inert",),
    "tensorkeep.errors": (
        "CorruptFileError",
        "LimitError",
        "MismatchError",
        "MissingExtraError",
        "NotEnoughSpaceError",
        "SaveError",
        "StepExistsError",
        "TensorNotFoundError",
        "TensorkeepError",
        "TruncatedFileError",
        "UnsafeFileError",
        "UnsupportedDataError",
        "UnsupportedFormatError",
        "WriterConflictError",
    ),
}
_HOME = {name: module for module, names in _HOMES.items() for name in names}

__all__ = [  # noqa: RUF022  # the verbs first
    "save",
    "load",
    "open",
    "writer",
    "convert",
    "verify",
    "scan",
    "diff",
    "repair",
    "save_parameters",
    "load_parameters",
    "save_optimizer",
    "load_optimizer",
    "graft",
    "match",
    "Checkpointer",
    "every",
    "keep_last",
    "keep_best",
    "keep_every",
    "keep_all",
    "average",
    "Diff",
    "Inert",
    "LoadReport",
    "Match",
    "NotCapturedWarning",
    "NotRestoredWarning",
    "Receipt",
    "SaveHandle",
    "ScanReport",
    "SparseTensor",
    "Step",
    "Tensor",
    "TensorFile",
    "TensorSpec",
    "TensorWriter",
    "TensorkeepReader",
    "TensorkeepWriter",
    "VerifyReport",
    "CorruptFileError",
    "LimitError",
    "MismatchError",
    "MissingExtraError",
    "NotEnoughSpaceError",
    "SaveError",
    "StepExistsError",
    "TensorNotFoundError",
    "TensorkeepError",
    "TruncatedFileError",
    "UnsafeFileError",
    "UnsupportedDataError",
    "UnsupportedFormatError",
    "WriterConflictError",
]


def __getattr__(name: str) -> Any:
    # Public names are imported when first used: `import tensorkeep` stays near bare Python's start-up.
    module = _HOME.get(name)
    if module is None:
        raise AttributeError(f"module 'tensorkeep' has no attribute {name!r}")
    import importlib

    value = getattr(importlib.import_module(module), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
