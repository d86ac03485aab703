"""mx.np's arithmetic, comparisons and functions of one array."""

from tests.mxnet.ops.case import Case, Given, Rand

FLOATS = ("float16", "float32", "float64")
INTEGERS = ("int8", "uint8", "int32", "int64")
NAN, INF = float("nan"), float("inf")


def numbers(dtype, low=-4, high=5, shape=(2, 3)):
    """Values of a dtype without 0."""
    if dtype == "bool":
        return Rand(shape, dtype, "int", 0, 2)
    if dtype in FLOATS:
        return Rand(shape, dtype, "uniform", 0.3, 3)
    return Rand(shape, dtype, "int", 1, high)


def pairs(op, dtypes, **more):
    return [Case(f"_npi_{op}", (numbers(d), numbers(d)), np=True, note=d, grad=d in FLOATS, **more) for d in dtypes]


def mixed(op, kinds, **more):
    return [
        Case(f"_npi_{op}", (numbers(a), numbers(b)), np=True, grad=False, note=f"{a}, {b}", **more) for a, b in kinds
    ]


SIGNED = Given([[-7, 7, -5], [5, -2, 9]], "float32"), Given([[3, -3, 2.5], [-2.5, 0, 0]], "float32")
SIGNED_INT = Given([[-7, 7, -5], [5, -2, 9]], "int32"), Given([[3, -3, 2], [-2, 0, 0]], "int32")

CASES = []
for name in ("add", "subtract", "multiply", "mod", "power", "true_divide"):
    CASES += pairs(name, (*FLOATS, *INTEGERS))
    CASES += mixed(name, [("int32", "float32"), ("float64", "int8"), ("bool", "float16"), ("float32", "bool")])
    CASES += [
        Case(f"_npi_{name}", (numbers("float32", shape=(2, 1)), numbers("float32", shape=(3,))), np=True, note="wide"),
        Case(f"_npi_{name}", (numbers("float32", shape=()), numbers("float32", shape=(2, 3))), np=True, note="0-d"),
        Case(f"_npi_{name}", (numbers("float32", shape=(0, 3)), numbers("float32", shape=(1, 3))), np=True,
             grad=False, note="empty"),
        Case(f"_npi_{name}", ((2, 3), (2,)), np=True, error=True),
    ]  # fmt: skip
for name in ("add", "subtract", "multiply", "mod", "power"):
    CASES += mixed(name, [("float32", "float64"), ("float16", "float32")])
for name in ("add", "multiply", "power"):
    CASES += pairs(name, ("bool",))
    CASES += mixed(name, [("int8", "int32"), ("int64", "uint8"), ("bool", "int32")])
    CASES += mixed(name, [("uint8", "int8")], error=True)
for name in ("subtract", "mod"):
    CASES += pairs(name, ("bool",), error=True)
    CASES += mixed(name, [("int8", "int32"), ("bool", "int32")], error=True)
CASES += mixed("true_divide", [("float16", "float32"), ("int32", "int64")], error=True)
CASES += pairs("true_divide", ("bool",))
CASES += [
    Case("_npi_mod", SIGNED, np=True, grad=False, note="signs"),
    Case("_npi_mod", SIGNED_INT, np=True, grad=False, note="signs"),
    Case("_npi_power", (Given([2, -2, 0, 1, -1, 3], "int32"), Given([-1, -1, -1, -3, -3, 4], "int32")), np=True,
         note="negative"),
    Case("_npi_power", (Given([2, -2, 0, 0, -1, 3]), Given([-1, 3, 0, 2, -3, 0.5])), np=True, grad=False, note="edges"),
    Case("_npi_true_divide", (Given([1, -1, 0, INF]), Given([0, 0, 0, INF])), np=True, grad=False, note="poles"),
]  # fmt: skip

for name in ("copysign", "ldexp", "hypot", "arctan2"):
    CASES += pairs(name, FLOATS[:2] if name == "ldexp" else FLOATS)
    CASES += mixed(name, [("float16", "float32")], error=True)
for name in ("copysign", "ldexp", "lcm"):
    CASES += pairs(name, INTEGERS)
for name in ("hypot", "arctan2"):
    CASES += pairs(name, ("int32",), error=True)
CASES += [
    Case("_npi_copysign", (Given([1, -2, 0, NAN]), Given([-1, 1, -0.0, -1])), np=True, grad=False, note="signs"),
    Case("_npi_arctan2", (Given([0, 1, -1, -0.0]), Given([-1, 0, 0, -1])), np=True, grad=False, note="axes"),
    Case("_npi_lcm", (Given([4, 6, 0, -4], "int32"), Given([6, 4, 3, 6], "int32")), np=True, note="zero"),
    Case("_npi_copysign", (Rand((2, 1)), Rand((3,))), np=True, note="wide"),
    Case("_npi_hypot", (Rand((2, 1)), Rand((3,))), np=True, note="wide"),
]  # fmt: skip
for name in ("bitwise_and", "bitwise_or", "bitwise_xor"):
    CASES += pairs(name, (*INTEGERS, "bool"))
    CASES += pairs(name, ("float32",), error=True)
    CASES += mixed(name, [("int8", "int32")], error=True)
for name in ("equal", "not_equal", "greater", "less", "greater_equal", "less_equal"):
    for d in (*FLOATS, *INTEGERS, "bool"):
        a, b = Rand((2, 3), d, "int", 0, 2), Rand((3,), d, "int", 0, 2)
        CASES.append(Case(f"_npi_{name}", (a, b), np=True, grad=False, note=d))
        CASES.append(Case(f"_npi_{name}_scalar", (a,), {"scalar": 1.0}, np=True, grad=False, note=d))
    CASES += mixed(name, [("int32", "int64"), ("float32", "int32")], error=True)
    CASES.append(Case(f"_npi_{name}_scalar", (Given([1, 2], "int32"),), {"scalar": 1.5}, np=True, note="cut"))
    CASES.append(Case(f"_npi_{name}_scalar", (Given([1, NAN, INF]),), {"scalar": INF}, np=True, grad=False, note="inf"))

for name in ("add", "subtract", "rsubtract", "multiply", "mod", "rmod", "power", "rpower", "true_divide",
             "rtrue_divide", "copysign", "rcopysign", "ldexp", "rldexp", "arctan2", "rarctan2"):  # fmt: skip
    for d in (*FLOATS, *INTEGERS, "bool"):
        grad = d in FLOATS and "copysign" not in name  # MXNet cannot compute that gradient
        rtol = 1e-6 if d == "float64" and "ldexp" in name else None  # its logarithm of 2 is a float32
        CASES.append(Case(f"_npi_{name}_scalar", (numbers(d),), {"scalar": 2.0}, np=True, grad=grad, note=d, rtol=rtol))
    for d in ("int32", "uint8"):
        CASES.append(Case(f"_npi_{name}_scalar", (numbers(d),), {"scalar": 1.5}, np=True, note=f"cut {d}"))
        attrs = {"scalar": 1.5, "is_int": False}
        CASES.append(Case(f"_npi_{name}_scalar", (numbers(d),), attrs, np=True, note=f"float64 {d}"))
    CASES.append(Case(f"_npi_{name}_scalar", (numbers("float32", shape=()),), {"scalar": -0.5}, np=True,
                      grad="copysign" not in name, note="0-d"))  # fmt: skip
for name in ("lcm", "bitwise_and", "bitwise_or", "bitwise_xor"):
    for d in INTEGERS if name == "lcm" else (*INTEGERS, "bool"):
        CASES.append(Case(f"_npi_{name}_scalar", (numbers(d),), {"scalar": 6.0}, np=True, note=d))
CASES += [
    Case("_npi_mod_scalar", (Given([-7, 7, 5]),), {"scalar": -3.0}, np=True, note="signs"),
    Case("_npi_mod_scalar", (Given([-7, 7, 5], "int32"),), {"scalar": 0.0}, np=True, note="zero"),
    Case("_npi_power_scalar", (Given([2, 0, -1], "int32"),), {"scalar": -1.0}, np=True, note="negative"),
    Case("_npi_true_divide_scalar", (Given([2, 0, -1], "int32"),), {"scalar": 0.0}, np=True, note="zero"),
]
