"""mx.contrib.quantization: the names; networks that were quantized by MXNet run, this package quantizes none."""

from __future__ import annotations

from tensorkeep.mxnet._refused import refuse

refuse(
    globals(),
    ("calib_graph", "combine_histogram", "quantize_graph", "quantize_model", "quantize_model_mkldnn", "quantize_net",
     "quantize_net_v2"),
    "Symbols that MXNet quantized are read and computed; quantizing one needs MXNet.",
)  # fmt: skip
