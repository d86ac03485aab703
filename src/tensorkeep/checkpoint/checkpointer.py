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
from tensorkeep.checkpoint._collect import collect, frozen_names
from tensorkeep.checkpoint._handle import NotCapturedWarning, NotRestoredWarning, SaveHandle
from tensorkeep.checkpoint._pieces import Pieces
from tensorkeep.checkpoint._ranks import Lanes, Ranks, alike, give_back, ranks_here
from tensorkeep.checkpoint._restoring import find_step, open_whole, put_back, unwrapped
from tensorkeep.checkpoint._seen import not_captured
from tensorkeep.checkpoint._staging import Staging, digest_tensors
from tensorkeep.checkpoint._together import candidates, write_together
from tensorkeep.checkpoint.commit import Written, digits, refused, step_exists, stored, write_step
from tensorkeep.checkpoint.policies import Best, Every, Keep, Now, keep_all, keep_last, ranked
from tensorkeep.checkpoint.prove import redirected
from tensorkeep.checkpoint.provenance import provenance as ask_provenance
from tensorkeep.checkpoint.signals import Signals
from tensorkeep.checkpoint.steps import PINNED, Step, list_steps, newest
from tensorkeep.core.plan import WritePlan
from tensorkeep.core.tensor import Tensor
from tensorkeep.errors import (
    CorruptFileError,
    SaveError,
    TensorkeepError,
    TensorNotFoundError,
    WriterConflictError,
)
from tensorkeep.formats._step_manifest import NAME as MANIFEST
from tensorkeep.formats._step_manifest import plain_metrics
from tensorkeep.storage.atomic import save_error
from tensorkeep.storage.folders import FolderLock, make_folder, remove_leftovers

__all__ = ["Checkpointer", "NotCapturedWarning", "NotRestoredWarning", "SaveHandle"]


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
        together: under torch.distributed, whether all ranks save and restore together; False in one that works alone.
        timeout_s: how long ranks wait for each other before all give up.
    One Checkpointer writes into a directory at a time; any number may read. Use it in a `with` block, or call `close`.
    Under torch.distributed every rank makes one, and calls `save`, `step`, `due`, `restore` and `close` alike.
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
        together: bool = True,
        timeout_s: float = 1800.0,
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
        self._together, self._timeout_s = together, timeout_s
        self._lanes: Lanes | None = None
        self._signals = Signals()
        if signals:
            self._signals.install()
        self._staging = Staging()
        self._before: Written | None = None
        self._changed: set[str] | None = None  # what differed between the last two saves; None before two
        self._handle: SaveHandle | None = None
        self._thread: threading.Thread | None = None
        self._saving = threading.RLock()  # threads that save take turns
        self._failure: BaseException | None = None
        self._last: tuple[int, Any, Mapping[str, float]] | None = None
        self._looked = False
        self._began = time.monotonic()
        self._now = Now(-1, None, 0.0, -1, None, 0.0, 0.0)
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
        self._last = (step, state, metrics or {})
        stop, wanted, due = self._asked(step, epoch)
        if stop or wanted:
            self.stopping = stop
            self._signals.save = False
            if self._exists(step):
                return None
            return self._save(step, state, metrics or {}, False, epoch, "step")
        return self._save(step, state, metrics or {}, True, epoch, "step") if due else None

    def due(self, step: int, epoch: int | None = None) -> bool:
        """Whether `step` would save now: by `every`, or because a signal arrived. For states that are dear to gather.

        When this is True, call `step` with the same numbers: it may also have to set `stopping`.
        """
        return any(self._asked(step, epoch))

    def _asked(self, step: int, epoch: int | None) -> tuple[bool, bool, bool]:
        """Whether to save and stop, to save by a signal, to save by `every`: the same on all ranks."""
        now, signals = self._now, self._signals
        now.step, now.epoch, now.time_s = step, epoch, time.monotonic() - self._began
        due = self._every is not None and self._every.due(now)
        ranks = self._ranks()
        if ranks is None:
            self._raise_failure()
            return signals.stop, signals.save, due
        failed = self._failure is not None and self._handle is not None and self._handle.done
        stop, wanted, due_first, failed_somewhere = ranks.most(
            [signals.stop, signals.save, due and ranks.first, failed]
        )
        if failed_somewhere:
            self.wait()  # it fails on every rank
        return bool(stop), bool(wanted), bool(due_first)

    def _ranks(self) -> Ranks | None:
        """The other ranks of the run, if there are any; asked for by all of them together."""
        if self._lanes is None and self._together:
            self._lanes = ranks_here(self._timeout_s)
        return None if self._lanes is None else self._lanes[0]

    def _exists(self, step: int) -> bool:
        self.wait()
        found: list[bool] = []
        alike(
            self._ranks(),
            lambda: found.append(any(each.step == step for each in list_steps(self.directory))),
            tell=found,
        )
        return found[0]

    def _save(
        self, step: int, state: Any, metrics: Mapping[str, float], background: bool, epoch: int | None, kind: str
    ) -> SaveHandle:
        with self._saving:
            return self._save_now(operator.index(step), state, plain_metrics(metrics), background, epoch, kind)

    def _save_now(
        self, step: int, state: Any, metrics: Mapping[str, float], background: bool, epoch: int | None, kind: str
    ) -> SaveHandle:
        began = time.monotonic()
        self.wait()  # back-pressure: one save at a time, one buffer
        ranks = self._ranks()
        alike(ranks, lambda: self._open_for(step, kind), first=True)
        if self._before is not None and not os.path.exists(os.path.join(self._before.path, MANIFEST)):
            self._before = None  # somebody removed it: everything is written anew
        if ranks is None or ranks.first:
            self._look(state)
        pieces, tree, entries = collect(step, state, ranks, generators=self._generators)
        handle = SaveHandle(step)
        unchanged: set[str] = set()
        rest: list[str] = []
        staged = False

        def stage() -> None:
            nonlocal staged
            tensors = pieces.tensors
            known = self._before.manifest.tensors if self._before is not None else {}
            # What changed last time is copied unseen; what did not is hashed, and copied only when it did now.
            seen = self._changed
            calm = {n: t for n, t in tensors.items() if n in known and seen is not None and n not in seen}
            unchanged.update(n for n, d in digest_tensors(calm).items() if self._same(n, calm[n], d.value))
            moving = {name: tensor for name, tensor in tensors.items() if name not in unchanged}
            rest.extend(moving)
            if self._before is not None:
                # What did not change is taken from the step before, whose bytes cannot change under a save.
                try:
                    tensors.update(stored(self._before, unchanged))
                except OSError as err:
                    self._before = None  # the next save writes everything anew
                    raise refused(self.directory, step, err) from err
            size = sum(tensor.nbytes for tensor in moving.values())
            staged = background and (self._max_staging is None or size <= self._max_staging)
            if staged:
                tensors.update(self._staging.copy(moving))

        alike(ranks, stage)
        frozen = frozenset(frozen_names(state)) if self._before is None else frozenset()
        job = self._job(handle, step, pieces, tree, unchanged, rest, frozen, entries, metrics, epoch, kind)
        self._handle = handle
        if staged:
            self._thread = threading.Thread(target=job, name="tensorkeep-save", daemon=False)
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

    def _open_for(self, step: int, kind: str) -> None:
        """Make sure that this process may write, and that the step's place is free."""
        if step < 0:
            raise SaveError(22, f"step={step!r} is no step: whole numbers from 0 on.", self.directory)
        try:
            self._take_lock()
            self._check_free(step, kind)
        except OSError as err:
            raise refused(self.directory, step, err) from err

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
        pieces: Pieces,
        tree: Any,
        unchanged: set[str],
        rest: list[str],
        frozen: frozenset[str],
        entries: Mapping[str, str],
        metrics: Mapping[str, float],
        epoch: int | None,
        kind: str,
    ) -> Callable[[], None]:
        lane = self._lanes[1] if self._lanes is not None else None
        before = self._before
        changed = set(rest)
        options: dict[str, Any] = {
            "frozen": frozen,
            "before": before,
            "entries": entries,
            "metrics": metrics,
            "kind": kind,
        }

        def compare() -> None:
            if before is not None:
                copies = {name: pieces.tensors[name] for name in rest if name in before.manifest.tensors}
                changed.difference_update(
                    [n for n, d in digest_tensors(copies).items() if self._same(n, copies[n], d.value)]
                )
            options["unchanged"] = frozenset(pieces.tensors) - changed
            options["provenance"] = ask_provenance() if self._provenance and (lane is None or lane.first) else {}

        def retire() -> None:
            try:
                if kind == "step":
                    retention.retire(self.directory, list_steps(self.directory), self._keep)
            except OSError as err:
                state = f"Step {step} is saved; older ones could not all be removed."
                raise save_error(
                    self.directory, err.__cause__ if isinstance(err.__cause__, OSError) else err, state=state
                ) from err

        def work() -> None:
            options.update(keep=[policy.spec for policy in self._keep], epoch=epoch)
            try:
                if lane is None:
                    compare()
                    written, nbytes = write_step(self.directory, step, pieces, tree, **options)
                else:
                    lane.gather(compare)
                    written, nbytes = write_together(lane, self.directory, step, pieces, tree, **options)
                if kind == "step":
                    self._before = written
                    self._changed = changed if before is not None else set(pieces.tensors) - frozen
                handle.path, handle.nbytes_written = written.path, nbytes
                if lane is None:
                    retire()
                else:
                    lane.only_first(retire)
            except FileExistsError as err:
                handle._error = self._failure = step_exists(self.directory, step, err)
            except BaseException as err:  # noqa: BLE001  # it surfaces at the next call, at `wait` and at `close`
                self._before = None  # whatever it was: the next save takes nothing over
                if isinstance(err, OSError):
                    err = refused(self.directory, step, err)
                handle._error = self._failure = err
            finally:
                handle._done.set()

        return work

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
            if not each.proven_damage():
                raise step_exists(self.directory, step)
            from tensorkeep.storage.folders import set_aside

            set_aside(self.directory, os.path.basename(each.path))

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

    def wait(self, timeout_s: float | None = None) -> bool:
        """Wait for the save that is under way; False when the time was not enough. From any thread; twice is fine.

        Raises: what the save met, once.
        """
        thread = self._thread
        if thread is not None:
            thread.join(timeout_s)
            if thread.is_alive():
                return False
            if self._thread is thread:  # else another thread has begun the next
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
        self._close(together=True)

    def _close(self, *, together: bool) -> None:
        self._saving.acquire()  # a thread that is saving comes first
        try:
            self.wait()
            if self._proving and self._last is not None and not self._exists(self._last[0]):
                last, self._last = self._last, None
                self._save(*last, False, None, "step")
        except BaseException:
            together = False
            raise
        finally:
            lanes, self._lanes = self._lanes, None
            if lanes is not None:
                give_back(lanes, self._timeout_s, whole=together)
            self._signals.remove()
            self._staging.release()
            self._lock.release()
            self._saving.release()

    def __enter__(self) -> Checkpointer:
        return self

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        """Close; after an exception the last state that `step` was given is saved as a crash step first.

        Not so under torch.distributed, where the other ranks do not know of the exception: they are told by the broken
        connection at their next call.
        """
        if (
            error is not None
            and self._lanes is None
            and self._last is not None
            and not isinstance(error, GeneratorExit)
        ):
            step, state, metrics = self._last
            try:
                self._save(step, state, metrics, False, None, "crash")
            except BaseException as err:  # noqa: BLE001  # the first error is the one to be told
                error.add_note(f"The crash step could not be saved: {err}")
        try:
            self._close(together=error is None)
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
        return newest(self.directory)

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
        found = find_step(self.directory, step)
        return unwrapped(found.load(), found)

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
        Under torch.distributed each rank reads its share of the bytes to verify them, and then the parts that it holds.
        """
        self.wait()
        ranks = self._ranks()
        skipped: list[str] = []
        there = list(reversed(self.steps())) if ranks is None else candidates(ranks, self.directory)
        for each in there if step is None else [find_step(self.directory, step, there)]:
            file, damage = open_whole(each, ranks)
            if file is None:
                if ranks is None and step is None and not os.path.lexists(each.path):
                    return self.restore(state, strict=strict)  # its writer has removed it, so there is a newer one
                skipped.append(f"step {each.step} is damaged: {damage[0]}")
                continue
            with file:
                lost = put_back(each, file.structure, state, ranks, strict=strict, generators=self._generators)
                self._go_on_from(each, ranks)
            if ranks is None or ranks.first:
                if skipped:
                    text = f"{self.directory}: {' '.join(skipped)} Restored step {each.step} instead."
                    warnings.warn(text, stacklevel=2)
                if lost:
                    text = f"{each.path}: not restored: {'; '.join(lost)}"
                    warnings.warn(text, NotRestoredWarning, stacklevel=2)
            return replace(each, skipped=tuple(skipped), not_restored=tuple(lost))
        if skipped:
            raise CorruptFileError(f"{self.directory}: no step is whole. {'; '.join(skipped)}")
        return None

    def _go_on_from(self, step: Step, ranks: Ranks | None) -> None:
        """Let the next save, and when it is due, follow a step that was restored."""
        if ranks is None:
            self._before = Written.of(step.path, step.manifest)
        else:  # which rank wrote what may differ now: all is written anew
            self._before = Written(step.path, replace(step.manifest, tensors={}, files={}))
        self._changed = None
        self._now.saved_step = self._now.step = step.step
        self._now.saved_epoch = step.manifest.epoch

    def pin(self, step: int) -> None:
        """Keep a step whatever the policies say."""
        from tensorkeep.storage.writing import write_file

        path = os.path.join(find_step(self.directory, step).path, PINNED)
        if not os.path.exists(path):
            write_file(path, WritePlan("mark", [b"pinned\n"]))

    def unpin(self, step: int) -> None:
        """Leave a step to the policies again."""
        from tensorkeep.storage.folders import remove_file

        remove_file(os.path.join(find_step(self.directory, step).path, PINNED))
