"""Operators on 8-bit values."""

from tests.mxnet.ops.case import Case, Given, Rand

REAL = Given([[-1.5, 0.3, 0.7, 2.1, 0, -0.004, 1.05]])
TIES = Given([[0.25, 0.75, 1.25, -0.25, -0.75, -1.25]])
S8 = Rand((2, 5), "int8", "int", -128, 128)
U8 = Rand((2, 5), "uint8", "int", 0, 256)
S32 = Rand((3, 5), "int32", "int", -(2**28), 2**28)
LOW, HIGH, ZERO = Given([-2]), Given([2.5]), Given([0])
ONE, MINUS, THREE = Given([1]), Given([-1]), Given([3])
IMAGE, UIMAGE = Rand((2, 3, 6, 6), "int8", "int", -128, 128), Rand((2, 3, 6, 6), "uint8", "int", 0, 256)
POSITIVE = Rand((3,), "float32", "uniform", 0.5, 2)
CALIB = {"min_calib_range": -3.0, "max_calib_range": 2.5}


def case(op: str, *inputs: object, error: bool = False, note: str = "", **attrs: object) -> Case:
    return Case(f"_contrib_{op}", inputs, attrs, grad=False, error=error, note=note)


CASES = [
    *(
        case("quantize_v2", data, **attrs)
        for data in (REAL, TIES, Rand((4, 5)))
        for attrs in [
            {}, {"min_calib_range": -1.0, "max_calib_range": 1.5}, {"min_calib_range": -63.75, "max_calib_range": 1.0},
            {"out_type": "auto", "min_calib_range": 0.0, "max_calib_range": 1.5},
            {"out_type": "uint8", "min_calib_range": 0.0, "max_calib_range": 127.75},
            {"out_type": "auto", "min_calib_range": -2.0, "max_calib_range": 1.5}, {"out_type": "uint8"},
        ]
    ),
    case("quantize_v2", S8),
    case("quantize_v2", Rand((2, 2), "float64"), error=True),
    *(case("quantize", data, LOW, HIGH, out_type=t) for t in ("int8", "uint8") for data in (REAL, Rand((4, 5)))),
    case("quantize", Rand((4, 5)), ZERO, HIGH),
    case("quantize", Given([[0.25, 0.75, 1.25, -0.25]]), Given([-63.5]), ONE, out_type="int8", note="ties"),
    case("dequantize", S8, LOW, HIGH),
    case("dequantize", U8, ZERO, HIGH),
    case("dequantize", Rand((2, 2), "int32", "int", 0, 9), LOW, HIGH, error=True),
    case("requantize", S32, LOW, HIGH, min_calib_range=-0.1, max_calib_range=0.2),
    case("requantize", S32, LOW, HIGH, min_calib_range=0.0, max_calib_range=0.2, out_type="uint8"),
    case("requantize", S32, LOW, HIGH, min_calib_range=0.0, max_calib_range=0.3, out_type="auto"),
    case("quantized_flatten", IMAGE, LOW, HIGH),
    case("quantized_act", S8, LOW, HIGH, act_type="relu"),
    case("quantized_act", S8, LOW, HIGH, act_type="tanh", error=True),
    case("quantized_concat", S8, S8, LOW, HIGH, MINUS, ONE, num_args=2),
    case("quantized_concat", U8, U8, ZERO, HIGH, ZERO, ONE, num_args=2),
    case("quantized_concat", U8, S8, ZERO, HIGH, MINUS, ONE, num_args=2, dim=0),
    case("quantized_elemwise_add", S8, S8, LOW, HIGH, MINUS, ONE, **CALIB),
    case("quantized_elemwise_add", U8, U8, ZERO, HIGH, ZERO, ONE, **CALIB),
    case("quantized_elemwise_add", S8, S8, LOW, HIGH, MINUS, ONE),
    *(
        case("quantized_pooling", data, LOW, HIGH, **attrs)
        for data in (IMAGE, UIMAGE)
        for attrs in [
            {"kernel": (2, 2), "stride": (2, 2)}, {"kernel": (2, 2), "pool_type": "avg"},
            {"kernel": (3, 3), "stride": (2, 2), "pad": (1, 1), "pool_type": "avg"},
            {"kernel": (3, 3), "stride": (2, 2), "pad": (1, 1), "pool_type": "avg", "count_include_pad": False},
            {"kernel": (2, 2), "global_pool": True, "pool_type": "avg"},
            {"kernel": (3, 3), "stride": (2, 2), "pooling_convention": "full"},
        ]
    ),
    *(
        case("quantized_fully_connected", data, Rand((4, 5), "int8", "int", -128, 128), *bias, low, HIGH, MINUS, ONE,
             *more, num_hidden=4, no_bias=not bias)
        for data, low in ((S8, LOW), (U8, ZERO))
        for bias, more in (((), ()), ((Rand((4,), "int8", "int", -128, 128),), (Given([-3]), THREE)))
    ),
    *(
        case("quantized_conv", UIMAGE, Rand((4, 3, 2, 2), "int8", "int", -128, 128), *bias, ZERO, HIGH, MINUS, ONE,
             *more, kernel=(2, 2), num_filter=4, no_bias=not bias, **attrs)
        for bias, more in (((), ()), ((Rand((4,), "int8", "int", -128, 128),), (Given([-3]), THREE)))
        for attrs in ({}, {"stride": (2, 2), "pad": (1, 1)})
    ),
    case(
        "quantized_conv", IMAGE, Rand((4, 3, 2, 2), "int8", "int", -9, 9), LOW, HIGH, MINUS, ONE, kernel=(2, 2),
        num_filter=4, no_bias=True, error=True,
    ),
    case("quantized_batch_norm", IMAGE, POSITIVE, (3,), (3,), POSITIVE, LOW, HIGH, fix_gamma=False, **CALIB),
    case("quantized_batch_norm", IMAGE, POSITIVE, (3,), (3,), POSITIVE, LOW, HIGH, error=True),
]  # fmt: skip
