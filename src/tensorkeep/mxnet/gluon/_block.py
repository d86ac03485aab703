"""Block: a layer or network with Parameters, children, names and hooks."""

from __future__ import annotations

import re
import sys
import warnings
from collections import OrderedDict
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from tensorkeep.mxnet._state import state
from tensorkeep.mxnet.gluon import _block_files as files
from tensorkeep.mxnet.gluon._parameter import Parameter
from tensorkeep.mxnet.gluon._parameter_dict import ParameterDict
from tensorkeep.mxnet.gluon._scope import BlockScope
from tensorkeep.mxnet.gluon._structure import check_np_outputs
from tensorkeep.mxnet.gluon._summary import summary_text
from tensorkeep.mxnet.gluon.utils import HookHandle, _indent

if TYPE_CHECKING:
    import torch

__all__ = ["Block"]


class Block:
    """The base of layers and networks: subclass it, make children and Parameters in `__init__`, write `forward`.

    Args:
        prefix: stands before the names of its Parameters and children; None makes one from the class's name.
        params: the ParameterDict of another block, to share its Parameters.
    """

    def __init__(self, prefix: str | None = None, params: ParameterDict | None = None) -> None:
        self._empty_prefix = prefix == ""
        self._prefix, self._params = BlockScope.create(prefix, params, self._alias())
        self._name = self._prefix.removesuffix("_")
        self._scope = BlockScope(self)
        self._children: OrderedDict[str, Block] = OrderedDict()
        self._reg_params: dict[str, Parameter] = {}
        self._forward_hooks: OrderedDict[int, Any] = OrderedDict()
        self._forward_pre_hooks: OrderedDict[int, Any] = OrderedDict()

    def __repr__(self) -> str:
        return _tree(self, {k: v for k, v in self.__dict__.items() if isinstance(v, Block)})

    def __setattr__(self, name: str, value: Any) -> None:
        existing = getattr(self, name, None)
        if isinstance(existing, (Parameter, Block)) and not isinstance(value, type(existing)):
            raise TypeError(f"Changing attribute type for {name} from {type(existing)} to {type(value)}is not allowed.")
        if isinstance(value, Block):
            self.register_child(value, name)
        elif isinstance(value, Parameter):
            assert name not in self._reg_params, (
                f"Overriding Parameter attribute {name} is not allowed. If you want to share parameters between "
                "blocks, please set 'params' at Block construction instead."
            )
            self._reg_params[name] = value
        super().__setattr__(name, value)

    def _alias(self) -> str:
        """What its name begins with when no prefix is given."""
        return type(self).__name__.lower()

    @property
    def prefix(self) -> str:
        """What stands before the names of its Parameters and children."""
        return self._prefix

    @property
    def name(self) -> str:
        """Its prefix without the "_" at the end."""
        return self._name

    def name_scope(self) -> BlockScope:
        """A `with` block in which children get names that begin with this block's."""
        return self._scope

    @property
    def params(self) -> ParameterDict:
        """Its own Parameters, without those of its children."""
        return self._params

    def collect_params(self, select: str | None = None) -> ParameterDict:
        """Its own Parameters and those of all children; with `select`, those whose names the pattern matches."""
        self._warn_of_containers()
        found = ParameterDict(self._params.prefix)
        own = self.params.items()
        if select:
            pattern = re.compile(select)
            own = {name: param for name, param in own if pattern.match(name)}.items()
        found.update(dict(own))
        for child in self._children.values():
            found.update(child.collect_params(select=select))
        return found

    def _warn_of_containers(self) -> None:
        children = set(self._children.values())
        for name, value in self.__dict__.items():
            if not isinstance(value, (list, tuple, dict)) or name.startswith("__") or name == "_children":
                continue
            if value and _holds_block(value, children):
                warnings.warn(
                    f'"{type(self).__name__}.{name}" is an unregistered container with Blocks. Note that Blocks inside '
                    "the list, tuple or dict will not be registered automatically. Make sure to register them using "
                    "register_child() or switching to nn.Sequential/nn.HybridSequential instead. ",
                    stacklevel=3,
                )

    def _collect_params_with_prefix(self, prefix: str = "") -> dict[str, Parameter]:
        """Parameters by the path of attributes that leads to them: "hidden.weight"."""
        if prefix:
            prefix += "."
        found = {prefix + name: param for name, param in self._reg_params.items()}
        for name, child in self._children.items():
            found.update(child._collect_params_with_prefix(prefix + name))
        return found

    def save_parameters(self, filename: str, deduplicate: bool = False) -> None:
        """Write all Parameters into a file, named by the path of attributes; read it with `load_parameters`.

        Args:
            deduplicate: write a Parameter that several blocks share once, under its last name.
        Raises:
            RuntimeError: a Parameter has no values yet; nothing was written.
        """
        files.save_parameters(self, filename, deduplicate)

    def save_params(self, filename: str) -> None:
        """Write all Parameters into a file, named without the block's prefix. Deprecated: use `save_parameters`."""
        warnings.warn(
            "save_params is deprecated. Please use save_parameters. Note that if you want load from SymbolBlock later, "
            "please use export instead. For details, see "
            "https://mxnet.apache.org/tutorials/gluon/save_load_params.html",
            stacklevel=2,
        )
        try:
            self.collect_params().save(filename, strip_prefix=self.prefix)
        except ValueError as err:
            # MXNet 1.9.1 asks the ValueError for a `message` that it does not have; scripts catch what comes of it.
            raise AttributeError("'ValueError' object has no attribute 'message'") from err

    def load_parameters(
        self,
        filename: str,
        ctx: Any = None,
        allow_missing: bool = False,
        ignore_extra: bool = False,
        cast_dtype: bool = False,
        dtype_source: str = "current",
    ) -> None:
        """Read Parameters from a file of `save_parameters`, `save_params` or `export`, of any version from 0.x to 2.0.

        Args:
            ctx: where Parameters that have no values yet are put: cpu() when None.
            allow_missing: whether Parameters may be absent from the file; they keep what they have.
            ignore_extra: whether the file may hold others.
            cast_dtype: whether dtypes may differ; `dtype_source` says whose is kept, "current" or "saved".
        Raises:
            AssertionError: a Parameter is missing, or shape, dtype or context do not fit.
            ValueError: the file holds a Parameter that is not here.
        """
        files.load_parameters(self, filename, ctx, allow_missing, ignore_extra, cast_dtype, dtype_source)

    def load_params(
        self, filename: str, ctx: Any = None, allow_missing: bool = False, ignore_extra: bool = False
    ) -> None:
        """Read Parameters from a file. Deprecated: use `load_parameters`."""
        warnings.warn("load_params is deprecated. Please use load_parameters.", stacklevel=2)
        self.load_parameters(filename, ctx, allow_missing, ignore_extra)

    def save(self, prefix: str) -> None:
        """Write the structure to `prefix-model.json` and the Parameters to `prefix-model.params`; see `load`."""
        files.save_model(self, prefix)

    def load(self, prefix: str) -> None:
        """Read what `save` wrote into a block that was made in the same way; names become those of the file.

        Raises:
            KeyError: the block has another structure than the file.
        """
        files.load_model(self, prefix)

    def register_child(self, block: Block, name: str | None = None) -> None:
        """Make a block a child, under a number when no name is given. Setting an attribute does so by itself."""
        self._children[str(len(self._children)) if name is None else name] = block

    def register_forward_pre_hook(self, hook: Callable[[Block, tuple[Any, ...]], None]) -> HookHandle:
        """Call `hook(block, inputs)` before every forward pass, until the handle is detached."""
        handle = HookHandle()
        handle.attach(self._forward_pre_hooks, hook)
        return handle

    def register_forward_hook(self, hook: Callable[[Block, tuple[Any, ...], Any], None]) -> HookHandle:
        """Call `hook(block, inputs, outputs)` after every forward pass, until the handle is detached."""
        handle = HookHandle()
        handle.attach(self._forward_hooks, hook)
        return handle

    def apply(self, fn: Callable[[Block], Any]) -> Block:
        """Call `fn` for all children, deepest first, and for this block; gives this block."""
        for child in self._children.values():
            child.apply(fn)
        fn(self)
        return self

    def initialize(self, init: Any = None, ctx: Any = None, verbose: bool = False, force_reinit: bool = False) -> None:
        """Initialise its Parameters and those of all children.

        Args:
            init: serves Parameters that have no Initializer of their own: Uniform() when None.
            ctx: a Context, or a list of them.
            force_reinit: whether Parameters that have values get new ones.
        """
        self.collect_params().initialize(init, ctx, verbose, force_reinit)

    def hybridize(self, active: bool = True, **kwargs: Any) -> None:
        """Hybridize all children that can be; see HybridBlock."""
        for child in self._children.values():
            child.hybridize(active, **kwargs)

    def cast(self, dtype: Any) -> None:
        """Change the dtype of its Parameters and those of all children."""
        for child in self._children.values():
            child.cast(dtype)
        for param in self.params.values():
            param.cast(dtype)

    def zero_grad(self) -> None:
        """Fill the gradients of all Parameters with zeros."""
        self.collect_params().zero_grad()

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self._forward_pre_hooks:
            for hook in list(self._forward_pre_hooks.values()):
                hook(self, args)
        out = self.forward(*args, **kwargs) if kwargs else self.forward(*args)
        if self._forward_hooks:
            for hook in list(self._forward_hooks.values()):
                hook(self, args, out)
        if state.np_array:
            check_np_outputs(out)
        return out

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """What the block computes; subclasses write it."""
        raise NotImplementedError

    def register_op_hook(self, callback: Callable[..., None], monitor_all: bool = False) -> None:
        """Call back with every operator's output inside hybridized children; see HybridBlock."""
        for child in self._children.values():
            child.register_op_hook(callback, monitor_all)

    def summary(self, *inputs: Any) -> None:
        """Print a table of the layers that a forward pass goes through.

        Raises:
            AssertionError: a block is hybridized.
        """
        sys.stdout.write(summary_text(self, inputs) + "\n")

    def as_torch(self) -> torch.nn.Module:
        """A torch.nn.Module that shares this block's Parameters: training one trains the other.

        Raises:
            RuntimeError: a Parameter has no values yet.
        """
        from tensorkeep.mxnet.gluon._torch import as_module

        return as_module(self)


def _tree(block: Block, children: dict[str, Block]) -> str:
    """The printed form of a block with children."""
    lines = "\n".join(f"  ({name}): {_indent(repr(child), 2)}" for name, child in children.items())
    return f"{type(block).__name__}(\n{lines}\n)"


def _holds_block(value: Any, children: set[Block]) -> bool:
    if isinstance(value, dict):
        value = value.values()
    elif not isinstance(value, (list, tuple)):
        return isinstance(value, Block) and value not in children
    return any(_holds_block(item, children) for item in value)
