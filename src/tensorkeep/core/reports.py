"""What `tk.scan` and `tk.verify` answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["Request", "ScanReport", "TensorCheck", "VerifyReport"]


@dataclass(frozen=True, slots=True)
class Request:
    """A class or function that a pickle asks for.

    Attributes:
        module, name: as the file has them.
        count: how often it is asked for or called.
        known: whether it is on the allow-list, that is, only builds tensors and containers from data. What is not known
            is never imported; loading with unknown="inert" keeps a record in its place.
        where: the pickle inside the file ("data.pkl", "offset 1200"), "" when the file is one pickle.
    """

    module: str
    name: str
    count: int
    known: bool
    where: str = ""


@dataclass(frozen=True, slots=True)
class ScanReport:
    """What a file would run if its own framework loaded it.

    Attributes:
        path, format: the file and what it is.
        data_only: provably only tensors and plain values: every pickle in it asks for known names only, or there is none.
        pickles: how many pickles were read.
        requests: what they ask for, unknown ones first.
        notes: other findings (TorchScript code inside, bytes after the end …).
    """

    path: str
    format: str
    data_only: bool
    pickles: int = 0
    requests: tuple[Request, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def unknown(self) -> tuple[Request, ...]:
        """The requests that are not known, that is, that would run code elsewhere."""
        return tuple(request for request in self.requests if not request.known)


@dataclass(frozen=True, slots=True)
class TensorCheck:
    """The result for one tensor: status is "good", "damaged" or "unchecked" (the file carries no checksum of it)."""

    name: str
    status: str
    expected: str = ""
    got: str = ""


@dataclass(frozen=True, slots=True)
class VerifyReport:
    """What `tk.verify` found.

    Attributes:
        path, format: the file and what it is.
        tensors: a TensorCheck by name.
        damage: sentences about damage outside the tensors' bytes (headers, cut files, zip records).
        checksum: the algorithm of the file's checksums, None when it has none.
    """

    path: str
    format: str
    tensors: Mapping[str, TensorCheck]
    damage: tuple[str, ...] = ()
    checksum: str | None = None
    counts: Mapping[str, int] = field(default_factory=dict)

    @property
    def status(self) -> str:
        """ "damaged" when anything is, "good" when every tensor was checked, else "unchecked"."""
        states = {check.status for check in self.tensors.values()}
        if self.damage or "damaged" in states:
            return "damaged"
        return "unchecked" if self.checksum is None or "unchecked" in states else "good"

    @property
    def ok(self) -> bool:
        """Whether everything was checked and is good."""
        return self.status == "good"

    def __bool__(self) -> bool:
        return self.ok
