"""The state of a training run as plain data (`capture`), and plain data back into its objects (`Filling`).

A model becomes a dict of its tensors by name; an optimizer of torch the same by the names of its parameters; an object with
`state_dict` what that gives; a named tuple or dataclass the dict of its fields. Numbers, strings and arrays stay.
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable, Mapping
from typing import Any

from tensorkeep.adapters import find
from tensorkeep.adapters._arrays import is_jax
from tensorkeep.adapters._sharded import fill_dtensor, is_dtensor
from tensorkeep.adapters._stateful import stateful
from tensorkeep.adapters.base import Adapter
from tensorkeep.adapters.match import Named, Row, plan
from tensorkeep.checkpoint._pieces import shards_of
from tensorkeep.core.foreign import as_tensor
from tensorkeep.core.tensor import SparseTensor, Tensor
from tensorkeep.errors import MismatchError, UnsupportedDataError

__all__ = ["EXTRA", "Restore", "capture", "is_stateful", "kind_of"]

EXTRA = "_extra_state"
_KEY = "__jax_key__"


def kind_of(value: Any) -> str:
    """What an entry of a state is: "model", "optimizer", "object" (has state_dict), "loader" (a DataLoader without), "data"."""
    if isinstance(value, (dict, list, tuple, int, float, str, bytes, bool, type(None))):
        return "data"
    if _is_optimizer(value):
        return "optimizer"
    if _model_adapter(value) is not None:
        return "model"
    if is_stateful(value):
        return "object"
    return "loader" if is_loader(value) else "data"


def is_loader(value: Any) -> bool:
    """Whether it is a DataLoader of torch without state, as it is or as Accelerate prepared it."""
    return type(value).__name__ == "DataLoader" or getattr(value, "use_stateful_dataloader", None) is False


def is_stateful(value: Any) -> bool:
    """Whether an object tells and takes its state, or we know how to make it do so."""
    return stateful(value) is not None


def _is_optimizer(value: Any) -> bool:
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(value, torch.optim.Optimizer)


def _model_adapter(value: Any) -> Adapter | None:
    """The adapter of a model; None for data, which the adapter for trees would take as well."""
    if isinstance(value, (Mapping, list, tuple)) or (dataclasses.is_dataclass(value) and not _is_equinox(value)):
        return None
    if is_dtensor(value) or is_jax(value) or as_tensor_or_none(value) is not None:
        return None
    try:
        adapter = find(value)
    except UnsupportedDataError:
        return None
    return None if adapter.name == "tree" else adapter


def _is_equinox(value: Any) -> bool:
    module = sys.modules.get("equinox")
    return module is not None and isinstance(value, module.Module)


def as_tensor_or_none(value: Any) -> Tensor | SparseTensor | None:
    """The Tensor of an array; None of everything else, also of arrays that cannot be stored."""
    if isinstance(value, (str, int, float, bytes)) or value is None:
        return None
    return as_tensor(value, where="the state")


def capture(value: Any, models: Mapping[int, str] | None = None, path: str = "") -> Any:
    """Plain data that stand for `value`; arrays are shared, not copied.

    Args:
        models: id of each parameter → its name, for optimizers.
    Raises:
        UnsupportedDataError: something has no state that can be stored; the text names its path and what to do.
    """
    names = models if models is not None else parameter_names(value)
    if value is None or isinstance(value, (str, bytes, bool, int, float, complex)):
        return value
    shards = shards_of(value, path or "the state")
    if shards is not None:
        return shards
    if _is_key(value):
        jax = sys.modules["jax"]
        return {_KEY: str(jax.random.key_impl(value)), "data": jax.random.key_data(value)}
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return {name: capture(getattr(value, name), names, _below(path, name)) for name in value._fields}
    if isinstance(value, Mapping):
        return {key: capture(item, names, _below(path, key)) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)([capture(item, names, _below(path, i)) for i, item in enumerate(value)])
    if _is_optimizer(value):
        from tensorkeep.adapters._torch_optimizer import state_by_name

        return capture(state_by_name(value, names), names, path)
    adapter = _model_adapter(value)
    if adapter is not None:
        return _capture_model(adapter, value, names, path)
    if as_tensor(value, where=path or "the state") is not None:
        return value
    if is_stateful(value):
        return capture(stateful(value).state_dict(), names, path)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: capture(getattr(value, f.name), names, _below(path, f.name)) for f in dataclasses.fields(value)}
    if _is_numpy_scalar(value):
        return value
    kind = type(value)
    hint = "Give it a state_dict() and a load_state_dict(), or leave it out."
    if callable(getattr(value, "get_state", None)):
        hint = "Put what its get_state() gives into the state, and set it after restore()."
    raise UnsupportedDataError(
        f"{path or 'the state'}: a {kind.__module__}.{kind.__qualname__} has no state that can be saved. {hint}"
    )


def _below(path: str, key: Any) -> str:
    return f"{path}.{key}" if path else str(key)


def _is_key(value: Any) -> bool:
    jax = sys.modules.get("jax")
    return (
        jax is not None
        and isinstance(value, jax.Array)
        and bool(jax.dtypes.issubdtype(value.dtype, jax.dtypes.prng_key))
    )


def _is_numpy_scalar(value: Any) -> bool:
    numpy = sys.modules.get("numpy")
    return numpy is not None and isinstance(value, numpy.generic)


def _capture_model(adapter: Adapter, model: Any, names: Mapping[int, str], path: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for slot in adapter.slots(model):
        value = adapter.held(slot)
        shards = shards_of(value, _below(path, slot.name))
        value = value if shards is None else shards
        for name in (slot.name, *slot.aliases):
            found[name] = value
    if adapter.name == "torch":
        extra = {name: value for name, value in model.state_dict().items() if name.endswith(EXTRA)}
        found |= {name: capture(value, names, _below(path, name)) for name, value in extra.items()}
    return found


def parameter_names(state: Any) -> dict[int, str]:
    """id of each torch parameter → its name, over all models of a state; several models' names carry their entries' keys."""
    torch = sys.modules.get("torch")
    if torch is None:
        return {}
    found: list[tuple[str, Any]] = []

    def visit(value: Any, path: str) -> None:
        if isinstance(value, torch.nn.Module):
            found.append((path, value))
        elif isinstance(value, Mapping):
            for key, item in value.items():
                visit(item, _below(path, key))
        elif isinstance(value, (list, tuple)):
            for i, item in enumerate(value):
                visit(item, _below(path, i))

    visit(state, "")
    names: dict[int, str] = {}
    adapter = find(found[0][1]) if found else None
    for path, model in found:
        assert adapter is not None
        for slot in adapter.slots(model):
            name = slot.name if len(found) == 1 else _below(path, slot.name)
            tensor = getattr(slot.handle, "tensor", None)
            names.setdefault(id(tensor), name)
    return names


@dataclasses.dataclass
class _Work:
    """What a restore will do, collected before anything is changed.

    Attributes:
        names: id of each torch parameter → its name.
        strict: whether an entry that the step lacks is a problem.
        actions: what changes objects, in order.
        reads: tensors that go straight into memory that is there.
        problems: what stands against it; then nothing is done.
    """

    names: Mapping[int, str]
    strict: bool
    actions: list[Callable[[], None]] = dataclasses.field(default_factory=list)
    reads: list[tuple[Tensor, Any]] = dataclasses.field(default_factory=list)
    problems: list[str] = dataclasses.field(default_factory=list)


class Restore:
    """What was captured, going back into the objects of a state.

    Everything is looked at first: a model that does not fit, an entry that is missing. Only then is anything changed.
    """

    def __init__(self, state: Any, saved: Any, *, strict: bool = True) -> None:
        self._work = _Work(parameter_names(state), strict)
        self._made = _plan(state, saved, "", self._work)

    def check(self) -> None:
        """Raise MismatchError with everything that does not fit; nothing was changed."""
        if self._work.problems:
            lines = "\n".join(f"  {line}" for line in self._work.problems)
            raise MismatchError(f"The step does not fit the state; nothing was changed.\n{lines}")

    def carry_out(self) -> Any:
        """Change the objects; the state, with plain values replaced.

        Raises: what an object's own `load_state_dict` raises, with a note on what the state is then.
        """
        from tensorkeep.storage.filling import read_into

        read_into([tensor for tensor, _ in self._work.reads], [memory for _, memory in self._work.reads])
        for i, action in enumerate(self._work.actions):
            try:
                action()
            except Exception as err:
                err.add_note(
                    f"Raised while the state was filled: the arrays and {i} of {len(self._work.actions)} objects are those of the "
                    "step, the others are not. The step itself is untouched: make the state anew and restore again."
                )
                raise
        return self._made()


def _plan(value: Any, saved: Any, path: str, work: _Work) -> Callable[[], Any]:
    """What will give the new value; what changes objects goes into `work`."""
    if isinstance(value, tuple) and hasattr(value, "_fields") and isinstance(saved, dict):
        parts = {
            k: _plan(getattr(value, k), saved[k], _below(path, k), work)
            for k in value._fields
            if _has(saved, k, path, work)
        }
        return lambda: value._replace(**{k: part() for k, part in parts.items()})  # type: ignore[attr-defined]  # a named tuple
    if isinstance(value, dict) and isinstance(saved, dict) and not _is_saved_key(saved):
        return _plan_dict(value, saved, path, work)
    if isinstance(value, (list, tuple)) and isinstance(saved, (list, tuple)):
        return _plan_list(value, saved, path, work)
    if _is_optimizer(value):
        from tensorkeep.adapters._torch_optimizer import plan_state

        work.problems += [f"{path}: {line}" for line in plan_state(value, saved, work.names, work.actions, _arrays)]
        return lambda: value
    if _is_key(value) and _is_saved_key(saved):
        jax = sys.modules["jax"]
        return lambda: jax.random.wrap_key_data(jax.numpy.asarray(_arrays(saved["data"])), impl=saved[_KEY])
    adapter = _model_adapter(value)
    if adapter is not None:
        return _plan_model(adapter, value, saved, path, work)
    if is_jax(value):
        return _plan_jax(value, saved, path, work)
    if is_dtensor(value) or as_tensor_or_none(value) is not None:
        return _plan_array(value, saved, path, work)
    if is_stateful(value):
        work.actions.append(lambda: stateful(value).load_state_dict(_like_torch(_arrays(saved))))
        return lambda: value
    if dataclasses.is_dataclass(value) and not isinstance(value, type) and isinstance(saved, dict):
        names = [f.name for f in dataclasses.fields(value) if _has(saved, f.name, path, work)]
        fields = {name: _plan(getattr(value, name), saved[name], _below(path, name), work) for name in names}
        return lambda: dataclasses.replace(value, **{name: part() for name, part in fields.items()})
    return lambda: _arrays(saved)


def _plan_list(value: Any, saved: Any, path: str, work: _Work) -> Callable[[], Any]:
    if len(value) != len(saved):
        if any(kind_of(item) != "data" for item in value):
            work.problems.append(f"{path}: {len(saved)} items in the step, {len(value)} in the state.")
        return lambda: _arrays(saved)
    items = [_plan(a, b, _below(path, i), work) for i, (a, b) in enumerate(zip(value, saved, strict=True))]

    def rebuilt() -> Any:
        new = [item() for item in items]
        if isinstance(value, list):
            value[:] = new
            return value
        return type(value)(new)

    return rebuilt


def _plan_dict(value: dict[Any, Any], saved: dict[Any, Any], path: str, work: _Work) -> Callable[[], Any]:
    missing = [key for key in value if key not in saved and kind_of(value[key]) != "loader"]
    fixed = [key for key in missing if work.strict and (kind_of(value[key]) != "data" or path == "")]
    if fixed:
        listed = ", ".join(map(str, saved)) or "nothing"
        work.problems.append(
            f"{path or 'the state'}: the step has no {', '.join(repr(key) for key in fixed)} (it has {listed}). Leave it out "
            "of the state, or give strict=False to keep it as it is."
        )
    parts = {key: _plan(child, saved[key], _below(path, key), work) for key, child in value.items() if key in saved}
    extra = {key: found for key, found in saved.items() if key not in value}

    def rebuilt() -> Any:
        for key, part in parts.items():
            value[key] = part()
        if path:  # what the step has beside belongs to a dict of values, such as a history; the state itself keeps its entries
            value.update({key: _arrays(found) for key, found in extra.items()})
        return value

    return rebuilt


def _has(saved: dict[str, Any], name: str, path: str, work: _Work) -> bool:
    if name not in saved:
        work.problems.append(f"{_below(path, name)}: the step does not have it.")
    return name in saved


def _is_saved_key(saved: Any) -> bool:
    return isinstance(saved, dict) and set(saved) == {_KEY, "data"}


def _plan_model(adapter: Adapter, model: Any, saved: Any, path: str, work: _Work) -> Callable[[], Any]:
    if not isinstance(saved, dict):
        work.problems.append(f"{path}: a model in the state, a {type(saved).__name__} in the step.")
        return lambda: model
    tensors = {name: tensor for name, tensor in saved.items() if isinstance(tensor, Tensor)}
    extra = {name: value for name, value in saved.items() if name.endswith(EXTRA)}
    found = plan(
        path,
        {name: tensor for name, tensor in tensors.items() if name not in extra},
        Named("", {name: name for name in tensors if name not in extra}),
        adapter.slots(model),
        allow_missing=not work.strict,
        ignore_extra=not work.strict,
    )
    work.problems += [f"{path}: {line}" for line in found.problems]
    rows: list[Row] = found.rows

    def act() -> None:
        from tensorkeep.adapters._fill import fill

        fill(adapter, rows)
        if extra:
            model.load_state_dict({name: _like_torch(_arrays(value)) for name, value in extra.items()}, strict=False)

    work.actions.append(act)
    return lambda: adapter.finish(model, [row.slot for row in rows])


def _plan_array(value: Any, saved: Any, path: str, work: _Work) -> Callable[[], Any]:
    from tensorkeep.adapters._arrays import like

    if is_dtensor(value):
        return _plan_dtensor(value, saved, path, work)
    own = as_tensor_or_none(value)
    if isinstance(saved, SparseTensor) or isinstance(own, SparseTensor):
        return lambda: _arrays(saved)
    if not isinstance(saved, Tensor):
        work.problems.append(f"{path}: an array in the state, a {type(saved).__name__} in the step.")
        return lambda: value
    assert own is not None
    if own.shape != saved.shape or own.dtype != saved.dtype:
        work.problems.append(
            f"{path}: {saved.dtype} {list(saved.shape)} in the step, {own.dtype} {list(own.shape)} in the state."
        )
        return lambda: value
    memory = _memory(value)
    if memory is not None:
        work.reads.append((saved, memory))
        return lambda: value
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(value, torch.Tensor):

        def copied() -> Any:
            value.detach().copy_(like(value.detach(), saved))
            return value

        return copied
    return lambda: like(value, saved)


def _plan_jax(value: Any, saved: Any, path: str, work: _Work) -> Callable[[], Any]:
    """A new array on the devices and with the sharding of `value` (or of a ShapeDtypeStruct), read box by box."""
    from tensorkeep.adapters._arrays import dtype_of, like

    shape, dtype = tuple(value.shape), dtype_of(value, path)
    if not isinstance(saved, Tensor) or tuple(saved.shape) != shape or saved.dtype != dtype:
        found = f"{saved.dtype} {list(saved.shape)}" if isinstance(saved, Tensor) else f"a {type(saved).__name__}"
        work.problems.append(f"{path}: {found} in the step, {dtype} {list(shape)} in the state.")
        return lambda: value
    return lambda: like(value, saved)


def _plan_dtensor(value: Any, saved: Any, path: str, work: _Work) -> Callable[[], Any]:
    if not isinstance(saved, Tensor) or tuple(saved.shape) != tuple(value.shape):
        found = list(saved.shape) if isinstance(saved, Tensor) else type(saved).__name__
        work.problems.append(f"{path}: {found} in the step, a DTensor {list(value.shape)} in the state.")
    else:
        work.actions.append(lambda: fill_dtensor(value, saved))
    return lambda: value


def _memory(value: Any) -> Any:
    """A writable array on the memory of an array of NumPy or torch; None where there is none or it is not contiguous."""
    import numpy as np

    torch = sys.modules.get("torch")
    if torch is not None and isinstance(value, torch.Tensor):
        if value.device.type != "cpu" or not value.is_contiguous() or value.is_sparse:
            return None
        own = as_tensor_or_none(value)
        return own.numpy() if isinstance(own, Tensor) and own._array is not None else None
    plain = isinstance(value, np.ndarray) and value.flags.writeable and value.flags.c_contiguous
    return value if plain and value.dtype.isnative else None


def _arrays(saved: Any) -> Any:
    """The saved data with arrays of their own in the place of Tensors."""
    from tensorkeep.core.tree import map_tree
    from tensorkeep.storage.reading import read_tensors

    def leaf(value: Any) -> Any:
        if isinstance(value, Tensor):
            return read_tensors([value], verify=False)[0]
        return value

    return map_tree(saved, leaf)


def _like_torch(data: Any) -> Any:
    """Arrays as torch tensors for the objects of torch and its friends, which want them back as they gave them."""
    torch = sys.modules.get("torch")
    if torch is None:
        return data
    import numpy as np

    from tensorkeep.core.foreign import to_torch
    from tensorkeep.core.tree import map_tree

    return map_tree(data, lambda value: to_torch(value) if isinstance(value, np.ndarray) else value)
