"""Writer and reader for torch.distributed.checkpoint: its planners, our steps.

    dcp.save(state, storage_writer=tk.TensorkeepWriter("runs/mlp/step-0000000100"))
    dcp.load(state, storage_reader=tk.TensorkeepReader("runs/mlp/step-0000000100"))

What is written is a step as the Checkpointer's: safetensors files of each rank, and a manifest that the coordinator writes
when all have reported. There is no pickle in it: values that are no tensors are JSON.
"""

from __future__ import annotations

import io
import itertools
import os
import re
import sys
import weakref
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from math import prod
from typing import TYPE_CHECKING, Any

from tensorkeep.checkpoint._pieces import Pieces
from tensorkeep.checkpoint._together import merged, report
from tensorkeep.checkpoint.commit import arrange, step_exists, write_files, write_indexes
from tensorkeep.checkpoint.provenance import provenance as ask_provenance
from tensorkeep.checkpoint.steps import HIDDEN
from tensorkeep.core.foreign import as_tensor, to_torch
from tensorkeep.core.plan import WritePlan
from tensorkeep.core.tensor import Tensor
from tensorkeep.core.tree import encode, flatten, map_tree, unique_name
from tensorkeep.errors import CorruptFileError, SaveError, UnsupportedDataError
from tensorkeep.formats._step_manifest import NAME, Manifest, Part, read_manifest, write_bytes
from tensorkeep.formats.step import file_damage, open_step
from tensorkeep.storage.folders import Draft, DraftShare, check_space, make_folder, remove_leftovers

if TYPE_CHECKING:
    from torch.distributed.checkpoint.metadata import Metadata
    from torch.distributed.checkpoint.planner import LoadPlan, LoadPlanner, SavePlan, SavePlanner
    from torch.distributed.checkpoint.storage import WriteResult
    from torch.futures import Future

__all__ = ["TensorkeepReader", "TensorkeepWriter"]

_STEP = re.compile(r"(?:step|crash)-(\d+)")


class TensorkeepWriter:
    """A StorageWriter of torch.distributed.checkpoint that writes a step, whole or not at all.

    Args:
        path: the folder of the step, which must not be there yet; `checkpoint_id=` of `dcp.save` goes before it. Its number is that
            of a name such as "step-0000000100", else 0.
        metrics: numbers by name, as `Checkpointer.save` takes them.
        provenance: whether the manifest says the command line, commit, versions and host.
    Raises, in `dcp.save` (as its CheckpointException, with the rank): StepExistsError, NotEnoughSpaceError, SaveError;
    UnsupportedDataError for values that are no tensors, numbers, strings, or lists and tuples of these. Nothing is left then.
    """

    def __init__(
        self,
        path: str | os.PathLike[str] | None = None,
        *,
        metrics: Mapping[str, float] | None = None,
        provenance: bool = True,
    ) -> None:
        from torch.distributed.checkpoint.storage import StorageWriter

        StorageWriter.register(type(self))
        self._path = None if path is None else os.fspath(path)
        self._metrics = dict(metrics or {})
        self._provenance = provenance
        self._draft: Draft | None = None
        self._rank = 0

    @property
    def checkpoint_id(self) -> str | None:
        """The step's folder."""
        return self._path

    def reset(self, checkpoint_id: str | os.PathLike[str] | None = None) -> None:
        """Begin a new save, into another folder when one is given."""
        self._abort()
        if checkpoint_id is not None:
            self._path = os.fspath(checkpoint_id)

    def set_up_storage_writer(self, is_coordinator: bool, *args: Any, **kwargs: Any) -> None:
        """Learn which rank this is.

        Raises:
            UnsupportedDataError: without collectives nobody could know when all ranks are done.
        """
        self._rank = int(kwargs.get("rank") or 0)
        if not kwargs.get("use_collectives", True):
            raise UnsupportedDataError(
                "dcp.save(use_collectives=False): without a coordinator the step could not be published as a whole. Leave it out."
            )

    def prepare_local_plan(self, plan: SavePlan) -> SavePlan:
        """The plan as it is."""
        return plan

    def prepare_global_plan(self, plans: list[SavePlan]) -> list[SavePlan]:
        """Make and lock the draft, and tell every rank its path."""
        self._abort()
        parent, name = self._place()
        if os.path.lexists(os.path.join(parent, name)):
            raise step_exists(parent, _number(name))
        make_folder(parent)
        remove_leftovers(parent)
        check_space(parent, sum(_nbytes(item) for plan in plans for item in plan.items), what=f"{parent}: {name}")
        self._draft = Draft(parent, name)
        weakref.finalize(self, _abandon, self._draft, os.getpid())  # of a save that another rank ended, nobody tells
        return [replace(plan, storage_data=self._draft.path) for plan in plans]

    def write_data(self, plan: SavePlan, planner: SavePlanner) -> Future[list[WriteResult]]:
        """Write this rank's tensors, synced."""
        from torch.futures import Future

        try:
            results = self._write(plan, planner)
        except BaseException:
            self._abort()
            raise
        done: Future[list[WriteResult]] = Future()
        done.set_result(results)
        return done

    def _write(self, plan: SavePlan, planner: SavePlanner) -> list[WriteResult]:
        from torch.distributed.checkpoint.planner import WriteItemType
        from torch.distributed.checkpoint.storage import WriteResult

        path = plan.storage_data
        if not isinstance(path, str) or not os.path.isdir(path):
            raise SaveError(
                5,
                f"{path}: the draft of this step is not there. Either this rank does not see the coordinator's folder: give a "
                "path on a file system that all ranks share. Or the planner kept the plan of an earlier save: leave "
                "enable_plan_caching out.",
            )
        pieces = Pieces()
        keys: dict[int, str] = {}
        results = []
        for i, item in enumerate(plan.items):
            name = item.index.fqn
            if item.type == WriteItemType.BYTE_IO:
                results.append(WriteResult(item.index, 0, {"value": _value(planner, item)}))
                continue
            tensor = as_tensor(planner.resolve_data(item).detach(), where=name)
            if not isinstance(tensor, Tensor):
                raise UnsupportedDataError(f"{name}: a sparse tensor. Save .to_dense(), or its parts.")
            about = item.tensor_data
            assert about is not None
            if tuple(tensor.shape) != tuple(about.chunk.sizes):
                raise UnsupportedDataError(
                    f"{name}: {list(tensor.shape)} where the planner says {list(about.chunk.sizes)}."
                )
            keys[i] = key = unique_name(name, pieces.tensors)
            pieces.tensors[key] = tensor
            rows = pieces.whole.setdefault(name, (str(tensor.dtype), tuple(about.size), []))[2]
            rows.append((key, tuple(about.chunk.offsets)))
        files = arrange(pieces, frozenset(), frozenset(), None, suffix=f"-rank{self._rank:05d}")
        share = self._draft if self._draft is not None else DraftShare(path)
        write_files(share, files, frozenset(), None)
        share.sync()
        told = report(pieces.records(files.records), files.files)
        for n, i in enumerate(keys):
            size = pieces.tensors[keys[i]].nbytes
            results.append(WriteResult(plan.items[i].index, size, {"report": told if n == 0 else None}))
        return results

    def finish(self, metadata: Metadata, results: list[list[WriteResult]]) -> None:
        """Write the manifest and make the step appear."""
        assert self._draft is not None
        try:
            found = [each.storage_data for rank in results for each in rank]
            values = {
                each.index.fqn: each.storage_data for rank in results for each in rank if "value" in each.storage_data
            }
            tensors, files = merged([each["report"] for each in found if each.get("report") is not None])
            tree: dict[str, Any] = {}
            paths = metadata.planner_data or {}
            for name in metadata.state_dict_metadata:
                node = values[name]["value"] if name in values else name
                _place_in(tree, tuple(paths.get(name, (name,))), node)
            write_indexes(self._draft, tensors)
            parent, name = self._place()
            manifest = Manifest(
                _number(name),
                "step",
                datetime.now(UTC).isoformat(timespec="seconds"),
                self._metrics,
                _encoded(tree),
                {str(key): "data" for key in tree},
                tensors,
                files,
                ask_provenance() if self._provenance else {},
            )
            self._draft.write(NAME, WritePlan("manifest", [write_bytes(manifest)]))
            try:
                self._draft.commit()
            except FileExistsError as err:
                raise step_exists(parent, _number(name)) from err
        except BaseException:
            self._abort()
            raise
        self._draft = None

    def storage_meta(self) -> Any:
        """Where the step goes."""
        from torch.distributed.checkpoint.metadata import StorageMeta

        return StorageMeta(checkpoint_id=self._path)

    @classmethod
    def validate_checkpoint_id(cls, checkpoint_id: str | os.PathLike[str]) -> bool:
        """Whether it is a path of a file system."""
        return "://" not in os.fspath(checkpoint_id)

    def _place(self) -> tuple[str, str]:
        if self._path is None:
            raise UnsupportedDataError(
                "No place to save to: give TensorkeepWriter(path), or checkpoint_id= to dcp.save."
            )
        parent, name = os.path.split(os.path.abspath(self._path))
        return parent, name

    def _abort(self) -> None:
        draft, self._draft = self._draft, None
        if draft is not None:
            draft.abort()


def _abandon(draft: Draft, owner: int) -> None:
    if os.getpid() == owner:  # not in a process that was forked from it
        draft.abort()


def _number(name: str) -> int:
    match = _STEP.fullmatch(name)
    return int(match[1]) if match else 0


def _nbytes(item: Any) -> int:
    if item.tensor_data is None:
        return 0
    return int(prod(item.tensor_data.chunk.sizes)) * int(item.tensor_data.properties.dtype.itemsize)


def _value(planner: Any, item: Any) -> Any:
    """A value that is no tensor, encoded; never as the planner's own bytes, which are a pickle."""
    name = item.index.fqn
    look = getattr(planner, "lookup_object", None)
    if look is None:
        raise UnsupportedDataError(
            f"{name}: {type(planner).__name__} gives values as bytes of its own, which could be anything. Use "
            "DefaultSavePlanner, or give the planner its lookup_object(index)."
        )
    value = look(item.index)
    content = flatten({name: value})
    if content.tensors or isinstance(value, Mapping):
        raise UnsupportedDataError(
            f"{name}: a {type(value).__name__} in one piece. Leave flatten_state_dict=True, so that what is in it is saved by name."
        )
    return encode(content)[name]


class _List(dict[int, Any]):
    """A list that is being filled by index."""


def _place_in(tree: dict[Any, Any], path: tuple[Any, ...], node: Any) -> None:
    for key, after in itertools.pairwise(path):
        tree = tree.setdefault(key, _List() if type(after) is int else {})
    tree[path[-1]] = node


def _encoded(node: Any) -> Any:
    """The tree as core.tree.encode would have it, whose leaves are encoded already."""
    if type(node) is _List:
        return ["l", *(_encoded(node.get(i)) for i in range(max(node, default=-1) + 1))]
    if isinstance(node, dict):
        return {str(key): _encoded(value) for key, value in node.items()}
    return node


class TensorkeepReader:
    """A StorageReader of torch.distributed.checkpoint for steps of TensorkeepWriter and of the Checkpointer.

    Args:
        path: the folder of the step; `checkpoint_id=` of `dcp.load` goes before it.
        verify: check the bytes. Each part that is read is checked once, by one of the ranks that need it.
    Each rank reads only the boxes that it needs. Values are handed over as torch's planners expect them.
    Raises, in `dcp.load`: CorruptFileError when bytes are not those that were written.
    """

    def __init__(self, path: str | os.PathLike[str] | None = None, *, verify: bool = True) -> None:
        from torch.distributed.checkpoint.storage import StorageReader

        StorageReader.register(type(self))
        self._path = None if path is None else os.fspath(path)
        self._verify = verify
        self._parts: dict[tuple[str, tuple[int, ...]], tuple[str, Part]] = {}
        self._values: dict[str, Any] = {}

    @property
    def checkpoint_id(self) -> str | None:
        """The step's folder."""
        return self._path

    def reset(self, checkpoint_id: str | os.PathLike[str] | None = None) -> None:
        """Begin a new load, from another folder when one is given."""
        if checkpoint_id is not None:
            self._path = os.fspath(checkpoint_id)

    def read_metadata(self, *args: Any, **kwargs: Any) -> Metadata:
        """What the step holds, as torch describes it."""
        from torch.distributed.checkpoint import metadata as kinds
        from torch.distributed.checkpoint._nested_dict import flatten_state_dict

        manifest = self._manifest()
        hidden = [key for key, kind in manifest.entries.items() if kind in HIDDEN]
        with open_step(self._folder(), manifest) as file:
            names = {id(tensor): name for name, tensor in file.dense().items()}
            tree = {key: value for key, value in file.structure.items() if key not in hidden}
        found: dict[str, Any] = {}
        shown: dict[int, str] = {}
        torch = sys.modules["torch"]

        def stand_in(leaf: Any) -> Any:
            if not isinstance(leaf, Tensor):
                return leaf
            made = torch.empty(0, device="meta")
            kept.append(made)
            shown[id(made)] = names[id(leaf)]
            return made

        kept: list[Any] = []
        flat, paths = flatten_state_dict(map_tree(tree, stand_in))
        self._parts, self._values = {}, {}
        for fqn, value in flat.items():
            if id(value) not in shown:
                self._values[fqn] = value
                found[fqn] = kinds.BytesStorageMetadata()
                continue
            name = shown[id(value)]
            record = manifest.tensors[name]
            chunks = []
            for part in record.parts:
                self._parts[fqn, part.start] = (record.dtype, part)
                chunks.append(kinds.ChunkStorageMetadata(torch.Size(part.start), torch.Size(part.shape)))
            properties = kinds.TensorProperties(dtype=_torch_dtype(record.dtype, name))
            found[fqn] = kinds.TensorStorageMetadata(properties, torch.Size(record.shape), chunks)
        about = kinds.StorageMeta(checkpoint_id=self._path)
        return kinds.Metadata(found, planner_data=paths, storage_meta=about)

    def set_up_storage_reader(self, metadata: Metadata, is_coordinator: bool, *args: Any, **kwargs: Any) -> None:
        """Nothing is to be done."""

    def prepare_local_plan(self, plan: LoadPlan) -> LoadPlan:
        """The plan as it is."""
        return plan

    def prepare_global_plan(self, plans: list[LoadPlan]) -> list[LoadPlan]:
        """Give each part that is needed to one of the ranks that need it, to be checked; alike in bytes."""
        wanted: dict[tuple[str, tuple[int, ...]], list[int]] = {}
        for rank, plan in enumerate(plans):
            for item in plan.items:
                key = _key(item)
                if key in self._parts and rank not in wanted.setdefault(key, []):
                    wanted[key].append(rank)
        load = [0] * len(plans)
        checks: list[list[Any]] = [[] for _ in plans]
        for key, who in sorted(wanted.items(), key=lambda each: -prod(self._parts[each[0]][1].shape)):
            rank = min(who, key=lambda each: load[each])
            load[rank] += prod(self._parts[key][1].shape)
            checks[rank].append(key)
        return [replace(plan, storage_data=each) for plan, each in zip(plans, checks, strict=True)]

    def read_data(self, plan: LoadPlan, planner: LoadPlanner) -> Future[None]:
        """Check this rank's share, then copy its boxes into the planner's tensors."""
        from torch.distributed.checkpoint.planner import LoadItemType
        from torch.futures import Future

        from tensorkeep.storage.filling import check_tensors

        torch = sys.modules["torch"]
        folder = self._folder()
        manifest = self._manifest()
        files = {self._parts[_key(item)][1].file for item in plan.items if item.type != LoadItemType.BYTE_IO}
        damage = [
            line for name in files for line in file_damage(os.path.join(folder, name), manifest.files[name], links=True)
        ]
        if damage:
            raise CorruptFileError("; ".join(damage))
        opened = self._open(plan, manifest)
        checks = [(name, tuple(start)) for name, start in plan.storage_data or ()]
        if self._verify:
            check_tensors(
                [opened[key] for key in checks], [f"{name} from {list(start)}" for name, start in checks], where=folder
            )
        for item in plan.items:
            if item.type == LoadItemType.BYTE_IO:
                buffer = io.BytesIO()
                torch.save(self._values[item.dest_index.fqn], buffer)  # what load_bytes reads; of plain values only
                buffer.seek(0)
                planner.load_bytes(item, buffer)
                continue
            part = opened[_key(item)]
            index = tuple(slice(a, a + n) for a, n in zip(item.storage_offsets, item.lengths, strict=True))
            values = part[index] if index else part.numpy()
            target = planner.resolve_tensor(item).detach()
            target.copy_(to_torch(values, copy=True))
            planner.commit_tensor(item, target)
        done: Future[None] = Future()
        done.set_result(None)
        return done

    @classmethod
    def validate_checkpoint_id(cls, checkpoint_id: str | os.PathLike[str]) -> bool:
        """Whether it is a path of a file system."""
        return "://" not in os.fspath(checkpoint_id)

    def _open(self, plan: LoadPlan, manifest: Manifest) -> dict[tuple[str, tuple[int, ...]], Tensor]:
        from tensorkeep.core.bytesource import FileSource
        from tensorkeep.formats._step_manifest import TensorRecord
        from tensorkeep.formats.step import open_file, part_tensors

        keys = {key for item in plan.items if (key := _key(item)) in self._parts}
        keys |= {(name, tuple(start)) for name, start in plan.storage_data or ()}
        sources: dict[str, FileSource] = {}
        found = {}
        for key in keys:
            dtype, part = self._parts[key]
            if part.file not in sources:
                sources[part.file] = open_file(self._folder(), part.file, manifest)
            records = {key[0]: TensorRecord(dtype, part.shape, (part,))}
            ((_, _, found[key]),) = part_tensors(replace(manifest, tensors=records), sources)
        return found

    def _folder(self) -> str:
        if self._path is None:
            raise UnsupportedDataError(
                "No place to load from: give TensorkeepReader(path), or checkpoint_id= to dcp.load."
            )
        return self._path

    def _manifest(self) -> Manifest:
        try:
            return read_manifest(self._folder())
        except FileNotFoundError as err:
            raise CorruptFileError(
                f"{self._path}: this is no step: it has no {NAME}. Give the step's own folder, such as "
                "runs/mlp/step-0000000100; folders of torch's own writer are read by FileSystemReader and tk.load."
            ) from err


def _key(item: Any) -> tuple[str, tuple[int, ...]]:
    return item.storage_index.fqn, tuple(item.storage_index.offset or ())


def _torch_dtype(name: str, where: str) -> Any:
    found = getattr(sys.modules["torch"], name, None)
    if found is None:
        raise UnsupportedDataError(f"{where}: torch has no dtype {name}. Load the step with tk.load.")
    return found
