"""Datasets, samplers, loaders, local image datasets, transforms."""

from __future__ import annotations

import gzip
import struct
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")

import tensorkeep.mxnet as mx
from tensorkeep.errors import CorruptFileError
from tensorkeep.mxnet import gluon, nd
from tensorkeep.mxnet.gluon import data as gdata
from tensorkeep.mxnet.gluon.data import vision


def test_datasets_are_filtered_sharded_taken_sampled_and_transformed() -> None:
    """Each gives a dataset again."""
    ten = gdata.SimpleDataset(list(range(10)))

    assert list(ten.filter(lambda x: x % 3 == 0)) == [0, 3, 6, 9]
    assert [list(ten.shard(4, i)) for i in range(4)] == [[0, 1, 2], [3, 4, 5], [6, 7], [8, 9]]
    assert list(ten.take(3)) == [0, 1, 2]
    assert list(ten.sample(gdata.SequentialSampler(2, 5))) == [5, 6]
    assert list(ten.transform(lambda x: x * 2, lazy=False)) == list(range(0, 20, 2))
    pairs = gdata.ArrayDataset([1, 2], ["a", "b"]).transform_first(lambda x: -x)
    assert list(pairs) == [(-1, "a"), (-2, "b")]
    with pytest.raises(AssertionError, match=r"array\[0\] has length 2 while array\[2\] has 3"):
        gdata.ArrayDataset([1, 2], [1, 2, 3])


def test_batches_of_indices() -> None:
    """keep, discard, rollover."""
    seven = gdata.SequentialSampler(7)
    keep, discard, rollover = (gdata.BatchSampler(seven, 3, last) for last in ("keep", "discard", "rollover"))

    assert [list(keep), len(keep)] == [[[0, 1, 2], [3, 4, 5], [6]], 3]
    assert [list(discard), len(discard)] == [[[0, 1, 2], [3, 4, 5]], 2]
    assert list(rollover) == [[0, 1, 2], [3, 4, 5]]
    assert [len(rollover), list(rollover)] == [2, [[6, 0, 1], [2, 3, 4]]]
    assert list(gluon.contrib.data.IntervalSampler(5, 2)) == [0, 2, 4, 1, 3]


def test_shuffling_follows_numpys_generator() -> None:
    """As in MXNet: np.random.seed holds."""
    np.random.seed(3)
    expected = np.arange(6)
    np.random.shuffle(expected)

    np.random.seed(3)
    loader = gdata.DataLoader(gdata.SimpleDataset(list(range(6))), 6, shuffle=True)

    assert next(iter(loader)).asnumpy().tolist() == expected.tolist()


class _Pairs(gdata.Dataset):
    def __len__(self) -> int:
        return 10

    def __getitem__(self, idx: int) -> Any:
        if idx == 99:
            raise ValueError("no such example")
        return nd.array([idx, idx + 0.5]), idx * 2


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning", "ignore:.*multi-threaded.*:DeprecationWarning")
@pytest.mark.parametrize("options", [{}, {"num_workers": 2, "thread_pool": True}, {"num_workers": 2}], ids=str)
def test_loaders_give_the_same_batches(options: dict[str, Any]) -> None:
    """Here, in threads, in processes; twice."""
    loader = gdata.DataLoader(_Pairs(), 4, **options)

    for _ in range(2):
        batches = list(loader)

        assert len(loader) == 3
        assert [data.shape for data, _ in batches] == [(4, 2), (4, 2), (2, 2)]
        assert np.concatenate([data.asnumpy()[:, 0] for data, _ in batches]).tolist() == list(range(10))
        assert np.concatenate([label.asnumpy() for _, label in batches]).tolist() == list(range(0, 20, 2))
        where = "cpu_shared(0)" if options else "cpu(0)"
        assert {str(data.ctx) for data, _ in batches} == {where}
        assert batches[0][1].dtype == np.int64


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning", "ignore:.*multi-threaded.*:DeprecationWarning")
def test_a_workers_error_reaches_the_caller() -> None:
    """With its own type and text."""
    loader = gdata.DataLoader(_Pairs(), batch_sampler=[[0, 1], [99, 2]], num_workers=1)

    with pytest.raises(ValueError, match="no such example"):
        list(loader)


def test_loaders_refuse_arguments_that_exclude_each_other() -> None:
    """With MXNet's sentences."""
    with pytest.raises(ValueError, match="batch_size must be specified unless batch_sampler is specified"):
        gdata.DataLoader(_Pairs())
    with pytest.raises(ValueError, match="must not be specified if batch_sampler is specified"):
        gdata.DataLoader(_Pairs(), 2, batch_sampler=[[0]])
    with pytest.raises(ValueError, match="shuffle must not be specified if sampler is specified"):
        gdata.DataLoader(_Pairs(), 2, shuffle=True, sampler=gdata.SequentialSampler(2))


def write_mnist(root: Path, kind: str, count: int, *, packed: bool = True, cut: int = 0) -> np.ndarray:
    images = np.random.RandomState(0).randint(0, 256, (count, 28, 28)).astype(np.uint8)
    labels = np.arange(count, dtype=np.uint8)
    for name, head, body in (
        ("images-idx3-ubyte", struct.pack(">IIII", 0x803, count, 28, 28), images.tobytes()),
        ("labels-idx1-ubyte", struct.pack(">II", 0x801, count), labels.tobytes()),
    ):
        raw = head + body[: len(body) - cut]
        path = root / f"{kind}-{name}{'.gz' if packed else ''}"
        path.write_bytes(gzip.compress(raw) if packed else raw)
    return images


@pytest.mark.parametrize("packed", [True, False])
def test_mnist_is_read_from_local_files(packed: bool, tmp_path: Path) -> None:
    """Gzipped or not; images are bytes with a channel axis."""
    images = write_mnist(tmp_path, "train", 3, packed=packed)

    found = vision.MNIST(str(tmp_path), transform=lambda image, label: (image, label + 1))

    assert len(found) == 3
    assert found[1][0].shape == (28, 28, 1)
    assert np.array_equal(found[1][0].asnumpy()[:, :, 0], images[1])
    assert found[1][1] == 2


def test_missing_files_say_where_they_must_lie(tmp_path: Path) -> None:
    """Nothing is downloaded, no folder is made."""
    with pytest.raises(RuntimeError, match="downloads nothing") as caught:
        vision.FashionMNIST(str(tmp_path / "none"), train=False)

    assert str(tmp_path / "none" / "t10k-images-idx3-ubyte.gz") in str(caught.value)
    assert not (tmp_path / "none").exists()
    with pytest.raises(RuntimeError, match=r"cifar-10-binary\.tar\.gz"):
        vision.CIFAR10(str(tmp_path))


def test_damaged_files_are_told(tmp_path: Path) -> None:
    """Cut files, and images in the place of labels."""
    write_mnist(tmp_path, "train", 3, cut=5)
    with pytest.raises(CorruptFileError, match=r"the header says \[3, 28, 28\], which is 2352 bytes, but 2347 follow"):
        vision.MNIST(str(tmp_path))

    write_mnist(tmp_path, "train", 3)
    path = tmp_path / "train-images-idx3-ubyte.gz"
    path.write_bytes((tmp_path / "train-labels-idx1-ubyte.gz").read_bytes())
    with pytest.raises(CorruptFileError, match="no IDX file of bytes with 3 dimensions"):
        vision.MNIST(str(tmp_path))


@pytest.mark.parametrize("archived", [False, True])
def test_cifar_is_read_from_local_files(archived: bool, tmp_path: Path) -> None:
    """From the files, or from the archive that holds them."""
    rows = np.random.RandomState(0).randint(0, 256, (2, 3074)).astype(np.uint8)
    plain = tmp_path / "test.bin"
    plain.write_bytes(rows.tobytes())
    if archived:
        with tarfile.open(tmp_path / "cifar-100-binary.tar.gz", "w:gz") as tar:
            tar.add(plain, "cifar-100-binary/test.bin")
        plain.unlink()

    fine, coarse = (vision.CIFAR100(str(tmp_path), fine_label=kind, train=False) for kind in (True, False))

    assert fine[0][0].shape == (32, 32, 3)
    assert [fine[1][1], coarse[1][1]] == [rows[1, 1], rows[1, 0]]
    assert np.array_equal(fine[0][0].asnumpy()[:, :, 0].ravel(), rows[0, 2 : 2 + 1024])


def test_images_of_folders_are_listed(tmp_path: Path) -> None:
    """Folders are labels; what is no image is warned of."""
    for folder, name in (("cat", "b.png"), ("cat", "a.JPG"), ("dog", "c.jpeg"), ("dog", "notes.txt")):
        (tmp_path / folder).mkdir(exist_ok=True)
        (tmp_path / folder / name).write_bytes(b"")

    with pytest.warns(UserWarning, match=r"Ignoring .*notes\.txt of type \.txt\. Only support \.jpg, \.jpeg, \.png"):
        found = vision.ImageFolderDataset(str(tmp_path))

    assert found.synsets == ["cat", "dog"]
    assert [(Path(path).name, label) for path, label in found.items] == [("a.JPG", 0), ("b.png", 0), ("c.jpeg", 1)]


def test_transforms_are_composed() -> None:
    """Those that can be hybridized become one network."""
    transforms = vision.transforms
    image = nd.array(np.arange(12).reshape(2, 2, 3), dtype="uint8")
    chain = transforms.Compose([transforms.ToTensor(), transforms.Normalize(0.5, 0.25), lambda x: x + 1])

    found = chain(image)

    expected = (image.asnumpy().transpose(2, 0, 1) / np.float32(255) - 0.5) / 0.25 + 1
    np.testing.assert_allclose(found.asnumpy(), expected, rtol=1e-6)
    assert [type(child).__name__ for child in chain] == ["HybridSequential", "function"]
    assert transforms.Cast("float64")(image).dtype == np.float64


def test_a_network_is_trained_by_the_estimator(tmp_path: Path) -> None:
    """Handlers measure, log and save; training goes on with the newest checkpoint."""
    estimator = gluon.contrib.estimator
    data = gdata.ArrayDataset(nd.array(np.random.RandomState(0).rand(8, 3)), nd.array([0, 1] * 4))
    loader = gdata.DataLoader(data, 4)

    def fit(epochs: int) -> tuple[Any, Any]:
        net = gluon.nn.HybridSequential()
        net.add(gluon.nn.Dense(2))
        net.initialize()
        net.hybridize()
        trainer = gluon.Trainer(net.collect_params(), "sgd", {"learning_rate": 0.1, "momentum": 0.9})
        est = estimator.Estimator(net, gluon.loss.SoftmaxCrossEntropyLoss(), trainer=trainer)
        est.logger.handlers.clear()
        saver = estimator.CheckpointHandler(
            str(tmp_path), model_prefix="m", monitor=est.train_metrics[1], save_best=True, mode="min",
            max_checkpoints=2, resume_from_checkpoint=True,
        )  # fmt: skip
        est.fit(loader, epochs=epochs, event_handlers=[saver])
        return net, saver

    net, _ = fit(3)
    names = sorted(path.name for path in tmp_path.iterdir())

    assert names == [
        "m-best.params", "m-best.states", "m-epoch1batch3.params", "m-epoch1batch3.states", "m-epoch2batch5.params",
        "m-epoch2batch5.states", "m-symbol.json",
    ]  # fmt: skip
    again, saver = fit(5)
    assert saver.trained_epoch == 2
    assert "m-epoch4batch9" in saver.saved_checkpoints
    assert not np.array_equal(again[0].weight.data().asnumpy(), net[0].weight.data().asnumpy())
    with pytest.raises(ValueError, match="Found checkpoint with maximum number of epoch 5 reached"):
        fit(5)


def test_numpy_semantics_reach_the_workers() -> None:
    """Threads and batches of np.ndarray."""
    mx.npx.set_np()
    try:
        loader = gdata.DataLoader(gdata.SimpleDataset([1.0, 2.0]), 2, num_workers=1, thread_pool=True)

        assert type(next(iter(loader))) is mx.np.ndarray
    finally:
        mx.npx.reset_np()


def test_texts_become_sequences_of_token_numbers(tmp_path: Path) -> None:
    """As MXNet 1.9.1 numbered the tokens of this text; from the file, or from the archive."""
    text = " = Title = \n\nthe cat sat on the mat .\nthe end of the cat\n"
    with zipfile.ZipFile(tmp_path / "wikitext-2-v1.zip", "w") as archive:
        archive.writestr("wikitext-2/wiki.test.tokens", text)

    found = gluon.contrib.data.WikiText2(str(tmp_path), segment="test", seq_len=4)

    assert [[part.asnumpy().tolist() for part in found[i]] for i in range(len(found))] == WIKITEXT
    with pytest.raises(RuntimeError, match=r"wikitext-103-v1\.zip does not exist"):
        gluon.contrib.data.WikiText103(str(tmp_path))


WIKITEXT = [
    [[3, 6, 3, 1], [6, 3, 1, 2]], [[2, 4, 11, 10], [4, 11, 10, 2]], [[2, 8, 5, 1], [8, 5, 1, 2]],
    [[2, 7, 9, 2], [7, 9, 2, 4]],
]  # fmt: skip
