"""FullyConnected."""

from tests.mxnet.ops.case import Case

CASES = [
    Case("FullyConnected", ((2, 3), (4, 3), (4,)), {"num_hidden": 4}),
    Case("FullyConnected", ((2, 3), (4, 3)), {"num_hidden": 4, "no_bias": True}),
    Case("FullyConnected", ((2, 3, 2), (4, 6), (4,)), {"num_hidden": 4}, note="flattened"),
    Case("FullyConnected", ((2, 3, 2), (4, 2), (4,)), {"num_hidden": 4, "flatten": False}),
    Case("FullyConnected", ((2, 3), (4, 2), (4,)), {"num_hidden": 4}, error=True),
]
