"""Pictures to change: what real MXNet 1.9.1 and tensorkeep both do. Needs NumPy only."""

import base64
import random

import numpy as np

PICTURE = np.random.RandomState(0).randint(0, 256, (7, 9, 3)).astype("uint8")
# A JPEG and a PNG of 9 x 7 pixels, made once by Pillow 13 of a smooth picture.
_TEXTS = {
    "jpg": (
        "/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDAAUDBAQEAwUEBAQFBQUGBwwIBwcHBw8LCwkMEQ8SEhEPERETFhwXExQaFRERGCEYGh0d"
        "Hx8fExciJCIeJBweHx7/2wBDAQUFBQcGBw4ICA4eFBEUHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4e"
        "Hh4eHh4eHh7/wAARCAAHAAkDASIAAhEBAxEB/8QAHwAAAQUBAQEBAQEAAAAAAAAAAAECAwQFBgcICQoL/8QAtRAAAgEDAwIEAwUF"
        "BAQAAAF9AQIDAAQRBRIhMUEGE1FhByJxFDKBkaEII0KxwRVS0fAkM2JyggkKFhcYGRolJicoKSo0NTY3ODk6Q0RFRkdISUpTVFVW"
        "V1hZWmNkZWZnaGlqc3R1dnd4eXqDhIWGh4iJipKTlJWWl5iZmqKjpKWmp6ipqrKztLW2t7i5usLDxMXGx8jJytLT1NXW19jZ2uHi"
        "4+Tl5ufo6erx8vP09fb3+Pn6/8QAHwEAAwEBAQEBAQEBAQAAAAAAAAECAwQFBgcICQoL/8QAtREAAgECBAQDBAcFBAQAAQJ3AAEC"
        "AxEEBSExBhJBUQdhcRMiMoEIFEKRobHBCSMzUvAVYnLRChYkNOEl8RcYGRomJygpKjU2Nzg5OkNERUZHSElKU1RVVldYWVpjZGVm"
        "Z2hpanN0dXZ3eHl6goOEhYaHiImKkpOUlZaXmJmaoqOkpaanqKmqsrO0tba3uLm6wsPExcbHyMnK0tPU1dbX2Nna4uPk5ebn6Onq"
        "8vP09fb3+Pn6/9oADAMBAAIRAxEAPwDqPFCavY69onhxrmJpru42+YF45Fd5/wAKu13/AKCdv/3zRRXoYinSw9CnKFON5czei/mf"
        "4LZLojzcFiZ1cPCMLU4pLSC5Vrq9F5n/2Q=="
    ),
    "png": (
        "iVBORw0KGgoAAAANSUhEUgAAAAkAAAAHCAIAAABV+fA3AAAAz0lEQVR4nAHEADv/ARL5gQYFBAcBDh0A/kjQ1kXF2Q30EPUGIv0C"
        "DQQg3xYHB/sKEvYbAPMR6AT+6iD0/A7wERL7AwkEUKY2Cg3lFCG7FQzWDsYx/8hF5BIJ3yr28wf+BEXDMgsOBRzq7w0P2OTMPtfQ"
        "R+EoBuAr3vEM9QTwSQD4AgoFBCDt9SvRAhTODfwBGAYgJA8HIQkE2WL2BvUC594p/tYGxxIS0hzmMSIQPycFHyQGBPMT/QQTAv/v"
        "EPsFF+cFCOcJ+CsN+xEQCBsOBVbzSqC/k/qLAAAAAElFTkSuQmCC"
    ),
}
FILES = {name: base64.b64decode(text) for name, text in _TEXTS.items()}


def whole(mx):
    return mx.nd.array(PICTURE, dtype="uint8")


def floats(mx):
    return mx.nd.array(PICTURE, dtype="uint8").astype("float32")


def augmenter(name, *args, kind=floats, **kwargs):
    return lambda mx: getattr(mx.image, name)(*args, **kwargs)(kind(mx))


def every(mx):
    src = whole(mx)
    for each in mx.image.CreateAugmenter(
        (3, 4, 4), resize=5, rand_crop=True, rand_mirror=True, mean=True, std=True, brightness=0.1, contrast=0.1,
        saturation=0.1, hue=0.1, pca_noise=0.1, rand_gray=0.5,
    ):  # fmt: skip
        src = each(src)
    return src


CASES = {f"imresize {i} {w}x{h}": (lambda mx, i=i, w=w, h=h: mx.image.imresize(whole(mx), w, h, i))
         for i in range(5) for w, h in ((4, 3), (9, 7), (15, 20), (5, 14), (3, 7))}  # fmt: skip
CASES |= {f"float {i}": (lambda mx, i=i: mx.image.imresize(floats(mx), 5, 11, i)) for i in range(5)}
CASES |= {
    "jpg": lambda mx: mx.image.imdecode(FILES["jpg"]),
    "jpg grey": lambda mx: mx.image.imdecode(FILES["jpg"], flag=0),
    "jpg bgr": lambda mx: mx.image.imdecode(FILES["jpg"], to_rgb=0),
    "png": lambda mx: mx.image.imdecode(FILES["png"]),
    "png grey": lambda mx: mx.image.imdecode(FILES["png"], flag=0),
    "broken": lambda mx: mx.image.imdecode(b"hello"),
    "empty": lambda mx: mx.image.imdecode(b""),
    "text": lambda mx: mx.image.imdecode("hello"),
    "resize_short": lambda mx: mx.image.resize_short(whole(mx), 4),
    "fixed_crop": lambda mx: mx.image.fixed_crop(whole(mx), 1, 2, 5, 3),
    "fixed_crop sized": lambda mx: mx.image.fixed_crop(whole(mx), 1, 2, 5, 3, (4, 4), 1),
    "center_crop": lambda mx: mx.image.center_crop(whole(mx), (4, 3))[0],
    "center_crop large": lambda mx: mx.image.center_crop(whole(mx), (20, 10))[0],
    "random_crop": lambda mx: mx.image.random_crop(whole(mx), (4, 3))[0],
    "random_size_crop": lambda mx: mx.image.random_size_crop(whole(mx), (4, 3), (0.2, 0.9), (0.7, 1.4))[0],
    "scale_down": lambda mx: mx.nd.array(mx.image.scale_down((640, 480), (720, 120))),
    "color_normalize": lambda mx: mx.image.color_normalize(floats(mx), mx.nd.array([1, 2, 3]), mx.nd.array([2, 3, 4])),
    "border": lambda mx: mx.image.copyMakeBorder(whole(mx), 1, 2, 3, 4),
    "border 1": lambda mx: mx.image.copyMakeBorder(whole(mx), 1, 2, 3, 4, type=1),
    "border 2": lambda mx: mx.image.copyMakeBorder(whole(mx), 1, 2, 3, 4, type=2),
    "border 4": lambda mx: mx.image.copyMakeBorder(whole(mx), 1, 2, 3, 4, type=4),
    "ResizeAug": augmenter("ResizeAug", 5, kind=whole),
    "ForceResizeAug": augmenter("ForceResizeAug", (5, 4), 9, kind=whole),
    "RandomCropAug": augmenter("RandomCropAug", (5, 4), kind=whole),
    "RandomSizedCropAug": augmenter("RandomSizedCropAug", (5, 4), 0.1, (0.7, 1.3), kind=whole),
    "CenterCropAug": augmenter("CenterCropAug", (5, 4), kind=whole),
    "BrightnessJitterAug": augmenter("BrightnessJitterAug", 0.5),
    "ContrastJitterAug": augmenter("ContrastJitterAug", 0.5),
    "SaturationJitterAug": augmenter("SaturationJitterAug", 0.5),
    "HueJitterAug": augmenter("HueJitterAug", 0.5),
    "ColorJitterAug": augmenter("ColorJitterAug", 0.5, 0.5, 0.5),
    "ColorNormalizeAug": augmenter("ColorNormalizeAug", np.array([1.0, 2, 3]), np.array([2.0, 2, 2])),
    "RandomGrayAug": augmenter("RandomGrayAug", 1.0),
    "HorizontalFlipAug": augmenter("HorizontalFlipAug", 1.0, kind=whole),
    "CastAug": augmenter("CastAug", kind=whole),
    "CreateAugmenter": every,
    "dumps": lambda mx: [each.dumps() for each in mx.image.CreateAugmenter((3, 4, 4), brightness=0.1, mean=True)],
}


def run(mx, name):
    """dtype, shape and values; or the type and the text of the refusal."""
    random.seed(4)
    np.random.seed(4)
    try:
        found = CASES[name](mx)
    except (mx.base.MXNetError, ValueError) as err:
        return [type(err).__name__, str(err).split("MXNetError: ")[-1].split(": ")[-1]]
    if isinstance(found, list):
        return found
    values = found.asnumpy()
    return [str(values.dtype), list(values.shape), [round(float(v), 4) for v in values.ravel()]]
