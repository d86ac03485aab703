"""The verbs: save, load, open, writer, convert, verify, scan, diff, repair, save_parameters,
load_parameters, graft, match.

Each takes a path, bytes or an open binary file where a file is read. What a path holds is told by its content; what a save
writes, by the path's suffix.
"""

from __future__ import annotations

from tensorkeep.api.checking import scan, verify
from tensorkeep.api.converting import convert, repair
from tensorkeep.api.diffing import Change, Diff, diff
from tensorkeep.api.loading import load, open
from tensorkeep.api.matching import graft, match
from tensorkeep.api.optimizers import load_optimizer, save_optimizer
from tensorkeep.api.parameters import load_parameters, save_parameters
from tensorkeep.api.saving import save
from tensorkeep.api.streaming import TensorWriter, writer

__all__ = [
    "Change",
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
]
