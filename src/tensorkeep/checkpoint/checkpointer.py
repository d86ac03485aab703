"""Checkpointer: a directory of steps, saved in time, kept by policy, restored to the bit."""

from __future__ import annotations

import operator
import os
import threading
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from tensorkeep.checkpoint import retention
from tensorkeep.checkpoint._seen import not_captured
from tensorkeep.checkpoint._staging import Staging, digest_tensors
from tensorkeep.checkpoint._state import capture, kind_of, restore_into
from tensorkeep.checkpoint.commit import Written, digits, write_step
from tensorkeep.checkpoint.policies import Best, Every, Keep, Now, keep_all, keep_last, ranked
from tensorkeep.checkpoint.prove import redirected
from tensorkeep.checkpoint.provenance import provenance as ask_provenance
from tensorkeep.checkpoint.rng import capture_generators, restore_generators
from tensorkeep.checkpoint.signals import Signals
from tensorkeep.checkpoint.steps import PINNED, Step, list_steps
from tensorkeep.core.plan import WritePlan
from tensorkeep.core.tensor import Tensor
from tensorkeep.core.tree import Content, flatten
from tensorkeep.errors import (
    CorruptFileError,
    SaveError,
    StepExistsError,
    TensorkeepError,
    TensorNotFoundError,
    WriterConflictError,
)
from tensorkeep.formats._step_manifest import NAME as MANIFEST
from tensorkeep.formats.step import open_step
from tensorkeep.storage.folders import FolderLock, make_folder, remove_leftovers

__all__ = ["Checkpointer", "NotCapturedWarning", "SaveHandle"]

_GENERATORS = "rng"
_WHOLE = "state"


class NotCapturedWarning(UserWarning):
    """Something of the training run is not in the saved state, so that a resume would not be the same run."""


class SaveHandle:
    """A save that may still be under way.

    Attributes:
        step: its number.
    """

    def __init__(self, step: int) -> None:
        self.step = step
        self._done = threading.Event()
        self._error: BaseException | None = None
        self.path: str | None = None
        self.nbytes_written = 0

    @property
    def done(self) -> bool:
        """Whether it has ended, well or not."""
        return self._done.is_set()

    def wait(self, timeout_s: float | None = None) -> bool:
        """Wait until the step is durable; False when the time was not enough.

        Raises: what the save met, e.g. NotEnoughSpaceError.
        """
        if not self._done.wait(timeout_s):
            return False
        if self._error is not None:
            raise self._error
        return True

    def __repr__(self) -> str:
        state = "under way" if not self.done else "failed" if self._error else "durable"
        return f"<SaveHandle step {self.step}: {state}>"


class Checkpointer:
    """A directory of steps: `save` and `step` write them, `restore` and `load` give them back.

    Args:
        directory: where the steps lie; it is made when the first is saved.
        every: when `step` saves; None: only `save` does, and signals.
        keep: which steps are kept; one goes when no policy keeps it, it is not pinned and not the newest.
        max_staging: bytes that a background save may copy; a larger state is written before the call returns.
        provenance: whether manifests say the command line, commit, versions and host.
        generators: whether the random generators are saved and restored.
        signals: whether SIGTERM (save, then `stopping`) and SIGUSR1 (save) are watched while it is open.
    One Checkpointer writes into a directory at a time; any number may read. Use it in a `with` block, or call `close`.
    """

    def __init__(
        self,
        directory: str | os.PathLike[str],
        *,
        every: Every | None = None,
        keep: Sequence[Keep] | Keep = (),
        max_staging: int | None = None,
        provenance: bool = True,
        generators: bool = True,
        signals: bool = True,
    ) -> None:
        proof = redirected(os.fspath(directory))
        self._proving = proof is not None
        self.directory = proof or os.fspath(directory)
        self._every = every
        if proof is not None:
            keep = keep_all()  # every step is compared
        self._keep: tuple[Keep, ...] = (keep,) if isinstance(keep, Keep) else tuple(keep) or (keep_last(3),)
        self._max_staging = max_staging
        self._provenance = provenance
        self._generators = generators
        self._lock = FolderLock(self.directory)
        self._signals = Signals()
        if signals:
            self._signals.install()
        self._staging = Staging()
        self._before: Written | None = None
        self._changed: set[str] | None = None  # what differed between the last two saves; None before two
        self._handle: SaveHandle | None = None
        self._thread: threading.Thread | None = None
        self._failure: BaseException | None = None
        self._last: tuple[int, Any, Mapping[str, float]] | None = None
        self._looked = False
        self._began = time.monotonic()
        self._now = Now(-1, None, 0.0, -1, None, 0.0, 0.0)
        self._parent: int | None = None
        self.stopping = False

    # Saving

    def save(
        self,
        step: int,
        state: Any,
        *,
        metrics: Mapping[str, float] | None = None,
        background: bool = False,
        epoch: int | None = None,
    ) -> SaveHandle:
        """Save a step; it is durable when this returns, or in the background when the handle's `wait` does.

        Args:
            step: its number, from 0.
            state: any nesting of tensors, numbers, strings, models, optimizers, and objects with `state_dict` and
                `load_state_dict`. The random generators are saved beside it by themselves.
            metrics: numbers by name, for `best` and `keep_best`.
            background: copy what changed and return; threads hash and write. A save that is still under way is waited for.
            epoch: for `every(epochs=…)`.
        Raises:
            StepExistsError: that step is there, and whole.
            WriterConflictError: another process writes here.
            UnsupportedDataError: something in the state cannot be stored; the text names it.
            NotEnoughSpaceError, SaveError: nothing is left of the step, and all others are as they were.
            What an earlier save in the background met is raised first.
        """
        return self._save(step, state, metrics or {}, background, epoch, "step")

    def step(
        self, step: int, state: Any, metrics: Mapping[str, float] | None = None, *, epoch: int | None = None
    ) -> SaveHandle | None:
        """Tell that a step has ended: it is saved in the background when due; the handle then, else None.

        After SIGTERM it is saved before this returns, and `stopping` is True. Raises as `save`.
        """
        self._raise_failure()
        self._last = (step, state, metrics or {})
        if self._signals.stop or self._signals.save:
            self.stopping = self._signals.stop
            self._signals.save = False
            if self._exists(step):
                return None
            return self._save(step, state, metrics or {}, False, epoch, "step")
        if self.due(step, epoch):
            return self._save(step, state, metrics or {}, True, epoch, "step")
        return None

    def due(self, step: int, epoch: int | None = None) -> bool:
        """Whether `step` would save now: by `every`, or because a signal arrived. For states that are dear to gather.

        When this is True, call `step` with the same numbers: it may also have to set `stopping`.
        """
        now = self._now
        now.step, now.epoch, now.time_s = step, epoch, time.monotonic() - self._began
        if self._signals.stop or self._signals.save:
            return True
        return self._every is not None and self._every.due(now)

    def _exists(self, step: int) -> bool:
        self.wait()
        return any(each.step == step for each in list_steps(self.directory))

    def _save(
        self, step: int, state: Any, metrics: Mapping[str, float], background: bool, epoch: int | None, kind: str
    ) -> SaveHandle:
        began = time.monotonic()
        step = operator.index(step)
        self.wait()  # back-pressure: one save at a time, one buffer
        if step < 0:
            raise SaveError(22, f"step={step!r} is no step: whole numbers from 0 on.", self.directory)
        self._take_lock()
        self._check_free(step, kind)
        if self._before is not None and not os.path.exists(os.path.join(self._before.path, MANIFEST)):
            self._before = None  # somebody removed it: everything is written anew
        self._look(state)
        content, entries = self._content(state)
        handle = SaveHandle(step)
        tensors = content.tensors
        known = self._before.manifest.tensors if self._before is not None else {}
        # What changed last time is copied unseen; what did not is hashed, and copied only when it did now.
        calm = {n: t for n, t in tensors.items() if n in known and self._changed is not None and n not in self._changed}
        unchanged = {n for n, d in digest_tensors(calm).items() if self._same(n, calm[n], d.value)}
        rest = {name: tensor for name, tensor in tensors.items() if name not in unchanged}
        size = sum(tensor.nbytes for tensor in rest.values())
        self._from_disk(content, unchanged)
        if background and (self._max_staging is None or size <= self._max_staging):
            _put(content, self._staging.copy(rest))
        else:
            background = False
        frozen = frozenset(self._frozen(state)) if self._before is None else frozenset()
        job = self._job(handle, step, content, unchanged, list(rest), frozen, entries, metrics, epoch, kind)
        if background:
            self._thread = threading.Thread(target=job, name="tensorkeep-save", daemon=False)
            self._handle = handle
            self._thread.start()
        else:
            job()
            self._failure = None
            handle.wait()
        now = self._now
        now.time_s = time.monotonic() - self._began
        now.saved_step, now.saved_epoch, now.saved_time_s = step, epoch, now.time_s
        now.cost_s = time.monotonic() - began
        return handle

    def _from_disk(self, content: Content, unchanged: set[str]) -> None:
        """What did not change is taken from the step before, whose bytes cannot change under a save in the background."""
        if unchanged:
            assert self._before is not None
            stored = open_step(self._before.path, self._before.manifest)  # the files live as long as their tensors
            _put(content, {name: _dense(stored[name]) for name in unchanged})

    def _same(self, name: str, tensor: Tensor, got: str) -> bool:
        assert self._before is not None
        record = self._before.manifest.tensors.get(name)
        return (
            record is not None
            and digits(record) == got
            and record.dtype == tensor.dtype
            and record.shape == tuple(tensor.shape)
        )

    def _job(
        self,
        handle: SaveHandle,
        step: int,
        content: Content,
        unchanged: set[str],
        rest: list[str],
        frozen: frozenset[str],
        entries: Mapping[str, str],
        metrics: Mapping[str, float],
        epoch: int | None,
        kind: str,
    ) -> Callable[[], None]:
        def work() -> None:
            try:
                before = self._before
                changed = set(rest)
                if before is not None:
                    copies = {name: content.tensors[name] for name in rest if name in before.manifest.tensors}
                    changed -= {n for n, d in digest_tensors(copies).items() if self._same(n, copies[n], d.value)}
                written, nbytes = write_step(
                    self.directory,
                    step,
                    content,
                    unchanged=frozenset(content.tensors) - changed,
                    frozen=frozen,
                    before=before,
                    entries=entries,
                    metrics=metrics,
                    provenance=ask_provenance() if self._provenance else {},
                    kind=kind,
                    keep=[policy.spec for policy in self._keep],
                    epoch=epoch,
                )
                if kind == "step":
                    self._before = written
                    self._changed = changed if before is not None else set(content.tensors) - frozen
                handle.path, handle.nbytes_written = written.path, nbytes
                if kind == "step":
                    retention.retire(self.directory, list_steps(self.directory), self._keep)
            except FileExistsError as err:
                handle._error = self._failure = self._exists_error(step, err)
            except BaseException as err:  # noqa: BLE001  # it surfaces at the next call, at `wait` and at `close`
                self._before = None  # whatever it was: the next save takes nothing over
                handle._error = self._failure = err
            finally:
                handle._done.set()

        return work

    def _content(self, state: Any) -> tuple[Content, dict[str, str]]:
        """The state flattened, with what each entry is; the generators beside it."""
        if isinstance(state, Mapping):
            # A DataLoader that has no state was reported; what it would be saved as is nothing.
            known = {key: kind_of(value) for key, value in state.items()}
            entries = {str(key): kind for key, kind in known.items() if kind != "loader"}
            tree = dict(capture({key: value for key, value in state.items() if known[key] != "loader"}))
        else:
            entries = {_WHOLE: "whole"}
            tree = {_WHOLE: capture(state)}
        if self._generators:
            name = _GENERATORS
            while name in tree:
                name += "_"
            tree[name] = capture_generators()
            entries[name] = "generators"
        return flatten(tree), entries

    def _frozen(self, state: Any) -> list[str]:
        """Names of parameters of torch models in the state that are not trained."""
        import sys

        torch = sys.modules.get("torch")
        if torch is None or not isinstance(state, Mapping):
            return []
        return [
            f"{key}.{name}"
            for key, model in state.items()
            if isinstance(model, torch.nn.Module)
            for name, tensor in model.named_parameters()
            if not tensor.requires_grad
        ]

    def _take_lock(self) -> None:
        if self._lock.held:
            return
        make_folder(self.directory)
        holder = self._lock.acquire()
        if holder is not None:
            raise WriterConflictError(
                f"{self.directory}: {holder} writes steps here. Two runs in one directory would mix their steps: give each its "
                "own, or end the other one. Reading is fine at any time."
            )
        remove_leftovers(self.directory)

    def _check_free(self, step: int, kind: str) -> None:
        for each in list_steps(self.directory, kind=kind):
            if each.step != step:
                continue
            if not each.damage():
                raise self._exists_error(step, None)
            from tensorkeep.storage.folders import set_aside

            set_aside(self.directory, os.path.basename(each.path))

    def _exists_error(self, step: int, err: BaseException | None) -> StepExistsError:
        made = StepExistsError(
            17,
            f"{self.directory}: step {step} is there already, and whole; steps are never replaced. To go on from an earlier step, "
            "save into a new directory, or remove the later steps first.",
            self.directory,
        )
        made.__cause__ = err
        return made

    def _look(self, state: Any) -> None:
        if self._looked:
            return
        self._looked = True
        found = not_captured(state)
        if found:
            lines = "\n".join(f"  {line}" for line in found)
            warnings.warn(
                f"A resume from {self.directory} would not be the same run:\n{lines}\nPut them into the state.",
                NotCapturedWarning,
                stacklevel=5,
            )

    # Waiting and closing

    def wait(self, timeout_s: float | None = None) -> bool:
        """Wait for the save that is under way; False when the time was not enough. From any thread; twice is fine.

        Raises: what the save met, once.
        """
        thread = self._thread
        if thread is not None:
            thread.join(timeout_s)
            if thread.is_alive():
                return False
            self._thread = None
        self._raise_failure()
        return True

    def _raise_failure(self) -> None:
        if self._thread is not None and self._thread.is_alive():
            return
        failure, self._failure = self._failure, None
        if failure is not None:
            raise failure

    def close(self) -> None:
        """Wait for the save under way and give everything back: lock, buffer, signal handlers. Twice is fine.

        Raises: what that save met.
        """
        try:
            self.wait()
            if self._proving and self._last is not None and not self._exists(self._last[0]):
                last, self._last = self._last, None
                self._save(*last, False, None, "step")
        finally:
            self._signals.remove()
            self._staging.release()
            self._lock.release()

    def __enter__(self) -> Checkpointer:
        return self

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        """Close; after an exception the last state that `step` was given is saved as a crash step first."""
        if error is not None and self._last is not None and not isinstance(error, GeneratorExit):
            step, state, metrics = self._last
            try:
                self._save(step, state, metrics, False, None, "crash")
            except BaseException as err:  # noqa: BLE001  # the first error is the one to be told
                error.add_note(f"The crash step could not be saved: {err}")
        try:
            self.close()
        except TensorkeepError as err:
            if error is None:
                raise
            error.add_note(f"The last save in the background had failed: {err}")

    # Reading

    def steps(self) -> list[Step]:
        """The steps that are there, in ascending order."""
        return list_steps(self.directory)

    def latest(self) -> Step | None:
        """The newest step whose manifest and files' sizes are right; None when there is none."""
        return next((each for each in reversed(self.steps()) if not each.damage(quick=True)), None)

    def best(self, metric: str | None = None, *, mode: str | None = None) -> Step | None:
        """The best step by a metric; by default that of the first `keep_best`. None when no step has it."""
        if metric is None:
            policy = next((each for each in self._keep if isinstance(each, Best)), None)
            if policy is None:
                raise TensorNotFoundError("best() needs metric= and mode=: no keep_best policy says which.")
            metric, mode = policy.metric, mode or policy.mode
        whole = [each for each in self.steps() if not each.damage(quick=True)]
        found = ranked(whole, metric, mode or "min")
        return found[0] if found else None  # type: ignore[return-value]  # what goes in are Steps

    def load(self, step: int) -> Any:
        """A step's state as it was given, verified, in memory; models and optimizers are dicts by name.

        Raises:
            TensorNotFoundError: there is no such step; CorruptFileError: it is damaged.
        """
        return self._tree(self._find(step).load(), self._find(step))

    def _find(self, step: int) -> Step:
        for each in list_steps(self.directory):
            if each.step == step:
                return each
        there = ", ".join(str(each.step) for each in self.steps()) or "none"
        raise TensorNotFoundError(f"{self.directory}: there is no step {step}. There are: {there}.")

    @staticmethod
    def _tree(tree: Any, step: Step) -> Any:
        """What was given to `save`: without the generators, and unwrapped when it was no dict."""
        entries = step.manifest.entries
        if entries.get(_WHOLE) == "whole":
            return tree[_WHOLE]
        return {key: value for key, value in tree.items() if entries.get(str(key)) != "generators"}

    def restore(self, state: Any = None, *, step: int | None = None, strict: bool = True) -> Step | None:
        """Go back to a step: the newest that verifies, or the one that is named.

        Args:
            state: filled in place: models, optimizers, objects with `load_state_dict`, arrays; numbers and strings of the dict
                are replaced. None restores only the generators; take the data with `Step.load`.
            step: its number; by default the newest that is whole.
            strict: an entry of the state that the step lacks is an error; otherwise it stays as it is.
        Returns:
            The Step (with `.skipped`: what was passed over and why), or None for an empty directory.
        Raises:
            CorruptFileError: the named step, or every step, is damaged. MismatchError: the state does not fit; nothing was changed.
        """
        self.wait()
        skipped: list[str] = []
        candidates = [self._find(step)] if step is not None else list(reversed(self.steps()))
        for each in candidates:
            damage = each.damage()
            if damage:
                skipped.append(f"step {each.step} is damaged: {damage[0]}")
                continue
            with each.open() as file:
                tree = file.structure
                if state is not None:
                    made = restore_into(state, self._tree(tree, each), strict=strict)
                    if isinstance(state, dict) and made is not state:
                        state.update(made)
                self._restored(each, tree)
            if skipped:
                warnings.warn(f"{self.directory}: {' '.join(skipped)} Restored step {each.step} instead.", stacklevel=2)
            return replace(each, skipped=tuple(skipped))
        if skipped:
            raise CorruptFileError(f"{self.directory}: no step is whole. {'; '.join(skipped)}")
        return None

    def _restored(self, step: Step, tree: Any) -> None:
        if self._generators:
            for key, kind in step.manifest.entries.items():
                if kind == "generators":
                    restore_generators(_plain(tree[key]))
        self._before = Written.of(step.path, step.manifest)
        self._changed = None
        self._now.saved_step = self._now.step = step.step
        self._now.saved_epoch = step.manifest.epoch

    def pin(self, step: int) -> None:
        """Keep a step whatever the policies say."""
        from tensorkeep.storage.writing import write_file

        path = os.path.join(self._find(step).path, PINNED)
        if not os.path.exists(path):
            write_file(path, WritePlan("mark", [b"pinned\n"]))

    def unpin(self, step: int) -> None:
        """Leave a step to the policies again."""
        from tensorkeep.storage.folders import remove_file

        remove_file(os.path.join(self._find(step).path, PINNED))


def _put(content: Content, copies: Mapping[str, Tensor]) -> None:
    """The copies in the places of the originals, in the tree as well."""
    from tensorkeep.core.tensor import SparseTensor
    from tensorkeep.core.tree import map_tree

    new = {id(content.tensors[name]): copy for name, copy in copies.items()}

    def leaf(value: Any) -> Any:
        if isinstance(value, Tensor):
            return new.get(id(value), value)
        if isinstance(value, SparseTensor):
            return SparseTensor(value.kind, value.shape, **{k: new.get(id(v), v) for k, v in value.parts()})
        return value

    content.tree = map_tree(content.tree, leaf)
    content.tensors.update(copies)
    content.names.clear()
    content.names.update({id(tensor): name for name, tensor in content.tensors.items()})


def _dense(tensor: Any) -> Tensor:
    assert isinstance(tensor, Tensor)
    return tensor


def _plain(tree: Any) -> Any:
    from tensorkeep.core.tree import map_tree
    from tensorkeep.storage.reading import read_tensors

    return map_tree(tree, lambda v: read_tensors([v], verify=False)[0] if isinstance(v, Tensor) else v)
