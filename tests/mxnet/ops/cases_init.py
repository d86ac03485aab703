"""Arrays made from nothing."""

from tests.mxnet.ops.case import Case

CASES = [
    Case("_zeros", (), {"shape": (2, 3)}),
    Case("_zeros", (), {"shape": 3, "dtype": "int32"}),
    Case("_zeros", (), {"shape": (2,), "dtype": "bool"}),
    Case("_zeros", (), {"shape": (2,), "dtype": "float16"}),
    Case("_zeros", (), {"shape": (2, 0)}, np=True),
    Case("_zeros", (), {"shape": ()}, np=True),
    Case("_zeros", (), {"shape": (2, 0)}, error=True),
    Case("_zeros", (), {"shape": (2, -1)}, np=True, error=True),
    Case("_zeros", (), {"shape": ()}, error=True),
    Case("_zeros", (), error=True, note="no shape"),
    Case("_ones", (), {"shape": (2, 3)}),
    Case("_ones", (), {"shape": (2, 3), "dtype": "int64"}),
    Case("_ones", (), {"shape": ()}, np=True),
    Case("_ones", (), {"shape": (0,)}, error=True),
]
CASES = [Case(**{**vars(case), "grad": False}) for case in CASES]
