"""What torch's pickles ask for: storages as byte ranges, and torch's rebuild functions as checked makers of Tensors.

Source: torch/_utils.py, torch/_tensor.py (`_reduce_ex_internal`), torch/serialization.py, torch/csrc/jit/serialization/pickler.cpp.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from tensorkeep.core.bounds import MAX_NDIM
from tensorkeep.core.bytesource import ByteSource
from tensorkeep.core.dtypes import DTYPES, DType
from tensorkeep.core.hashing import Digest
from tensorkeep.core.tensor import Extent, SparseTensor, Tensor
from tensorkeep.core.tree import Inert
from tensorkeep.formats._pickle_parts import Cell, Global, InertCell, Known, Unfit, Unsupported

__all__ = ["STORAGE_DTYPES", "TORCH", "TORCH_DTYPES", "Shelf", "Storage", "has_place", "storage_class"]

STORAGE_DTYPES: dict[str, DType] = {
    f"{name}Storage": DTYPES[dtype]
    for name, dtype in {
        "Float": "float32",
        "Double": "float64",
        "Half": "float16",
        "BFloat16": "bfloat16",
        "Byte": "uint8",
        "Char": "int8",
        "Short": "int16",
        "Int": "int32",
        "Long": "int64",
        "Bool": "bool",
        "ComplexFloat": "complex64",
        "ComplexDouble": "complex128",
    }.items()
}
"""Class name of a typed storage to its element type."""

_OTHER_STORAGES = {  # element types that NumPy has not: bytes an element, torch's name
    "ComplexHalfStorage": (4, "torch.complex32"),
    "QInt8Storage": (1, "torch.qint8"),
    "QUInt8Storage": (1, "torch.quint8"),
    "QInt32Storage": (4, "torch.qint32"),
    "QUInt4x2Storage": (1, "torch.quint4x2"),
    "QUInt2x4Storage": (1, "torch.quint2x4"),
}

_NEW = "uint16 uint32 uint64 float8_e4m3fn float8_e4m3fnuz float8_e5m2 float8_e5m2fnuz float8_e8m0fnu"
TORCH_DTYPES: dict[str, DType] = {name: DTYPES[name] for name in [*map(str, STORAGE_DTYPES.values()), *_NEW.split()]}
"""Names of torch dtypes whose elements take whole bytes."""

_FLOAT4 = "float4_e2m1fn_x2"  # two elements in a byte; torch counts the pairs
_NO_VALUES = "complex32 qint8 quint8 qint32 quint4x2 quint2x4 bits8 bits16 bits1x8 bits2x4 bits4x2"
_SHELLS = [f"{kind}{bits}" for kind in ("int", "uint") for bits in range(1, 8)]


def storage_class(cls: Any) -> tuple[DType | None, int, str]:
    """Element type, bytes an element and torch's dtype name of a storage class; the type is None for untyped bytes and for
    types that have no representation."""
    if type(cls) not in (Global, Inert) or cls.module.partition(".")[0] != "torch":
        raise Unfit("the class of a storage is none of torch's")
    dtype = STORAGE_DTYPES.get(cls.name)
    if dtype is not None:
        return dtype, dtype.itemsize, f"torch.{dtype}"
    if cls.name in ("UntypedStorage", "_UntypedStorage"):
        return None, 1, ""
    if cls.name in _OTHER_STORAGES:
        return None, *_OTHER_STORAGES[cls.name]
    raise Unfit(f"the storage class {cls.name[:80]!r} is unknown")


FREE_VIEWED_NBYTES = 64 << 20
VIEWED_RATIO = 16
"""All views of one file together: 64 MiB and 16 times its storages. A stride of 0 repeats elements for free, and any
number of views may share a storage, so that a small file could ask for more memory than there is."""


class Shelf:
    """What the storages of one file share: their tensors (the same view is the same Tensor), and how much may unfold."""

    __slots__ = ("left", "tensors")

    def __init__(self) -> None:
        self.tensors: dict[Any, Tensor] = {}
        self.left = FREE_VIEWED_NBYTES


class Storage(Cell):
    """The bytes that tensors share: a record of a zip, or a range behind the pickles of an older file.

    `place` says where the bytes are; tensors that were made before get their extents then.
    """

    __slots__ = (
        "big_endian", "crc", "dtype", "itemsize", "key", "nbytes", "offset", "other", "shelf", "source", "waiting", "whole",
    )  # fmt: skip

    def __init__(self, key: str, kind: tuple[DType | None, int, str], numel: int, shelf: Shelf) -> None:
        self.key = key
        self.dtype, self.itemsize, self.other = kind
        self.nbytes = numel * self.itemsize
        self.shelf = shelf
        shelf.left += VIEWED_RATIO * self.nbytes
        self.source: ByteSource | None = None
        self.whole = False
        self.waiting: list[tuple[Tensor, int, int, tuple[int, ...] | None]] | None = None

    def place(self, source: ByteSource, offset: int, *, big_endian: bool = False, crc: int | None = None) -> None:
        """Say where the bytes are, and their CRC-32 where the file has one."""
        self.source, self.offset, self.big_endian, self.crc = source, offset, big_endian, crc
        for row in self.waiting or ():
            self._settle(*row)

    def _settle(self, tensor: Tensor, start: int, nbytes: int, steps: tuple[int, ...] | None) -> None:
        if self.source is None:
            if self.waiting is None:
                self.waiting = []
            self.waiting.append((tensor, start, nbytes, steps))
            return
        big = self.big_endian and tensor.dtype.itemsize > 1
        tensor.extent = Extent(self.source, self.offset + start, nbytes, steps, big)
        if steps is None and nbytes == self.nbytes and not big and self.crc is not None and nbytes:
            tensor.digest = Digest("crc32", f"{self.crc:08x}")
            self.whole = True

    def tensor(self, dtype: DType, offset: Any, shape: Any, steps: Any) -> Tensor:
        """The Tensor at an element offset, with a step in elements for each axis; the same one for the same arguments."""
        if type(shape) is not tuple or type(steps) is not tuple:
            shape, steps = _ints(shape, "a shape"), _ints(steps, "a stride")
        if type(offset) is not int or len(shape) != len(steps) or len(shape) > MAX_NDIM:
            raise Unfit(f"a shape of {len(shape)} axes has {len(steps)} strides, or the offset is no integer")
        span, dense, plain = 1, 1, True
        for i in range(len(shape) - 1, -1, -1):
            size, step = shape[i], steps[i]
            if type(size) is not int or type(step) is not int or not 0 <= size < _MAX or not 0 <= step < _MAX:
                raise Unfit("a shape or stride holds something else than integers from 0 up")
            if size != 1:
                if step != dense:
                    plain = False
                span += (size - 1) * step
                dense *= size
                if dense > _MAX:
                    raise Unfit("a tensor has more elements than any file")
        if not dense:
            span, plain = 0, True
        item = dtype.itemsize
        if offset < 0 or (offset + span) * item > self.nbytes:
            raise Unfit(
                f"a tensor of shape {_text(shape)} at element {offset} reaches to element {offset + span} of a storage of "
                f"{self.nbytes // item}"
            )
        shelf = self.shelf
        key = (self.key, offset, shape, steps, dtype)
        found = shelf.tensors.get(key)
        if found is None:
            found = shelf.tensors[key] = Tensor(shape, dtype)
            shelf.left -= dense * item
            if shelf.left < 0:
                raise Unfit("the views of its storages have far more bytes than the file")
            self._settle(found, offset * item, span * item, None if plain else steps)
        return found

    def finish(self, parts: Sequence[Any]) -> Tensor:
        """A storage that stands in the data by itself: a one-dimensional tensor."""
        dtype = self.dtype or DTYPES["uint8"]
        return self.tensor(dtype, 0, (self.nbytes // dtype.itemsize,), (1,))


_MAX = 2**53  # no file has more elements; beyond it products leave 64 bits


def has_place(value: Tensor | SparseTensor) -> bool:
    """Whether the bytes of a tensor (all parts of a sparse one) are there; only in cut files they may not be."""
    if isinstance(value, SparseTensor):
        return all(has_place(part) for _, part in value.parts())
    return value.extent is not None or value._array is not None


def _text(shape: tuple[int, ...]) -> str:
    return f"({', '.join(str(n)[:20] for n in shape[:8])}{', …' if len(shape) > 8 else ''})"


def _ints(value: Any, what: str) -> tuple[int, ...]:
    if type(value) is not tuple and type(value) is not list:
        raise Unfit(f"{what} is a {type(value).__name__}")
    for n in value:
        if type(n) is not int or not 0 <= n < _MAX:
            raise Unfit(f"{what} holds something else than integers from 0 up")
    if len(value) > MAX_NDIM:
        raise Unfit(f"{what} has {len(value)} entries; at most {MAX_NDIM} are read")
    return tuple(value)


def _rebuild(storage: Any, offset: Any, size: Any, stride: Any, dtype: Any = None, metadata: Any = None) -> Tensor:
    if type(storage) is not Storage:
        raise Unfit(f"a {type(storage).__name__} stands in the place of a storage")
    if dtype is not None:
        name = _dtype_name(dtype)
        if name == _FLOAT4:
            return _float4(storage, offset, _ints(size, "a shape"), _ints(stride, "a stride"))
        kind = TORCH_DTYPES.get(name)
        if storage.dtype is not None and storage.dtype != kind:
            raise Unfit(f"a {storage.dtype} storage holds a tensor of dtype {name[:40]}")
    else:
        kind, name = storage.dtype, storage.other
    if kind is None:
        raise Unsupported(
            f"a tensor of dtype {name or 'unknown'} has no counterpart in NumPy. In torch, save .dequantize() of quantized "
            "tensors, and .to(torch.complex64) of complex32 ones."
        )
    tensor = storage.tensor(kind, offset, size, stride)
    return _conjugated(tensor, metadata) if metadata else tensor


def _dtype_name(dtype: Any) -> str:
    if type(dtype) is not Global or dtype.module != "torch":
        raise Unfit("a dtype is none of torch's")
    return dtype.name


def _float4(storage: Storage, offset: Any, shape: tuple[int, ...], steps: tuple[int, ...]) -> Tensor:
    key = (storage.key, offset, shape, steps, _FLOAT4)
    found = storage.shelf.tensors.get(key)
    if found is None:
        pairs = storage.tensor(DTYPES["uint8"], offset, shape, steps)
        dense, plain = 1, bool(shape)
        for size, step in zip(shape[::-1], steps[::-1], strict=True):
            plain = plain and (size == 1 or step == dense)
            dense *= size
        if not plain and dense:
            raise Unsupported(
                "a float4 tensor that is a view with gaps cannot be read. In torch, save .contiguous() of it."
            )
        found = Tensor((*shape[:-1], shape[-1] * 2), DTYPES["float4_e2m1fn"])
        storage.shelf.tensors[key] = found
        storage._settle(found, offset, pairs.nbytes, None)
    return found


def _conjugated(tensor: Tensor, metadata: Any) -> Tensor:
    """A lazily conjugated or negated view: torch keeps the bytes as they were and a mark beside them."""
    if type(metadata) is not dict or not all(
        key in ("conj", "neg") and type(value) is bool for key, value in metadata.items()
    ):
        raise Unfit("a tensor's metadata is something else than its conj and neg marks")
    conj, neg = metadata.get("conj", False), metadata.get("neg", False)
    if not conj and not neg:
        return tensor

    def make() -> Any:
        values = tensor.numpy().conj() if conj else tensor.numpy()
        return -values if neg else values

    return Tensor(tensor.shape, tensor.dtype, make=make)


# --- the rows of the table


def _count(args: tuple[Any, ...], least: int, most: int) -> None:
    if not least <= len(args) <= most:
        raise Unfit(f"it has {len(args)} arguments")


def _tensor_v1(args: tuple[Any, ...]) -> Tensor:
    _count(args, 4, 4)
    return _rebuild(*args)


def _tensor_v2(args: tuple[Any, ...]) -> Tensor:
    _count(args, 6, 7)
    return _rebuild(args[0], args[1], args[2], args[3], metadata=args[6] if len(args) == 7 else None)


def _tensor_v3(args: tuple[Any, ...]) -> Tensor:
    _count(args, 7, 8)
    return _rebuild(args[0], args[1], args[2], args[3], args[6], args[7] if len(args) == 8 else None)


def _parameter(args: tuple[Any, ...]) -> Tensor:
    _count(args, 2, 4)
    if type(args[0]) is not Tensor:
        raise Unfit(f"a {type(args[0]).__name__} stands in the place of a tensor")
    return args[0]


def _quantized(args: tuple[Any, ...]) -> Tensor:
    _count(args, 6, 7)
    raise Unsupported(
        "a quantized tensor has no counterpart in NumPy. In torch, save .dequantize() of it, or .int_repr()."
    )


def _meta(args: tuple[Any, ...]) -> Tensor:
    raise Unsupported("a tensor on the meta device has a shape and no values. Initialise it in torch before saving.")


def _nested(args: tuple[Any, ...]) -> Tensor:
    raise Unsupported(
        "a nested tensor has no counterpart in NumPy. In torch, save .unbind() of it, a tuple of tensors."
    )


def _from_numpy(args: tuple[Any, ...]) -> Tensor:
    _count(args, 4, 4)
    from tensorkeep.formats._pickle_base import ArrayCell

    array = args[0].finish(()) if type(args[0]) is ArrayCell else args[0]
    dtype = TORCH_DTYPES.get(_dtype_name(args[1]))
    if type(array) is not Tensor:
        raise Unfit(f"a {type(array).__name__} stands in the place of an array")
    if dtype is None or dtype != array.dtype:
        raise Unsupported(f"a tensor stored as {array.dtype} is to become {args[1]!r}; this cast is not made.")
    return array


_SPARSE = {"torch.sparse_coo": "coo", "torch.sparse_csr": "csr", "torch.sparse_csc": "csc"}


def _sparse(args: tuple[Any, ...]) -> SparseTensor:
    _count(args, 2, 2)
    layout, data = args
    if type(data) is not tuple or type(layout) is not str:
        raise Unfit("its arguments are not a layout and a tuple")
    kind = _SPARSE.get(layout)
    if kind is None:
        raise Unsupported(
            f"a sparse tensor of layout {layout[:40]} is not read. In torch, save .to_sparse_csr() of it."
        )
    tensors, rest = (data[:2], data[2:]) if kind == "coo" else (data[:3], data[3:])
    if any(type(tensor) is not Tensor for tensor in tensors) or not 1 <= len(rest) <= 2:
        raise Unfit("a sparse tensor does not consist of tensors and a size")
    shape = _ints(rest[0], "a shape")
    if kind == "coo":
        return SparseTensor(kind, shape, tensors[1], tensors[0])
    return SparseTensor(kind, shape, tensors[2], tensors[1], tensors[0])


def _size(args: tuple[Any, ...]) -> tuple[int, ...]:
    _count(args, 0, 1)
    return _ints(args[0], "a torch.Size") if args else ()


def _device(args: tuple[Any, ...]) -> str:
    _count(args, 1, 2)
    if type(args[0]) is not str or len(args[0]) > 40 or (len(args) == 2 and type(args[1]) is not int):
        raise Unfit("a device is not a name and a number")
    return args[0] if len(args) == 1 else f"{args[0]}:{args[1]}"


def _layout(args: tuple[Any, ...]) -> str:
    _count(args, 1, 1)
    if type(args[0]) is not str:
        raise Unfit("a layout is not a string")
    return args[0]


def _from_type(args: tuple[Any, ...]) -> Any:
    # torch._tensor._rebuild_from_type_v2(func, type, args, state): a subclass of Tensor, or one with attributes.
    _count(args, 4, 4)
    func, kind, inner, state = args
    if type(func) is not Global or func.known is None or func.module != "torch._utils" or func.known.call is None:
        raise Unfit("the function that rebuilds a tensor is none of torch's")
    if type(kind) is not Global or type(inner) is not tuple:
        raise Unfit("a tensor's class or arguments are not as torch writes them")
    func.called += 1
    tensor = func.known.call(inner)
    return tensor if kind.known is not None else InertCell(kind.module, kind.name, (tensor, state))


class _ParameterCell(Cell):
    """A Parameter as torch 0.1 to 0.3 pickled it: made empty, its tensor in the state."""

    __slots__ = ("value",)

    def build(self, state: Any) -> None:
        tensors = [part for part in state if type(part) is Tensor] if type(state) is tuple else []
        if len(tensors) != 1:
            raise Unfit("a parameter's state does not hold its tensor")
        self.value = tensors[0]

    def finish(self, parts: Sequence[Any]) -> Tensor:
        if not hasattr(self, "value"):
            raise Unfit("a parameter was begun and never filled")
        return self.value


def _parameter_new(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    if len(args) == 1 and type(args[0]) is Tensor:
        return args[0]
    _count(args, 0, 0)
    return _ParameterCell()


def _typed_list(args: tuple[Any, ...]) -> list[Any]:
    _count(args, 1, 1)
    if type(args[0]) is not list:
        raise Unfit("its argument is not a list")
    return args[0]


def _type_tag(args: tuple[Any, ...]) -> Any:
    _count(args, 2, 2)
    if type(args[1]) is not str or type(args[0]) not in (list, dict):
        raise Unfit("its arguments are not a list or dict and a type's name")
    return args[0]


def _table() -> dict[tuple[str, str], Known]:
    utils: dict[str, Callable[[tuple[Any, ...]], Any]] = {
        "_rebuild_tensor": _tensor_v1,
        "_rebuild_tensor_v2": _tensor_v2,
        "_rebuild_tensor_v3": _tensor_v3,
        "_rebuild_parameter": _parameter,
        "_rebuild_parameter_with_state": _parameter,
        "_rebuild_sparse_tensor": _sparse,
        "_rebuild_qtensor": _quantized,
        "_rebuild_nested_tensor": _nested,
        "_rebuild_meta_tensor_no_storage": _meta,
        "_rebuild_device_tensor_from_numpy": _from_numpy,
        "_rebuild_xla_tensor": _from_numpy,
        "_rebuild_device_tensor_from_cpu_tensor": _from_numpy,
    }
    table = {("torch._utils", name): Known(call) for name, call in utils.items()}
    table["torch._tensor", "_rebuild_from_type_v2"] = Known(_from_type)
    table["torch.serialization", "_get_layout"] = Known(_layout)
    table["torch", "Size"] = Known(_size)
    table["torch", "device"] = Known(_device)
    table["torch", "Tensor"] = Known()
    table["torch.nn.parameter", "Parameter"] = Known(new=_parameter_new)
    table["torch.nn.parameter", "Buffer"] = Known()
    for name in ("build_intlist", "build_tensorlist", "build_doublelist", "build_boollist"):
        table["torch.jit._pickle", name] = Known(_typed_list)
    table["torch.jit._pickle", "restore_type_tag"] = Known(_type_tag)
    for name in [*TORCH_DTYPES, _FLOAT4, *_NO_VALUES.split(), *_SHELLS]:
        table["torch", name] = Known(value=f"torch.{name}")
    for name in ("affine", "symmetric"):
        table["torch", f"per_tensor_{name}"] = Known(value=f"torch.per_tensor_{name}")
        table["torch", f"per_channel_{name}"] = Known(value=f"torch.per_channel_{name}")
    table["torch", "per_channel_affine_float_qparams"] = Known(value="torch.per_channel_affine_float_qparams")
    for name in [*STORAGE_DTYPES, *_OTHER_STORAGES]:
        table["torch", name] = table["torch.cuda", name] = Known()
        # The class of a tensor, as torch 0.1 noted it beside each.
        tensor = name.removesuffix("Storage") + "Tensor"
        table["torch", tensor] = table["torch.cuda", tensor] = Known()
    for name in ("UntypedStorage", "_UntypedStorage", "TypedStorage"):
        table["torch.storage", name] = table["torch", name] = Known()
    table["torch.cuda", "UntypedStorage"] = Known()
    return table


TORCH = _table()
"""(module, name) to Known, beside `_pickle_base.BASE`."""
