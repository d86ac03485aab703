"""TensorFile: an opened file, a read-only Mapping from name to Tensor."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Callable, ItemsView, Iterable, Iterator, Mapping, ValuesView
from typing import TYPE_CHECKING, Any

from tensorkeep.core.bytesource import ByteSource
from tensorkeep.core.tensor import SparseTensor, Tensor
from tensorkeep.core.tree import SINGLE_NAME, Inert, leaves
from tensorkeep.errors import TensorNotFoundError

if TYPE_CHECKING:
    from tensorkeep.core.graph import Graph

__all__ = ["TensorFile"]


class TensorFile(Mapping[str, Tensor | SparseTensor]):
    """An opened file: name to Tensor (SparseTensor where the file holds one), with what else the file says.

    Opening reads the header; values are read when asked for. Use it in a `with` block or call `close()`; arrays that
    were taken out stay valid.

    Attributes:
        path: what was opened, as a string ("<bytes>" for a buffer).
        format: the name of the format.
        metadata: strings (and plain values) that the file carries beside its tensors.
        nbytes: size of the file (all files of a folder).
        notes: sentences about what is unusual in the file, for `tkeep ls`.
        checksum: the algorithm of the checksums the file carries for its tensors, or None.
    """

    def __init__(
        self,
        *,
        source: ByteSource | None,
        path: str,
        format: str,
        tensors: Mapping[str, Tensor | SparseTensor],
        tree: Any = None,
        structure: Callable[[], Any] | None = None,
        metadata: Mapping[str, Any] | None = None,
        graph: Callable[[], Graph] | None = None,
        sources: Iterable[ByteSource] = (),
        notes: Iterable[str] = (),
        checksum: str | None = None,
        nbytes: int | None = None,
        check: Callable[[], list[str]] | None = None,
    ) -> None:
        """Give `tree` (its paths then name tied tensors too) or `structure` (makes it when first asked for) unless the structure is
        the dict `tensors`.

        `check` verifies what the file guards beside its tensors (headers, zip records) and returns what is damaged.
        """
        self.path = path
        self.format = format
        self.metadata: dict[str, Any] = dict(metadata or {})
        self.notes = list(notes)
        self.checksum = checksum
        self._tensors = tensors if tree is None else _by_name(tensors, tree)
        self._tree = tree
        self._structure = structure
        self._made = False
        self._graph = graph
        self._sources = [*([source] if source is not None else []), *sources]
        self.nbytes = nbytes if nbytes is not None else sum(each.size for each in self._sources)
        self._check = check

    @property
    def structure(self) -> Any:
        """The data as it was saved: containers with Tensors (and plain values) as leaves; a dict when none is kept."""
        if self._structure is not None and not self._made:
            self._tree, self._made = self._structure(), True  # None may be what was saved
        return dict(self._tensors.items()) if self._tree is None and not self._made else self._tree

    @property
    def is_flat(self) -> bool:
        """Whether the structure is just the dict from names to tensors."""
        return self._tree is None and self._structure is None

    @property
    def graph(self) -> Graph | None:
        """The network that the file describes (MXNet's symbol.json), or None."""
        return self._graph() if self._graph is not None else None

    @property
    def inert(self) -> list[Inert]:
        """The records that stand for objects of unknown classes (only with unknown="inert")."""
        return [leaf for _, leaf in leaves(self.structure) if isinstance(leaf, Inert)]

    def check(self) -> list[str]:
        """Verify what the file guards beside its tensors; sentences about what is damaged, empty when all is well."""
        return self._check() if self._check is not None else []

    def dense(self) -> dict[str, Tensor]:
        """Every dense Tensor once: tied ones under their first name, the parts of sparse ones as "name.data" …"""
        found: dict[int, tuple[str, Tensor]] = {}
        for name, tensor in self.items():
            if isinstance(tensor, Tensor):
                found.setdefault(id(tensor), (name, tensor))
            else:
                for part, each in tensor.parts():
                    found.setdefault(id(each), (f"{name}.{part}", each))
        return dict(found.values())

    def __getitem__(self, name: str) -> Tensor | SparseTensor:
        try:
            return self._tensors[name]
        except KeyError:
            raise TensorNotFoundError(self._no_such(name)) from None

    def _no_such(self, name: object) -> str:
        near = difflib.get_close_matches(str(name), [str(key) for key in self._tensors], n=3)
        hint = f"Did you mean {' or '.join(map(repr, near))}?" if near else "tkeep ls lists them."
        return f"{self.path}: no tensor is named {name!r} among its {len(self._tensors)}. {hint}"

    def items(self) -> ItemsView[str, Tensor | SparseTensor]:
        return self._tensors.items()

    def values(self) -> ValuesView[Tensor | SparseTensor]:
        return self._tensors.values()

    def __iter__(self) -> Iterator[str]:
        return iter(self._tensors)

    def __len__(self) -> int:
        return len(self._tensors)

    def __contains__(self, name: object) -> bool:
        return name in self._tensors

    def __repr__(self) -> str:
        return f"<TensorFile {self.path!r}: {self.format}, {len(self)} tensors, {self.nbytes} bytes>"

    def __enter__(self) -> TensorFile:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file. Arrays that were taken out stay valid; Tensors not read yet can no longer be."""
        for source in self._sources:
            source.close()


def _by_name(tensors: Mapping[str, Tensor | SparseTensor], tree: Any) -> Mapping[str, Tensor | SparseTensor]:
    """`tensors` with a name for every place in the tree: tied tensors under each, a SparseTensor for its parts."""
    named = dict(tensors.items())
    unplaced = Counter(map(id, named.values()))
    for path, leaf in leaves(tree):
        if isinstance(leaf, SparseTensor) and id(leaf) not in unplaced:
            for part, _ in leaf.parts():
                named.pop(f"{path}.{part}", None)
            named[path or SINGLE_NAME] = leaf
        elif isinstance(leaf, (Tensor, SparseTensor)):
            unplaced[id(leaf)] -= 1
            if unplaced[id(leaf)] < 0:
                named.setdefault(path or SINGLE_NAME, leaf)
    return named
