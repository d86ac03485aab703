"""FullyConnected, Embedding, the products of attention."""

from tests.mxnet.ops.case import Case, Given, Rand

TABLE = {"input_dim": 4, "output_dim": 3}
PICK = Given([[0, 3, 1], [2, 2, 0]], "int32")

CASES = [
    Case("FullyConnected", ((2, 3), (4, 3), (4,)), {"num_hidden": 4}),
    Case("FullyConnected", ((2, 3), (4, 3)), {"num_hidden": 4, "no_bias": True}),
    Case("FullyConnected", ((2, 3, 2), (4, 6), (4,)), {"num_hidden": 4}, note="flattened"),
    Case("FullyConnected", ((2, 3, 2), (4, 2), (4,)), {"num_hidden": 4, "flatten": False}),
    Case("FullyConnected", ((3,), (4, 3), (4,)), {"num_hidden": 4, "flatten": False}),
    Case("FullyConnected", ((3,), (4, 1), (4,)), {"num_hidden": 4}, note="1-D"),
    Case("FullyConnected", tuple(Rand(s, "float64") for s in ((2, 3), (4, 3), (4,))), {"num_hidden": 4}),
    Case("FullyConnected", ((2, 3), (4, 2), (4,)), {"num_hidden": 4}, error=True),
    Case("FullyConnected", ((2, 3), (4, 3), (4,)), {"num_hidden": 5}, error=True),
    Case("FullyConnected", ((2, 3), (4, 3), (3,)), {"num_hidden": 4}, error=True),
    Case("FullyConnected", ((2, 3), (4, 3)), {"num_hidden": 4}, error=True),
    Case("FullyConnected", ((2, 3), Rand((4, 3), "float64"), (4,)), {"num_hidden": 4}, error=True),
    Case("Embedding", (PICK, (4, 3)), TABLE),
    Case("Embedding", (Rand((5,), "int32", "int", 0, 4), (4, 3)), TABLE),
    Case("Embedding", (Rand((2, 1, 2), "int64", "int", 0, 4), (4, 3)), TABLE),
    Case("Embedding", (Rand((3,), "uint8", "int", 0, 4), Rand((4, 3), "float64")), {**TABLE, "dtype": "float64"}),
    Case("Embedding", (Rand((3,), "int8", "int", 0, 4), Rand((4, 3), "float16")), {**TABLE, "dtype": "float16"}),
    Case("Embedding", (Given([2.9, -1, 9, 0.2]), (4, 3)), TABLE, grad=False, note="out of range"),
    Case("Embedding", (PICK, Rand((4, 3), "int32", "int", 0, 9)), {**TABLE, "dtype": "int32"}, grad=False),
    Case("Embedding", (PICK, (4, 3)), {**TABLE, "sparse_grad": False}),
    Case("Embedding", (PICK, (5, 3)), TABLE, error=True),
    Case("Embedding", (PICK, (4, 3)), {"input_dim": 4}, error=True),
    Case("FullyConnected", ((0, 3, 2), (4, 6), (4,)), {"num_hidden": 4}, np=True, grad=False),
    Case("Embedding", ((0,), (4, 3)), TABLE, np=True, grad=False),
    Case("_contrib_SparseEmbedding", (PICK, (4, 3)), TABLE, grad=False),
    Case("_contrib_SparseEmbedding", (Given([2.9, 0.2]), (4, 3)), TABLE, grad=False),
    Case("_contrib_SparseEmbedding", (Given([1, 9]), (4, 3)), TABLE, grad=False),
    Case("_contrib_interleaved_matmul_selfatt_qk", ((3, 2, 12),), {"heads": 2}),
    Case("_contrib_interleaved_matmul_selfatt_qk", ((3, 2, 9),), {"heads": 1}),
    Case("_contrib_interleaved_matmul_selfatt_valatt", ((3, 2, 12), (4, 3, 3)), {"heads": 2}),
    Case("_contrib_interleaved_matmul_encdec_qk", ((3, 2, 4), (5, 2, 8)), {"heads": 2}),
    Case("_contrib_interleaved_matmul_encdec_valatt", ((5, 2, 8), (4, 3, 5)), {"heads": 2}),
]
