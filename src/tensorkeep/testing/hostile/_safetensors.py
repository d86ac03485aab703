"""safetensors files that lie."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from tensorkeep.testing.hostile._case import Case

__all__ = ["cases", "framed"]

_DATA = bytes(range(1, 17))
_ENTRY = '{"dtype":"F32","shape":[4],"data_offsets":[0,16]}'


def framed(header: str | bytes, data: bytes = _DATA, *, length: int | None = None) -> bytes:
    """Length (a lie if given), header, data."""
    raw = header.encode("utf-8", "surrogatepass") if isinstance(header, str) else header
    return (len(raw) if length is None else length).to_bytes(8, "little") + raw + data


def _entry(**changed: Any) -> str:
    return json.dumps({"a": {"dtype": "F32", "shape": [4], "data_offsets": [0, 16]} | changed})


def _two(first: tuple[int, int], second: tuple[int, int]) -> str:
    entries = {}
    for name, (begin, end) in (("a", first), ("b", second)):
        entries[name] = {"dtype": "U8", "shape": [max(end - begin, 0)], "data_offsets": [begin, end]}
    return json.dumps(entries)


def cases() -> Iterator[Case]:
    """Headers that lie, JSON that bombs, layouts that overlap."""
    for name, data, why in (*_lengths(), *_texts(), *_layouts(), *_ours()):
        lazy = name in ("hashes-wrong", "hashes-text", "structure-sparse-shape", "structure-sparse-float-indices")
        yield Case(f"safetensors/{name}", "model.safetensors", data, why, lazy=lazy, harmless=name == "tab-padding")
    yield Case(
        "safetensors/bool-bytes",
        "model.safetensors",
        framed('{"a":{"dtype":"BOOL","shape":[4],"data_offsets":[0,4]}}', b"\x00\x01\x02\xff"),
        "booleans that are neither 0 nor 1",
        harmless=True,
    )


def _lengths() -> Iterator[tuple[str, bytes, str]]:
    good = '{"a":' + _ENTRY + "}"
    for length in (
        0,
        1,
        len(good) - 1,
        len(good) + 1,
        len(good) + 16,
        len(good) + 17,
        10**8,
        10**8 + 1,
        2**32,
        2**63 - 1,
    ):
        yield f"length-{length}", framed(good, length=length), f"the header is said to have {length} bytes"
    for length in (2**63, 2**64 - 1, 2**64 - 8, 2**64 - 16):
        yield f"length-{length}", framed(good, length=length), "the end of the header wraps around 2**64"
    for size in (1, 7, 8, 9, 12):
        yield f"cut-{size}", framed(good)[:size], f"only {size} bytes"


def _texts() -> Iterator[tuple[str, bytes, str]]:
    texts: dict[str, tuple[str | bytes, str]] = {
        "array": ("[]", "the header is an array"),
        "string": ('"a"', "the header is a string"),
        "text": ("{a:1}", "no JSON"),
        "quotes": ("{'a':" + _ENTRY + "}", "single quotes"),
        "comma": ('{"a":' + _ENTRY + ",}", "a comma before the brace"),
        "comment": ('{/**/"a":' + _ENTRY + "}", "a comment"),
        "second-value": ('{"a":' + _ENTRY + "}{}", "a second value behind the first"),
        "bom": ("\ufeff{" + '"a":' + _ENTRY + "}", "a byte order mark"),
        "not-utf8": (b'{"\xff":' + _ENTRY.encode() + b"}", "no UTF-8"),
        "overlong-utf8": (b'{"\xc0\x80":' + _ENTRY.encode() + b"}", "UTF-8 longer than it needs to be"),
        "surrogate": ('{"\\ud800":' + _ENTRY + "}", "a lone surrogate as name"),
        "raw-control": ('{"a\x01":' + _ENTRY + "}", "a control character in a string"),
        "zero-padding": ('{"a":' + _ENTRY + "}\0\0\0", "padded with zero bytes"),
        "tab-padding": ('{"a":' + _ENTRY + "}\t\t", "padded with tabs"),
        "leading-space": (' {"a":' + _ENTRY + "}", "space before the brace"),
        "deep-objects": ('{"a":' * 40_000 + "1" + "}" * 40_000, "40,000 objects inside each other"),
        "deep-arrays": ('{"a":' + "[" * 100_000 + "]" * 100_000 + "}", "100,000 arrays inside each other"),
        "unclosed-arrays": ('{"a":' + "[" * 200_000, "200,000 arrays that are never closed"),
        "deep-shape": (_entry(shape=[[[[4]]]]), "a shape of shapes"),
        "digits": (
            '{"a":{"dtype":"F32","shape":[' + "9" * 100_000 + '],"data_offsets":[0,16]}}',
            "an integer of 100,000 digits",
        ),
        "digits-offset": (
            '{"a":{"dtype":"F32","shape":[4],"data_offsets":[0,' + "1" * 5_000 + "]}}",
            "an offset of 5,000 digits",
        ),
        "exponent": ('{"a":{"dtype":"F32","shape":[4e0],"data_offsets":[0,16]}}', "a float as dimension"),
        "exponent-huge": ('{"a":{"dtype":"F32","shape":[1e400],"data_offsets":[0,16]}}', "infinity as dimension"),
        "nan": ('{"a":{"dtype":"F32","shape":[NaN],"data_offsets":[0,16]}}', "NaN is no JSON"),
        "leading-zero": ('{"a":{"dtype":"F32","shape":[04],"data_offsets":[0,16]}}', "a number with a leading zero"),
        "true-dimension": (_entry(dtype="U8", shape=[16, True]), "true as dimension"),
        "null-dimension": (_entry(shape=[None]), "null as dimension"),
        "text-dimension": (_entry(shape=["4"]), "a string as dimension"),
        "shape-object": (_entry(shape={}), "an object as shape"),
        "negative-dimension": (_entry(shape=[-4]), "a negative dimension"),
        "negative-pair": (_entry(shape=[-2, -2]), "negative dimensions whose product fits"),
        "minus-zero": ('{"a":{"dtype":"U8","shape":[-0],"data_offsets":[0,0]}}', "minus zero as dimension"),
        "dtype-unknown": (_entry(dtype="F31"), "an unknown dtype"),
        "dtype-lower": (_entry(dtype="f32"), "a dtype in lower case"),
        "dtype-number": (_entry(dtype=32), "a number as dtype"),
        "dtype-object": (_entry(dtype={"F32": 1}), "an object as dtype"),
        "missing-dtype": ('{"a":{"shape":[4],"data_offsets":[0,16]}}', "no dtype"),
        "missing-shape": ('{"a":{"dtype":"F32","data_offsets":[0,16]}}', "no shape"),
        "missing-offsets": ('{"a":{"dtype":"F32","shape":[4]}}', "no offsets"),
        "extra-key": (_entry(stride=[1]), "an unknown key in an entry"),
        "offsets-one": (_entry(data_offsets=[16]), "one offset"),
        "offsets-three": (_entry(data_offsets=[0, 8, 16]), "three offsets"),
        "offsets-float": (_entry(data_offsets=[0.0, 16.0]), "floats as offsets"),
        "offsets-true": (_entry(dtype="U8", shape=[1], data_offsets=[False, True]), "booleans as offsets"),
        "entry-null": ('{"a":null}', "null as entry"),
        "entry-list": ('{"a":["F32",[4],[0,16]]}', "a list as entry"),
        "duplicate": ('{"a":' + _ENTRY + ',"a":' + _ENTRY + "}", "a name twice"),
        "duplicate-escaped": ('{"a":' + _ENTRY + ',"\\u0061":' + _ENTRY + "}", "a name twice, once escaped"),
        "duplicate-dtype": (
            '{"a":{"dtype":"U8","dtype":"F32","shape":[4],"data_offsets":[0,16]}}',
            "a key twice in an entry",
        ),
        "duplicate-metadata": ('{"__metadata__":{},"__metadata__":{},"a":' + _ENTRY + "}", "__metadata__ twice"),
        "duplicate-in-metadata": ('{"__metadata__":{"k":"1","k":"2"},"a":' + _ENTRY + "}", "a metadata key twice"),
        "duplicate-in-metadata-escaped": (
            '{"__metadata__":{"k":"1","\\u006b":"2"},"a":' + _ENTRY + "}",
            "a metadata key twice, escaped",
        ),
        "metadata-number": ('{"__metadata__":{"k":1},"a":' + _ENTRY + "}", "a number in the metadata"),
        "metadata-null": ('{"__metadata__":{"k":null},"a":' + _ENTRY + "}", "null in the metadata"),
        "metadata-nested": ('{"__metadata__":{"k":{"l":"m"}},"a":' + _ENTRY + "}", "an object in the metadata"),
        "metadata-list": ('{"__metadata__":["k"],"a":' + _ENTRY + "}", "a list as metadata"),
        "metadata-string": ('{"__metadata__":"k","a":' + _ENTRY + "}", "a string as metadata"),
        "metadata-is-a-tensor": ('{"__metadata__":' + _ENTRY + "}", "a tensor in the place of the metadata"),
    }
    for name, (text, why) in texts.items():
        yield name, framed(text), why


def _layouts() -> Iterator[tuple[str, bytes, str]]:
    yield "overlap", framed(_two((0, 10), (6, 16))), "two tensors overlap"
    yield "same-bytes", framed(_two((0, 16), (0, 16))), "two tensors in the same bytes"
    yield "hole", framed(_two((0, 6), (10, 16))), "bytes between two tensors belong to none"
    yield "hole-at-start", framed(_two((4, 8), (8, 16))), "bytes before the first tensor belong to none"
    yield "backwards", framed(_two((16, 0), (0, 16))), "a tensor ends before it begins"
    yield "negative-offset", framed(_entry(data_offsets=[-16, 0])), "a negative offset"
    yield "beyond", framed(_entry(shape=[8], data_offsets=[0, 32])), "a tensor ends beyond the file"
    yield "begin-beyond", framed(_entry(shape=[0], data_offsets=[99, 99])), "an empty tensor beyond the file"
    yield "trailing", framed(_entry(shape=[2], data_offsets=[0, 8])), "bytes behind the last tensor"
    yield "trailing-without-tensors", framed("{}"), "bytes behind a header without tensors"
    yield "wrong-size", framed(_entry(shape=[3])), "shape and offsets differ"
    yield "size-wraps", framed(_entry(shape=[2**62, 4, 4])), "the product of the shape wraps around 2**64 to 16 bytes"
    yield "size-wraps-32", framed(_entry(shape=[2**32, 2**32])), "the product of the shape wraps to 0"
    yield (
        "zero-times-huge",
        framed(_entry(shape=[0, 2**62, 2**62], data_offsets=[0, 0]), b""),
        "0 times a number beyond 2**63",
    )
    yield "many-dimensions", framed(_entry(shape=[1] * 100, data_offsets=[0, 4]), b"1234"), "100 dimensions"
    yield (
        "half-a-byte",
        framed(_entry(dtype="F4", shape=[3], data_offsets=[0, 2]), b"12"),
        "elements that do not fill whole bytes",
    )


def _ours() -> Iterator[tuple[str, bytes, str]]:
    def with_metadata(**metadata: str) -> bytes:
        text = json.dumps({"__metadata__": {f"tensorkeep.{key}": value for key, value in metadata.items()}})
        return framed(text[:-1] + ',"a":' + _ENTRY + "}")

    structures = {
        "no-json": "{",
        "deep": "[" * 50_000 + "]" * 50_000,
        "deep-lists": '["l",' * 5_000 + '"a"' + "]" * 5_000,
        "number": "3e999",
        "missing-tensor": '{"x":"no such tensor"}',
        "unknown-tag": '["zz",1]',
        "empty-tag": "[]",
        "tag-number": "[1]",
        "pairs": '["d",[1,2,3]]',
        "pair-key": '["d",[["x"],"a"]]',
        "pair-twice": '["d",[1,"a"],[1,"a"]]',
        "base64": '["b","***"]',
        "base64-number": '["b",5]',
        "float": '["f","1e5"]',
        "complex": '["c","a",1]',
        "numpy-object": '["n","|O8","0000000000000000"]',
        "numpy-void": '["n","V99999999","00"]',
        "numpy-hex": '["n","<f4","zz"]',
        "numpy-eval": '["n","__import__(\'os\')","00"]',
        "numpy-fields": '["n","f4,f4","0000000000000000"]',
        "sparse-kind": '["sp","xyz",[4],{"data":"a","indices":"a"}]',
        "sparse-shape": '["sp","csr",[9223372036854775808,1],{"data":"a","indices":"a","indptr":"a"}]',
        "sparse-negative": '["sp","row_sparse",[-1],{"data":"a","indices":"a"}]',
        "sparse-parts": '["sp","csr",[2,2],{"data":"a"}]',
        "sparse-float-indices": '["sp","row_sparse",[4],{"data":"a","indices":"a"}]',
        "sparse-part-list": '["sp","coo",[4],["data"]]',
        "surrogate": '["s","\\ud800"]',
    }
    for name, text in structures.items():
        if name != "surrogate":
            yield (
                f"structure-{name}",
                with_metadata(format="1", structure=text),
                f"a stored structure that {name} breaks",
            )
    yield "hashes-short", with_metadata(format="1", xxh3_128="00"), "fewer hash digits than tensors need"
    yield "hashes-text", with_metadata(format="1", xxh3_128="g" * 32), "hash digits that are none"
    yield "hashes-wrong", with_metadata(format="1", xxh3_128="0" * 32), "a hash that does not fit"
    yield "header-hash", with_metadata(format="1", header="0" * 32), "a header hash that does not fit"
    yield "header-hash-text", with_metadata(format="1", header="x"), "a header hash that is none"
