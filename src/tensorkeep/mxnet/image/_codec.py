"""Pictures from bytes and back, by Pillow; channels are red, green, blue."""

from __future__ import annotations

import io
from typing import Any

import numpy as np

from tensorkeep._optional import require
from tensorkeep.mxnet.base import MXNetError

__all__ = ["decode", "encode"]

Array = np.ndarray[Any, Any]

MAX_PIXELS = 1 << 29
"""Of a decoded picture: a small file can claim any size."""


def decode(data: bytes, flag: int = 1) -> Array:
    """A picture of any format that Pillow knows: (height, width, 3), or (height, width) when it is grey; uint8.

    Args:
        flag: 1 colour, 0 grey, -1 as it was stored (with transparency: 4 channels).
    Raises:
        MXNetError: the bytes are no picture, or one of more than MAX_PIXELS.
        MissingExtraError: Pillow is not installed.
    """
    pillow = require("PIL.Image", extra="image", for_="Decoding images")
    if not data:
        raise MXNetError("Input cannot be an empty buffer")
    try:
        with pillow.open(io.BytesIO(data)) as picture:
            if picture.width * picture.height > MAX_PIXELS:
                raise MXNetError(f"A picture of {picture.width} x {picture.height} pixels; at most {MAX_PIXELS}.")
            return _array(picture, flag)
    except MXNetError:
        raise
    except Exception as err:  # Pillow's readers of the many formats raise whatever a damaged file leads to
        raise MXNetError(f"Decoding failed. Invalid image file. ({err})") from err


def _array(picture: Any, flag: int) -> Array:
    if flag < 0:
        if picture.mode in ("P", "CMYK", "YCbCr", "LAB", "HSV"):
            picture = picture.convert("RGB")
        return np.array(picture.convert("L") if picture.mode == "1" else picture, dtype=np.uint8)
    if flag == 0 and picture.format == "JPEG":
        picture.draft("L", picture.size)  # the brightness as it is stored
    elif flag == 0 and picture.mode != "L":
        return _grey(np.array(picture.convert("RGB")))
    return np.array(picture.convert("RGB" if flag else "L"))


def _grey(colours: Array) -> Array:
    """Grey as libpng makes it, in a fixed point of 15 bits, rounded down."""
    red, green, blue = (colours[..., i].astype(np.int64) for i in range(3))
    return ((red * 9798 + green * 19235 + blue * 3735) >> 15).astype(np.uint8)


def encode(image: Array, format: str, quality: int) -> bytes:
    """The bytes of a picture.

    Args:
        image: uint8, (height, width, 3) or (height, width).
        format: ".jpg", ".jpeg" or ".png", in any case.
        quality: of JPEG, 1 to 100; the compression of PNG, 0 to 9.
    Raises:
        MXNetError: the format is another.
        MissingExtraError: Pillow is not installed.
    """
    pillow = require("PIL.Image", extra="image", for_="Encoding images")
    kinds: dict[str, tuple[str, dict[str, Any]]] = {
        ".jpg": ("JPEG", {"quality": quality}),
        ".jpeg": ("JPEG", {"quality": quality}),
        ".png": ("PNG", {"compress_level": min(max(quality, 0), 9)}),
    }
    if format.lower() not in kinds:
        raise MXNetError(f"failed to encode image: {format!r} is none of {', '.join(kinds)}")
    kind, options = kinds[format.lower()]
    out = io.BytesIO()
    pillow.fromarray(np.ascontiguousarray(image, dtype=np.uint8)).save(out, kind, **options)
    return out.getvalue()
