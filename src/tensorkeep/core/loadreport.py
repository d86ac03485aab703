"""LoadReport: what loading parameters into a model did, name by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

__all__ = ["LoadReport", "grouped"]

_SHOWN = 12


@dataclass(frozen=True)
class LoadReport:
    """What `load_parameters` did, or would have done when it refused. Printed, it is one screen.

    Names are the model's unless said otherwise.

    Attributes:
        path: the file.
        model: the model with the values: the object that was given, or the new one of frameworks whose models cannot change.
        matched: names that got their values.
        renamed: name in the file → name in the model, where they differ.
        rule: in words, what was removed or added by itself so that the names fit; "" when nothing was.
        cast: name → (dtype in the file, dtype in the model).
        moved: name → what was done to its axes (between frameworks).
        skipped: name → (shape in the file, shape in the model): left as they were.
        cropped: the same, filled as far as both reach.
        missing: names that the file does not have; left as they were.
        extra: names of the file that the model does not have.
        differing: name → (what the file has, what the model has), why it was refused.
        verified: names whose checksums were checked.
        layout: the two frameworks, where the file's tensors lie as another one has them ("keras to torch"); else "".
        notes: sentences that a person should read.
    """

    path: str
    model: Any = field(default=None, repr=False)
    matched: Sequence[str] = ()
    renamed: Mapping[str, str] = field(default_factory=dict)
    rule: str = ""
    cast: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    moved: Mapping[str, str] = field(default_factory=dict)
    skipped: Mapping[str, tuple[tuple[int, ...], tuple[int, ...]]] = field(default_factory=dict)
    cropped: Mapping[str, tuple[tuple[int, ...], tuple[int, ...]]] = field(default_factory=dict)
    missing: Sequence[str] = ()
    extra: Sequence[str] = ()
    differing: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    verified: Sequence[str] = ()
    layout: str = ""
    notes: Sequence[str] = ()

    @property
    def complete(self) -> bool:
        """Whether every tensor of the model got its values and none of the file was left over."""
        return not (self.missing or self.extra or self.skipped or self.cropped or self.differing)

    def as_dict(self) -> dict[str, Any]:
        """Everything but the model, as plain data."""
        return {
            "path": self.path,
            "matched": list(self.matched),
            "renamed": dict(self.renamed),
            "rule": self.rule,
            "cast": {name: list(pair) for name, pair in self.cast.items()},
            "moved": dict(self.moved),
            "skipped": {name: [list(shape) for shape in pair] for name, pair in self.skipped.items()},
            "cropped": {name: [list(shape) for shape in pair] for name, pair in self.cropped.items()},
            "missing": list(self.missing),
            "extra": list(self.extra),
            "differing": {name: list(pair) for name, pair in self.differing.items()},
            "verified": list(self.verified),
            "layout": self.layout,
            "notes": list(self.notes),
        }

    def __str__(self) -> str:
        total = len(self.matched) + len(self.missing) + len(self.skipped) + len(self.differing)
        lines = [
            f"{self.path}: {len(self.matched)} of {total} tensors of the model loaded, {len(self.verified)} verified"
        ]
        if self.rule:
            lines.append(f"  names: {self.rule}")
        elif self.renamed:
            lines.append(f"  renamed: {_pairs(self.renamed)}")
        if self.cast:
            kinds = sorted({f"{a} to {b}" for a, b in self.cast.values()})
            lines.append(f"  cast: {len(self.cast)} ({', '.join(kinds)})")
        if self.moved:
            lines.append(f"  moved, {self.layout}: {len(self.moved)} ({', '.join(sorted(set(self.moved.values())))})")
        for word, found in (("skipped", self.skipped), ("cropped", self.cropped)):
            if found:
                shown = [f"{name}: file {list(a)}, model {list(b)}" for name, (a, b) in list(found.items())[:_SHOWN]]
                lines.append(f"  {word}: {len(found)} ({'; '.join(shown)}{_more(len(found))})")
        if self.missing:
            lines.append(f"  missing in the file, left as they were: {grouped(self.missing)}")
        if self.extra:
            lines.append(f"  extra in the file, not used: {grouped(self.extra)}")
        lines += [f"  note: {note}" for note in self.notes]
        return "\n".join(lines)


def _pairs(renamed: Mapping[str, str]) -> str:
    shown = ", ".join(f"{old} → {new}" for old, new in list(renamed.items())[:_SHOWN])
    return shown + _more(len(renamed))


def _more(count: int) -> str:
    return f" and {count - _SHOWN} more" if count > _SHOWN else ""


def grouped(names: Sequence[str], most: int = _SHOWN) -> str:
    """Names for people: few as they are, many by their common beginnings with counts."""
    if len(names) <= most:
        return ", ".join(names)
    depth = 1
    while True:
        groups: dict[str, list[str]] = {}
        for name in names:
            parts = name.split(".")
            groups.setdefault(".".join(parts[:depth]) if len(parts) > depth else name, []).append(name)
        finer = {".".join(name.split(".")[: depth + 1]) for name in names}
        if len(finer) > most or depth > 8 or len(groups) == len(names):
            break
        depth += 1
    shown = []
    for start, members in list(groups.items())[:most]:
        shown.append(members[0] if len(members) == 1 else f"{start}.* ({len(members)})")
    rest = sum(len(members) for members in list(groups.values())[most:])
    return ", ".join(shown) + (f" and {rest} more" if rest else "")
