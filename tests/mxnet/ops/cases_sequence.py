"""SequenceMask, SequenceLast, SequenceReverse."""

from tests.mxnet.ops.case import Case, Given, Rand

USED = {"use_sequence_length": True}
LENGTHS = Given([1, 4, 2])
OPS = ("SequenceMask", "SequenceLast", "SequenceReverse")
CASES = [
    *(Case(op, ((4, 3, 2),), grad=op != "SequenceLast") for op in OPS),
    *(Case(op, ((4, 3, 2), LENGTHS), USED) for op in OPS),
    *(Case(op, ((4, 3), LENGTHS), USED) for op in OPS),
    *(Case(op, ((4, 3, 2, 2), Given([3, 1, 4], "int32")), USED) for op in OPS),
    *(Case(op, (Rand((4, 3), "float64"), Given([3, 1, 4], "int64")), USED) for op in OPS),
    *(Case(op, (Rand((4, 3), "int32", "int", 0, 9), Given([3, 1, 4], "int32")), USED) for op in OPS),
    Case("SequenceMask", ((4, 3, 2), LENGTHS), {**USED, "value": -1.5}),
    Case("SequenceMask", ((3, 4, 2), LENGTHS), {**USED, "axis": 1}),
    Case("SequenceMask", ((3, 4, 2), Given([0, 4, 9])), {**USED, "axis": 1, "value": 7.0}),
    Case("SequenceLast", ((3, 4, 2), LENGTHS), {**USED, "axis": 1}),
    Case("SequenceLast", ((3, 4, 2),), {"axis": 1}, grad=False),
    *(Case(op, ((4, 3, 2), Given([1, 4])), USED, error=True) for op in OPS),
    *(Case(op, ((4,), Given([1, 4])), USED, error=True) for op in ("SequenceMask", "SequenceLast")),
    Case("SequenceReverse", ((3, 4, 2), LENGTHS), {**USED, "axis": 1}, error=True),
    Case("SequenceMask", ((4, 3, 2), LENGTHS), {**USED, "axis": 2}, error=True),
]
