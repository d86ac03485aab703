"""HybridBlock: a Block whose forward pass is written once for arrays and for symbols, and can be traced."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

from tensorkeep.mxnet import ndarray, symbol
from tensorkeep.mxnet.context import Context
from tensorkeep.mxnet.gluon import _block_files as files
from tensorkeep.mxnet.gluon._block import Block
from tensorkeep.mxnet.gluon._cached_op import CachedOp
from tensorkeep.mxnet.gluon._parameter import DeferredInitializationError, Parameter
from tensorkeep.mxnet.gluon._structure import check_symbols, flatten, kinds, regroup

__all__ = ["HybridBlock"]

_NDArray = ndarray.NDArray
_default_ctx = Context._default_ctx


class HybridBlock(Block):
    """A Block that writes `hybrid_forward(F, x, …, **params)`, where F is `mx.nd` or `mx.sym`.

    After `hybridize()` the first call traces it with symbols; later calls run the graph. It must not look at values
    or shapes, nor decide by them.
    """

    def __init__(self, prefix: str | None = None, params: Any = None) -> None:
        super().__init__(prefix=prefix, params=params)
        self._cached_graph: Any = ()
        self._cached_op: CachedOp | None = None
        self._cached_op_args: list[tuple[bool, Any]] = []
        self._out_format: Any = None
        self._in_format: Any = None
        self._active = False
        self._flags: list[tuple[str, Any]] = []
        self._callback: Callable[..., None] | None = None
        self._monitor_all = False
        self._backend: str | None = None
        self._backend_opts: dict[str, Any] = {}

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, value)
        if isinstance(value, HybridBlock):
            self._clear_cached_op()

    def register_child(self, block: Block, name: str | None = None) -> None:
        """Make a HybridBlock a child.

        Raises:
            ValueError: it is a Block that is not hybrid.
        """
        if not isinstance(block, HybridBlock):
            raise ValueError(
                f"Children of HybridBlock must also be HybridBlock, but {block} has type {type(block)}. If you are "
                "using Sequential, please try HybridSequential instead."
            )
        super().register_child(block, name)
        self._clear_cached_op()

    def hybridize(
        self,
        active: bool = True,
        backend: str | None = None,
        clear: bool = True,
        static_alloc: bool = False,
        static_shape: bool = False,
        inline_limit: int = 2,
        forward_bulk_size: int | None = None,
        backward_bulk_size: int | None = None,
        **kwargs: Any,
    ) -> None:
        """Trace this block at its next call and run the graph from then on; `active=False` goes back.

        Args:
            backend: accepted with a warning: there is none.
            clear: whether a graph that was traced before is forgotten.
            static_alloc, static_shape, inline_limit, forward_bulk_size, backward_bulk_size: accepted; memory is torch's.
        """
        if backend is not None:
            warnings.warn(
                f"The backend {backend!r} of MXNet does not exist in tensorkeep.mxnet; the graph is run as it is.",
                stacklevel=2,
            )
        if kwargs:
            self._backend_opts = kwargs
        self._backend = backend
        self._active = active
        self._flags = [("static_alloc", static_alloc), ("static_shape", static_shape), ("inline_limit", inline_limit)]
        sizes = {"forward_bulk_size": forward_bulk_size, "backward_bulk_size": backward_bulk_size}
        self._flags += [(name, size) for name, size in sizes.items() if size is not None]
        if clear:
            self._clear_cached_op()
        if (active and self._forward_hooks) or self._forward_pre_hooks:
            warnings.warn(
                f'"{self}" is being hybridized while still having forward hook/pre-hook. If "{self}" is a child of '
                "HybridBlock, the hooks will not take effect.",
                stacklevel=2,
            )
        super().hybridize(
            active, static_alloc=static_alloc, static_shape=static_shape, inline_limit=inline_limit, **sizes
        )

    def optimize_for(
        self,
        x: Any,
        *args: Any,
        backend: str | None = None,
        clear: bool = False,
        static_alloc: bool = False,
        static_shape: bool = False,
        inline_limit: int = 2,
        forward_bulk_size: int | None = None,
        backward_bulk_size: int | None = None,
        **kwargs: Any,
    ) -> None:
        """Hybridize and trace the block at once; the backend does not exist here, and a warning says so.

        Raises:
            ValueError: no backend was named, or no array is among the inputs, or they lie on several contexts.
        """
        if not backend:
            raise ValueError('Must specify "backend" to optimize_for')
        self.hybridize(
            True,
            backend,
            clear,
            static_alloc,
            static_shape,
            inline_limit,
            forward_bulk_size,
            backward_bulk_size,
            **kwargs,
        )
        symbols, arrays, contexts = kinds([x, *args])
        if not symbols and not arrays:
            raise _no_input()
        if len(contexts) > 1:
            raise _several_contexts("Found", contexts)
        self._build_cache(x, *args)

    def _clear_cached_op(self) -> None:
        self._cached_graph = ()
        self._cached_op = None
        self._cached_op_args = []

    def cast(self, dtype: Any) -> None:
        """Change the dtype of its Parameters and those of all children."""
        self._clear_cached_op()
        super().cast(dtype)

    def _get_graph(self, *args: Any) -> Any:
        """(the input variables, the traced outputs)."""
        if not self._cached_graph:
            flat, self._in_format = flatten(args, "input")
            count = sum(item is not None for item in flat)
            if count == 0:
                raise ValueError(f"All args are None and we do not support such a case. Received args={args}")
            given: list[Any] = []
            inputs: list[Any] = []
            for item in flat:
                if item is None:
                    given.append(None)
                    continue
                variable = symbol.var(f"data{len(inputs)}" if count > 1 else "data")
                if _is_np_array(item):
                    variable = variable.as_np_ndarray()
                inputs.append(variable)
                given.append(variable)
            params = {name: param.var() for name, param in self._reg_params.items()}
            with self.name_scope():
                out = self.hybrid_forward(symbol, *regroup(given, self._in_format), **params)
            outputs, self._out_format = flatten(out, "output")
            check_symbols(outputs)
            self._cached_graph = inputs, symbol.Group(outputs, type(outputs[0]))
        return self._cached_graph

    def _build_cache(self, *args: Any) -> None:
        inputs, out = self._get_graph(*args)
        positions = {variable.name: i for i, variable in enumerate(inputs)}
        names = out.list_inputs()
        if self._cached_op_args:
            params = {item.name: item for _, item in self._cached_op_args if isinstance(item, Parameter)}
        else:
            params = dict(self.collect_params().items())
        for name in names:
            assert name in params or name in positions, f"Unknown input to HybridBlock: {name}"
        _warn_of_unused(names, positions, params)
        flat, _ = flatten(args, "input")
        try:
            for name in names:
                if name in params:
                    params[name].data()
        except DeferredInitializationError:
            self._deferred_infer_shape(*flat)
            for name in names:
                if name in params:
                    params[name]._finish_deferred_init()
        self._cached_op_args = [
            (True, positions[name]) if name in positions else (False, params[name]) for name in names
        ]
        self._cached_op = CachedOp(out)

    def _deferred_infer_shape(self, *args: Any) -> None:
        try:
            self.infer_shape(*args)
        except Exception as err:
            raise ValueError(f"Deferred initialization failed because shape cannot be inferred. {err}") from err

    def _infer_attrs(self, infer: str, attr: str, *args: Any) -> None:
        inputs, out = self._get_graph(*args)
        flat = [item for item in flatten(args, "input")[0] if item is not None]
        known = {variable.name: getattr(value, attr) for variable, value in zip(inputs, flat, strict=True)}
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            arguments, _, auxiliaries = getattr(out, infer)(**known)
        if arguments is None:
            raise ValueError(caught[0].message if caught else f"{attr} cannot be inferred from {known}")
        found = dict(zip(out.list_arguments(), arguments, strict=True))
        found.update(zip(out.list_auxiliary_states(), auxiliaries, strict=True))
        for param in self.collect_params().values():
            setattr(param, attr, found[param.name])

    def infer_shape(self, *args: Any) -> None:
        """Set the shapes of its Parameters, as they follow from the inputs'."""
        self._infer_attrs("infer_shape", "shape", *args)

    def infer_type(self, *args: Any) -> None:
        """Set the dtypes of its Parameters, as they follow from the inputs'."""
        self._infer_attrs("infer_type", "dtype", *args)

    def _call_cached_op(self, *args: Any) -> Any:
        if self._cached_op is None:
            self._build_cache(*args)
        op = self._cached_op
        assert op is not None
        flat, form = flatten(args, "input")
        if form != self._in_format and not _same_but_none(form, self._in_format):
            raise ValueError(
                "The argument structure of HybridBlock does not match the cached version. Stored format = "
                f"{form}, input format = {self._in_format}"
            )
        given = [item for item in flat if item is not None]
        arrays = [given[item] if is_data else item.data() for is_data, item in self._cached_op_args]
        if self._callback is not None:
            out = op.monitored(arrays, self._callback, self._monitor_all)
        else:
            out = op(arrays)
        return regroup(out, self._out_format)

    def export(self, path: str, epoch: int = 0, remove_amp_cast: bool = True) -> None:
        """Write the traced graph to `path-symbol.json` and its Parameters to `path-0000.params`.

        SymbolBlock.imports, Module and MXNet's other languages read them.

        Args:
            epoch: the number in the second file's name.
            remove_amp_cast: whether casts of mixed precision are left out of the graph.
        Raises:
            RuntimeError: it was not hybridized and called; nothing was written.
        """
        files.export(self, path, epoch, remove_amp_cast)

    def register_op_hook(self, callback: Callable[..., None], monitor_all: bool = False) -> None:
        """Call `callback(name, operator, handle)` with every operator's output once it is hybridized.

        Args:
            callback: gets the output's and the operator's name as bytes, and what `NDArray(handle)` makes an array of.
            monitor_all: call it with inputs as well.
        """
        self._callback = callback
        self._monitor_all = monitor_all
        for child in self._children.values():
            if isinstance(child, HybridBlock):
                child._callback = callback
                child._monitor_all = monitor_all

    def forward(self, x: Any, *args: Any) -> Any:
        """Run `hybrid_forward` on arrays or symbols; the traced graph when it is hybridized.

        Raises:
            ValueError: arrays and symbols are mixed, or neither is there.
        """
        if not args and isinstance(x, _NDArray):
            ctx = x._ctx
        else:
            symbols, arrays, contexts = kinds([x, *args])
            if symbols and arrays:
                raise ValueError(
                    "In HybridBlock, we do not support mixed NDArrays and Symbols types for the input. Please check "
                    "the type of the args.\n"
                )
            if symbols:
                params = {name: param.var() for name, param in self._reg_params.items()}
                with self.name_scope():
                    return self.hybrid_forward(symbol, x, *args, **params)
            if not arrays:
                raise _no_input()
            ctx = contexts[0]
            if self._active and len(contexts) > 1:
                raise _several_contexts("Find", contexts)
        before = getattr(_default_ctx, "value", None)
        _default_ctx.value = ctx
        try:
            if self._active:
                return self._call_cached_op(x, *args)
            try:
                params = {name: param.data(ctx) for name, param in self._reg_params.items()}
            except DeferredInitializationError:
                self._deferred_infer_shape(x, *args)
                for param in self.params.values():
                    param._finish_deferred_init()
                params = {name: param.data(ctx) for name, param in self._reg_params.items()}
            return self.hybrid_forward(ndarray, x, *args, **params)
        finally:
            _default_ctx.value = before

    def hybrid_forward(self, F: Any, *args: Any, **kwargs: Any) -> Any:
        """What the block computes, with the operators of F; subclasses write it."""
        raise NotImplementedError


def _is_np_array(item: Any) -> bool:
    if type(item) is not _NDArray and isinstance(item, _NDArray):
        from tensorkeep.mxnet.numpy import ndarray as np_ndarray

        return isinstance(item, np_ndarray)
    return False


def _no_input() -> ValueError:
    return ValueError(
        "In HybridBlock, there must be one NDArray or one Symbol in the input. Please check the type of the args.\n"
    )


def _several_contexts(verb: str, contexts: list[Context]) -> ValueError:
    return ValueError(
        f"{verb} multiple contexts in the input, After hybridized, the HybridBlock only supports one input context. "
        "You can print the ele.ctx in the input arguments to inspect their contexts. "
        f"Find all contexts = {set(contexts)}"
    )


def _same_but_none(form: list[Any], stored: list[Any]) -> bool:
    """Whether one format is the other with Nones behind it: arguments that were left to their defaults."""
    shared = min(len(form), len(stored))
    return len(form) != len(stored) and form[:shared] == stored[:shared] and {*form[shared:], *stored[shared:]} == {-1}


def _warn_of_unused(names: list[str], positions: dict[str, int], params: dict[str, Any]) -> None:
    used = set(names)
    inputs = [f"{i}-th" for name, i in positions.items() if name not in used]
    if inputs:
        warnings.warn(
            f"The {', '.join(inputs)} input to HybridBlock is not used by any computation. Is this intended?",
            stacklevel=6,
        )
    unused = [name for name in params if name not in used]
    if unused:
        warnings.warn(f"Parameter {', '.join(unused)} is not used by any computation. Is this intended?", stacklevel=6)
