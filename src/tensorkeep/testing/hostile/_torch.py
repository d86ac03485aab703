"""torch files, of all three generations, that lie or would run code."""

from __future__ import annotations

import io
import struct
import tarfile
from collections.abc import Iterator

from tensorkeep.testing.hostile._case import Case
from tensorkeep.testing.hostile._pickle import breakers, payloads, runs, text
from tensorkeep.testing.hostile._zip import Member, archive

__all__ = ["cases", "tensor", "torch_zip"]

_REBUILD = b"ctorch._utils\n_rebuild_tensor_v2\n"


def _int(value: int) -> bytes:
    raw = value.to_bytes((value.bit_length() + 8) // 8, "little", signed=True) if value else b""
    return b"\x8a" + bytes([len(raw)]) + raw


def _tuple(*values: int) -> bytes:
    return b"(" + b"".join(map(_int, values)) + b"t"


def tensor(
    *,
    offset: int = 0,
    shape: tuple[int, ...] = (4,),
    stride: tuple[int, ...] = (1,),
    key: str = "0",
    numel: int = 4,
    storage: str = "FloatStorage",
    tag: bytes = b"",
    tail: bytes = b"\x89ccollections\nOrderedDict\n)R",
    persid: bytes = b"",
) -> bytes:
    """The opcodes of one tensor; each number may be a lie."""
    ref = (
        b"("
        + (tag or text("storage"))
        + f"ctorch\n{storage}\n".encode()
        + text(key)
        + text("cpu")
        + _int(numel)
        + b"tQ"
    )
    return _REBUILD + b"(" + (persid or ref) + _int(offset) + _tuple(*shape) + _tuple(*stride) + tail + b"tR"


def _dict(*tensors: bytes) -> bytes:
    items = b"".join(text(f"t{i}") + each for i, each in enumerate(tensors))
    return b"\x80\x02}(" + items + b"u."


def torch_zip(pickle: bytes, *, data: bytes = bytes(16), more: tuple[Member, ...] = ()) -> bytes:
    """What torch.save writes, with the given data.pkl."""
    members = [
        Member(b"archive/data.pkl", pickle),
        Member(b"archive/byteorder", b"little"),
        Member(b"archive/data/0", data),
        Member(b"archive/version", b"3\n"),
    ]
    return archive([*members, *more])


def cases(sentinel: str) -> Iterator[Case]:
    """Payloads in every pickle of every generation, views out of bounds, archives that disagree."""
    for i, (name, code, why) in enumerate(payloads(sentinel)):
        yield Case(f"torch/{name}", "x.pt", torch_zip(code), why, inert=True, runs=runs(name))
        if i % 4 == 0 or not name.startswith("call-"):
            for part in _PARTS:
                live = runs(name) and (part, name) != ("keys", "second-pickle")  # behind the keys lie the tensors
                data = _legacy(**{part: code})
                yield Case(f"torch-legacy/{part}-{name}", "x.pth", data, f"{why}, in {part}", inert=True, runs=live)
        if i % 8 == 0 or name in ("protocol-0", "inst", "build-setstate"):
            for member in ("pickle", "sys_info", "storages", "tensors"):
                data, live = _tar({member: code}), runs(name)
                yield Case(f"torch-tar/{member}-{name}", "x.pt", data, f"{why}, in {member}", inert=True, runs=live)
    for name, code, why in breakers():
        if not name.startswith("alone-"):
            harmless = name in ("too-much", "mark-at-stop", "protocol-inside", "key-float", "key-none", "laughs")
            harmless = harmless or name.startswith("itself")
            yield Case(f"torch/{name}", "x.pt", torch_zip(code), why, harmless=harmless, inert=True)
    for i, (name, code, why) in enumerate(payloads(sentinel)):
        if i % 3 == 0 or not name.startswith("call-"):
            yield _folder(name, code, why, live=runs(name))
    for name, code, why in breakers():
        if not name.startswith("alone-"):
            yield _folder(name, code, why, live=False)
    for name, data, why in (*_views(), *_archives(), *_legacies(), *_tars()):
        harmless = name in ("view-hooks-list", "legacy-sys-info-big-endian")
        yield Case(f"torch/{name}", "x.pt", data, why, lazy=name == "crc", harmless=harmless)


def _folder(name: str, code: bytes, why: str, *, live: bool) -> Case:
    """A folder of torch.distributed.checkpoint whose metadata are this pickle."""
    beside = (("__0_0.distcp", torch_zip(_dict(tensor()))),)
    return Case(
        f"dcp/{name}", ".metadata", code, f"{why}, as .metadata", inert=True, runs=live, beside=beside, folder=True
    )


def _views() -> Iterator[tuple[str, bytes, str]]:
    lies: dict[str, tuple[bytes, str]] = {
        "beyond": (tensor(shape=(5,)), "five elements of four"),
        "offset-beyond": (tensor(offset=1), "an offset that pushes the end out"),
        "offset-huge": (tensor(offset=2**62), "an offset of 2**62"),
        "offset-negative": (tensor(offset=-1), "a negative offset"),
        "stride-beyond": (tensor(stride=(2,)), "a stride that leads out"),
        "stride-negative": (tensor(offset=3, stride=(-1,)), "a negative stride"),
        "stride-huge": (tensor(shape=(2,), stride=(2**62,)), "a stride of 2**62"),
        "stride-wraps": (tensor(shape=(5,), stride=(2**62,)), "a stride that wraps around 2**64"),
        "shape-negative": (tensor(shape=(-4,)), "a negative dimension"),
        "shape-huge": (tensor(shape=(2**40,), stride=(0,)), "2**40 times the same element"),
        "shape-wraps": (tensor(shape=(2**32, 2**32), stride=(0, 0)), "a shape whose product wraps to 0"),
        "shape-text": (
            _REBUILD + b"(" + tensor()[len(_REBUILD) + 1 : -2].replace(_tuple(4), text("4")) + b"tR",
            "a string as shape",
        ),
        "more-strides": (tensor(stride=(1, 1)), "more strides than dimensions"),
        "less-strides": (tensor(shape=(2, 2), stride=(1,)), "fewer strides than dimensions"),
        "many-dimensions": (tensor(shape=(1,) * 100, stride=(1,) * 100), "100 dimensions"),
        "key-missing": (tensor(key="1"), "a storage that is not there"),
        "key-path": (tensor(key="../version"), "a storage key that is a path"),
        "key-absolute": (tensor(key="/etc/passwd"), "a storage key that is an absolute path"),
        "numel-more": (tensor(numel=5), "more elements than the record has"),
        "numel-less": (tensor(numel=3, shape=(3,)), "fewer elements than the record has"),
        "numel-huge": (tensor(numel=2**62), "2**62 elements"),
        "numel-negative": (tensor(numel=-4), "a negative number of elements"),
        "storage-unknown": (tensor(storage="ObjectStorage"), "an unknown storage class"),
        "storage-is-a-function": (tensor(storage="load"), "a function in the place of the storage class"),
        "tag": (tensor(tag=text("module")), "another tag than storage"),
        "tag-number": (tensor(tag=b"K\x05"), "a number as tag"),
        "persid-string": (tensor(persid=text("storage") + b"Q"), "a string as persistent id"),
        "persid-short": (tensor(persid=b"(" + text("storage") + b"tQ"), "a persistent id with one part"),
        "persid-list": (tensor(persid=b"]Q"), "a list as persistent id"),
        "storage-number": (tensor(persid=b"K\x01"), "a number in the place of a storage"),
        "hooks-list": (tensor(tail=b"\x89](K\x01e"), "hooks that are a list"),
        "set-on-tensor": (tensor() + text("k") + b"K\x01s", "SETITEM on a tensor"),
        "append-on-tensor": (tensor() + b"K\x01a", "APPEND on a tensor"),
        "build-tensor": (tensor() + b"}" + text("x") + b"K\x01sb", "BUILD on a tensor"),
        "call-tensor": (tensor() + b")R", "calls a tensor"),
        "tensor-as-key": (b"}" + tensor() + b"Ns", "a tensor as key"),
        "no-arguments": (_REBUILD + b")R", "a tensor without arguments"),
        "none-arguments": (_REBUILD + b"(NNNNNNtR", "a tensor of None"),
        "function-as-argument": (_REBUILD + b"(" + _REBUILD * 6 + b"tR", "a tensor of functions"),
        "parameter-of-number": (b"ctorch._utils\n_rebuild_parameter\n(K\x01\x88NtR", "a parameter that holds a number"),
        "sparse-wrong": (b"ctorch._utils\n_rebuild_sparse_tensor\n(NNtR", "a sparse tensor of None"),
    }
    for name, (code, why) in lies.items():
        yield f"view-{name}", torch_zip(_dict(code)), why
    two = _dict(tensor(), tensor(storage="LongStorage", numel=2, shape=(2,)))
    yield "key-with-two-dtypes", torch_zip(two), "one storage with two element types"
    repeated = _dict(*[tensor(shape=(1 << 20, 16 + i), stride=(0, 0)) for i in range(16)])
    yield "repeated-views", torch_zip(repeated), "1 GiB of views on 16 bytes"


def _archives() -> Iterator[tuple[str, bytes, str]]:
    good = _dict(tensor())
    other = _dict(tensor(shape=(2,)))
    yield "two-pickles", torch_zip(good, more=(Member(b"archive/data.pkl", other),)), "two data.pkl"
    yield (
        "two-folders",
        torch_zip(good, more=(Member(b"other/data.pkl", other),)),
        "two top folders, each with a data.pkl",
    )
    yield "pickle-at-top", torch_zip(good, more=(Member(b"data.pkl", other),)), "a second data.pkl at the top"
    yield (
        "no-pickle",
        archive([Member(b"archive/version", b"3\n"), Member(b"archive/data/0", bytes(16))]),
        "no data.pkl",
    )
    yield "no-storage", archive([Member(b"archive/data.pkl", good), Member(b"archive/version", b"3\n")]), "no storage"
    yield "storage-short", torch_zip(good, data=bytes(12)), "a record shorter than its tensor"
    yield "storage-long", torch_zip(good, data=bytes(20)), "a record longer than its storage"
    members = [
        Member(b"archive/data.pkl", good, method=8),
        Member(b"archive/data/0", bytes(16)),
        Member(b"archive/version", b"3\n"),
    ]
    yield "deflated-pickle", archive(members), "a deflated data.pkl, which torch never writes"
    members = [
        Member(b"archive/data.pkl", good),
        Member(b"archive/data/0", bytes(16), method=8),
        Member(b"archive/version", b"3\n"),
    ]
    yield "deflated-storage", archive(members), "a deflated storage, which torch never writes"
    members = [
        Member(b"archive/data.pkl", good),
        Member(b"archive/data/0", bytes(16)),
        Member(b"archive/byteorder", b"middle"),
    ]
    yield "byteorder", archive([*members, Member(b"archive/version", b"3\n")]), "an unknown byte order"
    yield (
        "crc",
        archive([Member(b"archive/data.pkl", good), Member(b"archive/data/0", bytes(16), crc=1)]),
        "a wrong CRC",
    )
    yield "trailing-pickle", torch_zip(good + b"rubbish"), "bytes behind the pickle"
    yield "second-pickle-of-data", torch_zip(good + good), "a second pickle behind the first"
    local = [Member(b"archive/data.pkl", good, local_name=b"archive/data.pk_"), Member(b"archive/data/0", bytes(16))]
    yield "local-name", archive(local), "the local header of data.pkl has another name"


_MAGIC = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19."
_PARTS = ("magic", "protocol", "sys_info", "obj", "keys")
_SYS_INFO = (
    b"\x80\x02}("
    + text("protocol_version")
    + b"M\xe9\x03"
    + text("little_endian")
    + b"\x88"
    + text("type_sizes")
    + b"}u."
)


def _legacy(
    magic: bytes = _MAGIC,
    protocol: bytes = b"\x80\x02M\xe9\x03.",
    sys_info: bytes = _SYS_INFO,
    obj: bytes = b"",
    keys: bytes = b"\x80\x02](" + text("0") + b"e.",
    data: bytes = struct.pack("<q", 4) + bytes(16),
) -> bytes:
    """Five pickles and the storages, as torch wrote before 1.6."""
    return magic + protocol + sys_info + (obj or _dict(_legacy_tensor())) + keys + data


def _legacy_tensor(numel: int = 4, view: bytes = b"N", **lies: tuple[int, ...] | int) -> bytes:
    ref = b"(" + text("storage") + b"ctorch\nFloatStorage\n" + text("0") + text("cpu") + _int(numel) + view + b"tQ"
    return tensor(persid=ref, **lies)  # type: ignore[arg-type]  # the lies are of the names that tensor takes


def _legacies() -> Iterator[tuple[str, bytes, str]]:
    lies: dict[str, tuple[bytes, str]] = {
        "keys-more": (_legacy(keys=b"\x80\x02](" + text("0") + text("1") + b"e."), "a key that no tensor refers to"),
        "keys-less": (_legacy(keys=b"\x80\x02]."), "a tensor whose key is not listed"),
        "keys-twice": (_legacy(keys=b"\x80\x02](" + text("0") * 2 + b"e."), "a key twice"),
        "keys-number": (_legacy(keys=b"\x80\x02K\x01."), "a number in the place of the keys"),
        "keys-of-numbers": (_legacy(keys=b"\x80\x02](K\x00e."), "numbers as keys"),
        "numel-other": (_legacy(data=struct.pack("<q", 3) + bytes(12)), "fewer elements than declared"),
        "numel-huge": (_legacy(data=struct.pack("<q", 2**60) + bytes(16)), "2**60 elements"),
        "numel-negative": (_legacy(data=struct.pack("<q", -4) + bytes(16)), "a negative number of elements"),
        "data-cut": (_legacy(data=struct.pack("<q", 4) + bytes(15)), "the last byte is missing"),
        "data-missing": (_legacy(data=b""), "no storages"),
        "data-more": (_legacy(data=struct.pack("<q", 4) + bytes(40)), "bytes behind the last storage"),
        "view-beyond": (_legacy(obj=_dict(_legacy_tensor(shape=(5,)))), "a view out of bounds"),
        "view-negative": (_legacy(obj=_dict(_legacy_tensor(stride=(-1,)))), "a negative stride"),
        "view-metadata": (
            _legacy(obj=_dict(_legacy_tensor(view=b"(" + text("v") + _int(2) + _int(9) + b"t"))),
            "a storage view out of bounds",
        ),
        "protocol": (_legacy(protocol=b"\x80\x02K\x05."), "an unknown protocol number"),
        "sys-info-list": (_legacy(sys_info=b"\x80\x02]."), "a list as system info"),
        "sys-info-big-endian": (_legacy(sys_info=_SYS_INFO.replace(b"\x88", b"K\x05")), "a number as byte order"),
    }
    for name, (data, why) in lies.items():
        yield f"legacy-{name}", data, why


def _tar(parts: dict[str, bytes], links: dict[str, str] | None = None, **renamed: str) -> bytes:
    """The tar form of torch 0.1 with the given members in the place of good ones."""
    good = {
        "sys_info": _SYS_INFO,
        "pickle": b"\x80\x02}.",
        "storages": b"\x80\x02K\x00.",
        "tensors": b"\x80\x02K\x00.",
    }
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as made:
        for name, data in (good | parts).items():
            info = tarfile.TarInfo(renamed.get(name, name))
            target = (links or {}).get(name)
            if target is None:
                info.size = len(data)
                made.addfile(info, io.BytesIO(data))
            else:
                info.type, info.linkname = tarfile.SYMTYPE, target
                made.addfile(info)
    return out.getvalue()


def _tars() -> Iterator[tuple[str, bytes, str]]:
    counted = b"\x80\x02K\x01."
    ref = b"\x80\x02(" + text("0") + text("cpu") + b"ctorch\nFloatStorage\nt."
    storages = counted + ref + struct.pack("<q", 2**60)
    yield "tar-storage-huge", _tar({"storages": storages + bytes(16)}), "a storage of 2**60 elements"
    yield "tar-count-huge", _tar({"storages": b"\x80\x02\x8a\x06" + b"\xff" * 5 + b"\x7f."}), "2**47 storages"
    yield "tar-count-text", _tar({"tensors": b"\x80\x02" + text("x") + b"."}), "a string as number of tensors"
    yield "tar-symlink", _tar({}, {"storages": "/etc/passwd"}), "a symbolic link as member"
    yield "tar-slip", _tar({}, tensors="../tensors"), "a member that leads out of the folder"
    yield "tar-absolute", _tar({}, tensors="/tmp/tensors"), "a member with an absolute path"
    twice = _tar({})
    yield "tar-cut", twice[:700], "a tar that is cut"
