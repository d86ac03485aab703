"""mx.contrib.svrg_optimization: the names."""

from __future__ import annotations

from tensorkeep.mxnet._refused import refuse

refuse(globals(), ("SVRGModule",), "Train with mx.mod.Module and an optimizer of mx.optimizer.")
