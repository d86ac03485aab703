"""gluon.contrib.cnn."""

from __future__ import annotations

from tensorkeep.mxnet.gluon.contrib.cnn.conv_layers import DeformableConvolution, ModulatedDeformableConvolution

__all__ = ["DeformableConvolution", "ModulatedDeformableConvolution"]
