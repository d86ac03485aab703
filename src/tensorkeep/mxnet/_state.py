"""What a thread has switched on: recording, training, NumPy semantics. One object, read at every operator's call."""

from __future__ import annotations

import threading
from typing import Any

__all__ = ["Settings", "settings", "state"]


class _State(threading.local):
    """The switches of the calling thread.

    Attributes:
        recording: operators are recorded for backward().
        training: operators behave as in training (Dropout drops, BatchNorm uses the batch).
        np_shape: 0-d and empty arrays exist; an unknown dimension is -1 and not 0.
        np_array: blocks take and give `np.ndarray`.
        np_dtype: the default float is float64 (only 2.0 has it; always off in 1.9.1).
        reached: what backward() came by where no gradient passes: variables by id, a dict for each such place.
    """

    recording = False
    training = False
    np_shape = False
    np_array = False
    np_dtype = False

    def __init__(self) -> None:
        self.reached: list[dict[int, Any]] = []


class Settings:
    """What holds for the whole process.

    Attributes:
        gpu: None (asking for a GPU on a machine without CUDA raises MXNet's error) or "cpu" (compute on the CPU and
            keep `gpu(0)` in what is printed and saved).
    """

    gpu: str | None = None


state = _State()
settings = Settings()
