"""Names of files and models: which way fits, and what is said when none does."""

from __future__ import annotations

import numpy as np
import pytest

from tensorkeep.adapters.base import Slot
from tensorkeep.adapters.match import plan, rename_automatically
from tensorkeep.core.dtypes import DType
from tensorkeep.core.tensor import Tensor
from tensorkeep.errors import MismatchError

F32 = DType.of("float32")
NAMES = {"conv.weight": (4, 3), "conv.bias": (4,), "fc.weight": (2, 4), "fc.bias": (2,)}


def slots(shapes: dict[str, tuple[int, ...]] = NAMES) -> list[Slot]:
    return [Slot(name, shape, F32, "parameter", (), "cpu", None) for name, shape in shapes.items()]


def tensor(shape: tuple[int, ...], dtype: str = "float32") -> Tensor:
    return Tensor(shape, DType.of(dtype), array=np.zeros(shape, dtype))


def named(shapes: dict[str, tuple[int, ...]], **options: object) -> object:
    return rename_automatically(list(shapes), slots(), shapes, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("form", "rule"),
    [
        ("{}", ""),
        ("module.{}", "'module.' removed"),
        ("_orig_mod.{}", "'_orig_mod.' removed"),
        ("module._orig_mod.{}", "'_orig_mod.', 'module.' removed"),
        ("_fsdp_wrapped_module.{}", "'_fsdp_wrapped_module.' removed"),
        ("model.{}", "prefix 'model.' removed"),
        ("state_dict.{}", "prefix 'state_dict.' removed"),
        ("state_dict.model._orig_mod.{}", "prefix 'state_dict.model.' removed"),
        ("arg:{}", "'arg:' and 'aux:' removed"),
        ("arg:net0_{}", "prefix 'net0_' removed"),
    ],
)
def test_wrappers_are_seen_through(form: str, rule: str) -> None:
    """The names that DDP, torch.compile, FSDP, Lightning, training scripts and MXNet make are taken back."""
    found = named({form.format(name): shape for name, shape in NAMES.items()}, prefixes=("net0_",))

    assert list(found.names.values()) == list(NAMES)
    assert found.rule == rule


def test_segments_of_wrappers_inside_names_go() -> None:
    """FSDP and activation checkpointing wrap layers, not only the whole."""
    found = named({name.replace(".", "._checkpoint_wrapped_module.", 1): shape for name, shape in NAMES.items()})

    assert list(found.names.values()) == list(NAMES)


def test_two_ways_that_fit_alike_leave_the_names() -> None:
    """Where two entries of a file could both be meant, none is chosen unasked."""
    both = {f"{entry}.{name}": shape for entry in ("model", "net") for name, shape in NAMES.items()}

    found = named(both, entries=frozenset({"model", "net"}))

    assert found.rule == ""


def test_other_entries_of_a_checkpoint_stand_beside() -> None:
    """The optimizer's tensors are no extra parameters."""
    names = {f"model.{name}": shape for name, shape in NAMES.items()} | {"optimizer.state.0.exp_avg": (4, 3)}

    found = named(names, entries=frozenset({"model", "optimizer"}))

    assert set(found.names.values()) == set(NAMES)
    assert found.beside == {"optimizer.state.0.exp_avg"}


def test_a_flat_file_keeps_what_has_no_prefix_as_extra() -> None:
    """`model.` with tensors beside it in one flat dict: those are the file's, and are told."""
    names = {f"model.{name}": shape for name, shape in NAMES.items()} | {"loss.scale": ()}
    tensors = {name: tensor(shape) for name, shape in names.items()}

    with pytest.raises(MismatchError, match=r"extra in the file, 1: loss\.scale\. Set ignore_extra=True"):
        plan("x.pt", tensors, named(names), slots()).refuse()


def test_every_difference_is_told_at_once() -> None:
    """Missing, extra, shapes and dtypes in one error, each with the option that helps."""
    tensors = {
        "conv.weight": tensor((4, 3)),
        "conv.bias": tensor((4,), "float16"),
        "fc.weight": tensor((9, 4)),
        "head.bias": tensor((2,)),
    }
    ways = rename_automatically(list(tensors), slots(), {n: t.shape for n, t in tensors.items()})

    with pytest.raises(MismatchError, match="does not fit") as caught:
        plan("x.pt", tensors, ways, slots()).refuse()

    assert str(caught.value).splitlines() == [
        "x.pt does not fit the model; nothing was changed.",
        (
            "  missing in the file, 1 of 4: fc.bias. Did you mean 'head.bias' for 'fc.bias'? "
            "Set allow_missing=True to keep the model's own values."
        ),
        "  extra in the file, 1: head.bias. Set ignore_extra=True to leave them out.",
        (
            "  shapes differ, 1 of 4: fc.weight: file [9, 4], model [2, 4]. mismatched='skip' keeps the model's own values "
            "there, mismatched='crop' fills what both have."
        ),
        "  dtypes differ, 1 of 4: conv.bias: file float16, model float32. Set cast_dtype=True to cast the file's values.",
    ]
    assert caught.value.report.missing == ("fc.bias",)
    assert caught.value.report.extra == ("head.bias",)


def test_below_half_is_refused_even_when_lenient() -> None:
    """A load that would leave most of the model random is no load."""
    tensors = {"conv.weight": tensor((4, 3))}
    ways = rename_automatically(list(tensors), slots(), {"conv.weight": (4, 3)})

    with pytest.raises(MismatchError, match="only 1 of 4 tensors of the model would be loaded; you would keep 3"):
        plan("x.pt", tensors, ways, slots(), allow_missing=True, ignore_extra=True).refuse()


def test_a_shape_that_the_model_does_not_know_yet_is_taken_from_the_file() -> None:
    """Deferred initialisation: -1 fits every size, another rank does not fit."""
    open_ = slots({"conv.weight": (4, -1)})
    good, bad = {"conv.weight": tensor((4, 3))}, {"conv.weight": tensor((4, 3, 1))}

    assert plan("x", good, rename_automatically(list(good), open_, {}), open_).report.matched == ("conv.weight",)
    with pytest.raises(MismatchError, match=r"file \[4, 3, 1\], model \[4, -1\]"):
        plan("x", bad, rename_automatically(list(bad), open_, {}), open_).refuse()


def test_many_names_are_told_by_layer() -> None:
    """500 missing tensors are grouped by their beginnings, with counts."""
    many = {f"layer{i}.block{j}.weight": (1,) for i in range(3) for j in range(100)}

    with pytest.raises(MismatchError, match=r"layer0\.\* \(100\), layer1\.\* \(100\), layer2\.\* \(100\)"):
        plan("x", {}, rename_automatically([], slots(many), {}), slots(many)).refuse()
