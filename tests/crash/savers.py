"""The programs whose saves are recorded: every save path of ours, and savers with the classical mistakes.

python -m tests.crash.savers PATH_NAME FOLDER        saves `new(PATH_NAME)` into FOLDER
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import tensorkeep as tk
from tensorkeep.testing.crash import mark

COMMAND = [sys.executable, str(Path(__file__).resolve())]
TARGET = "model.safetensors"
INDEX = "model.safetensors.index.json"


def tensors(version: int, elements: int = 5_000) -> dict[str, Any]:
    """A small model; every byte of it differs between the versions."""
    import numpy as np

    rng = np.random.default_rng(version)
    names = ("embed.weight", "block.0.weight", "block.0.bias", "head.weight")
    made: dict[str, Any] = {
        name: rng.integers(1, 255, elements * (i + 1), dtype=np.uint8).view(np.uint8) for i, name in enumerate(names)
    }
    made["scale"] = rng.standard_normal((3, 4)).astype(np.float32)
    return made


@dataclass(frozen=True)
class SavePath:
    """One way in which data reach the disk.

    Attributes:
        save: writes `data` into a folder; the save is acknowledged when it returns.
        read: the data in a folder, verified; None when there is none.
        data: what is saved, by version: 1 is the old, 2 the new.
        first: nothing is there before.
    """

    save: Callable[[Path, Any], None]
    read: Callable[[Path], Any]
    data: Callable[[int], Any] = tensors
    first: bool = False


def _read_from(name: str) -> Callable[[Path], Any]:
    def read(folder: Path) -> Any:
        return tk.load(folder / name) if (folder / name).exists() else None

    return read


def _save_to(name: str, **options: Any) -> Callable[[Path, Any], None]:
    def save(folder: Path, data: Any) -> None:
        tk.save(folder / name, data, **options)

    return save


def _stream(folder: Path, data: Any) -> None:
    with tk.writer(folder / TARGET) as out:
        for name, tensor in data.items():
            out[name] = tensor


def _pooled(*, direct: bool) -> Callable[[Path, Any], None]:
    """As large files are written: by threads, around the page cache where the file system is known for it."""

    def save(folder: Path, data: Any) -> None:
        from tensorkeep.storage import writing

        sizes = {"POOL_FROM_NBYTES": 1, "DEFERRED_EVERY_NBYTES": 1, "BLOCK_NBYTES": 8192}
        known = writing.direct_is_known if direct else lambda fd: False
        with patch.multiple(writing, direct_is_known=known, **sizes):
            tk.save(folder / TARGET, data)

    return save


def _nested(version: int) -> Any:
    flat = tensors(version, 4_000)
    return {"step": version, "note": "α" * version, "layers": [flat["scale"], (flat["head.weight"], None)]}


PATHS: dict[str, SavePath] = {
    "buffered": SavePath(_save_to(TARGET), _read_from(TARGET)),
    "first": SavePath(_save_to(TARGET), _read_from(TARGET), first=True),
    "nested": SavePath(_save_to(TARGET), _read_from(TARGET), _nested),
    "direct": SavePath(_pooled(direct=True), _read_from(TARGET)),
    "direct-first": SavePath(_pooled(direct=True), _read_from(TARGET), first=True),
    "threads": SavePath(_pooled(direct=False), _read_from(TARGET)),
    "writer": SavePath(_stream, _read_from(TARGET)),
    "writer-first": SavePath(_stream, _read_from(TARGET), first=True),
    "sharded": SavePath(_save_to(TARGET, shard_size=30_000), _read_from(INDEX)),
    "sharded-first": SavePath(_save_to(TARGET, shard_size=30_000), _read_from(INDEX), first=True),
    "npz": SavePath(_save_to("model.npz"), _read_from("model.npz")),
    "torch": SavePath(_save_to("model.pt"), _read_from("model.pt")),
}


# The Checkpointer's own paths: a directory of steps; what counts is what a restore gives.

KEEP_ONE = {"keep": tk.keep_last(1)}


def _steps(
    *, background: bool = False, resumed: bool = True, clutter: bool = False, **options: Any
) -> Callable[[Path, Any], None]:
    """Save the next step of a run, as a process that begins anew and first resumes does."""

    def save(folder: Path, data: Any) -> None:
        with tk.Checkpointer(folder / "run", provenance=False, generators=False, **options) as ckpt:
            with _reading():
                found = ckpt.latest() if resumed else None
                if found is not None:
                    ckpt.restore(None, step=found.step)
                number = found.step + 1 if found is not None else len(ckpt.steps())
            ckpt.save(number, data, background=background).wait()
            if clutter and number == 0:  # what a kill and bad luck left for the next save to find
                (folder / "run" / f".tmp-step-{number + 1:010d}-0123456789ab").mkdir()
                broken = folder / "run" / f"step-{number + 1:010d}"
                broken.mkdir()
                _write(broken / "manifest.json", b"{}", sync=True)
                for each in (broken, folder / "run"):
                    _sync_folder(each)

    return save


class NotReadError(tk.TensorkeepError):
    """A resume could not read: that is told by the system's own error, as every reading is, and nothing is written."""


@contextlib.contextmanager
def _reading() -> Iterator[None]:
    try:
        yield
    except OSError as err:
        raise NotReadError(str(err)) from err


def _restored(folder: Path) -> Any:
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = tk.Checkpointer(folder / "run", signals=False).restore()
    return None if found is None else found.load()


def _partly_new(version: int) -> Any:
    """A model half of which is frozen, beside an entry that never changes: files are linked."""
    flat = tensors(version, 3_000)
    return {"model": {**flat, "frozen": tensors(1)["head.weight"]}, "vocabulary": {"w": tensors(1)["embed.weight"]}}


def _refused(folder: Path, data: Any) -> None:
    """An attempt to save a step that is there."""
    with tk.Checkpointer(folder / "run", provenance=False, generators=False) as ckpt:
        try:
            ckpt.save(0, data)
        except tk.StepExistsError:
            return


def _together(folder: Path, data: Any, *, synced: bool = True) -> None:
    """Two processes under torch.distributed save a step: one tensor in parts, the others by one of them each."""
    import tempfile

    import torch.distributed.tensor  # noqa: F401  # once for both

    with tempfile.TemporaryDirectory() as scratch:
        children = []
        for rank in range(2):
            if (child := os.fork()) == 0:
                os._exit(_one_of_two(folder, data, rank, f"file://{scratch}/store", synced))
            children.append(child)
        if any(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children):
            raise SystemExit("a rank failed")


def _one_of_two(folder: Path, data: Any, rank: int, store: str, synced: bool) -> int:
    import traceback

    import torch
    from torch import distributed as dist
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.tensor import Shard, distribute_tensor

    from tensorkeep.storage import writing

    if rank == 1 and not synced:
        patch.object(writing, "sync_file", lambda fd: None).start()
    try:
        dist.init_process_group("gloo", init_method=store, rank=rank, world_size=2)
        mesh = init_device_mesh("cpu", (2,))
        whole = torch.from_numpy(data["embed.weight"])
        state = {**data, "embed.weight": distribute_tensor(whole, mesh, [Shard(0)])}
        with tk.Checkpointer(folder / "run", provenance=False, generators=False, timeout_s=60.0) as ckpt:
            found = ckpt.restore()
            ckpt.save(found.step + 1 if found else 0, state)
            if rank == 1:
                mark("ack")  # the other one commits
    except BaseException:  # noqa: BLE001  # this process ends here
        traceback.print_exc()
        return 1
    return 0


def _together_unsynced(folder: Path, data: Any) -> None:
    """The same, with the sync of one rank's files left out."""
    _together(folder, data, synced=False)


CHECKPOINTS: dict[str, SavePath] = {
    "step": SavePath(_steps(), _restored),
    "step-first": SavePath(_steps(), _restored, first=True),
    "step-background": SavePath(_steps(background=True), _restored, _partly_new),
    "step-linked": SavePath(_steps(), _restored, _partly_new),
    "step-retention": SavePath(_steps(**KEEP_ONE), _restored, _partly_new),
    "step-recovery": SavePath(_steps(clutter=True), _restored),
}
PATHS |= CHECKPOINTS
TOGETHER: dict[str, SavePath] = {
    "together": SavePath(_together, _restored),
    "together-first": SavePath(_together, _restored, first=True),
    "together-without-fsync": SavePath(_together_unsynced, _restored),
}
REFUSED = SavePath(_refused, _restored)

# Savers with the classical mistakes. Each reads back as a whole file would.


def _bytes_of(data: Any) -> bytes:
    import io

    out = io.BytesIO()
    tk.save(out, data)
    return out.getvalue()


def _write(path: Path, raw: bytes, *, sync: bool) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    os.write(fd, raw[:4096])
    os.pwrite(fd, raw[4096:], 4096)
    if sync:
        os.fsync(fd)
    os.close(fd)


def _sync_folder(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY)
    os.fsync(fd)
    os.close(fd)


def _in_place(folder: Path, data: Any) -> None:
    _write(folder / TARGET, _bytes_of(data), sync=True)
    _sync_folder(folder)


def _without_fsync(folder: Path, data: Any) -> None:
    _write(folder / "temporary", _bytes_of(data), sync=False)
    os.replace(folder / "temporary", folder / TARGET)
    _sync_folder(folder)


def _renamed_before_fsync(folder: Path, data: Any) -> None:
    _write(folder / "temporary", _bytes_of(data), sync=False)
    os.replace(folder / "temporary", folder / TARGET)
    fd = os.open(folder / TARGET, os.O_WRONLY)
    os.fsync(fd)
    os.close(fd)
    _sync_folder(folder)


def _without_folder_fsync(folder: Path, data: Any) -> None:
    _write(folder / "temporary", _bytes_of(data), sync=True)
    os.replace(folder / "temporary", folder / TARGET)


def _unlinked_before_rename(folder: Path, data: Any) -> None:
    _write(folder / "temporary", _bytes_of(data), sync=True)
    (folder / TARGET).unlink()
    os.rename(folder / "temporary", folder / TARGET)
    _sync_folder(folder)


def _size_set_ahead(folder: Path, data: Any) -> None:
    import numpy as np

    raw = b"".join(np.ascontiguousarray(tensor).tobytes() for tensor in data.values())
    fd = os.open(folder / "temporary", os.O_WRONLY | os.O_CREAT, 0o644)
    os.ftruncate(fd, len(raw))
    os.fsync(fd)
    os.pwrite(fd, raw, 0)
    os.close(fd)
    os.replace(folder / "temporary", folder / "model.raw")
    _sync_folder(folder)


def _read_raw(folder: Path) -> Any:
    return (folder / "model.raw").read_bytes() if (folder / "model.raw").exists() else None


def _acknowledged_early(folder: Path, data: Any) -> None:
    _write(folder / "temporary", _bytes_of(data), sync=True)
    mark("ack")
    os.replace(folder / "temporary", folder / TARGET)
    _sync_folder(folder)


def _without_one_fsync(folder: Path, data: Any) -> None:
    """Our own commit, with the sync of the parent folder left out."""
    from tensorkeep.storage import folders

    real = folders.sync_folder

    def sync(path: str) -> None:
        if Path(path).name != "run":
            real(path)

    with patch.object(folders, "sync_folder", sync):
        _steps()(folder, data)


def _manifest_without_fsync(folder: Path, data: Any) -> None:
    """Our own commit, with the sync of the files left out."""
    from tensorkeep.storage import writing

    with patch.object(writing, "sync_file", lambda fd: None):
        _steps()(folder, data)


BAD: dict[str, SavePath] = {
    "in-place": SavePath(_in_place, _read_from(TARGET)),
    "without-fsync": SavePath(_without_fsync, _read_from(TARGET)),
    "renamed-before-fsync": SavePath(_renamed_before_fsync, _read_from(TARGET)),
    "without-folder-fsync": SavePath(_without_folder_fsync, _read_from(TARGET)),
    "unlinked-before-rename": SavePath(_unlinked_before_rename, _read_from(TARGET)),
    "size-set-ahead": SavePath(_size_set_ahead, _read_raw),
    "acknowledged-early": SavePath(_acknowledged_early, _read_from(TARGET)),
    "step-without-parent-fsync": SavePath(_without_one_fsync, _restored),
    "step-without-file-fsync": SavePath(_manifest_without_fsync, _restored),
}


def main(name: str, folder: str) -> None:
    """Save the new data under the marks that the recorder looks for."""
    path = (PATHS | BAD | TOGETHER | {"step-refused": REFUSED})[name]
    data = path.data(2)
    mark("begin")
    path.save(Path(folder), data)
    if path.save not in (_acknowledged_early, _together, _together_unsynced):
        mark("ack")


def loop(name: str, folder: str, version: str) -> None:
    """Save one version after the other, and say each when it is acknowledged, until the disk goes away."""
    path = (PATHS | BAD)[name]
    for number in range(int(version), 10**9):
        path.save(Path(folder), path.data(number))
        print(number, flush=True)


if __name__ == "__main__":
    (loop if len(sys.argv) > 3 else main)(*sys.argv[1:])
