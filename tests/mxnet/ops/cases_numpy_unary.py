"""mx.np's functions of one array."""

from tests.mxnet.ops.case import Case, Given, Rand

NAN, INF = float("nan"), float("inf")
RANGES = {
    "arccos": (-0.9, 0.9), "arccosh": (1.1, 3), "arcsin": (-0.9, 0.9), "arctanh": (-0.9, 0.9), "log": (0.1, 4),
    "log10": (0.1, 4), "log1p": (-0.5, 3), "log2": (0.1, 4), "sqrt": (0.1, 4), "cbrt": (0.2, 4),
    "reciprocal": (0.3, 4), "tan": (-1.2, 1.2),
}  # fmt: skip
SMOOTH = """arccos arccosh arcsin arcsinh arctan arctanh cbrt cos cosh degrees exp expm1 log log10 log1p log2 negative
radians reciprocal sin sinh sqrt square tan tanh absolute sign ceil fix floor rint trunc""".split()  # noqa: SIM905

CASES = []
for name in SMOOTH:
    low, high = RANGES.get(name, (-3, 3))
    op = f"_npi_{name}"
    for dtype in ("float16", "float32", "float64"):
        rtol = 1e-6 if dtype == "float64" and name in ("degrees", "radians") else None  # MXNet's pi is a float32
        CASES.append(Case(op, (Rand((2, 3), dtype, "uniform", low, high),), np=True, note=dtype, rtol=rtol))
    CASES.append(Case(op, (Rand((), "float32", "uniform", low, high),), np=True, note="0-d"))
    CASES.append(Case(op, (Rand((0, 2)),), np=True, grad=False, note="empty"))
    edges = Given([0.0, -0.0, INF, -INF, NAN, 1.0, -1.0, 0.5, -2.5, 1.5, 2.5])
    CASES.append(Case(op, (edges,), np=True, grad=False, note="edges"))
    for dtype in ("int8", "uint8", "int32", "int64"):
        CASES.append(Case(op, (Given([1, 2, 3], dtype),), np=True, note=dtype))
    CASES.append(Case(op, (Given([True, False], "bool"),), np=True, error=True))
for name in ("isfinite", "isinf", "isnan", "isneginf", "isposinf", "logical_not"):
    for dtype in ("float16", "float32", "float64"):
        values = Given([0.0, -0.0, INF, -INF, NAN, 1.0], dtype)
        CASES.append(Case(f"_npi_{name}", (values,), np=True, grad=False, note=dtype))
    for dtype in ("int32", "bool"):
        CASES.append(Case(f"_npi_{name}", (Given([0, 1, 1], dtype),), np=True, note=dtype))
for dtype in ("int8", "uint8", "int32", "int64", "bool"):
    CASES.append(Case("_npi_bitwise_not", (Given([0, 1, 1], dtype),), np=True, note=dtype))
CASES += [
    Case("_npi_bitwise_not", (Given([0, 1]),), np=True, error=True),
    Case("_npi_around", (Given([0.5, 1.5, 2.5, -0.5, -1.5, 0.49, INF, NAN]),), np=True, grad=False),
    Case("_npi_around", (Given([0.25, 0.35, -1.255]),), {"decimals": 1}, np=True, grad=False),
    Case("_npi_around", (Given([15, 25, -151], "float64"),), {"decimals": -1}, np=True, grad=False),
    Case("_npi_around", (Given([15, 24, -151], "int32"),), {"decimals": -1}, np=True),
    Case("_npi_around", (Given([15, 24, -151], "int64"),), {"decimals": 1}, np=True),
    Case("_npi_around", (Given([1.5], "float16"),), np=True, error=True, grad=False),
]
for name in ("_npx_relu", "_npx_sigmoid"):
    for dtype in ("float16", "float32", "float64"):
        CASES.append(Case(name, (Rand((2, 3), dtype),), np=True, note=dtype))
    CASES.append(Case(name, (Given([-1, 0, 2, INF, -INF, NAN]),), np=True, grad=False, note="edges"))
    CASES.append(Case(name, (Given([-1, 0, 2], "int32"),), np=True, note="int32"))
