"""The Hugging Face Trainer trains a tiny network made from a config, is stopped and goes on; nothing is downloaded."""

from __future__ import annotations

import json
import os
import signal
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tensorkeep as tk

torch = pytest.importorskip("torch")
with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # what it imports is its own business
    transformers = pytest.importorskip("transformers")
pytest.importorskip("accelerate")

from tensorkeep.checkpoint.integrations.huggingface import CheckpointerCallback  # noqa: E402

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*pin_memory"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]

CONFIG = {
    "vocab_size": 20, "hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16,
    "max_position_embeddings": 16, "hidden_dropout_prob": 0.2,
}  # fmt: skip


def model() -> Any:
    torch.manual_seed(0)
    return transformers.BertForSequenceClassification(transformers.BertConfig(**CONFIG))


class Data(torch.utils.data.Dataset):
    def __init__(self, seed: int = 0) -> None:
        rng = np.random.RandomState(seed)
        self.ids, self.labels = rng.randint(0, 20, (24, 6)), rng.randint(0, 2, 24)

    def __len__(self) -> int:
        return 24

    def __getitem__(self, i: int) -> dict[str, Any]:
        return {"input_ids": torch.tensor(self.ids[i]), "labels": torch.tensor(self.labels[i])}


class Stop(Exception):
    """The power goes."""


class Breaks(transformers.TrainerCallback):
    def __init__(self, at: int | None, sign: int | None = None) -> None:
        self.at, self.sign, self.begun = at, sign, []

    def on_pre_optimizer_step(self, args: Any, state: Any, control: Any, **rest: Any) -> None:
        self.begun.append(state.global_step)
        if state.global_step == self.at:
            if self.sign is None:
                raise Stop
            os.kill(os.getpid(), self.sign)


def train(folder: Path, stop_at: int | None = None, every: Any = None, **options: Any) -> Any:
    """Three epochs of six steps; the Trainer, and the steps that were begun, also when it was stopped."""
    net = model()
    breaks = Breaks(stop_at, options.pop("sign", None))
    ckpt = tk.Checkpointer(folder / "steps", every=every or tk.every(steps=2), keep=tk.keep_all())
    saver = CheckpointerCallback(ckpt, load_best=options.pop("load_best", False))
    settings = {
        "num_train_epochs": 3, "per_device_train_batch_size": 4, "learning_rate": 1e-2, "warmup_steps": 4, "use_cpu": True,
        "report_to": [], "disable_tqdm": True, "logging_steps": 3, "save_strategy": "no", "eval_strategy": "epoch", "seed": 3,
        "logging_strategy": "steps", **options,
    }  # fmt: skip
    trainer = transformers.Trainer(
        net, transformers.TrainingArguments(str(folder / "out"), **settings), train_dataset=Data(), eval_dataset=Data(1),
        callbacks=[saver, breaks],
    )  # fmt: skip
    try:
        trainer.train(resume_from_checkpoint=saver.resume_path())
    except Stop:
        pass
    finally:
        ckpt.close()
    return trainer, breaks.begun, ckpt, saver


def bits(net: Any) -> list[bytes]:
    return [value.detach().numpy().tobytes() for value in net.state_dict().values()]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The training that was never stopped."""
    return train(tmp_path_factory.mktemp("whole"))[0]


@pytest.mark.parametrize("stop_at", [1, 7, 9, 12])
def test_a_training_goes_on_with_the_same_bits(tmp_path: Path, whole: Any, stop_at: int) -> None:
    """Wherever the power goes: nothing saved yet, in an epoch, at its end; weights, moments, schedule, dropout."""
    train(tmp_path, stop_at)

    trainer, begun, _, _ = train(tmp_path)

    assert begun[0] == stop_at // 2 * 2
    assert bits(trainer.model) == bits(whole.model)
    assert trainer.lr_scheduler.get_last_lr() == whole.lr_scheduler.get_last_lr()
    assert [entry.get("eval_loss") for entry in trainer.state.log_history if "eval_loss" in entry] == [
        entry.get("eval_loss") for entry in whole.state.log_history if "eval_loss" in entry
    ]
    assert not (tmp_path / "steps" / "resume").exists()


def test_epochs_are_saved_with_their_evaluation_and_the_best_is_loaded(tmp_path: Path) -> None:
    """The metrics are what the Trainer logged at the step; at the end the model has the best step's weights."""
    trainer, _, ckpt, _ = train(tmp_path, every=tk.every(epochs=1), load_best=("eval_loss", "min"))
    logged = [entry["eval_loss"] for entry in trainer.state.log_history if "eval_loss" in entry]
    steps = ckpt.steps()
    best = min(steps, key=lambda step: step.metrics["eval_loss"])

    assert [step.step for step in steps] == [5, 11, 17]
    assert [step.metrics["eval_loss"] for step in steps] == logged
    assert np.array_equal(
        trainer.model.classifier.weight.detach().numpy(), ckpt.load(best.step)["model"]["classifier.weight"]
    )


def test_a_step_exports_as_a_pretrained_model(tmp_path: Path, whole: Any) -> None:
    """Its model file loads with safetensors, the exported folder with from_pretrained; the outputs are equal."""
    from safetensors.torch import load_file

    _, _, ckpt, saver = train(tmp_path, every=tk.every(epochs=3))
    trainer, _, ckpt, saver = train(tmp_path / "b", every=tk.every(steps=18))
    folder = saver.resume_path(tmp_path / "exported")
    again = transformers.BertForSequenceClassification.from_pretrained(folder)
    ids = torch.tensor(Data(2).ids)

    assert torch.equal(again.eval()(ids).logits, trainer.model.eval()(ids).logits)
    assert load_file(Path(ckpt.steps()[-1].path) / "model.safetensors").keys() == trainer.model.state_dict().keys()
    assert json.loads((tmp_path / "exported" / "trainer_state.json").read_text())["global_step"] == 18
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("dear to me")
    with pytest.raises(tk.UnsupportedDataError, match="it was not replaced"):
        saver.resume_path(tmp_path / "mine")


def test_sigterm_saves_and_stops_the_training(tmp_path: Path, whole: Any) -> None:
    """At a step that no policy asks for; the next run goes on there."""
    _, begun, ckpt, _ = train(tmp_path, 7, every=tk.every(steps=100), sign=signal.SIGTERM)

    trainer, again, _, _ = train(tmp_path)

    assert begun[-1] == 7
    assert ckpt.steps()[0].step == 7
    assert again[0] == 8
    assert bits(trainer.model) == bits(whole.model)


def test_accumulated_steps_go_on_with_the_same_bits(tmp_path: Path) -> None:
    """Three batches a step: steps are the optimizer's."""
    a = train(tmp_path / "a", gradient_accumulation_steps=3)[0]
    train(tmp_path / "b", 3, gradient_accumulation_steps=3)

    b, begun, _, _ = train(tmp_path / "b", gradient_accumulation_steps=3)

    assert begun[0] == 2
    assert bits(a.model) == bits(b.model)


def test_what_cannot_go_together_is_refused(tmp_path: Path) -> None:
    """The Trainer's own search for the best; a directory of other steps; a metric that no step has."""
    with pytest.raises(tk.UnsupportedDataError, match="Set it to False"):
        train(tmp_path, load_best_model_at_end=True, save_strategy="epoch")
    with tk.Checkpointer(tmp_path / "other") as ckpt:
        ckpt.save(0, {"w": np.zeros(3)})
        with pytest.raises(tk.UnsupportedDataError, match=r"not saved by CheckpointerCallback \(it has w"):
            CheckpointerCallback(ckpt).resume_path()
        with pytest.raises(tk.TensorNotFoundError, match="no step has the metric"):
            CheckpointerCallback(ckpt).load_best(model(), "eval_loss", mode="min")
