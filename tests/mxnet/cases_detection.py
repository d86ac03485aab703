"""Augmenters of pictures with boxes that real MXNet and we run: name → function of the package `mx`."""

import random

import numpy as np

PICTURE = (np.arange(40 * 60 * 3).reshape(40, 60, 3) * 7 % 251).astype("uint8")
BOXES = np.array(
    [[0, 0.1, 0.2, 0.6, 0.7], [3, 0.5, 0.5, 0.9, 0.95], [1, 0.0, 0.0, 0.2, 0.15]], dtype="float32"
)  # fmt: skip


def changed(mx, augmenter):
    """Shape, sum of the pixels and boxes after an augmenter, for six seeds."""
    found = []
    for seed in range(6):
        random.seed(seed)
        picture, boxes = augmenter(mx.nd.array(PICTURE, dtype="uint8"), BOXES.copy())
        rounded = [[round(float(value), 5) for value in row] for row in boxes]
        found.append([list(picture.shape), int(picture.asnumpy().astype("int64").sum()), rounded])
    return found


def dumped(mx):
    augmenters = mx.image.CreateDetAugmenter(
        (3, 30, 30), resize=20, rand_crop=0.5, rand_pad=0.5, rand_gray=0.1, rand_mirror=True, mean=True,
        std=np.array([1.0, 2.0, 3.0]), brightness=0.1, hue=0.1, pca_noise=0.1,
    )  # fmt: skip
    return [str(each.dumps()) for each in augmenters]


CASES = {
    "crop": lambda mx: changed(mx, mx.image.DetRandomCropAug()),
    "crop much": lambda mx: changed(mx, mx.image.DetRandomCropAug(min_object_covered=0.9, area_range=(0.3, 0.9))),
    "crop wide": lambda mx: changed(mx, mx.image.DetRandomCropAug(aspect_ratio_range=1.5, area_range=(0.5, 1))),
    "pad": lambda mx: changed(mx, mx.image.DetRandomPadAug()),
    "pad black": lambda mx: changed(mx, mx.image.DetRandomPadAug(area_range=(2, 4), pad_val=(0, 0, 0))),
    "flip": lambda mx: changed(mx, mx.image.DetHorizontalFlipAug(0.5)),
    "several": lambda mx: changed(
        mx, mx.image.CreateMultiRandCropAugmenter([0.1, 0.5, 0.9], area_range=(0.3, 1), skip_prob=0.3)
    ),
    "borrowed": lambda mx: changed(mx, mx.image.DetBorrowAug(mx.image.ForceResizeAug((20, 30), 0))),
    "dumps": dumped,
}


def iterated(mx, folder):
    """What ImageDetIter says of three rows, of which one has an object whose box is empty."""
    rows = [
        [2, 5, 0, 0.1, 0.2, 0.6, 0.7, 3, 0.5, 0.5, 0.9, 0.95, "a.png"],
        [2, 5, 1, 0.1, 0.2, 0.6, 0.7, "b.png"],
        [2, 5, 4, 0.3, 0.2, 0.1, 0.7, 2, 0.0, 0.1, 0.5, 0.6, "a.png"],
    ]
    iterator = mx.image.ImageDetIter(2, (3, 20, 30), imglist=rows, path_root=folder)
    found = [list(iterator.label_shape), [str(item) for item in iterator.provide_label[0]]]
    for batch in iterator:
        found.append([batch.pad, list(batch.data[0].shape), batch.label[0].asnumpy().round(5).tolist()])
    return found
