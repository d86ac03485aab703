"""Real file systems, cut off in the middle of saves: their own journal replay decides what is there afterwards.

A file system on a loop device is shut down without flushing its journal (the ioctl that xfstests uses), unmounted and mounted
again. Needs root and loop devices.
"""

from __future__ import annotations

import os
import random
import select
import shutil
import struct
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from tensorkeep.testing import crash
from tests.conftest import FUZZ_EXAMPLES
from tests.crash.savers import BAD, COMMAND, PATHS, SavePath

CUTS = 200 if FUZZ_EXAMPLES else 6  # for each file system
FILES = ("buffered", "direct", "writer", "sharded", "npz", "torch")
STEPS = ("step", "step-background", "step-linked", "step-retention")
FILE_SYSTEMS = {
    # Without the heuristic that flushes a file on rename: what is promised, not what is usual.
    "ext4": (64, ["mkfs.ext4", "-q", "-F"], ["-o", "loop,noauto_da_alloc"]),
    "xfs": (320, ["mkfs.xfs", "-q", "-f"], ["-o", "loop"]),
}
FS_IOC_SHUTDOWN = 0x8004587D  # _IOR('X', 125, __u32)
NO_LOG_FLUSH = struct.pack("<I", 2)
LONGEST_WAIT_S = 0.12  # before the cut: a few saves


@cache
def missing(kind: str) -> str:
    """Why this file system cannot be cut off here; "" when it can."""
    if sys.platform != "linux" or os.geteuid() != 0:
        return "mounting needs root on Linux"
    tool = FILE_SYSTEMS[kind][1][0]
    if shutil.which(tool) is None:
        return f"{tool} is not installed"
    if not Path("/dev/loop-control").exists():
        return "there are no loop devices"
    return ""


class Disk:
    """A file system in an image, that can lose its power."""

    def __init__(self, kind: str, folder: Path) -> None:
        mebibytes, make, self.options = FILE_SYSTEMS[kind]
        self.image, self.root = folder / "image", folder / "mounted"
        self.root.mkdir()
        with open(self.image, "wb") as image:
            image.truncate(mebibytes << 20)
        subprocess.run([*make, str(self.image)], check=True, capture_output=True)

    def mount(self) -> None:
        done = subprocess.run(["mount", *self.options, str(self.image), str(self.root)], capture_output=True, text=True)
        if done.returncode:
            pytest.skip(f"a loop device cannot be mounted here: {done.stderr.strip()}")

    def unmount(self) -> None:
        subprocess.run(["umount", str(self.root)], check=True, capture_output=True)

    def cut(self) -> None:
        """No more write reaches the image, not even those that the journal holds in memory."""
        import fcntl

        fd = os.open(self.root, os.O_RDONLY)
        try:
            fcntl.ioctl(fd, FS_IOC_SHUTDOWN, NO_LOG_FLUSH)
        finally:
            os.close(fd)


@pytest.fixture(params=list(FILE_SYSTEMS))
def disk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Disk]:
    if missing(request.param):
        pytest.skip(missing(request.param))
    made = Disk(request.param, tmp_path)
    made.mount()
    yield made
    made.unmount()


def cut_while_saving(disk: Disk, name: str, path: SavePath, version: int, rng: random.Random) -> tuple[str, int]:
    """Save version after version, cut, mount again. What is there ("acknowledged", "next", or what is wrong), its version."""
    folder = disk.root / name
    command = [*COMMAND, name, str(folder), str(version)]
    with subprocess.Popen(command, bufsize=0, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as saver:
        assert saver.stdout is not None
        said = b""
        while not said.endswith(b"\n"):
            said += saver.stdout.read(1) or b" ended early\n"
        assert said == b"%d\n" % version, "the first save of a run is acknowledged"
        select.select([], [], [], rng.random() * LONGEST_WAIT_S)
        # What is said after the cut counts for nothing: a machine without power says nothing. (On xfs a sync that runs
        # into the shutdown may report success.)
        while select.select([saver.stdout], [], [], 0)[0] and (more := saver.stdout.read(1 << 16)):
            said += more
        disk.cut()
        late, _ = saver.communicate()
    acknowledged = int(said.rpartition(b"\n")[0].split()[-1])
    begun = int((said + late).rpartition(b"\n")[0].split()[-1]) + 1
    disk.unmount()
    disk.mount()
    try:
        found = path.read(folder)
    except Exception as err:  # noqa: BLE001  # whatever a reader raises, the data are lost
        return f"lost: {type(err).__name__}: {err}", begun
    if found is None:
        return "lost: nothing there", begun
    for number in range(begun, -1, -1):
        if crash.same(found, path.data(number)):
            if number < acknowledged:
                return f"lost: version {number} of {name} after {acknowledged} was acknowledged", begun
            return "acknowledged" if number == acknowledged else "next", number
    return f"wrong: no version of {name}", begun


@pytest.mark.parametrize("names", [FILES, STEPS], ids=["files", "steps"])
def test_a_cut_loses_no_acknowledged_save(disk: Disk, names: tuple[str, ...]) -> None:
    """After every cut the last acknowledged version is there, or the one that was being saved."""
    rng = random.Random(4)
    versions = dict.fromkeys(names, 0)
    verdicts: Counter[str] = Counter()

    for i in range(CUTS):
        name = names[i % len(names)]
        (disk.root / name).mkdir(exist_ok=True)
        os.sync()
        verdict, versions[name] = cut_while_saving(disk, name, PATHS[name], versions[name] + 1, rng)
        verdicts[verdict] += 1

    print(CUTS, "cuts", dict(verdicts), "after", sum(versions.values()), "saves")
    assert set(verdicts) <= {"acknowledged", "next"}


def test_a_cut_loses_what_was_not_synced(disk: Disk) -> None:
    """The cuts are real: savers that do not sync, or write in place, lose data in some of them."""
    rng = random.Random(5)
    verdicts: Counter[str] = Counter()

    for name in ("without-fsync", "in-place"):
        (disk.root / name).mkdir()
        version = 0
        for _ in range(5):
            os.sync()
            verdict, found = cut_while_saving(disk, name, BAD[name], version + 1, rng)
            version = max(version, found) + 1
            verdicts[verdict.partition(":")[0]] += 1

    print(dict(verdicts))
    assert verdicts["lost"] + verdicts["wrong"] > 0
