"""_Symbol: a symbol that stands for an mx.np.ndarray, and mx.sym.np's functions on it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, ClassVar, NoReturn

from tensorkeep.mxnet._numpy import Functions
from tensorkeep.mxnet._numpy.face import INTEGERS, OPERATORS, Face, context
from tensorkeep.mxnet.base import claim
from tensorkeep.mxnet.numpy._eager import legacy
from tensorkeep.mxnet.numpy._methods import add_methods
from tensorkeep.mxnet.symbol.register import compose
from tensorkeep.mxnet.symbol.symbol import Group, Symbol

__all__ = ["SymbolicFace", "_Symbol", "face", "refuse"]

_PREFIXES = ("_npi_", "_npx_", "_np_")
_METHODS = (
    "argmax argmin argsort clip cumsum dot max mean min prod repeat round sort squeeze std sum swapaxes take var abs "
    "arccos arccosh arcsin arcsinh arctan arctanh argmax_channel broadcast_axes broadcast_like broadcast_to cbrt ceil "
    "cos cosh degrees depth_to_space diag exp expand_dims expm1 fix flip floor log log10 log1p log2 log_softmax nanprod "
    "nansum norm one_hot ones_like pad pick radians rcbrt reciprocal relu reshape_like rint rsqrt shape_array sigmoid "
    "sign sin sinh size_array slice slice_axis slice_like softmax softmin space_to_depth split split_v2 sqrt square tan "
    "tanh tile topk trunc zeros_like"
)
"""What a _Symbol has as methods, those among them that only say that they are functions of mx.sym.np."""


class _Symbol(Symbol):
    """One or several outputs of a graph that are mx.np.ndarray when it is computed."""

    __slots__ = ()
    numpy_semantics: ClassVar[bool] = True

    @property
    def name(self) -> str | None:
        """The name of its node.

        Raises:
            AttributeError: it is a group.
        """
        if len(self._outputs) > 1:
            raise AttributeError(
                f"This is a Group Symbol that contains {len(self._outputs)} elements and does not have a name. Use "
                "str(sym) to print the name of all the elements instead."
            )
        return super().name

    def __repr__(self) -> str:
        if len(self._outputs) > 1:
            return f"<_Symbol group [{', '.join(str(part) for part in self)}]>"
        return f"<_Symbol {self.name}>"

    def __iter__(self) -> Iterator[Any]:
        if len(self._outputs) == 1:
            raise TypeError(f"'{self}' is not iterable.")
        return (self[i] for i in range(len(self._outputs)))

    def __len__(self) -> int:
        if len(self._outputs) == 1:
            raise TypeError(f"{self} is not a list and does not support len().")
        return len(self._outputs)

    def __getitem__(self, key: Any) -> Any:
        """Of a group an output, or a group of them; of a single one the elements that NumPy would pick."""
        count = len(self._outputs)
        if count > 1:
            return self._output(key, count)
        if isinstance(key, INTEGERS):
            picked = face.call("_npi_slice", (self,), begin=[key], end=[key + 1])
            return face.call("_npi_reshape", (picked,), newshape=(-3, -4))
        if isinstance(key, slice):
            if key.step == 0:
                raise ValueError("slice step cannot be zero")
            begin = [None] if key.start is None else key.start
            end = [None] if key.stop is None else key.stop
            return face.call("_npi_slice", (self,), begin=begin, end=end, step=key.step)
        if not isinstance(key, tuple):
            raise _not_a_key(key)
        return self._picked(key) if key else self

    def _output(self, key: Any, count: int) -> Any:
        if isinstance(key, slice):
            return Group([self[i] for i in range(*key.indices(count))], _Symbol)
        if not isinstance(key, INTEGERS):
            raise TypeError(f"indices of symbol group must be integers or slices, not {type(key)}")
        if not -count <= key < count:
            raise IndexError("list index out of range")
        return _Symbol([self._outputs[int(key)]])

    def _picked(self, key: tuple[Any, ...]) -> Any:
        begin, end, step, shape = [], [], [], []
        for index in key:
            if isinstance(index, slice):
                if index.step == 0:
                    raise ValueError("slice step cannot be zero")
                begin.append(index.start)
                end.append(index.stop)
                step.append(index.step)
                shape.append(-2)
            elif isinstance(index, INTEGERS):
                begin.append(index)
                end.append(index + 1 if index >= 0 else index - 1)
                step.append(1 if index >= 0 else -1)
                shape.append(-3)
            else:
                raise _not_a_key(key)
        picked = face.call("_npi_slice", (self,), begin=begin, end=end, step=step)
        return face.call("_npi_reshape", (picked,), newshape=(*shape, -4))

    def __setitem__(self, key: Any, value: Any) -> None:
        raise NotImplementedError("a symbol cannot be written into")

    def __reduce__(self) -> Any:
        return Symbol, (None,), self.__getstate__()

    @property
    def T(self) -> Any:
        """Its axes in the other order."""
        return self.transpose()

    def as_np_ndarray(self) -> Any:
        """The symbol itself."""
        return self

    def as_nd_ndarray(self) -> Any:
        """The same outputs as a symbol of mx.nd."""
        return Symbol(list(self._outputs))

    def astype(
        self, dtype: Any, order: str | None = "K", casting: str = "unsafe", subok: bool = True, copy: bool = True
    ) -> Any:
        """The same values in another dtype."""
        if order not in (None, "K", "C"):
            raise ValueError("order must be either 'K' or 'C'")
        if casting != "unsafe":
            raise ValueError("casting must be equal to 'unsafe'")
        if not subok:
            raise ValueError("subok must be equal to True")
        return face.call("_npi_cast", (self,), dtype=dtype)

    def reshape(self, *args: Any, **kwargs: Any) -> Any:
        """The elements in another shape: reshape(2, 3) or reshape((2, 3)); -1 is what is left."""
        if kwargs.keys() - {"order"}:
            raise TypeError(f"{next(iter(kwargs))} is an invalid keyword argument for this function")
        order = kwargs.get("order", "C")
        if order != "C":
            raise NotImplementedError(f"only supports C-order, while received {order}")
        if not args:
            raise TypeError("reshape() takes exactly 1 argument (0 given)")
        shape = args[0] if len(args) == 1 and isinstance(args[0], tuple) else args
        return face.call("_np_reshape", (self,), newshape=shape, order=order)

    def flatten(self, order: str = "C") -> Any:
        """The elements in one dimension."""
        return self.reshape(-1, order=order)

    def transpose(self, *axes: Any) -> Any:
        """The axes in another order; without arguments in the reverse one."""
        order: Any = axes or None
        if len(axes) == 1 and (axes[0] is None or isinstance(axes[0], (tuple, list))):
            order = axes[0]
        return face.call("_np_transpose", (self,), axes=order)

    def __neg__(self) -> Any:
        return face.with_number("_npi_multiply_scalar", self, -1.0)


def _not_a_key(key: Any) -> IndexError:
    return IndexError(f"Only integer, slice, or tuple of these types are supported! Received key={key}")


class SymbolicFace(Face):
    """How operators are called on symbols."""

    array = _Symbol
    eager = False

    def call(self, name: str, inputs: Any, out: Any = None, **attrs: Any) -> Any:
        """A node with the operator; a list of its outputs when it has several."""
        for symbol in inputs:
            if not isinstance(symbol, _Symbol):
                refuse(name, symbol)
        if attrs.get("dtype", "") is None:
            del attrs["dtype"]
        hint = name
        for prefix in _PREFIXES:
            hint = hint.removeprefix(prefix)
        found = compose(OPERATORS[name], inputs, attrs, None, _Symbol, hint=hint)
        outputs = found._outputs
        return found if len(outputs) == 1 else [_Symbol([entry]) for entry in outputs]

    def with_number(self, name: str, array: Any, number: Any, out: Any = None, left: bool = False) -> Any:
        """A node with an operator of a symbol and a number.

        MXNet notes whether the number is an integer where it stands on the right, and always "no" on the left.
        """
        whole = isinstance(number, INTEGERS) and not left
        return self.call(name, (array,), out, scalar=float(number), is_int=whole)

    def at(self, ctx: Any) -> dict[str, Any]:
        """The context, which MXNet always writes into the node."""
        return {"ctx": context(ctx)}

    def several(self, found: Any) -> Any:
        """Several symbols, as a list; one as it is."""
        return found

    def length(self, array: Any, axis: int) -> int | None:
        """The size of an axis: not known."""
        return None


class _Symbolic(SymbolicFace, Functions):
    """mx.sym.np's functions."""


def refuse(name: str, value: Any) -> NoReturn:
    """Raise what MXNet says of an input that is no _Symbol.

    Raises:
        TypeError: it is a Symbol of mx.nd.
        AssertionError: it is no symbol at all.
    """
    if not isinstance(value, Symbol):
        raise AssertionError(f"Argument data must be Symbol instances, but got {value}")
    raise legacy(name)


face = _Symbolic()
add_methods(_Symbol, face, frozenset(_METHODS.split()))


def _arithmetic(name: str, reversed_: bool = False) -> Callable[[Any, Any], Any]:
    function = getattr(face, name)
    if reversed_:
        return lambda self, other: function(other, self)
    return lambda self, other: function(self, other)


for _method, _name in {
    "add": "add", "sub": "subtract", "mul": "multiply", "truediv": "divide", "div": "divide", "mod": "mod",
    "pow": "power", "eq": "equal", "ne": "not_equal", "gt": "greater", "ge": "greater_equal", "lt": "less",
    "le": "less_equal",
}.items():  # fmt: skip
    setattr(_Symbol, f"__{_method}__", _arithmetic(_name))
for _method, _name in {
    "radd": "add", "rsub": "subtract", "rmul": "multiply", "rtruediv": "divide", "rdiv": "divide", "rmod": "mod",
    "rpow": "power",
}.items():  # fmt: skip
    setattr(_Symbol, f"__{_method}__", _arithmetic(_name, reversed_=True))
_Symbol.__hash__ = None  # type: ignore[assignment]  # == gives a symbol

claim(globals())
_Symbol.__module__ = "mxnet.symbol.numpy"
