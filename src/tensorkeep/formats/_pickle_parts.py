"""What the pickle machine is told about classes: `Known` rows, `Cell`s for unfinished objects, and its refusals."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from tensorkeep.core.tree import Inert
from tensorkeep.errors import CorruptFileError

__all__ = ["ABSENT", "Cell", "Global", "InertCell", "Known", "Unfit", "Unsupported", "located", "raw_bytes"]

ABSENT: Any = type("Absent", (), {"__repr__": lambda self: "ABSENT", "__slots__": ()})()


class Unfit(Exception):  # caught by the machine, never leaves it
    """Raised by a constructor of ours for arguments that no honest writer makes; the text says why."""


class Unsupported(Exception):  # caught by the machine, never leaves it
    """Raised by a constructor of ours for data that is honest, but has no representation here; a whole sentence."""


@dataclass(frozen=True, slots=True)
class Known:
    """One class or function that pickles may ask for, as functions of ours that check their arguments.

    Attributes:
        call: gets the arguments of REDUCE, INST and OBJ, returns the value (plain data, a Tensor, or a `Cell` when the
            pickle goes on to fill it). Arguments are built values; classes among them are `Global`s, unfinished
            objects `Cell`s.
        new: the same for NEWOBJ; (args, kwargs) for NEWOBJ_EX.
        value: what the class itself stands for when it is stored as data ("torch.float32"); ABSENT when it cannot be.
    """

    call: Callable[[tuple[Any, ...]], Any] | None = None
    new: Callable[[tuple[Any, ...], dict[str, Any]], Any] | None = None
    value: Any = ABSENT


class Global:
    """A class or function that the pickle asked for, by its name only. Nothing is imported."""

    __slots__ = ("called", "fetched", "known", "module", "name")

    def __init__(self, module: str, name: str, known: Known | None) -> None:
        self.module = module
        self.name = name
        self.known = known
        self.fetched = 0
        self.called = 0

    def as_key(self) -> str:
        """What stands for it as the key of a dict: old checkpoints of Lightning have classes as keys."""
        if self.known is not None and type(self.known.value) is str:
            return self.known.value
        return f"{self.module}.{self.name}"

    def __repr__(self) -> str:
        return f"{self.module:.200}.{self.name:.200}"


class Cell:
    """An object under construction: BUILD, APPENDS and SETITEMS of the pickle go to these methods; `finish` ends it."""

    __slots__ = ()

    def build(self, state: Any) -> None:
        """BUILD: the object's state."""
        raise Unfit("it takes no state")

    def extend(self, items: list[Any]) -> None:
        """APPENDS and ADDITEMS."""
        raise Unfit("it takes no items")

    def update(self, pairs: list[tuple[Any, Any]]) -> None:
        """SETITEMS."""
        raise Unfit("it takes no entries")

    def as_key(self) -> str | None:
        """What stands for it as the key of a dict; None when it cannot be one."""
        return None

    def parts(self) -> Sequence[Any]:
        """The values inside that may themselves be unfinished; `finish` gets them finished, in this order."""
        return ()

    def finish(self, parts: Sequence[Any]) -> Any:
        """The final value."""
        raise NotImplementedError


class InertCell(Cell):
    """An object of an unknown class, while its pickle fills it. It becomes a `tensorkeep.Inert`."""

    __slots__ = ("args", "items", "module", "name", "pairs", "states")

    def __init__(self, module: str, name: str, args: tuple[Any, ...] = ()) -> None:
        self.module = module
        self.name = name
        self.args = args
        self.states: tuple[Any, ...] = ()
        self.items: list[Any] | None = None
        self.pairs: list[tuple[Any, Any]] | None = None

    def as_key(self) -> str | None:
        """A member of an enumeration, which is its class and one plain value, as text."""
        if len(self.args) != 1 or self.states or self.items or self.pairs:
            return None
        value = self.args[0]
        short = (type(value) is str and len(value) <= 200) or (type(value) in (int, bool) and value.bit_length() <= 64)
        return f"{self.module}.{self.name}({value!r})" if short else None

    def build(self, state: Any) -> None:
        if len(self.states) >= 16:
            raise Unfit("an object gets its state again and again")
        self.states += (state,)

    def extend(self, items: list[Any]) -> None:
        if self.items is None:
            self.items = items
        else:
            self.items.extend(items)

    def update(self, pairs: list[tuple[Any, Any]]) -> None:
        if self.pairs is None:
            self.pairs = pairs
        else:
            self.pairs.extend(pairs)

    def parts(self) -> Sequence[Any]:
        flat = [*self.args, *self.states, *(self.items or ())]
        for key, value in self.pairs or ():
            flat += (key, value)
        return flat

    def finish(self, parts: Sequence[Any]) -> Inert:
        ends = [len(self.args), len(self.args) + len(self.states)]
        ends.append(ends[1] + len(self.items or ()))
        states = parts[ends[0] : ends[1]]
        items: Any = list(parts[ends[1] : ends[2]]) or None
        if self.pairs:
            flat = parts[ends[2] :]
            pairs = list(zip(flat[::2], flat[1::2], strict=True))
            items = [*(items or ()), *pairs]
        state = None if not states else states[0] if len(states) == 1 else tuple(states)
        return Inert(self.module, self.name, tuple(parts[: ends[0]]), state, items)


def raw_bytes(value: Any) -> bytes:
    """The bytes of a value that an old Python 2 writer stored as `str`; bytes as they are.

    The machine gives a Python 2 string as text when it is UTF-8, so encoding it again gives the same bytes.
    """
    if type(value) is bytes:
        return value
    if type(value) is str:
        return value.encode("utf-8")
    raise Unfit(f"a {type(value).__name__} stands where bytes are needed")


def located(what: str, offset: int, why: str) -> CorruptFileError:
    """The error for a pickle that breaks the rules."""
    return CorruptFileError(
        f"{what}: the pickle is wrong at byte {offset}: {why}. "
        "The file is damaged or hostile; nothing in it was executed."
    )
