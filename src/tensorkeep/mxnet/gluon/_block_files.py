"""What Block and HybridBlock write and read: parameters by structure, whole models, exported graphs."""

from __future__ import annotations

import json
import warnings
from typing import TYPE_CHECKING, Any

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
            params[name]._load_init(array, ctx, cast_dtype=cast, dtype_source=source)
        elif not ignore_extra:
            raise ValueError(
                f"Parameter '{name}' loaded from file '{filename}' is not present in ParameterDict, which contains "
                f"parameters {_brief_print_list(block._params.keys())}. Set ignore_extra=True to ignore. "
            )


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
    with open(f"{prefix}-model.json", encoding="utf-8") as file:
        model = json.load(file)
    _restore(block, [0], model)
    block.load_parameters(f"{prefix}-model.params")


def _restore(block: Block, index: list[int], structure: dict[str, Any]) -> None:
    from tensorkeep.mxnet.symbol import load_json

    entry = structure[f"{type(block).__name__.lower()}{index[0]}"]
    block._name = entry["orig_name"]
    if entry.get("hybridized"):
        hybrid: Any = block
        hybrid._in_format = entry["in_format"]
        hybrid._out_format = entry["out_format"]
        hybrid._cached_graph = ([load_json(text) for text in entry["inputs"]], load_json(entry["symbol"]))
        hybrid._active = True
    own = block.params
    for name in list(own.keys()):
        param = own._params.pop(name)
        own._params[f"{block.name}_{name[len(own._prefix) :]}"] = param
    for child in block._children.values():
        index[0] += 1
        _restore(child, index, entry)
    children = list(block._children.values())
    block._children.clear()
    for child in children:
        block._children[entry["children"][child.name]] = child


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
