"""Our own pickle machine, protocols 0 to 5: it builds plain data and runs nothing.

A pickle is a program for a stack machine that may call anything by name. This machine has no import and no call:
a name becomes a `Global` record, and calling one looks it up in an exact table of `Known` rows, functions of ours that
check their arguments. The rest is refused with the complete list of what the pickle asks for, or kept as
`tensorkeep.Inert` records.

Source: CPython Lib/pickletools.py (the opcodes), Lib/pickle.py, PEP 3154 and 574.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tensorkeep.core.bounds import MAX_PICKLE_NBYTES
from tensorkeep.core.collector import collector_paused
from tensorkeep.core.reports import Request
from tensorkeep.errors import (
    CorruptFileError,
    LimitError,
    TensorkeepError,
    TruncatedFileError,
    UnsafeFileError,
    UnsupportedFormatError,
)
from tensorkeep.formats._pickle_base import BASE, is_key
from tensorkeep.formats._pickle_ops import RARE
from tensorkeep.formats._pickle_parts import ABSENT, Cell, Global, InertCell, Known, Unfit, Unsupported, located
from tensorkeep.formats._pickle_tree import finish_tree

__all__ = ["Examined", "Machine", "Unpickled", "examine", "load", "unsafe"]

MAX_NAME_NBYTES = 1024
"""The name of a module or of a class."""

MAX_MARKS = 1024
"""Containers that are open at once while they are built: honest ones nest 64 deep, with a few marks a level."""

FREE_CONTAINERS = 1_000_000
"""Containers that a pickle may make beyond one for eight of its bytes: an empty list takes 56 bytes and one opcode."""


@dataclass(frozen=True, slots=True)
class Unpickled:
    """What a pickle holds.

    Attributes:
        value: plain data, Tensors, numpy scalars, Inert records.
        end: the offset behind its STOP.
        requests: every class and function that it asks for, unknown ones first.
    """

    value: Any
    end: int
    requests: tuple[Request, ...]


@dataclass(frozen=True, slots=True)
class Examined:
    """What a pickle asks for, as far as it can be read: `error` is the reason why it cannot be read to its end."""

    end: int
    requests: tuple[Request, ...]
    error: TensorkeepError | None = None


def load(
    data: bytes,
    *,
    what: str,
    known: Mapping[tuple[str, str], Known] | None = None,
    persistent: Callable[[Any], Any] | None = None,
    unknown: str = "refuse",
    start: int = 0,
    max_nbytes: int = MAX_PICKLE_NBYTES,
    shortcuts: Mapping[tuple[str, str], Shortcut] | None = None,
) -> Unpickled:
    """The value of the pickle that begins at `start`; bytes behind its STOP are the caller's business (`end`).

    Args:
        data: the bytes that hold the pickle.
        what: what error messages call it, e.g. "model.pt: data.pkl".
        known: (module, name) to the constructor that may be called, beside those of `_pickle_base.BASE`.
        persistent: gets each persistent id (built of plain values and `Global`s), returns its value; None refuses them.
        unknown: "refuse" or "inert".
        max_nbytes: the size from which a pickle is refused; larger for formats whose tensors lie inside it.
        shortcuts: for functions that are called very often, what takes a whole call in one step (see `_torch_shortcut`).
    Raises:
        UnsafeFileError: it asks for classes that are in no table; all of them are listed. Nothing was executed.
        CorruptFileError, TruncatedFileError, LimitError: it breaks the rules of pickles, or of a class in the table.
        UnsupportedFormatError: it holds a kind of data that has no representation here.
    """
    machine = Machine(data, what, known or {}, persistent, start, inert=unknown == "inert")
    machine.shortcuts = shortcuts or {}
    try:
        with collector_paused():
            value = machine.run(max_nbytes)
            if machine.inert or not machine.unknown:
                return Unpickled(finish_tree(value, len(data), what), machine.pos, machine.requests())
    except TensorkeepError as err:
        if machine.inert:
            raise
        found = examine(data, what=what, known=known, start=start, max_nbytes=max_nbytes)
        if all(request.known for request in found.requests):
            raise
        raise unsafe(what, found.requests, found.error) from err
    raise unsafe(what, machine.requests())


def examine(
    data: bytes,
    *,
    what: str,
    known: Mapping[tuple[str, str], Known] | None = None,
    start: int = 0,
    max_nbytes: int = MAX_PICKLE_NBYTES,
) -> Examined:
    """What the pickle at `start` asks for, without building anything of it. Never raises for what the bytes hold."""
    machine = Machine(data, what, known or {}, None, start, inert=True, dry=True)
    try:
        machine.run(max_nbytes)
    except TensorkeepError as err:
        return Examined(machine.pos, machine.requests(), err)
    return Examined(machine.pos, machine.requests())


def unsafe(what: str, requests: tuple[Request, ...], broken: Exception | None = None) -> UnsafeFileError:
    """The refusal of a pickle, with everything that it asks for."""
    bad = [request for request in requests if not request.known]
    good = [request for request in requests if request.known]
    count = "a class or function that is" if len(bad) == 1 else f"{len(bad)} classes or functions that are"
    tail = f" It is also broken: {broken}" if broken is not None else ""
    return UnsafeFileError(
        f"{what} asks for {count} not plain data: {_listed(bad)}. "
        f"Nothing of it was imported or executed. Harmless in it: {_listed(good) or 'nothing else'}.{tail} "
        'To read the rest, load it with unknown="inert": what is unknown then comes as tensorkeep.Inert records.',
        requests=tuple((request.module, request.name) for request in bad),
    )


def _listed(requests: list[Request], most: int = 100) -> str:
    shown = [f"{r.module:.100}.{r.name:.100}" + (f" ({r.count}x)" if r.count > 1 else "") for r in requests[:most]]
    more = f" and {len(requests) - most} more" if len(requests) > most else ""
    return ", ".join(shown) + more


Shortcut = Callable[["Machine", Global, int], int]
_NOTHING = object()


class Machine:
    """The stack machine. Frequent opcodes are in `run`, the others are functions of `_pickle_ops`."""

    __slots__ = (
        "budget", "data", "dry", "frame_end", "globals", "hot", "hot_call", "inert", "known", "limit", "marks", "memo",
        "persistent", "pos", "shortcuts", "size", "stack", "start", "unknown", "what",
    )  # fmt: skip

    def __init__(
        self,
        data: bytes,
        what: str,
        known: Mapping[tuple[str, str], Known],
        persistent: Callable[[Any], Any] | None,
        start: int,
        *,
        inert: bool,
        dry: bool = False,
    ) -> None:
        self.data = data
        self.what = what
        self.known = known
        self.persistent = persistent
        self.start = self.pos = start
        self.size = self.limit = len(data)
        self.frame_end = 0
        self.shortcuts: Mapping[tuple[str, str], Shortcut] = {}
        self.hot: Any = _NOTHING
        self.hot_call: Shortcut | None = None
        self.inert = inert
        self.dry = dry
        self.stack: list[Any] = []
        self.marks: list[list[Any]] = []
        self.memo: list[Any] = []
        self.globals: dict[tuple[str, str], Global] = {}
        self.unknown = False
        self.budget = FREE_CONTAINERS + (len(data) - start) // 8

    # --- what is reported

    def requests(self) -> tuple[Request, ...]:
        found = [
            Request(each.module, each.name, max(each.called, each.fetched, 1), each.known is not None)
            for each in self.globals.values()
        ]
        return tuple(sorted(found, key=lambda r: (r.known, r.module, r.name)))

    def wrong(self, why: str) -> CorruptFileError:
        return located(self.what, self.pos, why)

    def cut(self) -> TruncatedFileError:
        return TruncatedFileError(
            f"{self.what}: the pickle is cut off at byte {self.size}, before its end. "
            "Compare the file's size or hash with the source."
        )

    # --- the loop

    def run(self, max_nbytes: int = MAX_PICKLE_NBYTES) -> Any:
        """The value under STOP, not yet walked (`finish_tree` does)."""
        if self.size - self.start > max_nbytes:
            raise LimitError(
                f"{self.what}: a pickle of {self.size - self.start} bytes; at most {max_nbytes} are read. "
                "The file is damaged or hostile."
            )
        try:
            return self._loop()
        except IndexError:
            # Reading past the end of the bytes, or taking from an empty stack.
            raise (self.cut() if self.pos >= self.size else self.wrong(_TAKES)) from None
        except struct.error:
            raise (self.cut() if self.pos + 8 > self.size else self.wrong("a frame ends inside an opcode")) from None
        except UnicodeDecodeError:
            raise self.wrong("its text is not UTF-8") from None
        except Unfit as err:
            raise self.wrong(str(err)) from None
        except Unsupported as err:
            raise self.unsupported(err) from None

    def _loop(self) -> Any:
        # A torch file of 10,000 tensors has 350,000 opcodes: the frequent ones come first, in one function with local
        # names, since a call for each would cost more than its work.
        data, pos, limit, memo = self.data, self.pos, self.limit, self.memo
        stack, marks, budget = self.stack, self.marks, self.budget
        rare, hot = RARE, self.hot
        try:
            while True:
                while pos < limit:
                    op = data[pos]
                    pos += 1
                    if op == 0x71 or op == 0x72 or op == 0x94:  # BINPUT, LONG_BINPUT, MEMOIZE
                        if op == 0x71:
                            index = data[pos]
                            pos += 1
                        elif op == 0x72:
                            index = _U32(data, pos)[0]
                            pos += 4
                        else:
                            index = len(memo)
                        if index == len(memo):
                            memo.append(stack[-1])
                        else:
                            self.pos = pos
                            self.put(index)
                    elif op == 0x4B:  # BININT1
                        stack.append(data[pos])
                        pos += 1
                    elif op == 0x68:  # BINGET
                        value = memo[data[pos]]
                        pos += 1
                        if value is hot:
                            self.budget = budget
                            after = self.hot_call(self, hot, pos)  # type: ignore[misc]  # set with `hot`
                            if after:
                                pos, budget = after, self.budget
                                continue
                        stack.append(value)
                    elif op == 0x28:  # MARK
                        marks.append(stack)
                        if len(marks) > MAX_MARKS:
                            raise self._too_many()
                        self.stack = stack = []
                    elif op == 0x58:  # BINUNICODE
                        nbytes = _U32(data, pos)[0]
                        pos += 4 + nbytes
                        if pos > limit:
                            self.pos = pos
                            raise self.cut()
                        stack.append(str(data[pos - nbytes : pos], "utf-8"))
                    elif op == 0x74:  # TUPLE
                        items = stack
                        self.stack = stack = marks.pop()
                        stack.append(tuple(items))
                        budget -= 1
                        if budget < 0:
                            raise self._too_many()
                    elif op == 0x86:  # TUPLE2
                        last = stack.pop()
                        stack[-1] = (stack[-1], last)
                        budget -= 1
                        if budget < 0:
                            raise self._too_many()
                    elif op == 0x85:  # TUPLE1
                        stack[-1] = (stack[-1],)
                        budget -= 1
                        if budget < 0:
                            raise self._too_many()
                    elif op == 0x52:  # REDUCE
                        self.pos = pos
                        args = stack.pop()
                        stack[-1] = self.reduce(stack[-1], args)
                        budget -= 1
                        if budget < 0:
                            raise self._too_many()
                    elif op == 0x51:  # BINPERSID
                        self.pos = pos
                        stack[-1] = self.persist(stack[-1])
                    elif op == 0x4D:  # BININT2
                        stack.append(data[pos] | data[pos + 1] << 8)
                        pos += 2
                    elif op == 0x6A:  # LONG_BINGET
                        stack.append(memo[_U32(data, pos)[0]])
                        pos += 4
                    elif op == 0x89:  # NEWFALSE
                        stack.append(False)
                    elif op == 0x29:  # EMPTY_TUPLE
                        stack.append(())
                    elif op == 0x2E:  # STOP
                        self.pos = pos
                        if len(stack) != 1 or marks:
                            raise self.wrong("not one value is left on the stack at its end")
                        return stack[0]
                    else:
                        handler = rare.get(op)
                        self.pos, self.budget = pos, budget
                        if handler is None:
                            raise self.wrong(f"byte 0x{op:02x} is no opcode")
                        handler(self)
                        pos, stack, limit, budget = self.pos, self.stack, self.limit, self.budget
                        hot = self.hot
                        if budget < 0:
                            raise self._too_many()
                self.pos = pos
                if pos > limit and limit < self.size:
                    raise self.wrong("a frame ends inside an opcode")
                if limit >= self.size:
                    raise self.cut()
                limit = self.limit = self.size
        except (IndexError, struct.error):
            self.pos = max(pos, self.pos)
            raise

    def _too_many(self) -> LimitError:
        return LimitError(
            f"{self.what}: the pickle makes more containers than its {self.size - self.start} bytes can be about. "
            "The file is damaged or hostile."
        )

    # --- calls: nothing is imported, nothing is called but functions of ours

    def fetch(self, module: Any, name: Any) -> Global:
        if type(module) is not str or type(name) is not str:
            raise self.wrong("a class is asked for by something that is not a string")
        found = self.globals.get((module, name))
        if found is None:
            if not (0 < len(module) <= MAX_NAME_NBYTES and 0 < len(name) <= MAX_NAME_NBYTES):
                raise self.wrong("the name of a class is empty or too long")
            if not (module.isprintable() and name.isprintable()):
                raise self.wrong("the name of a class holds control characters")
            # A name with a dot ("Class.method") walks along attributes: no row of the tables has one, so it is unknown.
            known = self.known.get((module, name)) or BASE.get((module, name))
            found = self.globals[module, name] = Global(module, name, known)
            if (module, name) in self.shortcuts:
                self.hot, self.hot_call = found, self.shortcuts[module, name]
            self.unknown = self.unknown or known is None
        found.fetched += 1
        return found

    def reduce(self, func: Any, args: Any) -> Any:
        if type(args) is InertCell:
            args = (args,)
            func = InertCell(func.module, func.name) if type(func) is Global else func
        if type(args) is not tuple:
            raise self.wrong(f"a call has a {type(args).__name__} in the place of its arguments")
        if type(func) is Global:
            func.called += 1
            row = func.known
            if row is None or self.dry:
                return InertCell(func.module, func.name, args)
            if row.call is None:
                raise self.wrong(f"{func!r} cannot be called")
            try:
                return row.call(args)
            except (Unfit, Unsupported) as err:
                return self.declined(func, args, err)
        if type(func) is InertCell:
            return InertCell(func.module, func.name + ".__call__", (func, *args))
        raise self.wrong(f"it calls a {type(func).__name__}")

    def new(self, cls: Any, args: Any, kwargs: Any) -> Any:
        if type(cls) is InertCell or type(args) is InertCell or type(kwargs) is InertCell:
            return InertCell(getattr(cls, "module", "?"), getattr(cls, "name", "?"), (args, kwargs))
        if type(cls) is not Global or type(args) is not tuple or type(kwargs) is not dict:
            raise self.wrong("an object is made of something that is not a class, arguments and keywords")
        cls.called += 1
        row = cls.known
        if row is None or self.dry:
            return InertCell(cls.module, cls.name, (*args, kwargs) if kwargs else args)
        if row.new is None:
            raise self.wrong(f"{cls!r} is not stored in this way")
        try:
            return row.new(args, kwargs)
        except (Unfit, Unsupported) as err:
            return self.declined(cls, args, err)

    def declined(self, cls: Global, args: tuple[Any, ...], err: Unfit | Unsupported) -> InertCell:
        """The record of a known class that could not be built, or the refusal."""
        if self.inert and (isinstance(err, Unsupported) or any(type(arg) is InertCell for arg in args)):
            return InertCell(cls.module, cls.name, args)
        raise self.wrong(f"{cls!r}: {err}") if isinstance(err, Unfit) else self.unsupported(err)

    def unsupported(self, err: Unsupported) -> UnsupportedFormatError:
        return UnsupportedFormatError(f'{self.what}: {err} To get the rest of the file, load it with unknown="inert".')

    def persist(self, pid: Any) -> Any:
        if self.dry:
            return InertCell("persistent", "id", (pid,))
        if self.persistent is None:
            raise self.wrong("it refers to an object outside itself (a persistent id), and this format has none")
        return self.persistent(pid)

    def set_items(self, target: Any, items: list[Any]) -> None:
        if len(items) & 1:
            raise self.wrong("a key has no value")
        keys, values = items[::2], items[1::2]
        if isinstance(target, Cell):
            target.update(list(zip(keys, values, strict=True)))
            return
        if not isinstance(target, dict):
            raise self.wrong(f"an entry is set in a {type(target).__name__}")
        if self.dry:
            return
        before = len(target)
        for key, value in zip(keys, values, strict=True):
            if type(key) is not str and not is_key(key):
                plain = key.as_key() if isinstance(key, (Cell, Global)) else None
                if plain is None:
                    raise self.bad_key(key)
                key = plain
            target[key] = value
        if len(target) != before + len(keys):
            raise self.wrong("a key of a dict stands twice")

    def bad_key(self, key: Any) -> TensorkeepError:
        if type(key) is tuple or isinstance(key, (Cell, Global)):
            kind = f"{key.module:.100}.{key.name:.100}" if isinstance(key, (Global, InertCell)) else type(key).__name__
            return UnsupportedFormatError(
                f"{self.what}: a dict has a {kind} as key at byte {self.pos}. Keys are read when they are strings, "
                "numbers, booleans or None; save the file again with such keys."
            )
        return self.wrong(f"a key is a {_kind(key)}; keys are strings, numbers, booleans or None")

    def extend(self, target: Any, items: list[Any]) -> None:
        if type(target) is list or isinstance(target, Cell):
            target.extend(items)
        else:
            raise self.wrong(f"items are appended to a {type(target).__name__}")

    def put(self, index: int) -> None:
        """Memo entries come in order; Python 2's cPickle begins at 1."""
        memo = self.memo
        if index > len(memo) + 1:
            raise self.wrong(f"memo entry {index} is set when only {len(memo)} are there")
        if index > len(memo):
            memo.append(ABSENT)
        if index == len(memo):
            memo.append(self.stack[-1])
        else:
            memo[index] = self.stack[-1]

    def pop_mark(self) -> list[Any]:
        items = self.stack
        self.stack = self.marks.pop()
        return items

    def take(self, nbytes: int) -> bytes:
        end = self.pos + nbytes
        if end > self.limit:
            raise self.cut() if end > self.size else self.wrong("a frame ends inside an opcode")
        taken = self.data[self.pos : end]
        self.pos = end
        return taken

    def line(self, at_most: int) -> bytes:
        end = self.data.find(b"\n", self.pos, min(self.limit, self.pos + at_most + 1))
        if end < 0:
            if self.pos + at_most >= self.limit:
                raise self.cut()
            raise LimitError(
                f"{self.what}: the text at byte {self.pos} is longer than {at_most} bytes. The file is hostile."
            )
        taken = self.data[self.pos : end]
        self.pos = end + 1
        return taken[:-1] if taken.endswith(b"\r") else taken


def _kind(value: Any) -> str:
    return f"number of {value.bit_length()} bits" if type(value) is int else type(value).__name__


_TAKES = "it takes from an empty stack, or asks for a memo entry that was never set"
_U32 = struct.Struct("<I").unpack_from
