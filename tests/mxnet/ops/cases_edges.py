"""Cases at the edges of several families: arrays of no dimension, parts of nothing, refusals."""

from __future__ import annotations

from tests.mxnet.ops.case import Case, Rand

CASES = [
    *(Case(op, ((),), {"axis": axis}, np=True) for op in ("softmax", "log_softmax", "softmin") for axis in (-1, 0)),
    *(
        Case(op, ((),), {"axis": axis}, np=True, grad=False)
        for op in ("_npi_argmax", "_npi_argmin")
        for axis in (-1, 0)
    ),
    Case("_npi_argmax", ((),), {"axis": 1}, np=True, error=True),
    *(
        Case("_split_v2", ((0, 3),), {"indices": indices, "axis": 0, "squeeze_axis": False}, np=True, grad=False)
        for indices in ((0, 1), (0, 1, 2), (0, 2, 1), (0, 5), (0, -1))
    ),
    Case("_split_v2", ((3, 2),), {"indices": (0, 5), "axis": 0}, error=True),
    Case("_split_v2", ((3, 2),), {"indices": (0, 2, 1), "axis": 0}, error=True),
    *(Case("tile", ((2, 3),), {"reps": reps}, error=True) for reps in ((0,), (2, 0), (-1,), (2, -1))),
    Case("tile", ((2, 3),), {"reps": (2, 0)}, np=True),
    *(
        Case(op, (shape,), {"block_size": size}, error=True)
        for op, shape, size in (
            ("space_to_depth", (1, 4, 4, 4), 0),
            ("space_to_depth", (1, 4, 4, 4), -1),
            ("space_to_depth", (1, 4, 4, 4), 3),
            ("space_to_depth", (1, 4, 4, 3), 2),
            ("space_to_depth", (4, 4, 4), 2),
            ("depth_to_space", (1, 4, 4, 4), 0),
            ("depth_to_space", (1, 4, 4, 4), 3),
            ("depth_to_space", (1, 3, 4, 4), 2),
            ("depth_to_space", (1, 4, 4, 4, 4), 2),
        )
    ),
    *(
        Case("LeakyReLU", (data, gamma), {"act_type": "prelu"})
        for data, gamma in (
            ((2, 3), (2, 3)),
            ((2, 3), (2,)),
            ((2, 3, 2), (2, 3)),
            ((2, 3, 2), (1, 3)),
            ((2, 3, 2), (2, 1)),
            ((3, 2, 4), (3,)),
            ((4,), (4,)),
        )
    ),
    *(
        Case("LeakyReLU", (data, gamma), {"act_type": "prelu"}, error=True)
        for data, gamma in (((2, 3, 2), (2, 3, 2)), ((2, 3, 4), (4,)), ((2, 3), (3, 1)), ((2, 3, 2), (1, 3, 1)))
    ),
    Case("softmax", (Rand((3, 4)), Rand((3,), "int32", "int", 0, 5)), {"use_length": True, "temperature": 2.0}),
]
