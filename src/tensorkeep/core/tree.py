"""Nested data: containers of tensors and plain values, flattened to named tensors and back.

A tensor's name joins the keys and positions on its path with "." (as torch names parameters). The tree as JSON
(`encode`) keeps what names alone cannot: kinds of containers, keys with dots, plain values beside the tensors, tensors
that stand in several places.
"""

from __future__ import annotations

import base64
import math
import re
import sys
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from tensorkeep.core.bounds import MAX_DEPTH
from tensorkeep.core.dtypes import DTYPES, dtype_of_numpy, numpy_dtype
from tensorkeep.core.foreign import as_tensor
from tensorkeep.core.tensor import SparseTensor, Tensor
from tensorkeep.errors import CorruptFileError, UnsupportedDataError

__all__ = [
    "SINGLE_NAME",
    "Content",
    "Inert",
    "decode",
    "encode",
    "flatten",
    "is_flat",
    "leaves",
    "map_tree",
    "unique_name",
]

SINGLE_NAME = "tensor"
"""The name of the tensor when the whole data is one tensor."""


@dataclass(frozen=True)
class Inert:
    """What a pickle asked to build from a class that tensorkeep does not know: a record, nothing was imported or run.

    Attributes:
        module, name: of the class or function, as the file has them.
        args: the positional arguments that it was to be called with (themselves plain data, tensors or Inert).
        state: what was to be set on the object afterwards, or None.
        items: the (key, value) pairs or the list items that were to be added, or None.
    """

    module: str
    name: str
    args: tuple[Any, ...] = ()
    state: Any = None
    items: Any = None

    def __repr__(self) -> str:
        return f"Inert({self.module}.{self.name}, {len(self.args)} arguments)"

    __hash__ = object.__hash__


@dataclass(slots=True)
class Content:
    """What is to be written: a tree with Tensor and SparseTensor leaves, and its dense tensors by name.

    Attributes:
        tree: the data as given, every array replaced by a Tensor (or SparseTensor of Tensors).
        tensors: name to Tensor, in the order of the tree; tied tensors stand once, under their first name.
        names: id of each Tensor in the tree to its name in `tensors`, so that tied leaves find theirs.
        metadata: strings that the caller wants kept beside.
    """

    tree: Any
    tensors: dict[str, Tensor]
    names: dict[int, str]
    metadata: dict[str, str] = field(default_factory=dict)


def flatten(data: Any, metadata: Mapping[str, str] | None = None) -> Content:
    """The Content of nested data.

    Raises:
        UnsupportedDataError (a TypeError): a leaf or key that cannot be stored; the text names its path.
    """
    tensors: dict[str, Tensor] = {}
    names: dict[int, str] = {}
    tied = _Tied()
    sparse_seen: dict[int, tuple[Any, SparseTensor]] = {}
    numpy = sys.modules.get("numpy")
    ndarray = None if numpy is None else numpy.ndarray

    def add(value: Any, tensor: Tensor, name: str) -> Tensor:
        first = tied.first(value, tensor)
        if first is tensor and id(first) not in names:
            unique = unique_name(name, tensors) if name in tensors else name
            tensors[unique] = first
            names[id(first)] = unique
        return first

    def visit(node: Any, path: str, depth: int) -> Any:
        if depth > MAX_DEPTH:
            raise UnsupportedDataError(f"{path or 'the data'}: more than {MAX_DEPTH} containers inside each other.")
        kind = type(node)
        if kind is ndarray and (dtype := dtype_of_numpy(node.dtype)) is not None:
            return add(node, Tensor(node.shape, dtype, array=node), path or SINGLE_NAME)
        if node is None or kind in _SCALARS:
            return node
        if kind is list or kind is tuple or kind.__name__ == "Size":
            items = [visit(item, f"{path}.{i}" if path else str(i), depth + 1) for i, item in enumerate(node)]
            return items if kind is list else tuple(items)
        if isinstance(node, Mapping):
            return _visit_mapping(node, path, depth, visit)
        if id(node) in sparse_seen:
            return sparse_seen[id(node)][1]
        tensor = as_tensor(node, where=path or "the data")
        if isinstance(tensor, Tensor):
            return add(node, tensor, path or SINGLE_NAME)
        if isinstance(tensor, SparseTensor):
            parts = {}
            for part, array in tensor.parts():
                where = f"{path or SINGLE_NAME}.{part}"
                inner = as_tensor(array, where=where)
                assert isinstance(inner, Tensor)
                parts[part] = add(array, inner, where)
            made = SparseTensor(tensor.kind, tensor.shape, **parts)
            sparse_seen[id(node)] = (node, made)
            return made
        if _is_numpy_scalar(node):
            return node
        raise UnsupportedDataError(_cannot_store(node, path))

    tree = visit(data, "", 0)
    return Content(tree, tensors, names, dict(metadata or {}))


def unique_name(name: str, taken: Mapping[str, Any]) -> str:
    """`name`, or with "#2", "#3" … behind it when it is taken: {"a.b": x, "a": {"b": y}} names two tensors alike."""
    unique, i = name, 1
    while unique in taken:
        i += 1
        unique = f"{name}#{i}"
    return unique


_SCALARS = frozenset({int, float, bool, str, bytes, complex})


def _visit_mapping(node: Mapping[Any, Any], path: str, depth: int, visit: Callable[[Any, str, int], Any]) -> Any:
    if type(node) not in (dict, OrderedDict) and not _mapping_is_plain(node):
        raise UnsupportedDataError(_cannot_store(node, path))
    out: dict[Any, Any] = OrderedDict() if type(node) is OrderedDict else {}
    for key, value in node.items():
        if type(key) not in (str, int):
            raise UnsupportedDataError(
                f"{path or 'the data'}: the key {key!r:.80} is a {type(key).__name__}; keys are str or int. "
                "Turn it into one of these."
            )
        out[key] = visit(value, f"{path}.{key}" if path else str(key), depth + 1)
    return out


def _mapping_is_plain(node: Mapping[Any, Any]) -> bool:
    # TensorFile and other read-only mappings are kept as dicts; a dict with behaviour of its own would lose it.
    return not isinstance(node, dict)


def _is_numpy_scalar(value: Any) -> bool:
    numpy = sys.modules.get("numpy")
    # Dates, strings and long doubles have no portable form: what could not be read again is refused.
    return numpy is not None and isinstance(value, numpy.generic) and value.dtype.name in DTYPES


def _cannot_store(node: Any, path: str) -> str:
    kind = type(node)
    where = path or "the data"
    if isinstance(node, Inert):
        return (
            f"{where}: {node!r} stands for an object of a class that was not imported, and is not stored. "
            "Take out what you need of it (.args, .state), or leave it out."
        )
    hint = "Store tensors, numbers, strings, booleans, None, bytes, and lists, tuples and dicts of these."
    if callable(getattr(node, "state_dict", None)):
        hint = "Save its .state_dict() instead."
    elif hasattr(node, "_asdict"):
        hint = "Save its ._asdict() instead."
    elif isinstance(node, dict):
        hint = "Save dict(...) of it instead."
    elif isinstance(node, (set, frozenset)):
        hint = "Save sorted(...) of it, a list."
    return f"{where}: a {kind.__module__}.{kind.__qualname__} cannot be stored. {hint}"


class _Tied:
    """Finds tensors that are the same memory, with the same shape, strides and dtype.

    The address of a NumPy array costs 2 µs to learn, so it is asked for only when two arrays have the same owner.
    """

    def __init__(self) -> None:
        self._first: dict[Any, Tensor] = {}
        self._owners: dict[Any, Any] = {}
        self._kept: list[Any] = []

    def first(self, value: Any, tensor: Tensor) -> Tensor:
        """The Tensor that came first for this memory: `tensor` itself when it is the first."""
        if tensor._array is value and value is not None:
            # A NumPy array whose memory nobody else showed so far: the usual case, decided first.
            owner = value if value.base is None else value.base
            if id(owner) not in self._owners and 0 not in tensor.shape:
                self._owners[id(owner)] = tensor
                self._kept.append(owner)  # an id means something only while the object lives
                return tensor
        key = self._key(value, tensor)
        return tensor if key is None else self._first.setdefault(key, tensor)

    def _key(self, value: Any, tensor: Tensor) -> Any:
        array = tensor._array
        if array is None:
            ext = tensor.extent
            if ext is None:
                return id(tensor)
            return (id(ext.source), ext.offset, ext.strides, tensor.shape, tensor.dtype) if ext.nbytes else None
        if 0 in tensor.shape:
            return None
        if hasattr(value, "data_ptr"):  # torch: the address is at hand
            return (
                str(value.device) if not value.is_cpu else "",
                value.data_ptr(),
                value.stride(),
                tensor.shape,
                tensor.dtype,
            )
        if hasattr(array, "blocks"):
            return (*array.key(), tensor.shape, tensor.dtype)
        owner = array if array.base is None else array.base
        seen = self._owners.get(id(owner))
        self._kept.append(owner)  # an id means something only while the object lives
        if seen is None:
            self._owners[id(owner)] = tensor
            return id(tensor)
        if seen is not True:
            self._owners[id(owner)] = True
            self._first[_address(seen)] = seen
        return _address(tensor)


def _address(tensor: Tensor) -> Any:
    array = tensor._array
    return (array.__array_interface__["data"][0], array.strides, tensor.shape, tensor.dtype)


def leaves(tree: Any, *, inside: bool = False) -> Iterator[tuple[str, Any]]:
    """The (path, leaf) pairs of a tree in order; containers are dicts, lists and tuples.

    An Inert record is a leaf; with `inside`, the leaves of its arguments, state and items follow it.
    """
    stack: list[tuple[str, Any]] = [("", tree)]
    while stack:
        path, node = stack.pop()
        if isinstance(node, dict):
            found = [(f"{path}.{key}" if path else str(key), value) for key, value in node.items()]
            stack.extend(reversed(found))
        elif isinstance(node, (list, tuple)):
            found = [(f"{path}.{i}" if path else str(i), value) for i, value in enumerate(node)]
            stack.extend(reversed(found))
        else:
            yield path, node
            if inside and isinstance(node, Inert):
                stack.extend((path, part) for part in (node.items, node.state, node.args) if part is not None)


def map_tree(tree: Any, leaf: Callable[[Any], Any]) -> Any:
    """The same containers, Inert records among them, with `leaf(value)` in the place of every leaf."""
    if isinstance(tree, dict):
        made = OrderedDict() if type(tree) is OrderedDict else {}
        for key, value in tree.items():
            made[key] = map_tree(value, leaf)
        return made
    if isinstance(tree, list):
        return [map_tree(value, leaf) for value in tree]
    if isinstance(tree, tuple):
        return tuple(map_tree(value, leaf) for value in tree)
    if isinstance(tree, Inert):
        args, state, items = (map_tree(part, leaf) for part in (tree.args, tree.state, tree.items))
        return Inert(tree.module, tree.name, args, state, items)
    return leaf(tree)


def is_flat(content: Content) -> bool:
    """Whether the tree is a dict from each tensor's name to the tensor and nothing else."""
    tree = content.tree
    return (
        type(tree) is dict
        and len(tree) == len(content.tensors)
        and all(map(_same, tree.items(), content.tensors.items()))
    )


def _same(a: tuple[Any, Any], b: tuple[Any, Any]) -> bool:
    return type(a[0]) is str and a[0] == b[0] and a[1] is b[1]


def encode(content: Content) -> Any:
    """The tree as JSON values. A tensor is its name, a dict with string keys an object, everything else a tagged list:

    ["l", …] list, ["t", …] tuple, ["d", [key, value], …] dict with int keys, ["o", [key, value], …] OrderedDict,
    ["s", text], ["b", base64], ["f", "nan"|"inf"|"-inf"], ["c", real, imag], ["n", dtype, hex of the bytes] NumPy scalar,
    ["sp", kind, shape, {part: name}] sparse tensor. Numbers, true, false and null are themselves.
    """
    names = content.names

    def node(value: Any) -> Any:
        kind = type(value)
        if kind is Tensor:
            return names[id(value)]
        if value is None or kind is bool or kind is int:
            return value
        if kind is float:
            return value if math.isfinite(value) else ["f", repr(value)]
        if kind is str:
            return ["s", value]
        if kind is dict and all(type(key) is str for key in value):
            return {key: node(item) for key, item in value.items()}
        if kind is dict or kind is OrderedDict:
            return ["d" if kind is dict else "o", *([key, node(item)] for key, item in value.items())]
        if kind is list or kind is tuple:
            return ["l" if kind is list else "t", *map(node, value)]
        if kind is bytes:
            return ["b", base64.b64encode(value).decode("ascii")]
        if kind is complex:
            return ["c", node(value.real), node(value.imag)]
        if kind is SparseTensor:
            return ["sp", value.kind, list(value.shape), {part: node(tensor) for part, tensor in value.parts()}]
        return ["n", value.dtype.str if value.dtype.isbuiltin == 1 else value.dtype.name, value.tobytes().hex()]

    return node(content.tree)


def decode(structure: Any, tensors: Mapping[str, Tensor], *, what: str) -> Any:
    """The tree that `encode` made, with the Tensors of `tensors` as leaves.

    Raises:
        CorruptFileError: the JSON is not what `encode` makes, or names a tensor that is not there.
    """

    def fail(node: Any) -> CorruptFileError:
        return CorruptFileError(
            f"{what}: the stored structure has {node!r:.80} where it cannot be. The file is damaged, or another program "
            "changed it; tk.open(path) still lists its tensors."
        )

    def pairs(node: list[Any], depth: int) -> Iterator[tuple[Any, Any]]:
        seen = set()
        for pair in node[1:]:
            if type(pair) is not list or len(pair) != 2 or type(pair[0]) not in (str, int) or pair[0] in seen:
                raise fail(pair)
            seen.add(pair[0])
            yield pair[0], build(pair[1], depth + 1)

    def build(node: Any, depth: int) -> Any:
        if depth > MAX_DEPTH + 2:
            raise fail(node)
        kind = type(node)
        if kind is str:
            if node not in tensors:
                raise fail(node)
            return tensors[node]
        if node is None or kind is bool or kind is int or kind is float:
            return node
        if kind is dict:
            return {key: build(value, depth + 1) for key, value in node.items()}
        if kind is not list or not node or type(node[0]) is not str:
            raise fail(node)
        tag = node[0]
        if tag == "l":
            return [build(item, depth + 1) for item in node[1:]]
        if tag == "t":
            return tuple(build(item, depth + 1) for item in node[1:])
        if tag == "d":
            return dict(pairs(node, depth))
        if tag == "o":
            return OrderedDict(pairs(node, depth))
        return _tagged_leaf(node, build, fail, depth)

    return build(structure, 0)


def _tagged_leaf(
    node: list[Any], build: Callable[[Any, int], Any], fail: Callable[[Any], CorruptFileError], depth: int
) -> Any:
    tag, args = node[0], node[1:]
    try:
        if tag == "s" and len(args) == 1 and type(args[0]) is str:
            return args[0]
        if tag == "b" and len(args) == 1:
            return base64.b64decode(args[0], validate=True)
        if tag == "f" and args in (["nan"], ["inf"], ["-inf"]):
            return float(args[0])
        if tag == "c" and len(args) == 2:
            real, imag = build(args[0], depth + 1), build(args[1], depth + 1)
            if type(real) is float and type(imag) is float:
                return complex(real, imag)
        if tag == "n" and len(args) == 2:
            return _numpy_scalar(args[0], args[1])
        if tag == "sp" and len(args) == 3:
            kind, shape, parts = args
            sized = all(type(n) is int and n >= 0 for n in shape)
            if kind in _SPARSE_KINDS and sized and type(parts) is dict and set(parts) <= _SPARSE_PARTS:
                built = {part: build(name, depth + 1) for part, name in parts.items()}
                if {"data", "indices"} <= set(built) and all(type(part) is Tensor for part in built.values()):
                    return SparseTensor(kind, tuple(shape), **built)
    except (TypeError, ValueError) as err:
        raise fail(node) from err
    raise fail(node)


_SPARSE_KINDS = ("csr", "row_sparse", "coo", "csc")
_SPARSE_PARTS = {"data", "indices", "indptr"}


_NUMPY_TYPE = re.compile(r"[<>|][biufc][0-9]{1,2}")


def _numpy_scalar(dtype: str, data: str) -> Any:
    import numpy as np

    if dtype in DTYPES:  # bfloat16, float8 … by name
        kind = numpy_dtype(DTYPES[dtype])
    elif _NUMPY_TYPE.fullmatch(dtype):
        kind = np.dtype(dtype)
    else:
        raise ValueError(dtype)
    if len(data) != 2 * kind.itemsize:
        raise ValueError(data)
    return np.frombuffer(bytes.fromhex(data), kind)[0]
