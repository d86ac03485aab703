"""mx.contrib.amp."""

from tensorkeep.mxnet.contrib.amp import amp

__all__ = ["amp"]

globals().update({name: getattr(amp, name) for name in amp.NAMES})
