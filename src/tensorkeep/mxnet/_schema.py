"""What each of MXNet's operators takes: inputs, parameters, their types and defaults (operators.json).

An attribute arrives as a Python value from nd.*, as the text of a symbol's JSON from sym.*: "(3, 3)" and "True" from
1.x, "[3,3]" and "1" from 2.0. Both are parsed by the declared type. Source: MXSymbolGetAtomicSymbolInfo of 1.9.1.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from struct import Struct
from typing import Any

from tensorkeep.mxnet.base import MXNetError

__all__ = ["Param", "Schema", "all_names", "schema", "schemas"]

Value = Any
"""int, float, bool, str, None, or a tuple of them."""

_NOT_LISTED = {"_contrib_SparseEmbedding": ("deterministic",)}
"""Parameters that MXNet takes and keeps in a symbol, but tells nobody of."""


@dataclass(frozen=True, slots=True)
class Param:
    """One parameter of an operator.

    Attributes:
        type: MXNet's own words: "int", "Shape(tuple)", "float or None", "{'relu', 'tanh'}" …
        default: the text that MXNet documents; None where there is none.
        parse: a Python value or a text → the typed value; ValueError when it does not fit.
    """

    name: str
    type: str
    default: str | None
    required: bool
    parse: Callable[[Value], Value]


@dataclass(frozen=True, slots=True)
class Schema:
    """What an operator takes.

    Attributes:
        inputs: the names of its arrays. For a variadic operator one name, which stands for all.
        params: by name, in the order of the signature.
        order: all arguments in the order of the signature, (name, is an input).
        required: the parameters that must be given; a count need not be.
        count: the parameter that holds the number of inputs of a variadic operator ("num_args"), or "".
        variadic: it takes any number of arrays.
        tier: T1 (met in models), T2 (the rest of what users call), T3.
    """

    name: str
    aliases: tuple[str, ...]
    inputs: tuple[str, ...]
    params: dict[str, Param]
    order: tuple[tuple[str, bool], ...]
    required: tuple[str, ...]
    count: str
    variadic: bool
    tier: str

    def parse(self, attrs: dict[str, Value]) -> dict[str, Value]:
        """Typed values of `attrs`; annotations (`__lr_mult__`) and names that only old files have are dropped.

        Raises:
            MXNetError: an unknown name, a value that does not fit, a required one that is missing. MXNet's own text.
        """
        params = self.params
        parsed = {}
        for name, value in attrs.items():
            param = params.get(name)
            if param is None:
                # MXNet's operators without parameters take any and drop them.
                if name[:2] == "__" or not params or name in _NOT_LISTED.get(self.name, ()):
                    continue
                self._unknown(name, attrs)
            else:
                try:
                    parsed[name] = param.parse(value)
                except (ValueError, TypeError, OverflowError):
                    self._unfit(param, value, attrs)
        for name in self.required:
            if name not in parsed:
                self._missing(params[name], attrs)
        return parsed

    def defaults(self) -> dict[str, Value]:
        """The typed default of every parameter that has one."""
        return {p.name: p.parse(p.default) for p in self.params.values() if p.default is not None}

    def _unknown(self, name: str, attrs: dict[str, Value]) -> None:
        listed = "\n".join(
            f"{p.name} : {p.type}, {'required' if p.required else f'optional, default={p.default}'}"
            for p in self.params.values()
        )
        raise MXNetError(
            f"Cannot find argument '{name}', Possible Arguments:\n----------------\n{listed}\n, {self.called(attrs)}"
        )

    def _unfit(self, param: Param, value: Value, attrs: dict[str, Value]) -> None:
        if param.type.startswith("{"):
            raise MXNetError(f"Invalid Input: '{_text(value)}', valid values are: {param.type}, {self.called(attrs)}")
        raise MXNetError(
            f"Invalid Parameter format for {param.name} expect {param.type} but value='{value}', {self.called(attrs)}"
        )

    def _missing(self, param: Param, attrs: dict[str, Value]) -> None:
        kind = "int" if param.type.startswith("{") else param.type
        raise MXNetError(f"Required parameter {param.name} of {kind} is not presented, {self.called(attrs)}")

    def called(self, attrs: dict[str, Value]) -> str:
        """How MXNet's errors name a call: `in operator Activation(name="", act_type="relu")`."""
        return f'in operator {self.name}(name=""{"".join(f", {k}={_quoted(v)}" for k, v in attrs.items())})'


def _quoted(value: Value) -> str:
    return f'"{_text(value)}"'


def _text(value: Value) -> str:
    """A value as MXNet shows it: classes of NumPy by the name of their dtype."""
    return _dtype_name(value) if isinstance(value, type) else str(value)


def _int(value: Value) -> int:
    if type(value) is int:
        return value
    if isinstance(value, str):
        return int(value.strip().rstrip("L"))
    number = int(value)
    if number != value:
        raise ValueError(value)
    return number


def _unsigned(value: Value) -> int:
    number = _int(value)
    if number < 0:
        raise ValueError(value)
    return number


def _double(value: Value) -> float:
    return float(value)


_FLOAT32 = Struct("f")


def _float(value: Value) -> float:
    """The number rounded to float32, as MXNet stores its `float` parameters; one beyond its range does not fit."""
    number: float = _FLOAT32.unpack(_FLOAT32.pack(float(value)))[0]
    return number


_BOOLS = {"True": True, "true": True, "1": True, "False": False, "false": False, "0": False}


def _bool(value: Value) -> bool:
    if type(value) is bool:
        return value
    if isinstance(value, str):
        if value not in _BOOLS:
            raise ValueError(value)
        return _BOOLS[value]
    return bool(value)


_SEPARATOR = re.compile(r"\s*,\s*")


def _items(value: Value) -> list[Value]:
    """The items of a tuple, or of its text with round or square brackets or none; one number stands for itself."""
    if not isinstance(value, str):
        return list(value) if hasattr(value, "__iter__") else [value]
    text = value.strip()
    if text[:1] in "([" and text[-1:] in ")]" and text:
        text = text[1:-1].strip()
    text = text.rstrip(",").strip()
    return _SEPARATOR.split(text) if text else []


def _dim(value: Value) -> int | None:
    return None if value is None or value == "None" else _int(value)


def _shape(value: Value) -> tuple[int | None, ...]:
    if type(value) is int:
        return (value,)
    if value is None or value == "None":
        return ()  # as if it had not been given
    if type(value) is tuple:
        for item in value:
            if type(item) is not int:
                break
        else:
            return value
    return tuple([_dim(item) for item in _items(value)])


def _floats(value: Value) -> tuple[float, ...]:
    return tuple([_float(item) for item in _items(value)])


def _doubles(value: Value) -> tuple[float, ...]:
    return tuple([float(item) for item in _items(value)])


def _ints(value: Value) -> tuple[int, ...]:
    return tuple([_int(item) for item in _items(value)])


def _shapes(value: Value) -> tuple[tuple[int | None, ...], ...]:
    if isinstance(value, str):
        return tuple(_shape(part) for part in re.findall(r"[(\[]([^()\[\]]*)[)\]]", value.strip()[1:-1]))
    return tuple(_shape(item) for item in value)


def _or_none(parse: Callable[[Value], Value]) -> Callable[[Value], Value]:
    def parse_or_none(value: Value) -> Value:
        return None if value is None or value == "None" else parse(value)

    return parse_or_none


def _choice(type_: str) -> Callable[[Value], Value]:
    texts = [item.strip() for item in type_[1:-1].split(",")]
    # Some types list None, some 'None': the same text stands for no choice in both.
    none = "None" in texts or "'None'" in texts
    values = {item[1:-1] for item in texts if item.strip("'") != "None"}

    def parse_choice(value: Value) -> Value:
        if isinstance(value, str) and value in values:
            return str(value)  # of NumPy's str_ too
        if none and (value is None or value == "None"):
            return None
        if not isinstance(value, str):
            name = _dtype_name(value)
            if name in values:
                return name
        raise ValueError(value)

    return parse_choice


def _dtype_name(value: Value) -> str:
    """ "float32" of np.float32, np.dtype("float32"), torch.float32; str(value) of everything else."""
    import numpy as np

    if value is None:
        return "None"
    try:
        dtype = np.dtype(value)
    except TypeError:
        return str(value).removeprefix("torch.")
    return "bfloat16" if dtype.names == ("bfloat16",) else dtype.name


def _string(value: Value) -> str:
    return value if type(value) is str else str(value)


_PARSERS: dict[str, Callable[[Value], Value]] = {
    "int": _int,
    "long": _int,
    "int (non-negative)": _unsigned,
    "long (non-negative)": _unsigned,
    "float": _float,
    "double": _double,
    "real_t": _float,
    "boolean": _bool,
    "string": _string,
    "Shape(tuple)": _shape,
    "Shape or None": _or_none(_shape),
    "tuple of <float>": _floats,
    "tuple of <double>": _doubles,
    "tuple of <long>": _ints,
    "tuple of <Shape(tuple)>": _shapes,
    "float or None": _or_none(_float),
    "double or None": _or_none(_double),
    "int or None": _or_none(_int),
    "boolean or None": _or_none(_bool),
    "ptr": _string,
    "": _string,
}


@cache
def _table() -> tuple[dict[str, dict[str, Any]], dict[str, str]]:
    rows = json.loads(files("tensorkeep.mxnet").joinpath("operators.json").read_text("utf-8"))
    by_name = {row["name"]: row for row in rows}
    canonical = {name: row["name"] for row in rows for name in (row["name"], *row["aliases"])}
    return by_name, canonical


def all_names() -> dict[str, str]:
    """Every name and alias that MXNet 1.9.1 knows → the operator's own name."""
    return _table()[1]


@cache
def schema(name: str) -> Schema:
    """The Schema of an operator by its name or an alias.

    Raises:
        KeyError: MXNet 1.9.1 has no such operator.
    """
    rows, canonical = _table()
    own = canonical[name]
    if own != name:
        return schema(own)
    row = rows[own]
    inputs: list[str] = []
    params: dict[str, Param] = {}
    variadic = False
    for arg in row["args"]:
        if len(arg) == 2:
            inputs.append(arg[0])
            variadic = variadic or arg[1].endswith("[]")
        else:
            kind = arg[1]
            parse = _choice(kind) if kind.startswith("{") else _PARSERS[kind]
            params[arg[0]] = Param(arg[0], kind, arg[2], arg[3], parse)
    count = row.get("count", "")
    if count and count not in params:  # add_n documents no parameter and takes this one
        params[count] = Param(count, "int", None, False, _int)
    # MXNet's generated signatures have every array before the first parameter.
    order = (*((name, True) for name in inputs), *((name, False) for name in params))
    required = tuple(p.name for p in params.values() if p.required and p.name != count)
    return Schema(own, tuple(row["aliases"]), tuple(inputs), params, order, required, count, variadic, row["tier"])


def schemas() -> list[Schema]:
    """The Schema of every operator of MXNet 1.9.1's forward registry."""
    return [schema(name) for name in _table()[0]]
