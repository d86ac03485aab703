"""MXNet, as `tensorkeep.mxnet` has it: Gluon's Blocks by their structure, Modules by their symbol's names."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tensorkeep.adapters._arrays import class_in
from tensorkeep.adapters.base import Adapter, Slot
from tensorkeep.core.dtypes import DTYPES, DType
from tensorkeep.errors import UnsupportedDataError

__all__ = ["ADAPTER", "MXNetAdapter"]


class MXNetAdapter(Adapter):
    """A Gluon Block's Parameters by the attributes that lead to them ("features.0.weight"), as `Block.save_parameters` names them.

    Parameters whose shape the first forward pass would find take it from the file, and those that were not initialised are.
    Gradients are left as they are. A Module that is bound has its arrays by "arg:fc1_weight" and "aux:bn_moving_mean", as its
    own files have them.
    """

    name = "mxnet"
    layout = "mxnet"

    def owns(self, model: Any) -> bool:
        return _is_block(model) or _is_module(model)

    def slots(self, model: Any) -> Sequence[Slot]:
        return _block_slots(model) if _is_block(model) else _module_slots(model)

    def value(self, slot: Slot) -> Any:
        return slot.handle.value()

    def memory(self, slot: Slot) -> Any:
        return slot.handle.memory()

    def put(self, slot: Slot, array: Any, device: Any = None) -> None:
        slot.handle.put(array, device)

    def prefixes(self, model: Any) -> Sequence[str]:
        return (model.prefix,) if _is_block(model) and model.prefix else ()

    def other_names(self, model: Any, names: Sequence[str]) -> Mapping[str, str]:
        """For files that name Parameters by prefixes (`collect_params().save`, `export`), also of another instance of the net."""
        if _is_block(model):
            own = {param.name: name for name, param in model._collect_params_with_prefix().items()}
        else:
            own = {slot.name[4:]: slot.name for slot in _module_slots(model)}
        bare = {name: name[4:] if name.startswith(("arg:", "aux:")) else name for name in names}
        for start in _starts(list(bare.values())):
            for prefix in ("", model.prefix) if _is_block(model) else ("",):
                known = {other.removeprefix(prefix): name for other, name in own.items()}
                if known and all(new.removeprefix(start) in known for new in bare.values()):
                    return {old: known[new.removeprefix(start)] for old, new in bare.items()}
        return {}


def _starts(names: Sequence[str]) -> list[str]:
    """What all names begin with, cut at each "_": "", "mlp0_", "mlp0_dense0_"."""
    first, last = min(names, default=""), max(names, default="")
    same = next((i for i, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), min(len(first), len(last)))
    common = first[:same]
    return ["", *(common[: i + 1] for i, sign in enumerate(common) if sign == "_")]


def _is_block(model: Any) -> bool:
    gluon = sys.modules.get("tensorkeep.mxnet.gluon")
    return gluon is not None and isinstance(model, gluon.Block)


def _is_module(model: Any) -> bool:
    module = sys.modules.get("tensorkeep.mxnet.module")
    return module is not None and isinstance(model, module.BaseModule)


_FIXED = "BatchNorm(fix_gamma)"
"""What the layer of a gamma that is read as 1 is called."""


def _block_slots(block: Any) -> list[Slot]:
    found: dict[int, tuple[list[str], Any, str]] = {}
    for name, param, layer in _parameters(block, ""):
        found.setdefault(id(param), ([], param, layer))[0].append(name)
    slots = []
    for names, param, layer in found.values():
        if param.shape is None:
            raise UnsupportedDataError(
                f"{names[0]}: nothing is known of the shape of the Parameter {param.name!r}. Run the network once on an input, or "
                "give its layer the sizes."
            )
        if param._stype != "default":
            raise UnsupportedDataError(
                f"{names[0]}: a {param._stype} Parameter cannot be saved or loaded by rows. Make it with stype='default', or use "
                "Block.save_parameters."
            )
        slots.append(
            Slot(
                names[0],
                tuple(-1 if size in _unknown() else int(size) for size in param.shape),
                _dtype(param.dtype),
                "buffer" if param.grad_req == "null" else "parameter",
                tuple(names[1:]),
                "meta" if param._data is None else str(param._data[0].ctx),
                _Parameter(param, names[0]),
                layer,
            )
        )
    return slots


def _parameters(block: Any, start: str) -> Iterator[tuple[str, Any, str]]:
    """(name, Parameter, class of its Block), in the order of `_collect_params_with_prefix`."""
    kind = class_in(block, "tensorkeep")
    if kind == "BatchNorm" and block._kwargs["fix_gamma"]:
        kind = _FIXED
    for name, param in block._reg_params.items():
        yield start + name, param, kind
    for name, child in block._children.items():
        yield from _parameters(child, f"{start}{name}.")


def _unknown() -> tuple[int, ...]:
    """What stands for a size that is not known: 0 is a size only under NumPy's semantics."""
    from tensorkeep.mxnet._state import state

    return (-1,) if state.np_shape else (0, -1)


def _dtype(dtype: Any) -> DType | None:
    from tensorkeep.mxnet._dtypes import name_of

    return None if dtype is None else DTYPES[name_of(dtype)]


class _Parameter:
    """A Parameter of Gluon."""

    def __init__(self, param: Any, name: str) -> None:
        self.param = param
        self.name = name

    def value(self) -> Any:
        if self.param._data is None:
            raise UnsupportedDataError(
                f"{self.name}: the Parameter {self.param.name!r} has no values yet. Initialise the network and run it once, so "
                "that all shapes are known, before saving."
            )
        arrays = self.param._data
        return arrays[0].to_torch() if len(arrays) == 1 else self.param._reduce().to_torch()

    def memory(self) -> Any:
        param = self.param
        if param._data is None or len(param._data) > 1 or (param._trainer and param._trainer._update_on_kvstore):
            return None
        return _memory(param._data[0])

    def put(self, array: Any, device: Any) -> None:
        from tensorkeep.mxnet.context import Context

        contexts = None if device is None else device if isinstance(device, Context) else Context(str(device))
        if contexts is not None and self.param._data is not None:
            self.param.reset_ctx(contexts)
        self.param._load_init(_array(array), contexts)


class _ModuleArray:
    """An array of a Module: "arg" or "aux", and its name."""

    def __init__(self, module: Any, kind: str, name: str, array: Any) -> None:
        self.module = module
        self.kind = kind
        self.name = name
        self.array = array

    def value(self) -> Any:
        if not self.module.params_initialized:
            raise UnsupportedDataError(
                f"{self.name}: the Module has no values yet. Call its init_params() before saving."
            )
        return self.array.to_torch()

    def memory(self) -> Any:
        return None  # it lies on each device as well

    def put(self, array: Any, device: Any) -> None:
        if device is not None:
            raise UnsupportedDataError(
                "A Module lies on the devices that it was made with (context=); leave device out."
            )
        given = {self.name: _array(array)}
        arg, aux = (given, {}) if self.kind == "arg" else ({}, given)
        self.module.set_params(arg, aux, allow_missing=True)


def _operators(module: Any) -> dict[str, str]:
    """Name of each array → the operator that takes it first."""
    from tensorkeep.formats._mxnet_symbol import loads

    symbol = getattr(module, "symbol", None)
    if symbol is None:
        return {}
    nodes = loads(symbol.tojson().encode(), what="the Module's symbol").nodes
    found: dict[str, str] = {}
    for node in nodes:
        fixed = node.op == "BatchNorm" and str(node.attrs.get("fix_gamma", "True")) in ("True", "true", "1")
        for entry in node.inputs:
            if nodes[entry[0]].is_variable:
                found.setdefault(nodes[entry[0]].name, _FIXED if fixed else node.op)
    return found


def _module_slots(module: Any) -> list[Slot]:
    if not module.binded:
        raise UnsupportedDataError(
            "The Module is not bound: its arrays have no shapes yet. Call its bind(data_shapes=…) first."
        )
    if module.params_initialized:
        arg, aux = module.get_params()
    else:
        arg, aux = module._arg_params, module._aux_params
    operators = _operators(module)
    return [
        Slot(
            f"{kind}:{name}",
            tuple(array.shape),
            _dtype(array.dtype),
            "parameter" if kind == "arg" else "buffer",
            (),
            str(array.ctx),
            _ModuleArray(module, kind, name, array),
            operators.get(name, ""),
        )
        for kind, arrays in (("arg", arg), ("aux", aux))
        for name, array in arrays.items()
    ]


def _array(values: Any) -> Any:
    """An array of MXNet with values of NumPy, of the kind that is in force."""
    from tensorkeep.core.foreign import to_torch
    from tensorkeep.mxnet import ndarray
    from tensorkeep.mxnet._invoke import wrap
    from tensorkeep.mxnet._state import state
    from tensorkeep.mxnet.context import cpu

    kind: Any = ndarray.NDArray
    if state.np_array:
        from tensorkeep.mxnet import numpy

        kind = numpy.ndarray
    return wrap(to_torch(values), cpu(), kind)


def _memory(array: Any) -> Any:
    tensor = array.to_torch()
    if tensor.device.type != "cpu" or not tensor.is_contiguous() or "bfloat16" in str(tensor.dtype):
        return None
    return tensor.numpy()


ADAPTER = MXNetAdapter()
