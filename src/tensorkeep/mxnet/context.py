"""Context: on which device an array lies."""

from __future__ import annotations

import threading
import warnings
from typing import Any, ClassVar

import torch

from tensorkeep.mxnet._state import settings
from tensorkeep.mxnet.base import MXNetError, claim

__all__ = ["Context", "cpu", "cpu_pinned", "current_context", "gpu", "gpu_memory_info", "num_gpus"]


_DEPRECATED = (
    "Context.default_ctx has been deprecated. Please use Context.current_context() instead. Please use "
    "test_utils.set_default_context to set a default context"
)


class _WithDefault(type):
    """Gives the class Context its property default_ctx, which MXNet deprecated."""

    @property
    def default_ctx(cls) -> Context:
        """The default context of the calling thread: use current_context()."""
        warnings.warn(_DEPRECATED, DeprecationWarning, stacklevel=2)
        return current_context()

    @default_ctx.setter
    def default_ctx(cls, val: Context) -> None:
        warnings.warn(_DEPRECATED, DeprecationWarning, stacklevel=2)
        Context._default_ctx.value = val


class Context(metaclass=_WithDefault):
    """A device by type and number; as a context manager, the default for arrays that are made inside.

    Args:
        device_type: "cpu", "gpu", "cpu_pinned", "cpu_shared", or another Context.
        device_id: the number of the device. All cpu contexts are the same memory.
    """

    devtype2str: ClassVar[dict[int, str]] = {1: "cpu", 2: "gpu", 3: "cpu_pinned", 5: "cpu_shared"}
    devstr2type: ClassVar[dict[str, int]] = {name: number for number, name in devtype2str.items()}
    _default_ctx: ClassVar[Any] = threading.local()

    device_typeid: int
    device_id: int

    def __init__(self, device_type: str | Context, device_id: int = 0) -> None:
        self._device: torch.device | None = None
        if isinstance(device_type, Context):
            self.device_typeid, self.device_id = device_type.device_typeid, device_type.device_id
        else:
            self.device_typeid = Context.devstr2type[device_type]
            self.device_id = device_id
        self._old_ctx: Context | None = None

    @property
    def device_type(self) -> str:
        """The name of the device's type: cpu, gpu, cpu_pinned or cpu_shared."""
        return Context.devtype2str[self.device_typeid]

    @property
    def torch_device(self) -> torch.device:
        """Where tensors of this context lie.

        Raises:
            MXNetError: a gpu, on a machine without one, and `install(gpu="cpu")` was not said.
        """
        device = self.__dict__.get("_device")
        if device is None:
            device = self._device = self._find()
        return device

    def _find(self) -> torch.device:
        if self.device_typeid != 2:
            return torch.device("cpu")
        if torch.cuda.is_available():
            return torch.device("cuda", self.device_id)
        if settings.gpu == "cpu":
            return torch.device("cpu")
        raise MXNetError(
            "GPU is not enabled. This machine has no CUDA device, or torch was built without CUDA. "
            'tensorkeep.mxnet.install(gpu="cpu"), or --gpu cpu on the command line, computes on the CPU instead.'
        )

    def __hash__(self) -> int:
        return hash((self.device_typeid, self.device_id))

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Context)
            and self.device_typeid == other.device_typeid
            and self.device_id == other.device_id
        )

    def __str__(self) -> str:
        return f"{self.device_type}({self.device_id})"

    __repr__ = __str__

    def __getstate__(self) -> dict[str, Any]:
        # What MXNet's own contexts hold, so that real MXNet reads our pickles.
        return {"device_typeid": self.device_typeid, "device_id": self.device_id, "_old_ctx": self._old_ctx}

    def __enter__(self) -> Context:
        self._old_ctx = current_context()
        Context._default_ctx.value = self
        return self

    def __exit__(self, *exc: object) -> None:
        Context._default_ctx.value = self._old_ctx

    def empty_cache(self) -> None:
        """Give unused GPU memory back to the driver; nothing on a CPU."""
        if self.torch_device.type == "cuda":
            torch.cuda.empty_cache()


_CPU0 = Context("cpu", 0)


def cpu(device_id: int = 0) -> Context:
    """The CPU. `device_id` only changes what is printed."""
    return Context("cpu", device_id)


def cpu_pinned(device_id: int = 0) -> Context:
    """CPU memory that is pinned for copies to a GPU."""
    return Context("cpu_pinned", device_id)


def gpu(device_id: int = 0) -> Context:
    """A GPU by its number. Asking for it costs nothing; putting an array there needs CUDA."""
    return Context("gpu", device_id)


def num_gpus() -> int:
    """How many GPUs this machine has; 0 without CUDA, also where gpu(0) is computed on the CPU."""
    return torch.cuda.device_count() if torch.cuda.is_available() else 0


def gpu_memory_info(device_id: int = 0) -> tuple[int, int]:
    """Free and total bytes of a GPU.

    Raises:
        MXNetError: there is no such GPU.
    """
    if not torch.cuda.is_available() or device_id >= torch.cuda.device_count():
        raise MXNetError(f"gpu({device_id}) does not exist; {num_gpus()} GPUs are there.")
    free, total = torch.cuda.mem_get_info(device_id)
    return int(free), int(total)


def current_context() -> Context:
    """The default context of the calling thread: cpu(0), or that of the innermost `with mx.gpu(0):`."""
    return getattr(Context._default_ctx, "value", None) or _CPU0


def parse_context(text: str | Context | None) -> Context:
    """The Context of "gpu(1)", as operators' `ctx` parameters spell it; the default one of "" and None."""
    if text is None or text == "":
        return current_context()
    if isinstance(text, Context):
        return text
    kind, _, number = text.partition("(")
    if kind not in Context.devstr2type:
        raise MXNetError(f"Invalid context string {text!r}: {', '.join(Context.devstr2type)} are known.")
    return Context(kind, int(number.rstrip(")") or 0) if number else 0)


claim(globals())
