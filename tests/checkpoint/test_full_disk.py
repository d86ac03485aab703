"""A disk that is really full, and a limit on the size of files: nothing is lost, and saving goes on when there is room."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import tensorkeep as tk


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 8 MiB."""
    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip("mounting needs root on Linux")
    root = tmp_path / "disk"
    root.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(root)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"a tmpfs cannot be mounted here: {done.stderr.strip()}")
    yield root
    gc.collect()  # what the errors hold open
    subprocess.run(["umount", str(root)], check=True, capture_output=True)


def state(version: int) -> dict[str, np.ndarray]:
    return {"w": np.random.default_rng(version).standard_normal(400_000)}  # 3.2 MB


@pytest.mark.parametrize("foreseen", [True, False])
def test_a_full_disk_loses_nothing(small_disk: Path, monkeypatch: pytest.MonkeyPatch, *, foreseen: bool) -> None:
    """Whether it is seen ahead or met in the middle: an error that says so, no draft, all steps whole; then there is room."""
    from tensorkeep.checkpoint import commit

    if not foreseen:
        monkeypatch.setattr(commit, "check_space", lambda *args, **options: None)
    with tk.Checkpointer(small_disk, keep=tk.keep_all(), signals=False) as ckpt:
        for step in range(2):
            ckpt.save(step, state(step))
        text = "needs 3.* free on" if foreseen else "the disk is full"
        for background in (False, True):
            with pytest.raises(tk.NotEnoughSpaceError, match=text):
                ckpt.save(2, state(2), background=background).wait()
            if background:
                with pytest.raises(tk.NotEnoughSpaceError):
                    ckpt.wait()
        left = sorted(os.listdir(small_disk))
        damage = [step.damage() for step in ckpt.steps()]
        (small_disk / "step-0000000000" / "w.safetensors").unlink()
        ckpt.save(2, state(2))

        assert left == [".lock", "step-0000000000", "step-0000000001"]
        assert damage == [[], []]
        assert np.array_equal(ckpt.load(2)["w"], state(2)["w"])


@pytest.mark.skipif(sys.platform == "win32", reason="there are no such limits")
def test_a_limit_on_the_size_of_files_is_told(tmp_path: Path) -> None:
    """As `ulimit -f` sets it: SaveError with the remedy, the step before stays."""
    import resource
    import signal

    before, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    with tk.Checkpointer(tmp_path, signals=False) as ckpt:
        ckpt.save(0, {"w": np.zeros(3)})
        resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, before[1]))
        try:
            with pytest.raises(tk.SaveError, match="ulimit -f"):
                ckpt.save(1, state(1))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
            signal.signal(signal.SIGXFSZ, handler)

        assert sorted(os.listdir(tmp_path)) == [".lock", "step-0000000000"]
        assert not ckpt.steps()[0].damage()
