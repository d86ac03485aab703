"""PyTorch: nn.Module, also wrapped in DataParallel, DDP, FSDP or torch.compile; DTensors fill their own part."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any, NamedTuple

from tensorkeep.adapters._arrays import class_in
from tensorkeep.adapters._sharded import box_of, is_dtensor
from tensorkeep.adapters.base import Adapter, Slot
from tensorkeep.core.dtypes import DTYPES, DType
from tensorkeep.errors import UnsupportedDataError

__all__ = ["ADAPTER", "TorchAdapter"]


class _Place(NamedTuple):
    """Where a tensor hangs: its modules and attribute names (several of a tied one), and the tensor.

    `lent`: its memory is FSDP's, which resizes it later and could not once NumPy has seen it.
    """

    owners: tuple[tuple[Any, str], ...]
    tensor: Any
    lent: bool = False


class TorchAdapter(Adapter):
    """Parameters and persistent buffers of an nn.Module, by the names of its state_dict without wrappers' segments."""

    name = "torch"
    layout = "torch"

    def owns(self, model: Any) -> bool:
        return isinstance(model, sys.modules["torch"].nn.Module)

    def slots(self, model: Any) -> Sequence[Slot]:
        found: dict[int, tuple[list[str], list[tuple[Any, str]], Any, str]] = {}  # by the identity of the tensor
        for name, owner, attribute, tensor, kind in _tensors(model):
            if id(tensor) in found:
                found[id(tensor)][0].append(name)
                found[id(tensor)][1].append((owner, attribute))
            else:
                found[id(tensor)] = ([name], [(owner, attribute)], tensor, kind)
        lent = any(type(module).__name__ == _FSDP_1 for module in model.modules())
        return [
            Slot(
                names[0],
                tuple(tensor.shape),
                _dtype(tensor, names[0]),
                kind,
                tuple(names[1:]),
                str(tensor.device),
                _Place(tuple(owners), tensor, lent),
                class_in(owners[0][0], "torch"),
            )
            for names, owners, tensor, kind in found.values()
        ]

    def value(self, slot: Slot) -> Any:
        tensor = slot.handle.tensor.detach()
        if slot.device == "meta":
            raise UnsupportedDataError(
                f"{slot.name}: the tensor is on the meta device and has no values. Load or initialise it before saving."
            )
        return tensor.full_tensor() if is_dtensor(tensor) else tensor.clone() if slot.handle.lent else tensor

    def held(self, slot: Slot) -> Any:
        tensor = slot.handle.tensor.detach()
        return tensor if is_dtensor(tensor) and slot.device != "meta" else self.value(slot)

    def memory(self, slot: Slot) -> Any:
        tensor = slot.handle.tensor.detach()
        if is_dtensor(tensor):
            tensor = tensor.to_local()
            if tuple(tensor.shape) != slot.shape:
                return None
        if slot.handle.lent or tensor.device.type != "cpu" or not tensor.is_contiguous() or slot.dtype is None:
            return None
        return _as_numpy(tensor, slot.dtype)

    def put(self, slot: Slot, array: Any, device: Any = None) -> None:
        torch = sys.modules["torch"]
        from tensorkeep.core.foreign import to_torch

        target = slot.handle.tensor
        values = to_torch(array)
        spread = is_dtensor(target)
        if spread and slot.device != "meta":
            target.to_local().detach().copy_(values)
            return
        if slot.device == "meta":
            made = values.to(device or (target.device_mesh.device_type if spread else "cpu")).contiguous()
            if spread:
                made = type(target).from_local(
                    made,
                    target.device_mesh,
                    target.placements,
                    run_check=False,
                    shape=target.shape,
                    stride=target.stride(),
                )
            if isinstance(target, torch.nn.Parameter):
                made = torch.nn.Parameter(made, requires_grad=target.requires_grad)
            for owner, attribute in slot.handle.owners:
                (owner._parameters if attribute in owner._parameters else owner._buffers)[attribute] = made
            return
        if device is not None and torch.device(device) != target.device:
            target.data = values.to(device)
        elif target.device.type == "cuda":
            target.detach().copy_(values.pin_memory(), non_blocking=True)
        else:
            target.detach().copy_(values)

    def finish(self, model: Any, slots: Sequence[Slot]) -> Any:
        torch = sys.modules["torch"]
        if any(slot.device.startswith("cuda") for slot in slots):
            torch.cuda.synchronize()
        return model

    def part(self, array: Any, slot: Slot) -> Any:
        tensor = slot.handle.tensor
        if not is_dtensor(tensor):
            return array
        start, shape = box_of(tensor, slot.name)
        return array[tuple(slice(at, at + size) for at, size in zip(start, shape, strict=True)) or ...]

    def order(self, model: Any) -> Sequence[str]:
        """The modules that hold tensors, in the order of their registration, which is that of use in most networks."""
        layers: dict[str, None] = {}
        for name, _, _, _, _ in _tensors(model):
            layers.setdefault(name.rpartition(".")[0])
        return list(layers)

    def order_of_use(self, model: Any, inputs: Sequence[Any]) -> Sequence[str]:
        """By a call in evaluation mode without gradients, watched by hooks on the modules that hold tensors."""
        torch = sys.modules["torch"]
        owners: dict[int, tuple[Any, str]] = {}
        for name, owner, *_ in _tensors(model):
            owners.setdefault(id(owner), (owner, name.rpartition(".")[0]))
        used: dict[str, None] = {}

        def watch(name: str) -> Any:
            return lambda module, args: used.setdefault(name)

        hooks = [owner.register_forward_pre_hook(watch(name)) for owner, name in owners.values()]
        training = {module: module.training for module in model.modules()}
        try:
            model.eval()
            with torch.no_grad():
                model(*inputs)
        finally:
            for hook in hooks:
                hook.remove()
            for module, before in training.items():
                module.training = before
        return list(used)


def _tensors(model: Any) -> list[tuple[str, Any, str, Any, str]]:
    """(name, owner, attribute, tensor, kind) of everything in the state_dict, tied ones at each of their places."""
    torch = sys.modules["torch"]
    found = []

    def visit(module: Any, start: str) -> None:
        if type(module).__name__ == _FSDP_1 and module.training_state.name != "SUMMON_FULL_PARAMS":
            raise UnsupportedDataError(
                f"{start or 'the model'}: a FullyShardedDataParallel module shows each process flat pieces of its parameters. "
                "Do it inside `with FullyShardedDataParallel.summon_full_params(model):`, saving on rank 0, loading on every rank, "
                "or shard with fully_shard (FSDP2), whose parameters are saved and loaded as they are."
            )
        hidden = module._non_persistent_buffers_set
        for attribute, tensor in module._parameters.items():
            if tensor is not None:
                found.append((start + attribute, module, attribute, tensor, "parameter"))
        for attribute, tensor in module._buffers.items():
            if tensor is not None and attribute not in hidden:
                found.append((start + attribute, module, attribute, tensor, "buffer"))
        for name, child in module._modules.items():
            if child is not None:
                visit(child, start if _wraps(module, name, torch) else f"{start}{name}.")

    visit(model, "")
    lazy = [name for name, *_, tensor, _ in found if torch.nn.parameter.is_lazy(tensor)]
    if lazy:
        raise UnsupportedDataError(
            f"{lazy[0]} and {len(lazy) - 1} more tensors of the model are lazy and have no shape yet. Run it once on an input, or "
            "give the layers their sizes."
        )
    return found


_FSDP_1 = "FullyShardedDataParallel"
_FSDP = "_fsdp_wrapped_module"
_CHECKPOINTED = "_checkpoint_wrapped_module"


def _wraps(module: Any, child: str, torch: Any) -> bool:
    """Whether `child` is what a wrapper wraps: its name is not part of the names."""
    if child == "module":
        return isinstance(module, (torch.nn.DataParallel, torch.nn.parallel.DistributedDataParallel))
    if child == "_orig_mod":
        return type(module).__module__.startswith("torch._dynamo")
    return child in (_FSDP, _CHECKPOINTED)


def _dtype(tensor: Any, name: str) -> DType:
    found = DTYPES.get(str(tensor.dtype).removeprefix("torch."))
    if found is None:
        raise UnsupportedDataError(
            f"{name}: a tensor of dtype {tensor.dtype} cannot be saved or loaded as a plain tensor. Save .int_repr() with its "
            "scale and zero point, or .dequantize()."
        )
    return found


def _as_numpy(tensor: Any, dtype: DType) -> Any:
    """A writable array on the tensor's memory; types that NumPy lacks as ml_dtypes' own."""
    from tensorkeep.core.dtypes import numpy_dtype

    torch = sys.modules["torch"]
    wanted = numpy_dtype(dtype)
    if wanted.kind in "biufc" and wanted.isbuiltin == 1:
        return tensor.numpy()
    bits = {1: torch.uint8, 2: torch.int16}.get(wanted.itemsize)
    return None if bits is None else tensor.view(bits).numpy().view(wanted)


ADAPTER = TorchAdapter()
