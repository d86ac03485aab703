"""ParameterDict: Parameters by name, shared, initialised, saved and loaded together."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import ItemsView, Iterator, KeysView, Sequence, ValuesView
from typing import Any

import numpy as np

from tensorkeep.mxnet import initializer, ndarray
from tensorkeep.mxnet.context import Context
from tensorkeep.mxnet.gluon import _reading
from tensorkeep.mxnet.gluon._parameter import Constant, Parameter
from tensorkeep.mxnet.gluon.utils import _brief_print_list, _indent

__all__ = ["ParameterDict"]

_NAMING = "https://mxnet.io/api/python/docs/tutorials/packages/gluon/blocks/naming.html"
_SAME_PREFIX = (
    f"Please make sure source and target networks have the same prefix.For more info on naming, please see {_NAMING}"
)


class ParameterDict:
    """Parameters by name, in the order of their making.

    Args:
        prefix: stands before the names that `get` is given.
        shared: where `get` looks for a Parameter before it makes one.
    """

    def __init__(self, prefix: str = "", shared: ParameterDict | None = None) -> None:
        self._prefix = prefix
        self._params: OrderedDict[str, Parameter] = OrderedDict()
        self._shared = shared

    def __repr__(self) -> str:
        name = self._prefix + " " if self._prefix else ""
        content = "\n".join(_indent(f"  {value}", 2) for value in self.values())
        return f"{name}(\n{content}\n)"

    def __getitem__(self, key: str) -> Parameter:
        return self._params[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._params)

    def __len__(self) -> int:
        return len(self._params)

    def __bool__(self) -> bool:
        return True  # MXNet's has no length, so an empty one counts as true

    def __contains__(self, key: object) -> bool:
        return key in self._params

    def items(self) -> ItemsView[str, Parameter]:
        """Names and Parameters."""
        return self._params.items()

    def keys(self) -> KeysView[str]:
        """The names."""
        return self._params.keys()

    def values(self) -> ValuesView[Parameter]:
        """The Parameters."""
        return self._params.values()

    @property
    def prefix(self) -> str:
        """What stands before the names that `get` is given."""
        return self._prefix

    def _find(self, name: str) -> Parameter | None:
        if name not in self._params and self._shared is not None and name in self._shared._params:
            self._params[name] = self._shared._params[name]
        return self._params.get(name)

    def get(self, name: str, **kwargs: Any) -> Parameter:
        """The Parameter `prefix + name`; it is made from `kwargs` when neither this dict nor the shared one has it.

        Raises:
            AssertionError: it is there, and differs from what `kwargs` ask for.
        """
        name = self.prefix + name
        param = self._find(name)
        if param is None:
            param = self._params[name] = Parameter(name, **kwargs)
            return param
        for key, wanted in kwargs.items():
            stored = getattr(param, key, None)
            if stored is None:
                setattr(param, key, wanted)
                continue
            if key == "shape" and len(wanted) == len(stored):
                merged = _merged(wanted, stored)
                if merged is not None:
                    param._shape = merged
                    continue
            elif key == "dtype" and np.dtype(wanted) == np.dtype(stored):
                continue
            assert wanted is None or wanted == stored, (
                f"Cannot retrieve Parameter '{name}' because desired attribute does not match with stored for "
                f"attribute '{key}': desired '{wanted}' vs stored '{stored}'."
            )
        return param

    def get_constant(self, name: str, value: Any = None) -> Parameter:
        """The Constant `prefix + name`; it is made from `value` when neither this dict nor the shared one has it.

        Raises:
            KeyError: it is not there, and no value was given.
            AssertionError: it is there with another value, or is no Constant.
        """
        name = self.prefix + name
        param = self._find(name)
        if param is None:
            if value is None:
                raise KeyError(
                    f"No constant named '{name}'. Please specify value if you want to create a new constant."
                )
            param = self._params[name] = Constant(name, value)
        elif value is not None:
            assert isinstance(param, Constant), f"Parameter '{name}' already exists but it is not a constant."
            given = value.asnumpy() if isinstance(value, ndarray.NDArray) else value
            same = param.shape == given.shape and bool((param.value.asnumpy() == given).all())
            assert same, f"Constant '{name}' already exists but it's value doesn't match new value"
        return param

    def update(self, other: Any) -> None:
        """Take all Parameters of another dict.

        Raises:
            AssertionError: another Parameter has one of the names; nothing was taken.
        """
        for name, param in other.items():
            assert self._params.get(name, param) is param, (
                f"Cannot update self with other because they have different Parameters with the same name '{name}'"
            )
        self._params.update(other.items())

    def initialize(self, init: Any = None, ctx: Any = None, verbose: bool = False, force_reinit: bool = False) -> None:
        """Initialise all Parameters: `init` (Uniform() when None) serves those that have none of their own."""
        init = initializer.Uniform() if init is None else init
        if verbose:
            init.set_verbosity(verbose=verbose)
        for param in self.values():
            param.initialize(None, ctx, init, force_reinit=force_reinit)

    def zero_grad(self) -> None:
        """Fill all gradients with zeros."""
        for param in self.values():
            param.zero_grad()

    def reset_ctx(self, ctx: Any) -> None:
        """Move all Parameters to another Context, or to a list of them."""
        for param in self.values():
            param.reset_ctx(ctx)

    def list_ctx(self) -> list[Context]:
        """All contexts that any Parameter lies on."""
        return list({ctx for param in self.values() for ctx in param.list_ctx()})

    def setattr(self, name: str, value: Any) -> None:
        """Set an attribute of all Parameters: `setattr("grad_req", "null")`."""
        for param in self.values():
            setattr(param, name, value)

    def save(self, filename: str, strip_prefix: str = "") -> None:
        """Write all values into a file, by name without `strip_prefix`.

        Raises:
            ValueError: a name does not begin with `strip_prefix`; nothing was written.
        """
        arrays = {}
        for param in self.values():
            value = param._reduce()
            if not param.name.startswith(strip_prefix):
                raise ValueError(
                    f"Prefix '{strip_prefix}' is to be striped before saving, but Parameter's name '{param.name}' "
                    f"does not start with '{strip_prefix}'. this may be due to your Block shares parameters from other "
                    "Blocks or you forgot to use 'with name_scope()' when creating child blocks. For more info on "
                    f"naming, please see {_NAMING}"
                )
            arrays[param.name[len(strip_prefix) :]] = value
        ndarray.save(filename, arrays)

    def load(
        self,
        filename: str,
        ctx: Any = None,
        allow_missing: bool = False,
        ignore_extra: bool = False,
        restore_prefix: str = "",
        cast_dtype: bool = False,
        dtype_source: str = "current",
    ) -> None:
        """Read all values from a file; `arg:` and `aux:` before its names are dropped, `restore_prefix` put before them.

        Raises:
            AssertionError: names, shapes, dtypes or contexts do not fit.
        """
        for name in self.keys() if restore_prefix else ():
            assert name.startswith(restore_prefix), (
                f"restore_prefix is '{restore_prefix}' but Parameters name '{name}' does not start with "
                f"'{restore_prefix}'. For more info on naming, please see {_NAMING}"
            )
        loaded = _reading.load(filename)
        self.load_dict(loaded, ctx, allow_missing, ignore_extra, restore_prefix, filename, cast_dtype, dtype_source)

    def load_dict(
        self,
        param_dict: Any,
        ctx: Any = None,
        allow_missing: bool = False,
        ignore_extra: bool = False,
        restore_prefix: str = "",
        filename: str | None = None,
        cast_dtype: bool = False,
        dtype_source: str = "current",
    ) -> None:
        """Take all values from a dict, or from (name, array) pairs, or none at all where one does not fit; see `load`."""
        if isinstance(param_dict, dict):
            pairs = [(name[4:] if name[:4] in ("arg:", "aux:") else name, a) for name, a in param_dict.items()]
        else:
            pairs = param_dict
        arrays = {restore_prefix + name: array for name, array in pairs}
        source = f"file: {filename}" if filename else "param_dict"
        skip = len(restore_prefix)
        for name in () if allow_missing else self.keys():
            assert name in arrays, (
                f"Parameter '{name[skip:]}' is missing in {source}, which contains parameters: "
                f"{_brief_print_list(arrays)}. {_SAME_PREFIX}"
            )
        for name, array in arrays.items():
            if name not in self._params:
                assert ignore_extra, (
                    f"Parameter '{name[skip:]}' loaded from {source} is not present in ParameterDict, choices are: "
                    f"{_brief_print_list(self._params)}. Set ignore_extra to True to ignore. {_SAME_PREFIX}"
                )
                continue
            self[name]._check_load(array, ctx, cast_dtype, dtype_source)
        for name, array in arrays.items():
            if name in self._params:
                self[name]._load_init(array, ctx, cast_dtype=cast_dtype, dtype_source=dtype_source)


def _merged(wanted: Sequence[int], stored: Sequence[int]) -> tuple[int, ...] | None:
    """The shape that both agree on, each filling what the other does not know; None when they differ."""
    pairs = list(zip(wanted, stored, strict=True))
    if any(a != b and a > 0 and b > 0 for a, b in pairs):
        return None
    return tuple(b if a in (0, -1) else a for a, b in pairs)
