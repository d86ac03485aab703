"""mx.image: pictures from files, cut, resized and changed, and batches of them. Needs Pillow to decode."""

from __future__ import annotations

from tensorkeep.mxnet.image import _augment, detection, image
from tensorkeep.mxnet.image import detection as det
from tensorkeep.mxnet.image._augment import *  # noqa: F403 - its __all__
from tensorkeep.mxnet.image._iterator import ImageIter
from tensorkeep.mxnet.image.detection import *  # noqa: F403 - its __all__
from tensorkeep.mxnet.image.image import *  # noqa: F403 - its __all__

for _name in (*_augment.__all__, "ImageIter"):
    # Where MXNet has them too.
    setattr(image, _name, globals()[_name])

__all__ = ["ImageIter", "det", "detection", "image"]
__all__ += image.__all__
__all__ += _augment.__all__
__all__ += detection.__all__
