"""mx.image: pictures from files, cut and resized. Axes are height, width, channels; the channels red, green, blue."""

from __future__ import annotations

import random
import warnings
from typing import Any

import numpy as np
import torch

from tensorkeep.mxnet._invoke import wrap
from tensorkeep.mxnet._state import state
from tensorkeep.mxnet.base import MXNetError, claim
from tensorkeep.mxnet.context import cpu
from tensorkeep.mxnet.image._codec import decode
from tensorkeep.mxnet.image._resize import resize
from tensorkeep.mxnet.ndarray.ndarray import NDArray

__all__ = [
    "center_crop", "color_normalize", "copyMakeBorder", "fixed_crop", "imdecode", "imread", "imresize", "imrotate",
    "random_crop", "random_rotate", "random_size_crop", "resize_short", "scale_down",
]  # fmt: skip


def _wrapped(values: Any) -> Any:
    from tensorkeep.mxnet.numpy import ndarray

    return wrap(torch.from_numpy(np.ascontiguousarray(values)), cpu(), ndarray if state.np_array else NDArray)


def _given(found: Any, out: Any) -> Any:
    if out is None:
        return found
    found.copyto(out)
    return out


def imdecode(buf: Any, flag: int = 1, to_rgb: bool = True, out: Any = None) -> Any:
    """The picture in the bytes of a file: uint8, (height, width, 3), or (height, width, 1) with flag=0.

    Args:
        buf: bytes, or an array of them.
        flag: 1 colour, 0 grey.
        to_rgb: red first; else blue first, as OpenCV has it.
        out: where it goes, or None.
    Raises:
        MXNetError: the bytes are no picture.
        MissingExtraError: Pillow is not installed.
    """
    if isinstance(buf, NDArray):
        buf = buf.asnumpy()
    if isinstance(buf, np.ndarray):
        buf = np.ascontiguousarray(buf).tobytes()
    if not isinstance(buf, (bytes, bytearray)):
        raise ValueError(
            "buf must be of type bytes, bytearray or numpy.ndarray,"
            "if you would like to input type str, please convert to bytes"
        )
    if flag not in (0, 1):
        raise MXNetError("flag only supports grayscale (0) or color (1).")
    picture = decode(bytes(buf), flag)
    if picture.ndim == 2:
        picture = picture[..., None]
    return _given(_wrapped(picture if to_rgb else picture[..., ::-1]), out)


def imread(filename: str, flag: int = 1, to_rgb: bool = True, out: Any = None) -> Any:
    """The picture in a file; see imdecode().

    Raises:
        MXNetError: there is no such file, or it is no picture.
    """
    try:
        with open(filename, "rb") as file:
            data = file.read()
    except OSError as err:
        raise MXNetError(f"Imread: '{filename}' couldn't open file: {err.strerror}") from err
    return imdecode(data, flag, to_rgb, out)


def imresize(src: Any, w: int, h: int, interp: int = 1, out: Any = None) -> Any:
    """A picture of w x h pixels.

    Args:
        interp: 0 nearest, 1 bilinear, 2 cubic, 3 area, 4 Lanczos.
    """
    kind = src._t.dtype
    if kind not in (torch.uint8, torch.float32, torch.float64):
        raise MXNetError(
            f"imresize takes uint8, float32 and float64 pictures, this one is {kind}".replace("torch.", "")
        )
    if src.ndim != 3:
        raise MXNetError(f"Only support decoding images with 3 dimensions (height, width, channels), got {src.shape}")
    return _given(_wrapped(resize(src.asnumpy(), w, h, interp)), out)


def copyMakeBorder(
    src: Any, top: int, bot: int, left: int, right: int, type: int = 0, value: float = 0.0, values: Any = (),
    out: Any = None,
) -> Any:  # fmt: skip
    """A picture with a border around it.

    Args:
        type: 0 the border has the value, or the values of the channels; 1 the edge goes on; 2 it is mirrored with the
            edge, 4 without; 3 the picture is repeated.
    """
    modes = {0: "constant", 1: "edge", 2: "symmetric", 3: "wrap", 4: "reflect"}
    if type not in modes:
        raise MXNetError(f"copyMakeBorder: a border of type {type}; 0 to 4 are known")
    picture, around = src.asnumpy(), ((top, bot), (left, right))
    if type:
        return _given(_wrapped(np.pad(picture, (*around, (0, 0)), mode=modes[type])), out)  # type: ignore[call-overload]  # one of them
    channels = [values[i] if values else value for i in range(picture.shape[2])]
    planes = [np.pad(picture[..., i], around, constant_values=each) for i, each in enumerate(channels)]
    return _given(_wrapped(np.stack(planes, 2)), out)


def scale_down(src_size: tuple[int, int], size: tuple[float, float]) -> tuple[int, int]:
    """`size` (width, height), made smaller in proportion until it fits into `src_size`."""
    w, h = size
    sw, sh = src_size
    if sh < h:
        w, h = float(w * sh) / h, sh
    if sw < w:
        w, h = sw, float(h * sw) / w
    return int(w), int(h)


def _get_interp_method(interp: int, sizes: Any = ()) -> int:
    """The method for 9 (by the sizes old height, width, new height, width) and 10 (any); the others as they are."""
    if interp == 9:
        if not sizes:
            return 2
        assert len(sizes) == 4
        oh, ow, nh, nw = sizes
        return 2 if nh > oh and nw > ow else 3 if nh < oh and nw < ow else 1
    if interp == 10:
        return random.randint(0, 4)
    if interp not in (0, 1, 2, 3, 4):
        raise ValueError(f"Unknown interp method {interp}")
    return interp


def resize_short(src: Any, size: int, interp: int = 2) -> Any:
    """A picture whose shorter side has `size` pixels."""
    h, w, _ = src.shape
    new_h, new_w = (size * h // w, size) if h > w else (size, size * w // h)
    return imresize(src, new_w, new_h, interp=_get_interp_method(interp, (h, w, new_h, new_w)))


def fixed_crop(src: Any, x0: int, y0: int, w: int, h: int, size: tuple[int, int] | None = None, interp: int = 2) -> Any:
    """w x h pixels from (x0, y0) on, resized to `size` (width, height) where given."""
    out = src[y0 : y0 + h, x0 : x0 + w]
    if size is not None and (w, h) != size:
        out = imresize(out, *size, interp=_get_interp_method(interp, (h, w, size[1], size[0])))
    return out


Cut = tuple[Any, tuple[int, int, int, int]]
"""A part of a picture, and where it was: x, y, width, height."""


def random_crop(src: Any, size: tuple[int, int], interp: int = 2) -> Cut:
    """A part of that size (width, height) from anywhere; a larger one is scaled down to fit, then resized."""
    h, w, _ = src.shape
    new_w, new_h = scale_down((w, h), size)
    x0, y0 = random.randint(0, w - new_w), random.randint(0, h - new_h)
    return fixed_crop(src, x0, y0, new_w, new_h, size, interp), (x0, y0, new_w, new_h)


def center_crop(src: Any, size: tuple[int, int], interp: int = 2) -> Cut:
    """The part of that size (width, height) in the middle."""
    h, w, _ = src.shape
    new_w, new_h = scale_down((w, h), size)
    x0, y0 = int((w - new_w) / 2), int((h - new_h) / 2)
    return fixed_crop(src, x0, y0, new_w, new_h, size, interp), (x0, y0, new_w, new_h)


def random_size_crop(
    src: Any, size: tuple[int, int], area: Any, ratio: tuple[float, float], interp: int = 2, **kwargs: Any
) -> Cut:
    """A part of random area and ratio, resized to `size` (width, height); the middle if ten tries do not fit.

    Args:
        area: the share of the picture: the least, or (least, most).
        ratio: (least, most) of width / height.
    """
    h, w, _ = src.shape
    if "min_area" in kwargs:
        warnings.warn("`min_area` is deprecated. Please use `area` instead.", DeprecationWarning, stacklevel=2)
        area = kwargs.pop("min_area")
    assert not kwargs, "unexpected keyword arguments for `random_size_crop`."
    area = (area, 1.0) if isinstance(area, (int, float, np.generic)) else area
    for _ in range(10):
        target = random.uniform(area[0], area[1]) * h * w
        new_ratio = np.exp(random.uniform(np.log(ratio[0]), np.log(ratio[1])))
        new_w, new_h = round(np.sqrt(target * new_ratio)), round(np.sqrt(target / new_ratio))
        if new_w <= w and new_h <= h:
            x0, y0 = random.randint(0, w - new_w), random.randint(0, h - new_h)
            return fixed_crop(src, x0, y0, new_w, new_h, size, interp), (x0, y0, new_w, new_h)
    return center_crop(src, size, interp)


def color_normalize(src: Any, mean: Any, std: Any = None) -> Any:
    """(src - mean) / std, in place; None leaves one of them out."""
    if mean is not None:
        src -= mean
    if std is not None:
        src /= std
    return src


def imrotate(src: Any, rotation_degrees: Any, zoom_in: bool = False, zoom_out: bool = False) -> Any:
    """Pictures turned around their middle, (channels, height, width) or a batch of them, float32.

    Args:
        rotation_degrees: the angle, or one for each picture.
        zoom_in: enlarge until no corner is empty.
        zoom_out: make smaller until nothing is cut off.
    """
    if zoom_in and zoom_out:
        raise ValueError("`zoom_in` and `zoom_out` cannot be both True")
    if src._t.dtype is not torch.float32:
        raise TypeError("Only `float32` images are supported by this function")
    single = isinstance(rotation_degrees, (int, float, np.number))
    if src.ndim == 3 and not single:
        raise TypeError("When a single image is passed the rotation angle is required to be a scalar.")
    if src.ndim not in (3, 4):
        raise ValueError("Only 3D and 4D are supported by this function")
    pictures = src._t.detach() if src.ndim == 4 else src._t.detach()[None]
    count, _, h, w = pictures.shape
    degrees = torch.full((count,), float(rotation_degrees)) if single else rotation_degrees._t.float().reshape(-1)
    if len(degrees) != count:
        raise ValueError("The number of images must be equal to the number of rotation angles")
    angle = (np.pi * degrees / 180).to(pictures.device).reshape(-1, 1, 1)
    rows = (torch.arange(h, device=pictures.device) - (h - 1) / 2).reshape(1, h, 1)
    columns = (torch.arange(w, device=pictures.device) - (w - 1) / 2).reshape(1, 1, w)
    across = (columns * torch.cos(angle) - rows * torch.sin(angle)) / ((w - 1) / 2)
    down = (columns * torch.sin(angle) + rows * torch.cos(angle)) / ((h - 1) / 2)
    grid = torch.stack([across, down], -1)
    if zoom_in or zoom_out:
        corner, reach = np.arctan(h / w), np.hypot(h, w)
        turns = torch.stack([corner + angle.abs(), corner - angle.abs()])
        width, height = (reach * torch.cos(turns)).abs().amax(0), (reach * torch.sin(turns)).abs().amax(0)
        scale = torch.maximum(width / w, height / h) if zoom_out else torch.minimum(w / width, h / height)
        grid = grid * scale[..., None]
    found = torch.nn.functional.grid_sample(pictures, grid.float(), align_corners=True)
    return wrap(found if src.ndim == 4 else found[0], src._ctx, type(src))


def random_rotate(src: Any, angle_limits: tuple[float, float], zoom_in: bool = False, zoom_out: bool = False) -> Any:
    """Pictures turned by random angles between two limits, in degrees."""
    if src.ndim == 3:
        return imrotate(src, np.random.uniform(*angle_limits), zoom_in=zoom_in, zoom_out=zoom_out)
    angles = np.random.uniform(*angle_limits, size=src.shape[0]).astype("float32")
    return imrotate(src, wrap(torch.from_numpy(angles), src._ctx, NDArray), zoom_in=zoom_in, zoom_out=zoom_out)


claim(globals())
