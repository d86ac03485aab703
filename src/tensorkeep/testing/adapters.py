"""AdapterContract: the tests that the adapter of every framework passes. Subclass it in a test module, and pytest runs them all.

class TestTorch(AdapterContract):
    name = "torch"

    def make(self, seed):
        torch.manual_seed(seed)
        return nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2))

    def outputs(self, model):
        return model(torch.ones(2, 3)).detach().numpy()
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

import tensorkeep as tk
from tensorkeep.adapters import find
from tensorkeep.core.dtypes import numpy_dtype
from tensorkeep.core.foreign import as_tensor
from tensorkeep.core.tensor import Tensor

__all__ = ["AdapterContract"]


class AdapterContract:
    """What every adapter keeps.

    Attributes:
        name: of the adapter.
        suffixes: of the formats that models go through; the first is used wherever one is enough.
        frozen: models of the framework cannot change: what was loaded is the report's `.model`.
    """

    name: ClassVar[str]
    suffixes: ClassVar[tuple[str, ...]] = (".safetensors", ".npz", ".pt", ".params")
    frozen: ClassVar[bool] = False

    def make(self, seed: int) -> Any:
        """A fresh model of at least two layers, its values drawn by `seed`; the same names and shapes each time."""
        raise NotImplementedError

    def outputs(self, model: Any) -> Any:
        """What the model computes on an input that is always the same, as an array."""
        raise NotImplementedError

    def make_other(self, seed: int) -> Any:
        """A model of the same names in which some shapes differ; None skips the tests that need it."""
        return None

    def make_tied(self, seed: int) -> Any:
        """A model two names of which are one tensor; None skips the test that needs it."""
        return None

    # Helpers

    def values(self, model: Any) -> dict[str, Any]:
        """Name → values, a copy."""
        adapter = find(model)
        found = {}
        for slot in adapter.slots(model):
            tensor = as_tensor(adapter.value(slot), where=slot.name)
            assert isinstance(tensor, Tensor)
            found[slot.name] = np.array(tensor.numpy())
        return found

    def same(self, a: dict[str, Any], b: dict[str, Any]) -> bool:
        """Whether names, types and bytes are the same."""
        return list(a) == list(b) and all(
            a[name].dtype == b[name].dtype and a[name].tobytes() == b[name].tobytes() for name in a
        )

    def suffix(self) -> str:
        return self.suffixes[0]

    # The contract

    def test_the_adapter_is_found(self) -> None:
        """By the model alone."""
        assert find(self.make(0)).name == self.name

    def test_it_does_not_take_what_is_not_its_own(self) -> None:
        """Other objects are left to other adapters."""
        adapter = find(self.make(0))

        assert not any(adapter.owns(value) for value in (object(), 3, "text", b"", None))

    def test_names_are_the_same_in_a_fresh_model(self) -> None:
        """Names, shapes and dtypes do not depend on what was made before; no name stands twice."""
        first, second = self.make(0), self.make(1)
        a, b = find(first).slots(first), find(second).slots(second)

        assert [(slot.name, slot.shape, slot.dtype, slot.kind) for slot in a] == [
            (slot.name, slot.shape, slot.dtype, slot.kind) for slot in b
        ]
        names = [name for slot in a for name in (slot.name, *slot.aliases)]
        assert len(set(names)) == len(names)
        assert not any(name.startswith(".") or name.endswith(".") for name in names)

    def test_slots_say_what_they_hold(self) -> None:
        """Shape and dtype are those of the values."""
        model = self.make(0)
        adapter = find(model)

        for slot in adapter.slots(model):
            tensor = as_tensor(adapter.value(slot), where=slot.name)
            assert isinstance(tensor, Tensor)
            assert tuple(tensor.shape) == slot.shape
            assert tensor.dtype == slot.dtype
            assert slot.kind in ("parameter", "buffer")

    def test_memory_is_the_models_own(self) -> None:
        """What `memory` gives is written through to the model, or it gives None."""
        model = self.make(0)
        adapter = find(model)

        for slot in adapter.slots(model):
            memory = adapter.memory(slot)
            if memory is None or not memory.size or slot.dtype is None:
                continue
            assert memory.shape == slot.shape
            assert memory.dtype == numpy_dtype(slot.dtype)
            assert memory.flags.c_contiguous
            memory[...] = 1
            assert bool(np.all(self.values(model)[slot.name] == 1))

    def test_a_clone_gives_the_same_outputs(self, tmp_path: Path) -> None:
        """Through a file of each format, bit for bit."""
        for suffix in self.suffixes:
            model, clone = self.make(0), self.make(1)
            assert not np.array_equal(self.outputs(model), self.outputs(clone))

            receipt = tk.save_parameters(model, tmp_path / f"model{suffix}")
            report = tk.load_parameters(clone, tmp_path / f"model{suffix}")

            slots = find(model).slots(model)
            assert receipt.tensors == len(slots)
            assert sorted(report.matched) == sorted(slot.name for slot in slots)
            assert report.complete
            assert self.same(self.values(report.model), self.values(model))
            assert np.array_equal(self.outputs(report.model), self.outputs(model))
            assert self.frozen or report.model is clone

    def test_saving_changes_nothing(self, tmp_path: Path) -> None:
        """Neither values nor outputs."""
        model = self.make(0)
        before, out = self.values(model), self.outputs(model)

        tk.save_parameters(model, tmp_path / f"model{self.suffix()}")

        assert self.same(self.values(model), before)
        assert np.array_equal(self.outputs(model), out)

    def test_what_is_loaded_is_the_models_own(self, tmp_path: Path) -> None:
        """The file may be replaced or go afterwards, and a second load is not seen in the first model."""
        path = tmp_path / f"model{self.suffix()}"
        tk.save_parameters(self.make(0), path)
        model = tk.load_parameters(self.make(1), path).model
        expected = self.values(model)

        tk.save_parameters(self.make(2), path)
        tk.load_parameters(self.make(3), path)
        path.unlink()

        assert self.same(self.values(model), expected)

    def test_a_refused_load_changes_nothing(self, tmp_path: Path) -> None:
        """A tensor that is missing, one too many: all is told, nothing is changed."""
        whole = self.values(self.make(0))
        last = list(whole)[-1]
        lacking = {name: value for name, value in whole.items() if name != last}
        model = self.make(1)
        before, out = self.values(model), self.outputs(model)

        with pytest.raises(tk.MismatchError, match="missing in the file, 1 of") as caught:
            tk.load_parameters(model, lacking, layout="same")
        assert caught.value.report.missing == (last,)
        with pytest.raises(tk.MismatchError, match="extra in the file, 1: one_too_many"):
            tk.load_parameters(model, {**whole, "one_too_many": np.zeros(3, np.float32)}, layout="same")

        assert self.same(self.values(model), before)
        assert np.array_equal(self.outputs(model), out)

    def test_a_damaged_file_changes_nothing(self, tmp_path: Path) -> None:
        """A flipped bit in the last tensor is found before the first is copied."""
        path = tmp_path / "model.safetensors"
        tk.save_parameters(self.make(0), path)
        raw = bytearray(path.read_bytes())
        raw[-1] ^= 1
        path.write_bytes(raw)
        model = self.make(1)
        before = self.values(model)

        with pytest.raises(tk.CorruptFileError):
            tk.load_parameters(model, path)

        assert self.same(self.values(model), before)

    def test_other_shapes_are_told_skipped_and_cropped(self, tmp_path: Path) -> None:
        """Every shape that differs is named with both; skip keeps the model's own, crop fills what both have."""
        other = self.make_other(1)
        if other is None:
            pytest.skip("make_other gives no model")
        path = tmp_path / f"model{self.suffix()}"
        tk.save_parameters(self.make(0), path)
        theirs, own = self.values(self.make(0)), self.values(other)
        differing = {name for name in own if own[name].shape != theirs[name].shape}
        assert differing

        with pytest.raises(tk.MismatchError, match="shapes differ") as caught:
            tk.load_parameters(other, path)
        assert set(caught.value.report.differing) == differing
        assert self.same(self.values(other), own)
        skipped = tk.load_parameters(self.make_other(1), path, mismatched="skip")
        cropped = tk.load_parameters(self.make_other(1), path, mismatched="crop")

        assert set(skipped.skipped) == set(cropped.cropped) == differing
        kept, filled = self.values(skipped.model), self.values(cropped.model)
        for name in own:
            if name not in differing:
                assert np.array_equal(kept[name], theirs[name])
                continue
            both = tuple(slice(min(a, b)) for a, b in zip(own[name].shape, theirs[name].shape, strict=True))
            assert np.array_equal(kept[name], own[name])
            assert np.array_equal(filled[name][both], theirs[name][both])

    def test_another_dtype_is_told_and_cast_when_asked(self) -> None:
        """The model keeps its dtype; values are those of NumPy's cast."""
        whole = self.values(self.make(0))
        wide = {name: value.astype(np.float64) if value.dtype.kind == "f" else value for name, value in whole.items()}
        model = self.make(1)

        with pytest.raises(tk.MismatchError, match=r"dtypes differ.*Set cast_dtype=True"):
            tk.load_parameters(model, wide, layout="same")
        report = tk.load_parameters(model, wide, layout="same", cast_dtype=True)

        assert report.cast
        assert self.same(self.values(report.model), whole)

    def test_a_part_is_filled(self, tmp_path: Path) -> None:
        """`only=` fills what it names; the rest is as it was, and neither missing nor extra."""
        path = tmp_path / f"model{self.suffix()}"
        tk.save_parameters(self.make(0), path)
        theirs = self.values(self.make(0))
        first = next(iter(theirs))
        model = self.make(1)
        own = self.values(model)

        report = tk.load_parameters(model, path, only=first)

        assert report.matched == (first,)
        assert not report.missing
        assert not report.extra
        got = self.values(report.model)
        assert np.array_equal(got[first], theirs[first])
        assert all(np.array_equal(got[name], own[name]) for name in own if name != first)

    def test_tied_tensors_are_stored_once_and_stay_tied(self, tmp_path: Path) -> None:
        """One slot with two names; a load leaves it one tensor."""
        model = self.make_tied(0)
        if model is None:
            pytest.skip("make_tied gives no model")
        slots = find(model).slots(model)
        tied = [slot for slot in slots if slot.aliases]
        assert tied
        path = tmp_path / "tied.safetensors"

        receipt = tk.save_parameters(model, path)
        report = tk.load_parameters(self.make_tied(1), path)

        assert receipt.tensors == len(slots)
        again = find(report.model).slots(report.model)
        assert [(slot.name, slot.aliases) for slot in again] == [(slot.name, slot.aliases) for slot in slots]
        assert self.same(self.values(report.model), self.values(model))
