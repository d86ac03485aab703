"""Custom: an operator that a user wrote in Python."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from torch import Tensor

from tensorkeep.mxnet._registry import Attrs, Operator, Shape, add
from tensorkeep.mxnet._schema import schema
from tensorkeep.mxnet.ops._rules import DTypes, Shapes

if TYPE_CHECKING:
    from tensorkeep.mxnet._custom import CustomCall


def custom(*data: Tensor, call: CustomCall, is_train: bool) -> tuple[Tensor, ...]:
    """What the class gives that `mx.operator.register(op_type)` made known.

    data are its arguments, then its auxiliary states; all other keywords go to the class as strings.
    """
    return call.run(data, is_train)


class _Custom(Operator):
    """Its parameters, inputs and outputs are what the user's class says."""

    __slots__ = ()

    def computes(self, attrs: Attrs) -> bool:
        from tensorkeep.mxnet.operator import is_registered

        return is_registered(attrs.get("op_type", ""))

    def parse(self, attrs: Attrs) -> Attrs:
        from tensorkeep.mxnet._custom import CustomCall

        texts = {key: value if type(value) is str else str(value) for key, value in attrs.items() if key[:2] != "__"}
        return {"call": CustomCall(texts)}

    def complete(self, attrs: Attrs) -> Attrs:
        return self.parse(attrs)

    def input_names(self, complete: Attrs) -> list[str]:
        call: CustomCall = (complete if "call" in complete else self.parse(complete))["call"]
        return [*call.arguments, *call.states]

    def outputs(self, complete: Attrs) -> int:
        return len(complete["call"].outputs)

    def visible(self, complete: Attrs) -> int:
        return len(complete["call"].outputs)

    def mutated(self, complete: Attrs) -> tuple[int, ...]:
        call: CustomCall = complete["call"]
        return tuple(range(len(call.arguments), len(call.arguments) + len(call.states)))

    def named_outputs(self, complete: Attrs) -> Sequence[str]:
        names: list[str] = complete["call"].outputs
        return names


def _shapes(shapes: list[Shape], attrs: Attrs) -> Shapes:
    found: tuple[Any, Any] = attrs["call"].shapes(shapes)
    return found


def _dtypes(dtypes: list[str | None], attrs: Attrs) -> DTypes:
    found: tuple[Any, Any] = attrs["call"].dtypes(dtypes)
    return found


add(_Custom(schema("Custom"), custom, inputs=None, outputs=1, visible=None, shape=_shapes, dtype=_dtypes, view=False))
