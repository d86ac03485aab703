"""broadcast_to, broadcast_axis, broadcast_like."""

from tests.mxnet.ops.case import Case, Given, Rand

CASES = [
    Case("broadcast_to", ((1, 3),), {"shape": (2, 3)}),
    Case("broadcast_to", ((1, 3),), {"shape": (2, 0)}),
    Case("broadcast_to", ((2, 3),), {"shape": (2, 3)}),
    Case("broadcast_to", (Rand((1, 3), "int32"),), {"shape": (2, 3)}),
    Case("broadcast_to", (Given([[True], [False]], "bool"),), {"shape": (2, 3)}),
    Case("broadcast_to", ((1, 3),), {"shape": (2, 0)}, np=True),
    Case("broadcast_to", ((1, 3),), {"shape": (-1, 3)}, np=True, error=True),
    Case("broadcast_to", ((1, 3),), {"shape": (2, 4)}, error=True),
    Case("broadcast_to", ((3,),), {"shape": (2, 3)}, error=True),
    Case("broadcast_to", ((2, 2),), {"shape": (1, 2)}, error=True),
    Case("broadcast_axis", ((1, 2, 1),), {"axis": (0, 2), "size": (2, 3)}),
    Case("broadcast_axis", ((1, 2, 1),), {"axis": 2, "size": 3}),
    Case("broadcast_axis", ((1, 2, 1),)),
    Case("broadcast_axis", ((1, 2, 1),), {"axis": 1, "size": 3}, error=True),
    Case("broadcast_axis", ((1, 2, 1),), {"axis": -1, "size": 3}, error=True),
    Case("broadcast_axis", ((1, 2, 1),), {"axis": (0, 2), "size": 3}, error=True),
    Case("broadcast_axis", ((1, 2, 1),), {"axis": 5, "size": 3}, error=True),
    Case("broadcast_like", ((1, 3), (2, 3))),
    Case("broadcast_like", ((1, 3), Rand((2, 3), "float64"))),
    Case("broadcast_like", ((1, 2, 1), (5, 6, 7)), {"lhs_axes": (0,), "rhs_axes": (1,)}),
    Case("broadcast_like", ((1, 2, 1), (5, 6, 7)), {"lhs_axes": (0, -1), "rhs_axes": (-1, 0)}),
    Case("broadcast_like", ((1, 2, 1), (5, 6, 7)), {"lhs_axes": (0,), "rhs_axes": (1, 2)}, error=True),
    Case("broadcast_like", ((1, 2, 1), (5, 6, 7)), {"lhs_axes": (1,), "rhs_axes": (1,)}, error=True),
    Case("broadcast_like", ((1, 2, 1), (5, 6, 7)), {"lhs_axes": (8,), "rhs_axes": (1,)}, error=True),
    Case("broadcast_like", ((1, 2, 1), (5, 6, 7)), error=True),
    Case("broadcast_like", ((3,), (2, 3)), error=True),
]
