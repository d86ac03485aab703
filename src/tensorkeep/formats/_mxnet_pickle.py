"""What pickles of MXNet ask for: NDArrays of every version, symbols, and objects that are kept as records.

An NDArray is `NDArray(None)` with the state {"handle": bytes}, the bytes of one array (see _mxnet_array). A Symbol is the
same with its JSON. Optimizers, schedulers, initialisers, Parameters and Contexts become `tensorkeep.Inert` records: their
state is plain data, their classes are never imported. Source: __reduce__ and __getstate__ in python/mxnet of 0.10 to 2.0.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tensorkeep.core.bytesource import BufferSource
from tensorkeep.errors import TensorkeepError
from tensorkeep.formats._mxnet_array import CutError, Leaf, read_array
from tensorkeep.formats._mxnet_symbol import loads
from tensorkeep.formats._pickle_parts import Cell, InertCell, Known, Unfit, raw_bytes

__all__ = ["MXNET"]


class _HandleCell(Cell):
    """An object that is made of None and filled by the state {"handle": …}."""

    __slots__ = ("_filled", "_value")

    def __init__(self) -> None:
        self._value: Any = None
        self._filled = False

    def build(self, state: Any) -> None:
        if self._filled or type(state) is not dict or set(state) != {"handle"}:
            raise Unfit('its state is not the dict {"handle": …} that MXNet writes')
        self._filled = True
        if state["handle"] is not None:
            self._value = self.parse(state["handle"])

    def parse(self, handle: Any) -> Any:
        raise NotImplementedError

    def finish(self, parts: Sequence[Any]) -> Any:
        return self._value


class _ArrayCell(_HandleCell):
    """An NDArray; it becomes a Tensor, a SparseTensor, or None when it has no values."""

    __slots__ = ()

    def parse(self, handle: Any) -> Leaf:
        payload = raw_bytes(handle)
        try:
            leaf, end, _, _ = read_array(payload, 0, 0, BufferSource(payload, "the NDArray"))
        except CutError:
            raise Unfit(f"an NDArray has {len(payload)} bytes, fewer than its shape needs") from None
        except TensorkeepError as err:
            raise Unfit(str(err)) from None
        if end != len(payload):
            raise Unfit(f"an NDArray has {len(payload)} bytes, but its shape needs {end}")
        return leaf


class _SymbolCell(_HandleCell):
    """A Symbol; it becomes a Graph."""

    __slots__ = ()

    def parse(self, handle: Any) -> Any:
        if type(handle) is not str:
            raise Unfit("a Symbol's state is not text")
        try:
            return loads(handle.encode("utf-8"), what="the Symbol")
        except UnicodeEncodeError:
            raise Unfit("a Symbol's text has half a character") from None
        except TensorkeepError as err:
            raise Unfit(str(err)) from None


def _made_of_none(kind: type[_HandleCell]) -> Known:
    def call(args: tuple[Any, ...]) -> Cell:
        if args not in ((), (None,)):
            raise Unfit("its arguments are not (None,), as MXNet writes them")
        return kind()

    return Known(call)


def _record(module: str, name: str) -> Known:
    def new(args: tuple[Any, ...], kwargs: dict[str, Any]) -> InertCell:
        return InertCell(module, name, (*args, kwargs) if kwargs else args)

    return Known(call=lambda args: InertCell(module, name, args), new=new)


class _ContextCell(InertCell):
    """A device; Parameters of 2017 have dicts by device, whose keys become "cpu(0)"."""

    __slots__ = ()

    def as_key(self) -> str | None:
        state = self.states[0] if len(self.states) == 1 else None
        if type(state) is not dict:
            return None
        kind, number = state.get("device_typeid"), state.get("device_id")
        if type(kind) is not int or type(number) is not int or not 0 <= number < 1 << 31:
            return None
        return f"{_DEVICES.get(kind, 'device')}({number})"


_DEVICES = {1: "cpu", 2: "gpu", 3: "cpu_pinned", 5: "cpu_shared"}


def _context(module: str, name: str) -> Known:
    def new(args: tuple[Any, ...], kwargs: dict[str, Any]) -> InertCell:
        if args or kwargs:
            raise Unfit("it has arguments, which MXNet does not write")
        return _ContextCell(module, name)

    return Known(call=lambda args: new(args, {}), new=new)


_ARRAYS = (
    ("mxnet.ndarray.ndarray", "NDArray"),  # since 0.12
    ("mxnet.ndarray", "NDArray"),
    ("mxnet.ndarray.sparse", "CSRNDArray"),
    ("mxnet.ndarray.sparse", "RowSparseNDArray"),
    ("mxnet.numpy", "ndarray"),  # since 1.6
    ("mxnet.numpy.multiarray", "ndarray"),
)

_SYMBOLS = (
    ("mxnet.symbol.symbol", "Symbol"),
    ("mxnet.symbol", "Symbol"),
    ("mxnet.symbol.numpy._symbol", "_Symbol"),
)

_OPTIMIZERS = (
    *("AdaBelief", "AdaDelta", "AdaGrad", "Adam", "AdamW", "Adamax", "DCASGD", "FTML", "Ftrl", "GroupAdaGrad", "LAMB"),
    *("LANS", "LARS", "LBSGD", "NAG", "Nadam", "Optimizer", "RMSProp", "SGD", "SGLD", "Signum", "Test", "ccSGD"),
)

_RECORDS: dict[str, tuple[str, ...]] = {
    "mxnet.optimizer": _OPTIMIZERS,
    "mxnet.optimizer.optimizer": _OPTIMIZERS,
    "mxnet.optimizer.contrib": ("GroupAdaGrad",),
    "mxnet.lr_scheduler": (
        *("CosineScheduler", "FactorScheduler", "LRScheduler", "MultiFactorScheduler", "PolyScheduler"),
    ),
    "mxnet.initializer": (
        *("Bilinear", "Constant", "FusedRNN", "InitDesc", "Initializer", "LSTMBias", "Load", "MSRAPrelu", "Mixed"),
        *("Normal", "One", "Orthogonal", "RNNFused", "Uniform", "Xavier", "Zero"),
    ),
    "mxnet.gluon.parameter": ("Constant", "Parameter", "ParameterDict"),
}


def _table() -> dict[tuple[str, str], Known]:
    table = {pair: _made_of_none(_ArrayCell) for pair in _ARRAYS}
    table.update({pair: _made_of_none(_SymbolCell) for pair in _SYMBOLS})
    names = [(module, name) for module, found in _RECORDS.items() for name in found]
    # 2.0 has a module for each optimizer: mxnet.optimizer.sgd.SGD, mxnet.optimizer.adamW.AdamW.
    names += [(f"mxnet.optimizer.{'adamW' if name == 'AdamW' else name.lower()}", name) for name in _OPTIMIZERS]
    table.update({(module, name): _record(module, name) for module, name in names})
    for module, name in (("mxnet.context", "Context"), ("mxnet.device", "Device")):
        table[module, name] = _context(module, name)
    return table


MXNET = _table()
"""(module, name) to Known for the pickles of MXNet, beside those that every pickle may ask for."""
