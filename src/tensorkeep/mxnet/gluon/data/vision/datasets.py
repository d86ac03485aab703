"""Datasets of images that are read from files of this machine: nothing is downloaded."""

from __future__ import annotations

import gzip
import os
import tarfile
import warnings
import zlib
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np

from tensorkeep.errors import CorruptFileError, LimitError
from tensorkeep.mxnet import ndarray
from tensorkeep.mxnet._state import state
from tensorkeep.mxnet.base import claim
from tensorkeep.mxnet.gluon.data.dataset import Dataset, RecordFileDataset, _DownloadedDataset
from tensorkeep.mxnet.gluon.utils import _get_repo_file_url, data_dir, download

__all__ = ["CIFAR10", "CIFAR100", "MNIST", "FashionMNIST", "ImageFolderDataset", "ImageRecordDataset"]

Transform = Callable[..., Any] | None

_IDX_UBYTE = 0x0800  # the magic number of IDX files: type unsigned byte, then the number of dimensions
_CIFAR_PIXELS = 3 * 32 * 32
_MAX_IDX = 1 << 27  # bytes; MNIST's largest file has 47 million
_MAX_CIFAR = 1 << 28  # bytes; CIFAR-100's largest file has 154 million


def _array(values: Any) -> Any:
    if state.np_array:
        from tensorkeep.mxnet import numpy

        return numpy.array(values, dtype=values.dtype)
    return ndarray.array(values, dtype=values.dtype)


def _bounded(file: Any, path: str, most: int) -> bytes:
    """All that is left of a file that may be packed: a small one can hold any number of zeros."""
    found: bytes = file.read(most + 1)
    if len(found) > most:
        raise LimitError(f"{path}: unpacked it has more than {most} bytes, which no file of this data set has.")
    return found


def _read_idx(path: str, ndim: int) -> np.ndarray[Any, Any]:
    """The array of an IDX file of bytes, gzipped or not.

    Raises:
        CorruptFileError: it is none of `ndim` dimensions, or its size is not what its header says.
    """
    opened = gzip.open(path, "rb") if path.endswith(".gz") else open(path, "rb")  # noqa: SIM115
    with opened as file:
        try:
            head = file.read(4 + 4 * ndim)
            data = _bounded(file, path, _MAX_IDX)
        except (EOFError, gzip.BadGzipFile, zlib.error) as err:
            raise CorruptFileError(f"{path}: the compressed data are broken ({err}). Fetch the file again.") from err
    numbers = np.frombuffer(head[: len(head) // 4 * 4], ">u4").tolist()
    if len(numbers) != ndim + 1 or numbers[0] != _IDX_UBYTE + ndim:
        raise CorruptFileError(
            f"{path}: this is no IDX file of bytes with {ndim} dimensions; it begins with {head[:4].hex()}. Look whether "
            "images and labels were mixed up."
        )
    shape = numbers[1:]
    wanted = 1
    for dim in shape:
        wanted *= dim
    if len(data) != wanted:
        raise CorruptFileError(
            f"{path}: the header says {shape}, which is {wanted} bytes, but {len(data)} follow. Fetch the file again."
        )
    return np.frombuffer(data, np.uint8).reshape(shape)


class MNIST(_DownloadedDataset):
    """Handwritten digits: images of (28, 28, 1) bytes, labels 0 to 9.

    Args:
        root: the folder with train-images-idx3-ubyte.gz and so on, also without ".gz"; by default
            ~/.mxnet/datasets/mnist ($MXNET_HOME in the place of ~/.mxnet, where it is set).
        train: whether the training or the test images are read.
        transform: a function of (image, label).
    Raises:
        RuntimeError: a file is not there; the text says which, and where to put it.
        CorruptFileError: a file is not what it should be.
    """

    _namespace: ClassVar[str] = "mnist"

    def __init__(self, root: str | None = None, train: bool = True, transform: Transform = None) -> None:
        self._train = train
        super().__init__(os.path.join(data_dir(), "datasets", self._namespace) if root is None else root, transform)

    def _get_data(self) -> None:
        kind = "train" if self._train else "t10k"
        data = _read_idx(self._file(f"{kind}-images-idx3-ubyte.gz"), 3)
        label = _read_idx(self._file(f"{kind}-labels-idx1-ubyte.gz"), 1).astype(np.int32)
        if len(data) != len(label):
            raise CorruptFileError(f"{self._root}: {len(data)} images, but {len(label)} labels.")
        self._data = _array(data.reshape(*data.shape, 1))
        self._label = _array(label) if state.np_array else label

    def _file(self, name: str) -> str:
        plain = os.path.join(self._root, name.removesuffix(".gz"))
        if os.path.exists(plain):
            return plain
        url = _get_repo_file_url(f"gluon/dataset/{self._namespace}", name)
        return download(url, path=os.path.join(self._root, name))


class FashionMNIST(MNIST):
    """Clothes in the form of MNIST; by default in ~/.mxnet/datasets/fashion-mnist."""

    _namespace = "fashion-mnist"


class CIFAR10(_DownloadedDataset):
    """Photographs of ten things: images of (32, 32, 3) bytes, labels 0 to 9.

    Args:
        root: the folder with data_batch_1.bin and so on, or with cifar-10-binary.tar.gz; by default
            ~/.mxnet/datasets/cifar10.
        train, transform: see MNIST.
    Raises:
        RuntimeError: a file is not there; the text says which, and where to put it.
        CorruptFileError: a file is not what it should be.
    """

    _namespace: ClassVar[str] = "cifar10"
    _archive: ClassVar[str] = "cifar-10-binary.tar.gz"
    _labels: ClassVar[int] = 1
    _files: ClassVar[dict[bool, tuple[str, ...]]] = {
        True: tuple([f"data_batch_{i}.bin" for i in range(1, 6)]),
        False: ("test_batch.bin",),
    }

    def __init__(self, root: str | None = None, train: bool = True, transform: Transform = None) -> None:
        self._train = train
        super().__init__(os.path.join(data_dir(), "datasets", self._namespace) if root is None else root, transform)

    def _label_of(self, rows: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        return rows[:, 0]

    def _get_data(self) -> None:
        names = self._files[self._train]
        width = self._labels + _CIFAR_PIXELS
        found = []
        for name, raw in self._raw(names).items():
            if len(raw) % width or not raw:
                raise CorruptFileError(
                    f"{self._root}: {name} has {len(raw)} bytes, which is no multiple of {width}. Fetch it again."
                )
            found.append(np.frombuffer(raw, np.uint8).reshape(-1, width))
        rows = np.concatenate(found)
        images = rows[:, self._labels :].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
        label = self._label_of(rows).astype(np.int32)
        self._data = _array(np.ascontiguousarray(images))
        self._label = _array(label) if state.np_array else label

    def _raw(self, names: tuple[str, ...]) -> dict[str, bytes]:
        """The bytes of each file: beside each other in the folder, or in the archive, which is not unpacked."""
        paths = {name: os.path.join(self._root, name) for name in names}
        if all(os.path.exists(path) for path in paths.values()):
            found = {}
            for name, path in paths.items():
                with open(path, "rb") as file:
                    found[name] = file.read()
            return found
        url = _get_repo_file_url(f"gluon/dataset/{self._namespace}", self._archive)
        archive = download(url, path=os.path.join(self._root, self._archive))
        try:
            with tarfile.open(archive) as tar:
                return self._members(tar, archive, names)
        except (EOFError, tarfile.TarError, gzip.BadGzipFile, zlib.error) as err:
            raise CorruptFileError(f"{archive}: the archive is broken ({err}). Fetch it again.") from err

    def _members(self, tar: tarfile.TarFile, archive: str, names: tuple[str, ...]) -> dict[str, bytes]:
        members: dict[str, tarfile.TarInfo] = {}
        for count, member in enumerate(tar):
            if count == 1000 or member.size > _MAX_CIFAR:
                raise LimitError(f"{archive}: it holds more, or larger files, than this data set has.")
            if member.isfile():
                members[os.path.basename(member.name)] = member
        missing = [name for name in names if name not in members]
        if missing:
            raise CorruptFileError(f"{archive}: {', '.join(missing)} is not in it. Fetch it again.")
        found = {}
        for name in names:
            inside = tar.extractfile(members[name])
            assert inside is not None
            found[name] = _bounded(inside, archive, _MAX_CIFAR)
        return found


class CIFAR100(CIFAR10):
    """Photographs of a hundred things; see CIFAR10.

    Args:
        fine_label: whether labels are those of the hundred classes, and not of the twenty above them.
    """

    _namespace = "cifar100"
    _archive = "cifar-100-binary.tar.gz"
    _labels = 2
    _files: ClassVar[dict[bool, tuple[str, ...]]] = {True: ("train.bin",), False: ("test.bin",)}

    def __init__(
        self, root: str | None = None, fine_label: bool = False, train: bool = True, transform: Transform = None
    ) -> None:
        self._fine_label = fine_label
        super().__init__(root, train, transform)

    def _label_of(self, rows: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        return rows[:, int(self._fine_label)]


class ImageRecordDataset(RecordFileDataset):
    """The images and labels of a `.rec` file, whose `.idx` file lies beside it.

    Args:
        flag: 1 for colours, 0 for grey.
        transform: a function of (image, label).
    """

    def __init__(self, filename: str, flag: int = 1, transform: Transform = None) -> None:
        super().__init__(filename)
        self._flag = flag
        self._transform = transform

    def __getitem__(self, idx: Any) -> Any:
        from tensorkeep.mxnet import image, recordio

        header, packed = recordio.unpack(super().__getitem__(idx))
        picture = image.imdecode(packed, self._flag)
        return (picture, header.label) if self._transform is None else self._transform(picture, header.label)


class ImageFolderDataset(Dataset):
    """The images (.jpg, .jpeg, .png) in the folders of a folder; the number of the folder is the label.

    Args:
        flag: 1 for colours, 0 for grey.
        transform: a function of (image, label).
    Attributes:
        synsets: the folders' names, in the order of their numbers.
        items: (path, label) of all images.
    """

    _EXTENSIONS: ClassVar[tuple[str, ...]] = (".jpg", ".jpeg", ".png")

    def __init__(self, root: str, flag: int = 1, transform: Transform = None) -> None:
        self._root = os.path.expanduser(root)
        self._flag = flag
        self._transform = transform
        self.synsets: list[str] = []
        self.items: list[tuple[str, int]] = []
        for folder in sorted(os.listdir(self._root)):
            path = os.path.join(self._root, folder)
            if not os.path.isdir(path):
                warnings.warn(f"Ignoring {path}, which is not a directory.", stacklevel=2)
                continue
            self._list(path, len(self.synsets))
            self.synsets.append(folder)

    def _list(self, path: str, label: int) -> None:
        for name in sorted(os.listdir(path)):
            file = os.path.join(path, name)
            extension = os.path.splitext(name)[1]
            if extension.lower() in self._EXTENSIONS:
                self.items.append((file, label))
            else:
                warnings.warn(
                    f"Ignoring {file} of type {extension}. Only support {', '.join(self._EXTENSIONS)}", stacklevel=3
                )

    def __getitem__(self, idx: Any) -> Any:
        from tensorkeep.mxnet import image

        path, label = self.items[idx]
        picture = image.imread(path, self._flag)
        return (picture, label) if self._transform is None else self._transform(picture, label)

    def __len__(self) -> int:
        return len(self.items)


claim(globals())
