"""A sharded save: all shards first, then the index, whose replacement is the one moment at which the new data are there."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from tensorkeep.core.hashing import Digest
from tensorkeep.core.plan import Receipt, WritePlan
from tensorkeep.core.tensor import Tensor
from tensorkeep.core.tree import Content
from tensorkeep.errors import TensorkeepError

__all__ = ["write_shards"]

_INDEX = ".safetensors.index.json"


def write_shards(path: str, content: Content, shard_nbytes: int) -> Receipt:
    """Write `content` as shards beside `path` and their index; one plain file when it fits into one shard.

    Args:
        path: "model.safetensors" or "model.safetensors.index.json".
    A failure leaves the old index with its shards; new shards are removed. Afterwards the shards that only the old index
    named are gone. Saves into one folder wait for each other.
    """
    from tensorkeep.formats import by_name
    from tensorkeep.formats._shards import group
    from tensorkeep.storage.atomic import save_error
    from tensorkeep.storage.writing import write_file

    groups = group(content, shard_nbytes)
    if len(groups) == 1 and not path.endswith(_INDEX):
        plain = by_name("safetensors")
        assert plain.plan is not None
        return write_file(path, plain.plan(content))
    stem = os.path.basename(path)
    for suffix in (_INDEX, ".safetensors"):
        stem = stem.removesuffix(suffix)
    folder = os.path.dirname(os.path.abspath(path))
    with _locked(folder):
        try:
            return _write(folder, stem, content, groups)
        except OSError as err:
            if isinstance(err, TensorkeepError):
                raise
            raise save_error(path, err) from err


def _write(folder: str, stem: str, content: Content, groups: list[dict[str, Tensor]]) -> Receipt:
    from tensorkeep.formats._safetensors_write import header_digits, noting_header, plan_file
    from tensorkeep.formats._shards import index_bytes, shard_name
    from tensorkeep.storage.writing import write_file

    index = os.path.join(folder, stem + _INDEX)
    before = _named_by(index)
    count = len(groups)
    plain = [shard_name(stem, i + 1, count) for i in range(count)]
    taken = any(os.path.lexists(os.path.join(folder, name)) for name in plain)
    generation = secrets.token_hex(4) if taken else ""
    names = [shard_name(stem, i + 1, count, generation) for i in range(count)]
    weight_map: dict[str, str] = {}
    headers: dict[str, str] = {}
    digests: dict[str, Digest] = {}
    written: list[str] = []
    nbytes = 0
    try:
        for name, tensors in zip(names, groups, strict=True):
            plan = plan_file("safetensors", tensors, {})
            header = noting_header(plan)
            written.append(os.path.join(folder, name))
            receipt = write_file(written[-1], plan)
            nbytes += receipt.nbytes
            digests.update(receipt.digests)
            headers[name] = header_digits(header[-1])
            weight_map.update(dict.fromkeys(tensors, name))
        raw = index_bytes(content, {name: weight_map[name] for name in content.tensors}, headers)
        nbytes += write_file(index, WritePlan("safetensors-sharded", [raw])).nbytes
    except BaseException:
        # Once the index names the new shards they are the data, also when syncing the folder failed after its rename.
        if not _named_by(index) & set(names):
            for path in written:
                with suppress(OSError):
                    os.unlink(path)
        raise
    _remove_old(folder, stem, before, set(names))
    return Receipt(index, "safetensors-sharded", nbytes, len(content.tensors), (*written, index), digests)


def _named_by(index: str) -> set[str]:
    """The shards that the old index names; none when it is not there or not readable."""
    from tensorkeep.core.bytesource import FileSource
    from tensorkeep.formats._json import parse
    from tensorkeep.formats._shards import safe_name

    try:
        source = FileSource(index)
    except OSError:
        return set()
    try:
        found = parse(source.read(0, source.size), what=index, max_depth=8)
        return {safe_name(file, index) for file in found["weight_map"].values()}
    except (TensorkeepError, KeyError, TypeError, AttributeError):
        return set()
    finally:
        source.close()


def _remove_old(folder: str, stem: str, before: set[str], keep: set[str]) -> None:
    """Remove shards of `stem` that no index names any more: the old index's, and those that killed saves left."""
    from tensorkeep.formats._shards import shard_pattern

    pattern = shard_pattern(stem)
    left = {name for name in os.listdir(folder) if pattern.fullmatch(name)}
    for name in (before | left) - keep:
        # What cannot be removed costs space only: the index does not name it.
        with suppress(OSError):
            os.unlink(os.path.join(folder, name))


@contextmanager
def _locked(folder: str) -> Iterator[None]:
    """Hold the folder's lock, where the system has one, so that two sharded saves do not remove each other's shards."""
    try:
        import fcntl

        fd = os.open(folder, os.O_RDONLY)
    except (ImportError, OSError):  # Windows; or a missing folder, which the write itself reports
        yield
        return
    try:
        with suppress(OSError):
            fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        with suppress(OSError):  # the data are written; a lock's file has nothing left to report
            os.close(fd)
