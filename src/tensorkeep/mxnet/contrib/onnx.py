"""mx.contrib.onnx: the names; tensorkeep neither reads ONNX into symbols nor exports symbols."""

from __future__ import annotations

from tensorkeep.mxnet._refused import refuse

refuse(
    globals(),
    ("export_model", "get_model_metadata", "import_model", "import_to_gluon"),
    "Convert between ONNX and MXNet with MXNet itself.",
)
