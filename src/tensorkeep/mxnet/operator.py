"""mx.operator: operators that users write in Python."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from tensorkeep.mxnet._schema import all_names, schema
from tensorkeep.mxnet._state import state
from tensorkeep.mxnet.base import MXNetError, claim

__all__ = [
    "CustomOp", "CustomOpProp", "OperatorArguments", "get_all_registered_operators", "get_operator_arguments",
    "register",
]  # fmt: skip


class CustomOp:
    """What a custom operator computes: subclass it and override `forward` and `backward`."""

    def forward(self, is_train: bool, req: list[str], in_data: list[Any], out_data: list[Any], aux: list[Any]) -> None:
        """Compute out_data from in_data.

        Args:
            is_train: whether it is called for training.
            req: how each output is to be stored: "null", "write" or "add"; `assign` does so.
            aux: the auxiliary states, which may be changed.
        """

    def backward(
        self, req: list[str], out_grad: list[Any], in_data: list[Any], out_data: list[Any], in_grad: list[Any],
        aux: list[Any],
    ) -> None:  # fmt: skip
        """Compute in_grad, the gradients of the inputs, from out_grad, those of the outputs.

        Args:
            req: how each gradient is to be stored: "null" where none is wanted.
        """

    def assign(self, dst: Any, req: str, src: Any) -> None:
        """Store src in dst as `req` says."""
        where = () if state.np_array else slice(None)
        if req in ("write", "inplace"):
            dst[where] = src
        elif req == "add":
            dst[where] += src


class CustomOpProp:
    """What a custom operator takes and gives: subclass it, override what differs, and `register` it.

    The parameters of a call (`nd.Custom(x, op_type="mine", alpha=2)`) are given to the constructor as strings.

    Args:
        need_top_grad: whether backward reads out_grad.
    """

    def __init__(self, need_top_grad: bool = True) -> None:
        self.need_top_grad_ = need_top_grad

    def infer_shape(self, in_shape: list[Any]) -> Any:
        """The shapes of arguments, outputs and auxiliary states (which may be left out) from those of the arguments."""
        return in_shape, (in_shape[0],) * len(self.list_outputs()), ()

    def infer_type(self, in_type: list[Any]) -> Any:
        """The same for NumPy's types of their elements."""
        return (
            in_type, [in_type[0]] * len(self.list_outputs()), [in_type[0]] * len(self.list_auxiliary_states()),
        )  # fmt: skip

    def infer_storage_type(self, in_stype: list[str]) -> Any:
        """The same for storage types; here all are "default"."""
        return (
            in_stype, ["default"] * len(self.list_outputs()), ["default"] * len(self.list_auxiliary_states()),
        )  # fmt: skip

    def list_outputs(self) -> list[str]:
        """The names of the outputs."""
        return ["output"]

    def list_arguments(self) -> list[str]:
        """The names of the inputs."""
        return ["data"]

    def list_auxiliary_states(self) -> list[str]:
        """The names of the auxiliary states, the last inputs of a call."""
        return []

    def declare_backward_dependency(
        self, out_grad: Sequence[int], in_data: Sequence[int], out_data: Sequence[int]
    ) -> list[int]:
        """Which arrays backward reads."""
        return [*(out_grad if self.need_top_grad_ else ()), *in_data, *out_data]

    def create_operator(self, ctx: Any, in_shapes: list[list[int]], in_dtypes: list[int]) -> CustomOp:
        """The CustomOp for a device, shapes, and type flags (0 is float32) of the inputs."""
        return CustomOp()


_CLASSES: dict[str, type[CustomOpProp]] = {}


def register(reg_name: str) -> Callable[[type[CustomOpProp]], type[CustomOpProp]]:
    """A decorator that makes a CustomOpProp known as `op_type=reg_name`; a later one replaces an earlier one."""

    def do_register(prop_cls: Any) -> type[CustomOpProp]:
        if not (isinstance(prop_cls, type) and issubclass(prop_cls, CustomOpProp)):
            raise AssertionError("Can only register subclass of CustomOpProp")
        found: type[CustomOpProp] = prop_cls
        _CLASSES[reg_name] = found
        return found

    return do_register


register("custom_op")(CustomOpProp)


def is_registered(op_type: str) -> bool:
    """Whether a class is registered under this name."""
    return op_type in _CLASSES


def find_class(op_type: str) -> Callable[..., CustomOpProp]:
    """The registered class.

    Raises:
        MXNetError: none has this name.
    """
    if not op_type:
        raise MXNetError("Required argument `op_type` is missing.")
    if op_type not in _CLASSES:
        raise MXNetError(
            f"Cannot find custom operator {op_type}. Those that are registered: {', '.join(sorted(_CLASSES))}; "
            "import the module whose class is decorated with mx.operator.register first."
        )
    return _CLASSES[op_type]


def get_all_registered_operators() -> list[str]:
    """The names of MXNet's forward operators, aliases included."""
    return list(all_names())


class OperatorArguments(NamedTuple):
    """How many arguments an operator takes, their names and their types in MXNet's words."""

    narg: int
    names: list[str]
    types: list[str]


def get_operator_arguments(op_name: str) -> OperatorArguments:
    """What an operator takes.

    Raises:
        MXNetError: MXNet has no such operator.
    """
    if op_name not in all_names():
        raise MXNetError(f"Cannot find operator {op_name}")
    found = schema(op_name)
    types = []
    for name, is_input in found.order:
        if is_input:
            types.append("NDArray-or-Symbol[]" if found.variadic else "NDArray-or-Symbol")
            continue
        param = found.params[name]
        quoted = param.type in ("int", "string") or param.type.startswith("{")
        comma = "," if param.type.startswith("{") and not param.required else ", "
        default = f"'{param.default}'" if quoted else param.default
        types.append(f"{param.type}{comma}{'required' if param.required else f'optional, default={default}'}")
    return OperatorArguments(len(types), [name for name, _ in found.order], types)


claim(globals())
