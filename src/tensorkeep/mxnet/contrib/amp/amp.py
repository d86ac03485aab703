"""mx.contrib.amp: the names; networks that MXNet converted to mixed precision run, this package converts none."""

from __future__ import annotations

from tensorkeep.mxnet._refused import refuse

NAMES = (
    "convert_hybrid_block", "convert_model", "convert_symbol", "init", "init_trainer", "list_conditional_fp32_ops",
    "list_fp32_ops", "list_loss_output_functions", "list_lp16_fp32_ops", "list_lp16_ops", "list_lp16_use_fp32_params",
    "list_widest_type_cast", "scale_loss", "unscale",
)  # fmt: skip
"""What mx.contrib.amp has as well."""

refuse(
    globals(),
    (*NAMES, "convert_bucketing_module"),
    "Symbols with amp_cast are read and computed; for half precision cast the block or the symbol's inputs.",
)
