"""Symbol: a network, or a part of one, that is described and not yet computed."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from tensorkeep.core.bytesource import FileSource
from tensorkeep.errors import TensorkeepError
from tensorkeep.mxnet._dtypes import TORCH, flag_of, name_of, numpy_of
from tensorkeep.mxnet._state import state
from tensorkeep.mxnet.base import MXNetError, NotImplementedForSymbol, claim
from tensorkeep.mxnet.symbol._arithmetic import add_operators, call_later
from tensorkeep.mxnet.symbol._compose import mismatch, replace_variables, scoped, set_attrs
from tensorkeep.mxnet.symbol._infer import from_user, infer_dtypes, infer_shapes, known, to_user
from tensorkeep.mxnet.symbol._json import dump, parse
from tensorkeep.mxnet.symbol._node import HIDDEN, Entry, Node, copied, post_order, variables
from tensorkeep.storage.atomic import replace_file

if TYPE_CHECKING:
    from tensorkeep.mxnet.context import Context
    from tensorkeep.mxnet.executor import Executor

__all__ = ["Group", "Symbol", "Variable", "load", "load_json", "loads", "var"]

Inferred = tuple[list[Any] | None, list[Any] | None, list[Any] | None]
"""(of the arguments, of the outputs, of the auxiliary states); three Nones when they do not follow."""

_STORAGE = {"default": 0, "row_sparse": 1, "csr": 2}


class Symbol:
    """One or several outputs of a graph.

    Attributes:
        numpy_semantics: whether it stands for an mx.np.ndarray.
    """

    __slots__ = ("_outputs",)
    __array_priority__ = 1000.0

    numpy_semantics: ClassVar[bool] = False
    _outputs: Any  # list[Entry]; None while a pickle is being loaded

    def __init__(self, handle: list[Entry] | None) -> None:
        self._outputs = handle

    # -- what it consists of

    @property
    def name(self) -> str | None:
        """The name of its node; None for a group."""
        node = self._node()
        return None if node is None else node.name

    def _node(self) -> Node | None:
        """The one node whose outputs these are."""
        first = self._outputs[0][0]
        return first if all(entry[0] is first for entry in self._outputs) else None

    def __repr__(self) -> str:
        name = self.name
        if name is None:
            name = "group [" + ", ".join(str(part.name) for part in self) + "]"
        return f"<{type(self).__name__} {name}>"

    def __len__(self) -> int:
        return len(self._outputs)

    @property
    def num_outputs(self) -> int:
        """How many outputs it has."""
        return len(self._outputs)

    def __iter__(self) -> Iterator[Any]:
        return (self[i] for i in range(len(self)))

    def __getitem__(self, index: int | str | slice) -> Any:
        """One output by number or name ("fc1_output"), or a group of them by a slice."""
        if isinstance(index, slice):
            start, stop, step = index.start or 0, index.stop, index.step or 1
            return Group([self[i] for i in range(start, len(self) if stop is None else stop, step)], type(self))
        if isinstance(index, str):
            found = [i for i, name in enumerate(self.list_outputs()) if name == index]
            if len(found) > 1:
                raise ValueError(f'There are multiple outputs with name "{index}"')
            if not found:
                raise ValueError(f'Cannot find output that matches name "{index}"')
            index = found[0]
        if not isinstance(index, int):
            raise TypeError("Symbol only support integer index to fetch i-th output")
        if index >= len(self):
            raise IndexError
        if index < 0:
            raise MXNetError("Symbol only accept nonnegative index")
        return type(self)([self._outputs[index]])

    def get_internals(self) -> Any:
        """A group of the outputs of all its nodes, variables included."""
        heads: list[Entry] = []
        for node in post_order(self._outputs):
            if node.is_variable:
                heads.append((node, 0, node.version))
            else:
                heads += [(node, i, 0) for i in range(node.visible)]
        return type(self)(heads)

    def get_children(self) -> Any:
        """A group of what its node takes; None for a variable."""
        seen: set[int] = set()
        heads: list[Entry] = []
        for node, _, _ in self._outputs:
            if id(node) not in seen:
                seen.add(id(node))
                heads += node.inputs
        return type(self)(heads) if heads else None

    def list_arguments(self) -> list[str]:
        """The names of its variables without auxiliary states, in the order in which they are needed."""
        return [node.name for node in self._variables()[0]]

    def list_auxiliary_states(self) -> list[str]:
        """The names of the variables that operators change: running means and variances."""
        return [node.name for node in self._variables()[1]]

    def list_inputs(self) -> list[str]:
        """The names of all its variables."""
        return [node.name for node in post_order(self._outputs) if node.is_variable]

    def list_outputs(self) -> list[str]:
        """The names of its outputs: "fc1_output"."""
        return [node.output_name(i) for node, i, _ in self._outputs]

    def _variables(self) -> tuple[list[Node], list[Node]]:
        return variables(post_order(self._outputs))

    # -- attributes

    def attr(self, key: str) -> str | None:
        """An attribute of its node; None when it is not set, and for a group."""
        node = self._node()
        if node is None:
            return None
        if key == "name":
            return node.name
        return node.attrs.get(f"__{key}__" if key in HIDDEN else key)

    def list_attr(self, recursive: bool = False) -> dict[str, str]:
        """The attributes of its node; those of the first one of a group."""
        if recursive:
            raise DeprecationWarning(
                "Symbol.list_attr with recursive=True has been deprecated. Please use attr_dict instead."
            )
        return _shown(self._outputs[0][0])

    def attr_dict(self) -> dict[str, dict[str, str]]:
        """Node name → attributes, of all nodes that have some."""
        found: dict[str, dict[str, str]] = {}
        for node in post_order(self._outputs):
            if node.attrs:
                found.setdefault(node.name, {}).update(_shown(node))
        return found

    def _set_attr(self, **kwargs: str) -> None:
        """Set attributes of its node: strings."""
        node = self._node()
        if node is None:
            raise MXNetError("Symbol.SetAttrs only works for non-grouped symbol")
        set_attrs(node, kwargs)

    # -- copies and composition

    def __copy__(self) -> Any:
        return self.__deepcopy__(None)

    def __deepcopy__(self, _: Any) -> Any:
        return type(self)(copied(self._outputs))

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """A copy in which variables are replaced by other symbols: net(data=other)."""
        found = self.__copy__()
        found._compose(*args, **kwargs)
        return found

    def _compose(self, *args: Any, **kwargs: Any) -> None:
        """Replace variables in the symbol itself."""
        name = kwargs.pop("name", None)
        if args and kwargs:
            raise TypeError("compose only accept input Symbols as positional or keyword arguments, not both")
        if not all(isinstance(value, Symbol) for value in (*args, *kwargs.values())):
            raise TypeError("Compose expect `Symbol` as arguments")
        if args:
            raise MXNetError("General composition only support kwargs for now")
        replace_variables(self._outputs, {key: value._outputs for key, value in kwargs.items()}, name)

    def __getstate__(self) -> dict[str, str | None]:
        return {"handle": None if self._outputs is None else self.tojson()}

    def __setstate__(self, found: Any) -> None:
        if not isinstance(found, dict) or "handle" not in found:
            raise MXNetError("What was pickled is no state of a symbol.")
        text = found["handle"]
        if text is not None and not isinstance(text, str):
            raise MXNetError(f"The pickled symbol is no text but {type(text).__name__}.")
        self._outputs = None if text is None else _parsed(text, "the pickled symbol")

    def __reduce__(self) -> Any:
        return type(self), (None,), self.__getstate__()

    # -- shapes and dtypes

    def infer_shape(self, *args: Any, **kwargs: Any) -> Inferred:
        """The shapes of all arguments, outputs and auxiliary states, from those of some arguments.

        Args:
            args, kwargs: tuples, in the order of list_arguments() or by name. 0 stands for a dimension that is not
                known, -1 with NumPy semantics.
        Raises:
            MXNetError: the shapes contradict each other.
        """
        found = self._infer_shape_impl(False, *args, **kwargs)
        if found[1] is None:
            partial = self._infer_shape_impl(True, *args, **kwargs)[0] or []
            _warn_unknown(
                "shape for the following arguments (0s in shape means unknown dimensions). ",
                self.list_arguments(),
                partial,
                lambda shape: not shape or (-1 if state.np_shape else 0) in shape,
            )
        return found

    def infer_shape_partial(self, *args: Any, **kwargs: Any) -> Inferred:
        """The same as infer_shape, as far as they follow: () where nothing is known."""
        return self._infer_shape_impl(True, *args, **kwargs)

    def _infer_shape_impl(self, partial: bool, *args: Any, **kwargs: Any) -> Inferred:
        if args and kwargs:
            raise ValueError("Can only specify known argument shapes either by positional or kwargs way.")
        arguments, auxiliary = self._variables()
        for key, value in (*enumerate(args), *kwargs.items()):
            if value is not None and not isinstance(value, tuple):
                shown = f"argument {key}" if isinstance(key, int) else f"'{key}'"
                raise TypeError(f"Arguments need to be shapes (tuple), but {shown} is {type(value)}.")
        given = {id(node): from_user(shape) for node, shape in self._matched(args, kwargs, arguments, "InferShape")}
        shapes = infer_shapes(self._outputs, given)
        lists = [
            [shapes.get((id(node), 0)) for node in arguments],
            [shapes.get((id(node), i)) for node, i, _ in self._outputs],
            [shapes.get((id(node), 0)) for node in auxiliary],
        ]
        if not partial and not all(known(shape) for group in lists for shape in group):
            return None, None, None
        a, b, c = ([to_user(shape) for shape in group] for group in lists)
        return a, b, c

    def infer_type(self, *args: Any, **kwargs: Any) -> Inferred:
        """The dtypes of all arguments, outputs and auxiliary states, from those of some arguments.

        Raises:
            MXNetError: the dtypes contradict each other.
        """
        found = self._infer_type_impl(False, *args, **kwargs)
        if found[1] is None:
            partial = self._infer_type_impl(True, *args, **kwargs)[0] or []
            _warn_unknown("type for the following arguments. ", self.list_arguments(), partial, lambda d: not d)
        return found

    def infer_type_partial(self, *args: Any, **kwargs: Any) -> Inferred:
        """The same as infer_type, as far as they follow: None where nothing is known."""
        return self._infer_type_impl(True, *args, **kwargs)

    def _infer_type_impl(self, partial: bool, *args: Any, **kwargs: Any) -> Inferred:
        if args and kwargs:
            raise ValueError("Can only specify known argument types either by positional or kwargs way.")
        arguments, auxiliary = self._variables()
        names = {id(n): name_of(d) for n, d in self._matched(args, kwargs, arguments, "InferType") if d is not None}
        dtypes = infer_dtypes(self._outputs, names)
        lists = [
            [dtypes.get((id(node), 0)) for node in arguments],
            [dtypes.get((id(node), i)) for node, i, _ in self._outputs],
            [dtypes.get((id(node), 0)) for node in auxiliary],
        ]
        if not partial and any(name is None for group in lists for name in group):
            return None, None, None
        a, b, c = ([None if d is None else numpy_of(TORCH[d]) for d in group] for group in lists)
        return a, b, c

    def _matched(
        self, args: Sequence[Any], kwargs: Mapping[str, Any], arguments: list[Node], source: str
    ) -> list[tuple[Node, Any]]:
        if args:
            return [*zip(arguments, args, strict=False)]
        nodes = [node for node in post_order(self._outputs) if node.is_variable]
        names = [node.name for node in nodes]
        if not kwargs.keys() <= set(names):
            raise mismatch(source, kwargs, names)
        return [(node, kwargs[node.name]) for node in nodes if node.name in kwargs]

    # -- text and files

    def tojson(self, remove_amp_cast: bool = True) -> str:
        """The JSON text that MXNet 1.9.1 gives, to the byte; without the casts of mixed precision unless asked."""
        return dump(self._outputs, remove_amp_cast)

    def save(self, fname: str, remove_amp_cast: bool = True) -> None:
        """Write tojson() to a file; after a failure the old file is there.

        Raises:
            MXNetError: the folder does not exist.
        """
        if not isinstance(fname, str):
            raise TypeError("fname need to be string")
        data = self.tojson(remove_amp_cast).encode("utf-8")
        folder = os.path.dirname(fname) or "."
        if not os.path.isdir(folder):
            raise MXNetError(f'LocalFileSystem: Open "{fname}": No such file or directory')
        with replace_file(fname, nbytes=len(data)) as file:
            file.write(data)

    def debug_str(self) -> str:
        """Its nodes, what they take and their attributes, as text."""
        first = self._outputs[0][0]
        if len(self._outputs) == 1 and first.is_variable:
            return f"Variable:{first.name}\n"
        lines = ["Symbol Outputs:", *[f"\toutput[{k}]={n.name}({i})" for k, (n, i, _) in enumerate(self._outputs)]]
        for node in post_order(self._outputs):
            if node.is_variable:
                lines.append(f"Variable:{node.name}")
                continue
            lines += ["-" * 20, f"Op:{node.op}, Name={node.name}", "Inputs:"]
            for k, (n, i, version) in enumerate(node.inputs):
                lines.append(f"\targ[{k}]={n.name}({i})" + (f" version={version}" if n.is_variable else ""))
            if node.attrs:
                lines += ["Attrs:", *[f"\t{key}={node.attrs[key]}" for key in sorted(node.attrs)]]
        return "\n".join(lines) + "\n"

    # -- running it

    def bind(
        self,
        ctx: Context,
        args: Any,
        args_grad: Any = None,
        grad_req: Any = "write",
        aux_states: Any = None,
        group2ctx: Mapping[str, Context] | None = None,
        shared_exec: Executor | None = None,
    ) -> Executor:
        """An Executor on given arrays.

        Args:
            args, args_grad, aux_states: lists in the order of list_arguments() and list_auxiliary_states(), or dicts.
            grad_req: "write", "add" or "null" for all arguments, in their order, or by name.
            group2ctx: accepted; everything is computed on `ctx`, wherever the arrays lie.
            shared_exec: accepted; memory is torch's affair.
        """
        from tensorkeep.mxnet.executor import bind

        return bind(self, ctx, args, args_grad, grad_req, aux_states, group2ctx)

    def simple_bind(
        self,
        ctx: Context,
        grad_req: Any = "write",
        type_dict: Mapping[str, Any] | None = None,
        stype_dict: Mapping[str, str] | None = None,
        group2ctx: Mapping[str, Context] | None = None,
        shared_arg_names: list[str] | None = None,
        shared_exec: Executor | None = None,
        shared_buffer: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> Executor:
        """An Executor on new arrays of zeros, whose shapes follow from those given by name.

        Args:
            shared_exec, shared_arg_names: whose arrays are used again where name, shape and dtype fit.
            shared_buffer: arrays by name that are used again; new ones are added to it.
        """
        from tensorkeep.mxnet.executor import simple_bind

        return simple_bind(
            self, ctx, grad_req, type_dict, stype_dict, group2ctx, shared_arg_names, shared_exec, shared_buffer, kwargs
        )

    def eval(self, ctx: Context | None = None, **kwargs: Any) -> list[Any]:
        """The outputs for arrays given by name."""
        from tensorkeep.mxnet.context import current_context

        return self.bind(ctx or current_context(), kwargs).forward()

    def gradient(self, wrt: Sequence[str]) -> Symbol:
        """Not implemented, here as in MXNet: an Executor's backward() and autograd give gradients."""
        raise MXNetError("not implemented")

    def optimize_for(self, backend: str, args: Any = None, aux: Any = None, ctx: Any = None, **kwargs: Any) -> Any:
        """A copy: there are no other backends than torch, which a warning says."""
        warnings.warn(f"tensorkeep has no backend {backend!r}; the symbol stays as it is.", stacklevel=2)
        return self.__copy__()

    def get_backend_symbol(self, backend: str) -> Any:
        """The same as optimize_for."""
        return self.optimize_for(backend)

    def as_np_ndarray(self) -> Any:
        """The same outputs as a symbol of mx.np."""
        from tensorkeep.mxnet.symbol.numpy import _Symbol

        return _Symbol(list(self._outputs))

    def as_nd_ndarray(self) -> Any:
        """The same outputs as a symbol of mx.nd: the symbol itself."""
        return self

    # -- what a description cannot do

    def __bool__(self) -> bool:
        raise NotImplementedForSymbol(self.__bool__, "bool")

    __nonzero__ = __bool__

    def _refuse(name: str) -> Any:  # type: ignore[misc]  # makes methods while the class is being made
        def method(self: Symbol, *args: Any) -> Any:
            raise NotImplementedForSymbol(name, None, *args)

        method.__name__ = name
        method.__doc__ = "Only arrays have it; a symbol has no values."
        return method

    wait_to_read, asnumpy, asscalar, copy, as_in_context, detach, backward = map(
        _refuse, ("wait_to_read", "asnumpy", "asscalar", "copy", "as_in_context", "detach", "backward")
    )
    del _refuse

    def __abs__(self) -> Any:
        return call_later("abs", self)

    def __neg__(self) -> Any:
        return call_later("_MulScalar", self, scalar=-1.0)


add_operators(Symbol)
Symbol.__hash__ = None  # type: ignore[assignment]  # == gives a Symbol


def _shown(node: Node) -> dict[str, str]:
    """The attributes of a node, hidden ones under both spellings."""
    found = dict(node.attrs)
    for hidden in HIDDEN:
        if f"__{hidden}__" in found:
            found[hidden] = found[f"__{hidden}__"]
    return found


def _warn_unknown(what: str, names: list[str], values: list[Any], is_unknown: Callable[[Any], bool]) -> None:
    unknown = [f"{name}: {value}" for name, value in zip(names, values, strict=False) if is_unknown(value)]
    if len(unknown) > 10:
        unknown[10:] = ["..."]
    warnings.warn(f"Cannot decide {what}Consider providing them as input:\n\t" + "\n\t".join(unknown), stacklevel=3)


def var(
    name: str,
    attr: Mapping[str, str] | None = None,
    shape: Sequence[int] | None = None,
    lr_mult: float | None = None,
    wd_mult: float | None = None,
    dtype: Any = None,
    init: Any = None,
    stype: str | None = None,
    **kwargs: Any,
) -> Symbol:
    """A variable: an input or a parameter of a network.

    Args:
        shape, dtype, init: stored with it; `init` is an Initializer or the text of its dumps().
        lr_mult, wd_mult: factors for the optimizer's rate and weight decay.
        kwargs: more attributes; their names begin and end with two underscores.
    """
    if not isinstance(name, str):
        raise TypeError("Expect a string for variable `name`")
    attrs = scoped(attr)
    if shape is not None:
        attrs["__shape__"] = str(shape)
    if lr_mult is not None:
        attrs["__lr_mult__"] = str(lr_mult)
    if wd_mult is not None:
        attrs["__wd_mult__"] = str(wd_mult)
    if dtype is not None:
        attrs["__dtype__"] = str(flag_of(dtype))
    if init is not None:
        attrs["__init__"] = init if isinstance(init, str) else init.dumps()
    if stype is not None:
        attrs["__storage_type__"] = str(_STORAGE[stype])
    for key, value in kwargs.items():
        if not (key.startswith("__") and key.endswith("__")):
            raise ValueError(
                f"Attribute name={key} is not supported. Additional attributes must start and end with double "
                "underscores, e.g, __yourattr__"
            )
        attrs[key] = str(value)
    node = Node("null", name, {})
    set_attrs(node, attrs)
    return Symbol([(node, 0, 0)])


Variable = var


def Group(symbols: Sequence[Symbol], create_fn: Callable[[Any], Any] = Symbol) -> Any:
    """One symbol with the outputs of all of them."""
    if not symbols or any(not isinstance(symbol, Symbol) for symbol in symbols):
        raise TypeError("Expected a list of symbols as input")
    return create_fn([entry for symbol in symbols for entry in symbol._outputs])


def _parsed(text: str, what: str) -> list[Entry]:
    try:
        return parse(text.encode("utf-8"), what=what)
    except MXNetError:
        raise
    except TensorkeepError as err:
        raise MXNetError(str(err)) from err


def load(fname: str) -> Symbol:
    """The symbol in a file of any MXNet since 0.8.

    Raises:
        MXNetError: there is no such file, it is damaged, or parameters of an operator do not fit.
    """
    if not isinstance(fname, str):
        raise TypeError("fname need to be string")
    try:
        source = FileSource(fname)
    except FileNotFoundError:
        raise MXNetError(f'LocalFileSystem: Open "{fname}": No such file or directory') from None
    try:
        data = bytes(source.read(0, source.size))
    finally:
        source.close()
    try:
        return Symbol(parse(data, what=fname))
    except MXNetError:
        raise
    except TensorkeepError as err:
        raise MXNetError(str(err)) from err


def load_json(json_str: str) -> Symbol:
    """The symbol in a JSON text.

    Raises:
        MXNetError: it is no such text, or parameters of an operator do not fit.
    """
    if not isinstance(json_str, str):
        raise TypeError("fname required to be string")
    return Symbol(_parsed(json_str, "the JSON text"))


def loads(text: str) -> Symbol:
    """The symbol in a JSON text, or in the file of that name. MXNet itself never had this function."""
    return load_json(text) if str(text).lstrip()[:1] == "{" else load(text)


claim(globals())
