"""What Block and HybridBlock write and read: parameters by structure, whole models, exported graphs."""

from __future__ import annotations

import json
import warnings
from typing import TYPE_CHECKING, Any

from tensorkeep.errors import CorruptFileError
from tensorkeep.formats._json import parse
from tensorkeep.mxnet import ndarray
from tensorkeep.mxnet._state import state
from tensorkeep.mxnet.base import MXNetError
from tensorkeep.mxnet.gluon._reading import is_archive, load
from tensorkeep.mxnet.gluon.utils import _brief_print_list
from tensorkeep.mxnet.util import np_array, np_shape
from tensorkeep.storage.atomic import replace_file

if TYPE_CHECKING:
    from tensorkeep.mxnet.gluon._block import Block
    from tensorkeep.mxnet.gluon._hybrid import HybridBlock

__all__ = ["export", "load_model", "load_parameters", "save_model", "save_parameters"]


def _save(filename: str, arrays: dict[str, Any]) -> None:
    if state.np_array:
        from tensorkeep.mxnet import numpy_extension

        numpy_extension.save(filename, arrays)
    else:
        ndarray.save(filename, arrays)


def save_parameters(block: Block, filename: str, deduplicate: bool) -> None:
    """Write a block's Parameters, named by the path of attributes."""
    params = block._collect_params_with_prefix()
    if deduplicate:
        names = {param: name for name, param in params.items()}  # the last name of each stays
        params = {name: param for param, name in names.items()}
    _save(filename, {name: param._reduce() for name, param in params.items()})


def load_parameters(
    block: Block, filename: str, ctx: Any, allow_missing: bool, ignore_extra: bool, cast: bool, source: str
) -> None:
    """Read a block's Parameters from a file of whatever writer."""
    loaded = _load(filename)
    params = block._collect_params_with_prefix()
    if not loaded and not params:
        return
    names = loaded.keys()
    if not any("." in name for name in names):
        prefix = block.prefix
        plain = {_bare(name) for name in names}
        if any(_bare(name) != name for name in names) and plain.issuperset(block.collect_params().keys()):
            prefix = ""  # an exported file: its names are whole
        block.collect_params().load(filename, ctx, allow_missing, ignore_extra, prefix, cast, source)
        return
    # MXNet 2.0 exports structural names behind arg: and aux:.
    loaded = {_bare(name): array for name, array in loaded.items()}
    if not allow_missing:
        found = {param for name, param in params.items() if name in loaded}
        for name, param in params.items():
            assert param in found, (
                f"Parameter '{name}' is missing in file '{filename}', which contains parameters: "
                f"{_brief_print_list(loaded)}. Set allow_missing=True to ignore missing parameters."
            )
    for name, array in loaded.items():
        if name in params:
            params[name]._check_load(array, ctx, cast, source)
        elif not ignore_extra:
            raise ValueError(
                f"Parameter '{name}' loaded from file '{filename}' is not present in ParameterDict, which contains "
                f"parameters {_brief_print_list(block._params.keys())}. Set ignore_extra=True to ignore. "
            )
    for name, array in loaded.items():
        if name in params:
            params[name]._load_init(array, ctx, cast_dtype=cast, dtype_source=source)


def _bare(name: str) -> str:
    return name[4:] if name[:4] in ("arg:", "aux:") else name


def _load(filename: str) -> Any:
    if not state.np_array or is_archive(filename):
        return load(filename)
    from tensorkeep.mxnet import numpy_extension

    try:
        return numpy_extension.load(filename)
    except MXNetError as err:
        if "np_shape" not in str(err):
            raise ValueError(str(err)) from err
    # Written without NumPy's semantics; whatever they could hold, NumPy's arrays can hold as well.
    with np_array(False), np_shape(False):
        loaded = ndarray.load(filename)
    assert isinstance(loaded, dict), f"expecting a dict type, got {type(loaded)}"
    return {name: array.as_np_ndarray() for name, array in loaded.items()}


def save_model(block: Block, prefix: str) -> None:
    """Write the structure of a block with its traced graphs, and its Parameters."""
    model: dict[str, Any] = {}
    _describe(block, [0], model)
    with replace_file(f"{prefix}-model.json") as file:
        file.write(json.dumps(model).encode("ascii"))
    block.save_parameters(f"{prefix}-model.params")


def _describe(block: Block, index: list[int], structure: dict[str, Any]) -> None:
    entry: dict[str, Any] = {"orig_name": block.name}
    structure[f"{type(block).__name__.lower()}{index[0]}"] = entry
    graph = getattr(block, "_cached_graph", None)
    if graph:
        hybrid: Any = block
        inputs, out = graph
        entry["in_format"] = hybrid._in_format
        entry["out_format"] = hybrid._out_format
        entry["inputs"] = [symbol.tojson() for symbol in inputs]
        entry["symbol"] = out.tojson()
        entry["hybridized"] = True
    elif graph is not None:
        entry["hybridized"] = False
    children: dict[str, str] = {}
    entry["children"] = children
    for name, child in block._children.items():
        index[0] += 1
        children[child.name] = name
        _describe(child, index, entry)


def load_model(block: Block, prefix: str) -> None:
    """Give a block the names, graphs and Parameters that `save_model` wrote of one with the same structure."""
    path = f"{prefix}-model.json"
    with open(path, "rb") as file:
        model = parse(file.read(), what=path)
    found: list[tuple[Block, dict[str, Any], Any]] = []
    _match(block, model, found, path)
    for part, entry, graph in found:
        _restore(part, entry, graph)
    for part, entry, _ in found:
        children = list(part._children.values())
        part._children.clear()
        part._children.update((entry["children"][child.name], child) for child in children)
    block.load_parameters(f"{prefix}-model.params")


_FIELDS: dict[str, Any] = {"orig_name": str, "children": dict}
_TRACED: dict[str, Any] = {"in_format": (list, int), "out_format": (list, int), "inputs": list, "symbol": str}


def _match(block: Block, structure: Any, found: list[tuple[Block, dict[str, Any], Any]], path: str) -> None:
    """Find the part of a file that belongs to each block, checked, before any of them is changed."""
    from tensorkeep.mxnet.symbol import load_json

    key = f"{type(block).__name__.lower()}{len(found)}"
    entry = structure.get(key) if isinstance(structure, dict) else None
    if not isinstance(entry, dict):
        raise CorruptFileError(f"{path}: it says nothing of {key!r}, block {block.name}. It is of another network.")
    graph = None
    traced = bool(entry.get("hybridized"))
    for name, kind in {**_FIELDS, **(_TRACED if traced else {})}.items():
        if not isinstance(entry.get(name), kind):
            raise CorruptFileError(f"{path}: {name!r} of {key!r} is missing, or not what it should be: it is damaged.")
    if traced:
        texts = [*entry["inputs"], entry["symbol"]]
        if not all(isinstance(text, str) for text in texts):
            raise CorruptFileError(f"{path}: 'inputs' of {key!r} are no symbols: it is damaged.")
        *inputs, out = map(load_json, texts)
        graph = (inputs, out)
    found.append((block, entry, graph))
    children = list(block._children.values())
    for child in children:
        _match(child, entry, found, path)
    for child, name in zip(children, _names_of(children, found), strict=True):
        if not isinstance(entry["children"].get(name), str):
            raise CorruptFileError(f"{path}: {key!r} has no child {name!r}, which is {child.name} here: it is damaged.")


def _names_of(children: list[Block], found: list[tuple[Block, dict[str, Any], Any]]) -> list[str]:
    """The names that blocks get."""
    names: dict[int, str] = {id(block): entry["orig_name"] for block, entry, _ in found}
    return [names[id(child)] for child in children]


def _restore(block: Block, entry: dict[str, Any], graph: Any) -> None:
    block._name = entry["orig_name"]
    if graph is not None:
        hybrid: Any = block
        hybrid._in_format = entry["in_format"]
        hybrid._out_format = entry["out_format"]
        hybrid._cached_graph = graph
        hybrid._active = True
    own = block.params
    for name in list(own.keys()):
        param = own._params.pop(name)
        own._params[f"{block.name}_{name[len(own._prefix) :]}"] = param


def export(block: HybridBlock, path: str, epoch: int, remove_amp_cast: bool) -> None:
    """Write a block's traced graph and the Parameters that it uses."""
    if not block._cached_graph:
        raise RuntimeError(
            "Please first call block.hybridize() and then run forward with this block at least once before calling "
            "export."
        )
    graph = block._cached_graph[1]
    graph.save(f"{path}-symbol.json", remove_amp_cast=remove_amp_cast)
    arguments, auxiliaries = set(graph.list_arguments()), set(graph.list_auxiliary_states())
    arrays = {}
    for is_data, param in block._cached_op_args:
        if is_data:
            continue
        if param.name in arguments:
            arrays[f"arg:{param.name}"] = param._reduce()
        elif param.name in auxiliaries:
            arrays[f"aux:{param.name}"] = param._reduce()
        else:
            warnings.warn(f'Parameter "{param.name}" is not found in the graph. ', stacklevel=4)
    _save(f"{path}-{epoch:04d}.params", arrays)
