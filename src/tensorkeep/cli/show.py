"""`tkeep show`: one tensor's values, statistics and histogram, in bounded memory; or one plain value."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import CompletionItem

from tensorkeep.api.loading import open as open_file
from tensorkeep.cli import _options
from tensorkeep.cli._text import (
    bold,
    clean,
    count,
    dim,
    json_document,
    nbytes_text,
    shape_text,
    terminal_width,
    value_text,
    width,
    write,
)
from tensorkeep.cli._values import with_records
from tensorkeep.core.tensor import SparseTensor, Tensor
from tensorkeep.core.tensorfile import TensorFile
from tensorkeep.errors import TensorkeepError

if TYPE_CHECKING:
    from tensorkeep.cli._statistics import Statistics

__all__ = ["parse_index", "show"]

_SHOWN_ELEMENTS = 1000  # NumPy's own threshold: of a larger tensor the first and last entries along each axis are shown
_EDGE = 3
_JSON_ELEMENTS = 10_000
_FEW_ELEMENTS = 10
"""Fewer values than this are seen at a glance; a histogram of them says nothing."""


def _complete_name(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    try:
        with open_file(ctx.params["path"], unknown="inert") as file:
            return [CompletionItem(name) for name in file if name.startswith(incomplete) and name.isprintable()]
    except (TensorkeepError, OSError, KeyError):
        return []


@click.command()
@click.argument("path", metavar="FILE", type=click.Path())
@click.argument("name", metavar="NAME", shell_complete=_complete_name)
@click.option("--bins", type=click.IntRange(1, 200), default=12, metavar="N", help="Rows of the histogram (12).")
@_options.epoch
@_options.as_json
def show(path: str, name: str, bins: int, epoch: int | None, as_json: bool) -> int:
    """Show a tensor: its values, minimum, maximum, mean, NaN and infinities, and a histogram.

    NAME may end with an index as NumPy has it: 'encoder.weight[0:2, 3]', 'bias[-1]', 'x[..., ::2]'. A plain value that
    stands beside the tensors is shown by its path.
    """
    with open_file(path, unknown="inert", epoch=epoch) as file:
        found, index = _find(file, name)
        if isinstance(found, SparseTensor):
            if index is not None:
                raise click.UsageError(
                    f"{name!r} is sparse: index one of its parts, such as {name.partition('[')[0]}.data[0]."
                )
            _show_sparse(file, name, found, bins, as_json)
        elif isinstance(found, Tensor):
            _show_tensor(file, name, found, index, bins, as_json)
        elif as_json:
            from tensorkeep.cli.ls import value_document

            json_document({"path": file.path, "name": name, **value_document(found)})
        else:
            write(f"{bold(clean(name))}  {dim(type(found).__name__)}\n\n  {value_text(found, 4000)}")
    return 0


_GONE = object()


def _find(file: TensorFile, name: str) -> tuple[Any, tuple[Any, ...] | None]:
    """The tensor or value called `name`, and the index at its end. The whole name is tried first: it may hold brackets."""
    found = _lookup(file, name)
    if found is not _GONE:
        return found, None
    if name.endswith("]") and "[" in name:
        base, _, inside = name[:-1].rpartition("[")
        found = _lookup(file, base)
        if found is not _GONE:
            return found, parse_index(inside)
        name = base
    return file[name], None  # raises, with the nearest names


def _lookup(file: TensorFile, name: str) -> Any:
    if name in file:
        return file[name]
    whole, _, part = name.rpartition(".")
    if part in ("data", "indices", "indptr") and whole in file:
        sparse = file[whole]
        if isinstance(sparse, SparseTensor) and getattr(sparse, part) is not None:
            return getattr(sparse, part)
    return next((leaf for path, leaf in with_records(file.structure) if path == name), _GONE)


_SLICE = re.compile(r"(-?\d{1,18})?:(-?\d{1,18})?(?::(-?\d{1,18})?)?")


def parse_index(text: str) -> tuple[Any, ...]:
    """The index that "0:2, -1, ..." stands for: whole numbers, slices and one ellipsis, nothing else.

    Raises:
        click.UsageError: it is something else.
    """
    parts: list[Any] = []
    for part in (each.strip() for each in text.split(",")):
        sliced = _SLICE.fullmatch(part.replace(" ", ""))
        if re.fullmatch(r"-?\d{1,18}", part):
            parts.append(int(part))
        elif sliced is not None and sliced[3] != "0":
            parts.append(slice(*(int(each) if each else None for each in sliced.groups())))
        elif part == "..." and ... not in parts:
            parts.append(...)
        else:
            raise click.UsageError(
                f"[{text}] is no index. Use numbers, slices and one '...', as in [0:2, -1] or [..., ::2]."
            )
    return tuple(parts)


def _indexed(tensor: Tensor, name: str, index: tuple[Any, ...] | None) -> Tensor:
    if index is None:
        return tensor
    import numpy as np

    try:
        array = np.asarray(tensor[index])
    except IndexError as err:
        raise click.UsageError(f"{name}: {err}. Its shape is {shape_text(tensor.shape)}.") from err
    return Tensor(array.shape, tensor.dtype, array=array)


def _show_tensor(
    file: TensorFile, name: str, whole: Tensor, index: tuple[Any, ...] | None, bins: int, as_json: bool
) -> None:
    from tensorkeep.cli._progress import progress
    from tensorkeep.cli._statistics import statistics

    tensor = _indexed(whole, name, index)
    with progress(f"show {name}", 2 * tensor.nbytes):
        result = statistics(tensor, bins)
    if as_json:
        document: dict[str, Any] = {
            "path": file.path,
            "name": name,
            "dtype": str(tensor.dtype),
            "shape": list(tensor.shape),
        }
        small = tensor.size <= _JSON_ELEMENTS
        document |= {"nbytes": tensor.nbytes, "values": _json_values(tensor) if small else None}
        json_document(document | {"statistics": result.document()})
        return
    spec = [str(tensor.dtype), shape_text(tensor.shape), nbytes_text(tensor.nbytes)]
    if index is not None:
        spec.append(f"of {shape_text(whole.shape)}")
    lines = [bold(clean(name)) + dim("  " + " · ".join(spec)), ""]
    lines += _values(tensor)
    lines += _statistics(result)
    write(lines + _histogram(result))


def _show_sparse(file: TensorFile, name: str, sparse: SparseTensor, bins: int, as_json: bool) -> None:
    from tensorkeep.cli._statistics import statistics

    parts = {part: tensor for part, tensor in sparse.parts() if isinstance(tensor, Tensor)}
    result = statistics(parts["data"], bins)
    if as_json:
        from tensorkeep.cli.ls import tensor_document

        json_document({"path": file.path, **tensor_document(name, sparse), "statistics": result.document()})
        return
    spec = [str(sparse.dtype), sparse.kind, shape_text(sparse.shape), nbytes_text(sparse.nbytes)]
    lines = [bold(clean(name)) + dim("  " + " · ".join(spec))]
    for part, tensor in parts.items():
        lines += ["", dim(f"  {part}  {tensor.dtype} · {shape_text(tensor.shape)}"), *_values(tensor)]
    lines += ["", dim("  of the values that are stored"), *_statistics(result)[1:]]
    write(lines + _histogram(result))


def _json_values(tensor: Tensor) -> Any:
    """Nested lists; NaN and infinities as text, a complex number as [real, imaginary]."""
    import math

    def plain(value: Any) -> Any:
        if isinstance(value, list):
            return [plain(each) for each in value]
        if isinstance(value, complex):
            return [plain(value.real), plain(value.imag)]
        if isinstance(value, float) and not math.isfinite(value):
            return repr(value)
        return value

    from tensorkeep.cli._statistics import comparable

    return plain(comparable(tensor.numpy()).tolist())


def _values(tensor: Tensor) -> list[str]:
    import numpy as np

    from tensorkeep.cli._statistics import comparable

    if tensor.dtype.bits == 6:
        return ["  the values of 6-bit elements cannot be given: no specification says how they are packed"]
    array = tensor.numpy()
    if not array.size:
        return ["  no values"]
    many = array.size > _SHOWN_ELEMENTS
    # Of a large tensor only what will be printed is converted: the edges, and one element between them for the "...".
    keep = [np.r_[0 : _EDGE + 1, n - _EDGE : n] if n > 2 * _EDGE else np.arange(n) for n in array.shape]
    shown = comparable(array[np.ix_(*keep)] if many else array)
    text = np.array2string(
        shown,
        max_line_width=max((terminal_width() or 100) - 4, 40),
        precision=5,
        threshold=0 if many else _SHOWN_ELEMENTS,
        edgeitems=_EDGE,
        suppress_small=_ordinary(shown),
    )
    return [f"  {line}" for line in text.split("\n")]


def _ordinary(shown: Any) -> bool:
    """Whether the values read best without exponents: the largest one is neither tiny nor huge."""
    import numpy as np

    if shown.dtype.kind != "f":
        return False
    finite = shown[np.isfinite(shown)]
    return bool(finite.size) and 1e-2 <= float(np.max(np.abs(finite))) < 1e5


def _statistics(result: Statistics) -> list[str]:
    pairs = result.pairs()
    if not pairs:
        return []
    label = max(len(name) for name, _ in pairs)
    lines = [""]
    half = (len(pairs) + 1) // 2
    left = [f"{name:<{label}}  {value}" for name, value in pairs[:half]]
    right = [f"{name:<{label}}  {value}" for name, value in pairs[half:]]
    wide = max(map(width, left))
    for i, text in enumerate(left):
        beside = right[i] if i < len(right) else ""
        lines.append(f"  {text}{' ' * (wide - width(text))}    {beside}".rstrip())
    return lines


_EIGHTHS = " ▏▎▍▌▋▊▉█"


def _histogram(result: Statistics) -> list[str]:
    rows = result.histogram
    if len(rows) < 2 or result.finite < _FEW_ELEMENTS:
        return []
    ends = [label.split(" to ") for label, _ in rows]
    wide = [max(len(end[i]) for end in ends) for i in range(len(ends[0]))]
    labels = [" to ".join(f"{end[i]:>{wide[i]}}" for i in range(len(end))) for end in ends]
    counts = [count(many) for _, many in rows]
    left, right = max(map(len, labels)), max(map(len, counts))
    room = min(max((terminal_width() or 80) - left - right - 8, 10), 60)
    most = max(many for _, many in rows) or 1
    lines = [""]
    for label, text, (_, many) in zip(labels, counts, rows, strict=True):
        eighths = round(many / most * room * 8)
        eighths = max(eighths, 1) if many else 0
        bar = "█" * (eighths // 8) + (_EIGHTHS[eighths % 8] if eighths % 8 else "")
        lines.append(f"  {label:>{left}}  {text:>{right}}  {bar}".rstrip())
    return lines
