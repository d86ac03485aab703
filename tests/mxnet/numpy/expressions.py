"""Expressions that real MXNet and we evaluate: topic → name → function of the package `mx`. Needs nothing but NumPy."""

import numpy as onp

INF, NAN = float("inf"), float("nan")


def a(mx):
    return mx.np.array([[1, 2, 3], [4, 5, 6]])


def v(mx):
    return mx.np.array([1.0, 2.0, 3.0])


def i(mx):
    return mx.np.array([1, 2, 3], dtype="int32")


def written(array, key, value):
    array[key] = value
    return array


def inplace(array, how):
    how(array)
    return array


def gradient(mx, function, *arrays):
    for array in arrays:
        array.attach_grad()
    with mx.autograd.record():
        found = function(*arrays)
    found.backward()
    return [found, *[array.grad for array in arrays]]


def traced(mx, function, *arrays):
    """A hybridized block of the function, called."""

    class Traced(mx.gluon.HybridBlock):
        def hybrid_forward(self, F, *inputs):
            return function(F.np, *inputs)

    block = Traced()
    block.hybridize()
    return block(*arrays)


def legacy_mode(mx, function):
    """What a function gives while NumPy semantics are off."""
    mx.npx.reset_np()
    try:
        return function()
    finally:
        mx.npx.set_np()


def bools(mx, *shape):
    return mx.np.ones(shape).astype("bool")


PRINTED = {
    "float32": lambda mx: v(mx),
    "float64": lambda mx: mx.np.array([1.5, 2], dtype="float64"),
    "int32": lambda mx: i(mx),
    "bool": lambda mx: v(mx) > 1,
    "0-d": lambda mx: mx.np.array(1.5),
    "0-d int": lambda mx: mx.np.array(1, dtype="int64"),
    "empty": lambda mx: mx.np.zeros((0, 3)),
    "empty int": lambda mx: mx.np.zeros((0, 3), dtype="int8"),
    "float16": lambda mx: mx.np.ones((2,), dtype="float16"),
    "long": lambda mx: mx.np.arange(2000),
    "wide": lambda mx: mx.np.arange(40).reshape(2, 20) == mx.np.arange(20),
    "3-d": lambda mx: mx.np.arange(8).reshape(2, 2, 2),
    "special": lambda mx: mx.np.array([INF, -INF, NAN]),
    "str": lambda mx: str(a(mx)),
    "str 0-d": lambda mx: str(mx.np.array(2.5)),
    "format 0-d": lambda mx: f"{mx.np.array(1.5):.2f}",
    "format": lambda mx: f"{v(mx)}",
    "format spec": lambda mx: f"{v(mx):.2f}",
    "dtype": lambda mx: v(mx).dtype,
    "list": lambda mx: [v(mx), i(mx)],
    "tuple": lambda mx: (v(mx), mx.np.zeros(2)),
    "dict": lambda mx: {"x": v(mx)},
    "cpu(1)": lambda mx: mx.np.ones((2,), ctx=mx.cpu(1)),
    "type": lambda mx: (type(v(mx)).__module__, type(v(mx)).__name__),
}
MADE = {
    "array of list": lambda mx: mx.np.array([1, 2]),
    "array of bools": lambda mx: mx.np.array([True, False]),
    "array of numpy": lambda mx: mx.np.array(onp.array([1, 2])),
    "array of float64": lambda mx: mx.np.array(onp.float64(1)),
    "array of array": lambda mx: mx.np.array(i(mx)),
    "array with dtype": lambda mx: mx.np.array([1.7, 2], dtype="int32"),
    "array of nothing": lambda mx: mx.np.array([]),
    "array of ragged": lambda mx: type(mx.np.array([[1, 2], [3]])),
    "array of nd": lambda mx: mx.np.array(mx.nd.ones((2,))),
    "zeros": lambda mx: mx.np.zeros((2, 2)),
    "zeros int": lambda mx: mx.np.zeros(3, dtype=int),
    "zeros of list": lambda mx: mx.np.zeros([2, 3]),
    "zeros F": lambda mx: mx.np.zeros(2, order="F"),
    "ones 0-d": lambda mx: mx.np.ones(()),
    "ones bool": lambda mx: mx.np.ones(2, dtype="bool"),
    "full": lambda mx: mx.np.full((2,), 1.5),
    "full bool": lambda mx: mx.np.full((2,), True),
    "full array": lambda mx: mx.np.full((2, 3), v(mx)),
    "full int": lambda mx: mx.np.full(2, 7, dtype="int32"),
    "full_like": lambda mx: mx.np.full_like(i(mx), 2.7),
    "zeros_like": lambda mx: mx.np.zeros_like(a(mx), dtype="int32"),
    "ones_like": lambda mx: mx.np.ones_like(i(mx)),
    "arange": lambda mx: mx.np.arange(4),
    "arange step": lambda mx: mx.np.arange(5, 0, -2, dtype="int32"),
    "arange none": lambda mx: mx.np.arange(1.5),
    "arange zero": lambda mx: mx.np.arange(1, 2, 0),
    "linspace": lambda mx: mx.np.linspace(0, 1, 5),
    "linspace step": lambda mx: mx.np.linspace(0, 1, 3, retstep=True),
    "linspace open": lambda mx: mx.np.linspace(0, 1, 4, endpoint=False, dtype="float64"),
    "linspace list": lambda mx: mx.np.linspace([0], 1),
    "logspace": lambda mx: mx.np.logspace(0, 2, 3),
    "eye": lambda mx: mx.np.eye(2, 3, k=1),
    "eye order": lambda mx: mx.np.eye(2, order="C"),
    "identity": lambda mx: mx.np.identity(2, dtype="int32"),
    "identity text": lambda mx: mx.np.identity("2"),
    "identity negative": lambda mx: mx.np.identity(-1),
    "indices": lambda mx: mx.np.indices((2, 2)),
    "indices int": lambda mx: mx.np.indices(2),
    "hanning": lambda mx: mx.np.hanning(5),
    "empty shape": lambda mx: mx.np.empty((2, 0)),
    "empty_like": lambda mx: mx.np.empty_like(i(mx)).shape,
    "empty_like shape": lambda mx: mx.np.empty_like(i(mx), shape=(2,)),
    "meshgrid": lambda mx: mx.np.meshgrid(v(mx), mx.np.array([5.0, 6.0])),
    "meshgrid ij": lambda mx: mx.np.meshgrid(v(mx), mx.np.array([5.0, 6.0]), indexing="ij"),
    "meshgrid sparse": lambda mx: mx.np.meshgrid(v(mx), sparse=True),
    "genfromtxt": lambda mx: mx.np.genfromtxt(["1 2", "3 4"]),
    "tril": lambda mx: mx.np.tril(mx.np.ones((3, 3)), -1),
    "constants": lambda mx: [mx.np.pi, mx.np.e, mx.np.inf, mx.np.newaxis, mx.np.PZERO, mx.np.NINF],
}
ARITHMETIC = {
    "+": lambda mx: v(mx) + 1,
    "+ array": lambda mx: a(mx) + v(mx),
    "r-": lambda mx: 1 - v(mx),
    "/ int": lambda mx: i(mx) / 2,
    "/ int int": lambda mx: i(mx) / i(mx),
    "* float": lambda mx: i(mx) * 1.7,
    "int + float": lambda mx: i(mx) + v(mx),
    "bool + int": lambda mx: (v(mx) > 1) + 1,
    "neg": lambda mx: -v(mx),
    "neg int": lambda mx: -i(mx),
    "neg bool": lambda mx: -(v(mx) > 1),
    "abs": lambda mx: abs(-v(mx)),
    "round": lambda mx: round(mx.np.array([0.5, 1.5, 2.4])),
    "**": lambda mx: v(mx) ** 2,
    "r**": lambda mx: 2 ** v(mx),
    "%": lambda mx: v(mx) % 2,
    "r%": lambda mx: 5 % v(mx),
    "@": lambda mx: a(mx) @ v(mx),
    "//": lambda mx: v(mx) // 2,
    "<<": lambda mx: v(mx) << 1,
    "==": lambda mx: v(mx) == 2,
    "!=": lambda mx: v(mx) != v(mx),
    ">=": lambda mx: v(mx) >= mx.np.array([2.0]),
    "== None": lambda mx: v(mx) == None,  # noqa: E711
    "+ None": lambda mx: v(mx) + None,
    "+ text": lambda mx: v(mx) + "x",
    "+ nd": lambda mx: v(mx) + mx.nd.ones((3,)),
    "+ numpy": lambda mx: v(mx) + onp.ones(3),
    "numpy scalar": lambda mx: onp.float32(2) + v(mx),
    "~": lambda mx: ~(v(mx) > 1),
    "~ float": lambda mx: ~v(mx),
    "&": lambda mx: (v(mx) > 1) & (v(mx) < 3),
    "|": lambda mx: i(mx) | 4,
    "^": lambda mx: i(mx) ^ i(mx),
    "+=": lambda mx: inplace(v(mx), lambda x: x.__iadd__(1)),
    "*=": lambda mx: inplace(i(mx), lambda x: x.__imul__(2.9)),
    "hash": lambda mx: hash(v(mx)),
    "bool": lambda mx: bool(v(mx)),
    "bool 1": lambda mx: bool(mx.np.array([2.0])),
    "float": lambda mx: float(mx.np.array([2.0])),
    "float 3": lambda mx: float(v(mx)),
    "int": lambda mx: int(mx.np.array(2.7)),
    "len": lambda mx: len(a(mx)),
    "len 0-d": lambda mx: len(mx.np.array(1.0)),
    "iter": lambda mx: list(a(mx)),
    "in": lambda mx: sum(x.item() for x in v(mx)),
    "shapes": lambda mx: a(mx) + mx.np.ones((2,)),
}
INDEXED = {
    "int": lambda mx: a(mx)[1],
    "negative": lambda mx: a(mx)[-1],
    "two": lambda mx: a(mx)[1, 2],
    "slice": lambda mx: a(mx)[:, 1:],
    "step": lambda mx: v(mx)[::2],
    "back": lambda mx: v(mx)[::-1],
    "None": lambda mx: v(mx)[None],
    "Ellipsis": lambda mx: a(mx)[..., 0],
    "list": lambda mx: v(mx)[[0, 2]],
    "array": lambda mx: a(mx)[mx.np.array([1, 0], dtype="int32")],
    "pairs": lambda mx: a(mx)[[0, 1], [2, 0]],
    "mask": lambda mx: v(mx)[v(mx) > 1],
    "mask rows": lambda mx: a(mx)[mx.np.array([True, False], dtype="bool")],
    "mask numpy": lambda mx: v(mx)[onp.array([True, False, True])],
    "mask list": lambda mx: v(mx)[[True, False, True]],
    "mask in tuple": lambda mx: a(mx)[mx.np.array([True, False], dtype="bool"), 1],
    "True": lambda mx: v(mx)[True],
    "False": lambda mx: v(mx)[False],
    "empty tuple": lambda mx: mx.np.array(1.5)[()],
    "0-d": lambda mx: mx.np.array(1.5)[0],
    "past": lambda mx: v(mx)[3],
    "too many": lambda mx: v(mx)[0, 0],
    "text": lambda mx: v(mx)["x"],
    "float": lambda mx: v(mx)[1.5],
    "mask shape": lambda mx: v(mx)[mx.np.array([True], dtype="bool")],
    "zero step": lambda mx: v(mx)[::0],
    "view": lambda mx: written(a(mx)[0], slice(None), 7),
    "set int": lambda mx: written(a(mx), 0, 9),
    "set two": lambda mx: written(a(mx), (0, 1), 9),
    "set column": lambda mx: written(a(mx), (slice(None), 1), [8, 9]),
    "set array": lambda mx: written(a(mx), 1, v(mx)),
    "set mask": lambda mx: written(a(mx), a(mx) > 2, 0),
    "set mask array": lambda mx: written(a(mx), a(mx) > 4, mx.np.array([8.0, 9.0])),
    "set list": lambda mx: written(v(mx), [0, 2], 0),
    "set 0-d": lambda mx: written(mx.np.array(1.5), (), 3),
    "set 0-d int": lambda mx: written(mx.np.array(1.5), 0, 3),
    "set nd": lambda mx: written(v(mx), 0, mx.nd.ones((1,))),
    "set numpy": lambda mx: written(a(mx), slice(None), onp.ones((2, 3))),
    "set broadcast": lambda mx: written(a(mx), slice(None), v(mx)),
    "set bool": lambda mx: written(v(mx) > 1, 0, True),
}
METHODS = {
    "sum": lambda mx: [a(mx).sum(), a(mx).sum(axis=0), a(mx).sum(axis=1, keepdims=True), a(mx).sum(dtype="int32")],
    "mean": lambda mx: [a(mx).mean(), i(mx).mean(), a(mx).mean(axis=(0, 1))],
    "max": lambda mx: [a(mx).max(), a(mx).max(axis=0), a(mx).min(axis=1)],
    "prod": lambda mx: a(mx).prod(axis=1),
    "std": lambda mx: [a(mx).std(axis=0), a(mx).var(axis=1)],
    "argmax": lambda mx: [a(mx).argmax(), a(mx).argmax(axis=1), a(mx).argmin(axis=0)],
    "all": lambda mx: [a(mx).all(), (a(mx) > 2).any(axis=0)],
    "cumsum": lambda mx: [a(mx).cumsum(), a(mx).cumsum(axis=1)],
    "reshape": lambda mx: [a(mx).reshape(3, 2), a(mx).reshape((-1,)), a(mx).reshape(-1, order="C")],
    "reshape F": lambda mx: a(mx).reshape(3, 2, order="F"),
    "reshape word": lambda mx: a(mx).reshape(3, 2, foo=1),
    "reshape none": lambda mx: a(mx).reshape(),
    "T": lambda mx: a(mx).T,
    "transpose": lambda mx: [a(mx).transpose(), a(mx).transpose(1, 0), a(mx).transpose((0, 1))],
    "flatten": lambda mx: a(mx).flatten(),
    "astype": lambda mx: [v(mx).astype("int32"), i(mx).astype(onp.float64), v(mx).astype(bool)],
    "astype order": lambda mx: v(mx).astype("int32", order="F"),
    "astype casting": lambda mx: v(mx).astype("int32", casting="safe"),
    "copy": lambda mx: v(mx).copy(),
    "copy F": lambda mx: v(mx).copy(order="F"),
    "item": lambda mx: [a(mx).item(2), mx.np.array(2.5).item()],
    "item many": lambda mx: a(mx).item(),
    "tolist": lambda mx: a(mx).tolist(),
    "squeeze": lambda mx: mx.np.ones((1, 2, 1)).squeeze().shape,
    "swapaxes": lambda mx: a(mx).swapaxes(0, 1),
    "repeat": lambda mx: [v(mx).repeat(2), a(mx).repeat(2, axis=0)],
    "clip": lambda mx: [a(mx).clip(2, 4), a(mx).clip(min=3)],
    "clip none": lambda mx: a(mx).clip(),
    "take": lambda mx: a(mx).take(mx.np.array([0, 1], dtype="int32"), axis=1),
    "round": lambda mx: mx.np.array([1.25, 2.5]).round(),
    "nonzero": lambda mx: (v(mx) > 1).nonzero(),
    "dot": lambda mx: a(mx).dot(v(mx)),
    "argsort": lambda mx: mx.np.array([3.0, 1.0, 2.0]).argsort(),
    "broadcast_to": lambda mx: v(mx).broadcast_to((2, 3)),
    "shape": lambda mx: [a(mx).shape, a(mx).ndim, a(mx).size],
    "as_nd": lambda mx: type(v(mx).as_nd_ndarray()).__name__,
    "as_np": lambda mx: mx.nd.ones((2,)).as_np_ndarray(),
    "as_in_ctx": lambda mx: v(mx).as_in_ctx(mx.cpu()).ctx,
    "ctx": lambda mx: v(mx).ctx,
    "asnumpy": lambda mx: v(mx).asnumpy(),
    "asscalar": lambda mx: v(mx).asscalar(),
    "exp": lambda mx: v(mx).exp(),
    "norm": lambda mx: v(mx).norm(),
    "split": lambda mx: v(mx).split(3),
    "copyto": lambda mx: v(mx).copyto(mx.np.zeros(3)),
    "copyto nd": lambda mx: v(mx).copyto(mx.nd.zeros((3,))),
    "detach": lambda mx: v(mx).detach(),
    "grad": lambda mx: v(mx).grad,
}
GRADIENTS = {
    "square": lambda mx: gradient(mx, lambda x: (x * x).sum(), v(mx)),
    "mean": lambda mx: gradient(mx, lambda x: mx.np.exp(x).mean(), mx.np.zeros(2)),
    "index": lambda mx: gradient(mx, lambda x: x[1:].sum(), v(mx)),
    "mask": lambda mx: gradient(mx, lambda x: x[x > 1].sum(), v(mx)),
    "dot": lambda mx: gradient(mx, lambda x, y: mx.np.dot(x, y), v(mx), v(mx)),
    "where": lambda mx: gradient(mx, lambda x: mx.np.where(x > 1, x, x * 2).sum(), v(mx)),
    "concatenate": lambda mx: gradient(mx, lambda x: mx.np.concatenate([x, x * 3]).sum(), v(mx)),
    "reshape": lambda mx: gradient(mx, lambda x: (x.reshape(3, 2)[0]).sum(), a(mx)),
    "fallback": lambda mx: gradient(mx, lambda x: mx.np.signbit(x), v(mx)),
    "astype": lambda mx: gradient(mx, lambda x: x.astype("float64").sum(), v(mx)),
    "relu": lambda mx: gradient(mx, lambda x: mx.npx.relu(x).sum(), mx.np.array([-1.0, 2.0])),
    "whole transpose": lambda mx: gradient(mx, lambda x: traced(mx, lambda F, x: F.transpose(x), x), i(mx)),
    "whole ravel": lambda mx: gradient(mx, lambda x: traced(mx, lambda F, x: F.ravel(x), x), i(mx)),
    "whole split": lambda mx: gradient(mx, lambda x: traced(mx, lambda F, x: F.split(x, 3)[1], x), i(mx)),
    "whole mod": lambda mx: gradient(mx, lambda x, y: x % y, i(mx), i(mx)),
    "whole mod number": lambda mx: gradient(mx, lambda x: x % 2, i(mx)),
    "whole number mod": lambda mx: gradient(mx, lambda x: 7 % x, i(mx)),
    "whole concatenate": lambda mx: gradient(
        mx, lambda x: mx.np.concatenate([x, bools(mx, 2, 2)], axis=1), bools(mx, 2, 1)
    ),
    "mean cut": lambda mx: gradient(mx, lambda x: mx.np.mean(x, dtype="int32"), v(mx)),
    "sum cut": lambda mx: gradient(mx, lambda x: mx.np.sum(x, dtype="int32"), v(mx)),
    "cumsum cut": lambda mx: gradient(mx, lambda x: mx.np.cumsum(x, dtype="int32"), v(mx)),
}
FUNCTIONS = {
    "numbers": lambda mx: [mx.np.sin(0.0), mx.np.add(1, 2), mx.np.maximum(1, 2), mx.np.around(1.27, 1)],
    "unary text": lambda mx: mx.np.sin("x"),
    "unary where": lambda mx: mx.np.sin(v(mx), where=False),
    "unary word": lambda mx: mx.np.sin(v(mx), foo=1),
    "unary default": lambda mx: mx.np.square(v(mx), where=True),
    "binary dtype": lambda mx: mx.np.add(v(mx), 1, dtype="float64"),
    "binary subok": lambda mx: mx.np.add(v(mx), 1, subok=3),
    "out": lambda mx: mx.np.add(v(mx), 1, out=mx.np.zeros(3)),
    "legacy": lambda mx: mx.np.sin(mx.nd.ones((2,))),
    "sum": lambda mx: [mx.np.sum(a(mx)), mx.np.sum(a(mx), axis=-1), mx.np.prod(a(mx), axis=0)],
    "amax": lambda mx: [mx.np.amax(a(mx)), mx.np.min(a(mx), axis=1), mx.np.any(a(mx) > 5)],
    "average": lambda mx: mx.np.average(a(mx), axis=0, weights=mx.np.array([1.0, 3.0]), returned=True),
    "argsort": lambda mx: mx.np.argsort(mx.np.array([[3, 1], [0, 2]])),
    "argsort order": lambda mx: mx.np.argsort(v(mx), order="x"),
    "sort": lambda mx: mx.np.sort(mx.np.array([[3, 1], [0, 2]]), axis=0),
    "percentile": lambda mx: [mx.np.percentile(a(mx), 50), mx.np.quantile(a(mx), 0.25, axis=0)],
    "unique": lambda mx: mx.np.unique(mx.np.array([2.0, 1.0, 2.0]), return_counts=True),
    "bincount": lambda mx: mx.np.bincount(i(mx)),
    "bincount float": lambda mx: mx.np.bincount([1]),
    "histogram": lambda mx: mx.np.histogram(a(mx), 3, (0, 6)),
    "histogram auto": lambda mx: mx.np.histogram(a(mx)),
    "diff": lambda mx: mx.np.diff(mx.np.array([1.0, 4.0, 9.0])),
    "ediff1d": lambda mx: mx.np.ediff1d(v(mx), to_begin=-1, to_end=v(mx)),
    "polyval": lambda mx: mx.np.polyval(v(mx), mx.np.array([2.0])),
    "polyval mixed": lambda mx: mx.np.polyval([1, 2], v(mx)),
    "nan_to_num": lambda mx: mx.np.nan_to_num(mx.np.array([NAN, 1.0, INF])),
    "where": lambda mx: [mx.np.where(a(mx) > 3), mx.np.where(v(mx) > 1, v(mx), 0), mx.np.where(v(mx) > 1, 1, 2)],
    "where number": lambda mx: mx.np.where(1, v(mx), 0),
    "where text": lambda mx: mx.np.where(v(mx), "x", "y"),
    "clip": lambda mx: mx.np.clip(a(mx), None, 3),
    "clip number": lambda mx: [mx.np.clip(0.72, 0.1, 0.5), mx.np.clip(3, 4, None)],
    "clip beyond uint8": lambda mx: [
        mx.np.clip(mx.np.array([0, 5, 99, 200, 255], dtype="uint8"), low, high)
        for low, high in ((-120, 100), (5, 300), (-1.5, 100))
    ],
    "clip beyond int8": lambda mx: [
        mx.np.clip(mx.np.array([-7, 0, 5, 99], dtype="int8"), low, high) for low, high in ((-200, 50), (-3, 200))
    ],
    "clip whole, one side": lambda mx: [mx.np.clip(i(mx), None, 2), mx.np.clip(i(mx), 2, None)],
    "mean wraps": lambda mx: mx.np.mean(mx.np.array([100, 100, 100]), dtype="int8"),
    "mean cuts": lambda mx: mx.np.mean(mx.np.array([-1.5, -1.5, -1.0]), dtype="int32"),
    "isnan out": lambda mx: mx.np.isnan(v(mx), out=mx.np.zeros(3)),
    "logical_not out": lambda mx: mx.np.logical_not(v(mx), out=mx.np.zeros(3)),
    "full_like str_": lambda mx: mx.np.full_like(v(mx), 2, onp.array(["int8"])[0]),
    "tensorsolve one": lambda mx: mx.np.linalg.tensorsolve(mx.np.ones((1, 1, 1)), mx.np.ones((1, 1, 1))),
    "tensorsolve more": lambda mx: mx.np.linalg.tensorsolve(mx.np.ones((1, 2, 1)), mx.np.ones((2, 1, 1, 1))),
    "flip traced": lambda mx: [traced(mx, lambda F, x, k=k: F.flip(x, k), a(mx)) for k in (None, 0, (0, 1))],
    "tensorinv without set_np": lambda mx: legacy_mode(
        mx, lambda: traced(mx, lambda F, x: F.linalg.tensorinv(x, ind=1), mx.np.array([[2.0, 0], [0, 4]]))
    ),
    "flip": lambda mx: [mx.np.flip(a(mx)), mx.np.flipud(a(mx)), mx.np.fliplr(a(mx))],
    "roll": lambda mx: mx.np.roll(a(mx), 1, axis=1),
    "rot90": lambda mx: mx.np.rot90(a(mx)),
    "moveaxis": lambda mx: mx.np.moveaxis(mx.np.ones((2, 3, 4)), 0, -1).shape,
    "expand_dims": lambda mx: mx.np.expand_dims(v(mx), 1),
    "tile": lambda mx: mx.np.tile(v(mx), (2, 1)),
    "repeat": lambda mx: mx.np.repeat(v(mx), 2),
    "ravel": lambda mx: mx.np.ravel(a(mx)),
    "ravel F": lambda mx: mx.np.ravel(a(mx), order="F"),
    "diag": lambda mx: [mx.np.diag(v(mx)), mx.np.diagonal(a(mx)), mx.np.trace(a(mx)), mx.np.diagflat(v(mx), 1)],
    "atleast": lambda mx: [mx.np.atleast_2d(v(mx)), *mx.np.atleast_1d(mx.np.array(1.0), v(mx))],
    "concatenate": lambda mx: [mx.np.concatenate([a(mx), a(mx)], axis=1), mx.np.append(v(mx), v(mx))],
    "stack": lambda mx: [mx.np.stack([v(mx), v(mx)], axis=1), mx.np.vstack([v(mx), v(mx)]),
                         mx.np.hstack([v(mx), v(mx)]), mx.np.dstack([v(mx), v(mx)]),
                         mx.np.column_stack([v(mx), v(mx)]), mx.np.row_stack([v(mx), v(mx)])],
    "split": lambda mx: [mx.np.split(v(mx), 3), mx.np.split(a(mx), [1], axis=1), mx.np.split(v(mx), 1)],
    "split uneven": lambda mx: mx.np.split(v(mx), 2),
    "split float": lambda mx: mx.np.split(v(mx), 1.5),
    "array_split": lambda mx: mx.np.array_split(v(mx), 2),
    "hsplit": lambda mx: [mx.np.hsplit(a(mx), 3), mx.np.vsplit(a(mx), 2), mx.np.hsplit(a(mx), (1,))],
    "vsplit rank": lambda mx: mx.np.vsplit(v(mx), 1),
    "dsplit rank": lambda mx: mx.np.dsplit(a(mx), 1),
    "take": lambda mx: mx.np.take(a(mx), mx.np.array([0, 5], dtype="int32"), mode="clip"),
    "take mode": lambda mx: mx.np.take(a(mx), i(mx), mode="foo"),
    "insert": lambda mx: [mx.np.insert(v(mx), 1, 9), mx.np.insert(v(mx), slice(0, 2), mx.np.array([7.0, 8.0]))],
    "insert text": lambda mx: mx.np.insert(v(mx), "x", 9),
    "delete": lambda mx: [mx.np.delete(v(mx), 1), mx.np.delete(a(mx), slice(0, 2), axis=1)],
    "delete list": lambda mx: mx.np.delete([1], 1),
    "pad": lambda mx: mx.np.pad(a(mx), ((1, 0), (0, 1)), mode="edge"),
    "pad wrap": lambda mx: mx.np.pad(a(mx), ((1, 0), (0, 1)), mode="wrap"),
    "pad word": lambda mx: mx.np.pad(a(mx), ((1, 0), (0, 1)), mode="edge", foo=1),
    "pad list": lambda mx: mx.np.pad(a(mx), [[1, 0], [0, 1]]),
    "broadcast_arrays": lambda mx: mx.np.broadcast_arrays(a(mx), v(mx)),
    "unravel_index": lambda mx: [mx.np.unravel_index(i(mx), (2, 2)), mx.np.unravel_index(3, (2, 3))],
    "resize": lambda mx: mx.np.resize(v(mx), (2, 2)),
    "shape": lambda mx: mx.np.shape(a(mx)),
    "shares_memory": lambda mx: mx.np.shares_memory(v(mx), v(mx)),
    "tensordot": lambda mx: [mx.np.tensordot(a(mx), a(mx), 2), mx.np.tensordot(a(mx), a(mx), ([1], [1]))],
    "tensordot axes": lambda mx: mx.np.tensordot(a(mx), a(mx), ([1], [1], [0])),
    "inner": lambda mx: [mx.np.inner(a(mx), v(mx)), mx.np.outer(v(mx), v(mx)), mx.np.vdot(v(mx), v(mx))],
    "einsum": lambda mx: mx.np.einsum("ij,kj->ik", a(mx), a(mx)),
    "lcm": lambda mx: mx.np.lcm(i(mx), 4),
    "isnan": lambda mx: [mx.np.isnan(mx.np.array([NAN, 1.0])), mx.np.isposinf(mx.np.array([INF, -INF]))],
    "norm": lambda mx: [mx.np.linalg.norm(a(mx)), mx.np.linalg.norm(a(mx), axis=1),
                        mx.np.linalg.norm(a(mx), ord=1, axis=(0, 1)), mx.np.linalg.norm(a(mx), ord="inf", axis=(0, 1)),
                        mx.np.linalg.norm(v(mx), ord="inf"), mx.np.linalg.norm(v(mx), ord=1)],
    "norm axis": lambda mx: mx.np.linalg.norm(a(mx), axis="x"),
    "det": lambda mx: [mx.np.linalg.det(mx.np.eye(2) * 2), mx.np.linalg.inv(mx.np.eye(2) * 2)],
    "slogdet": lambda mx: mx.np.linalg.slogdet(mx.np.eye(2)),
    "solve": lambda mx: mx.np.linalg.solve(mx.np.eye(2) * 2, mx.np.array([2.0, 4.0])),
    "pinv": lambda mx: mx.np.linalg.pinv(mx.np.eye(2) * 2, hermitian=True),
    "eigh": lambda mx: mx.np.linalg.eigh(mx.np.array([[2.0, 0.0], [0.0, 3.0]])),
    "svd": lambda mx: [type(x).__name__ for x in mx.np.linalg.svd(a(mx))],
}  # fmt: skip
ZERO_DIMENSIONAL = {
    "argmax of an axis": lambda mx: [mx.np.argmax(mx.np.array(3.0), axis=0), mx.np.array(3.0).argmin(axis=-1)],
    "log_softmax": lambda mx: mx.npx.log_softmax(mx.np.array(3.0)),
    "parts of nothing": lambda mx: [part.shape for part in mx.np.split(mx.np.ones((0, 3)), (2, 1))],
    "size of NumPy": lambda mx: [
        mx.np.random.uniform(size=onp.int64(3)).shape,
        mx.np.random.gamma(1.0, size=(onp.int32(2), 3)).shape,
        mx.np.random.choice(5, size=(onp.int64(2),)).shape,
        mx.npx.random.bernoulli(0.5, size=onp.int64(2)).shape,
        mx.npx.random.uniform_n(v(mx), 9.0, batch_shape=onp.int64(2)).shape,
    ],
    "take": lambda mx: mx.np.take(v(mx), mx.np.array(1, dtype="int32")),
    "take bool": lambda mx: mx.np.take(v(mx) > 1, mx.np.array(1, dtype="int64")),
    "choice": lambda mx: mx.np.random.choice(v(mx)).shape,
    "percentile": lambda mx: mx.np.percentile(mx.np.array(3.0), 50),
    "transpose": lambda mx: mx.np.array(3.0).T,
    "squeeze": lambda mx: mx.np.squeeze(mx.np.array(3.0)),
    "sum": lambda mx: [mx.np.array(3.0).sum(), mx.np.array(3.0).mean(), mx.np.array(3.0).std()],
    "cumsum": lambda mx: mx.np.array(3.0).cumsum(),
    "tensordot": lambda mx: mx.np.tensordot(mx.np.array(2.0), mx.np.array(3.0), 0),
    "einsum": lambda mx: mx.np.einsum(",->", mx.np.array(2.0), mx.np.array(3.0)),
    "concatenate": lambda mx: mx.np.concatenate([mx.np.array(2.0)]),
    "stack": lambda mx: mx.np.stack([mx.np.array(2.0), mx.np.array(3.0)]),
    "reshape": lambda mx: mx.np.array(2.0).reshape(1, 1),
    "flatten": lambda mx: mx.np.array(2.0).flatten(),
    "repeat": lambda mx: mx.np.array(2.0).repeat(2),
    "tile": lambda mx: mx.np.tile(mx.np.array(2.0), 3),
    "expand_dims": lambda mx: mx.np.expand_dims(mx.np.array(2.0), 0),
    "clip": lambda mx: mx.np.array(2.0).clip(0, 1),
    "argmax": lambda mx: mx.np.array(2.0).argmax(),
    "broadcast_to": lambda mx: mx.np.array(2.0).broadcast_to((2,)),
    "where": lambda mx: mx.np.where(mx.np.array(1.0), mx.np.array(2.0), mx.np.array(3.0)),
    "softmax": lambda mx: mx.npx.softmax(mx.np.array(2.0)),
    "max": lambda mx: mx.np.maximum(mx.np.array(2.0), 3),
    "unique": lambda mx: mx.np.unique(mx.np.array(2.0)),
}
FALLBACKS = {
    "allclose": lambda mx: mx.np.allclose(v(mx), v(mx)),
    "array_equal": lambda mx: mx.np.array_equal(v(mx), a(mx)),
    "count_nonzero": lambda mx: mx.np.count_nonzero(v(mx)),
    "isclose": lambda mx: mx.np.isclose(v(mx), 2),
    "signbit": lambda mx: mx.np.signbit(v(mx)),
    "modf": lambda mx: mx.np.modf(v(mx)),
    "divmod": lambda mx: mx.np.divmod(v(mx), 2),
    "nanmax": lambda mx: mx.np.nanmax(v(mx)),
    "size": lambda mx: [mx.np.size(a(mx)), mx.np.ndim(a(mx))],
    "ptp": lambda mx: mx.np.ptp(v(mx)),
    "trapz": lambda mx: mx.np.trapz(v(mx)),
    "in1d": lambda mx: mx.np.in1d(v(mx), mx.np.array([2.0])),
    "msort": lambda mx: mx.np.msort(mx.np.array([2.0, 1.0])),
    "searchsorted": lambda mx: mx.np.searchsorted(v(mx), 1.5),
    "intersect1d": lambda mx: mx.np.intersect1d(v(mx), mx.np.array([2.0, 5.0])),
    "roots": lambda mx: mx.np.polyadd(v(mx), v(mx)),
    "ix_": lambda mx: mx.np.ix_(i(mx), i(mx)),
    "argwhere": lambda mx: mx.np.argwhere(v(mx) > 1),
    "select": lambda mx: mx.np.select([v(mx) > 1], [v(mx)]),
    "cov": lambda mx: mx.np.cov(a(mx)),
    "vander": lambda mx: mx.np.vander(v(mx)),
    "result_type": lambda mx: mx.np.result_type(v(mx), v(mx)),
    "matrix_rank": lambda mx: mx.np.linalg.matrix_rank(a(mx)),
    "matrix_power": lambda mx: mx.np.linalg.matrix_power(mx.np.eye(2) * 2, 3),
    "multi_dot": lambda mx: mx.np.linalg.multi_dot([a(mx), a(mx).T]),
    "numpy sum": lambda mx: onp.sum(a(mx)),
    "numpy add": lambda mx: onp.add(v(mx), 1),
    "numpy mean": lambda mx: onp.mean(a(mx), axis=0),
    "numpy concatenate": lambda mx: onp.concatenate([v(mx), v(mx)]),
    "numpy cumprod": lambda mx: onp.cumprod(v(mx)),
    "numpy norm": lambda mx: onp.linalg.norm(v(mx)),
    "numpy reduce": lambda mx: onp.add.reduce(v(mx)),
    "missing": lambda mx: mx.np.nanmean(v(mx)),
}
EXTENSION = {
    "relu": lambda mx: mx.npx.relu(mx.np.array([-1.0, 2.0])),
    "sigmoid": lambda mx: mx.npx.sigmoid(mx.np.array([0.0])),
    "softmax": lambda mx: mx.npx.softmax(mx.np.zeros((2, 2))),
    "log_softmax": lambda mx: mx.npx.log_softmax(mx.np.zeros((2, 2))),
    "activation": lambda mx: mx.npx.activation(v(mx), act_type="relu"),
    "fully_connected": lambda mx: mx.npx.fully_connected(a(mx), mx.np.ones((2, 3)), num_hidden=2, no_bias=True),
    "batch_norm": lambda mx: mx.npx.batch_norm(a(mx), *[mx.np.ones(3)] * 4, fix_gamma=False, eps=0.0),
    "pick": lambda mx: mx.npx.pick(a(mx), mx.np.array([0, 2])),
    "topk": lambda mx: mx.npx.topk(v(mx), k=2, ret_typ="both"),
    "one_hot": lambda mx: mx.npx.one_hot(i(mx), 4),
    "embedding": lambda mx: mx.npx.embedding(mx.np.array([1, 0]), a(mx), input_dim=2, output_dim=3),
    "nonzero": lambda mx: mx.npx.nonzero(mx.np.array([0.0, 2.0])),
    "reshape": lambda mx: mx.npx.reshape(a(mx), (-2, -1)).shape,
    "reshape_like": lambda mx: mx.npx.reshape_like(a(mx), mx.np.ones((3, 2))).shape,
    "arange_like": lambda mx: mx.npx.arange_like(a(mx), axis=1),
    "gather_nd": lambda mx: mx.npx.gather_nd(a(mx), mx.np.array([[0, 1], [1, 2]])),
    "batch_dot": lambda mx: mx.npx.batch_dot(mx.np.ones((1, 2, 2)), mx.np.ones((1, 2, 2))),
    "sequence_mask": lambda mx: mx.npx.sequence_mask(mx.np.ones((2, 2)), mx.np.array([1, 2]), use_sequence_length=True),
    "layer_norm": lambda mx: mx.npx.layer_norm(mx.np.ones((1, 2)), mx.np.ones(2), mx.np.ones(2)),
    "shape_array": lambda mx: mx.npx.shape_array(a(mx)),
    "leaky_relu": lambda mx: mx.npx.leaky_relu(mx.np.array([-4.0]), act_type="leaky", slope=0.5),
    "erf": lambda mx: mx.npx.erf(mx.np.zeros(1)),
    "cast": lambda mx: mx.npx.cast(v(mx), dtype="int32"),
    "smooth_l1": lambda mx: mx.npx.smooth_l1(v(mx)),
    "slice": lambda mx: mx.npx.slice(a(mx), (0, 1), (2, 3)),
    "dropout": lambda mx: mx.npx.dropout(v(mx)),
    "legacy": lambda mx: mx.npx.relu(mx.nd.ones((2,))),
    "text": lambda mx: mx.npx.relu("x"),
    "contexts": lambda mx: [mx.npx.cpu(), mx.npx.num_gpus(), mx.npx.current_context(), mx.npx.gpu(1)],
    "switches": lambda mx: [mx.npx.is_np_array(), mx.npx.is_np_shape()],
    "constraint": lambda mx: mx.npx.constraint_check(v(mx) > 0, "no"),
    "compute": lambda mx: mx.npx.get_cuda_compute_capability(mx.cpu()),
    "shape off": lambda mx: mx.util.set_np_shape(False),
    "set_np": lambda mx: mx.npx.set_np(shape=False, array=True),
    "missing": lambda mx: mx.npx.foo,
}


def seeded(function):
    def draw(mx):
        mx.random.seed(11)
        return function(mx, mx.np.random)

    return draw


RANDOM = {
    name: seeded(function)
    for name, function in {
        "uniform": lambda mx, r: [r.uniform(size=(2, 2)), r.uniform(1, 3), r.uniform(v(mx), 9.0)],
        "normal": lambda mx, r: [r.normal(size=3), r.normal(v(mx), 2.0), r.randn(2), r.rand(2)],
        "randint": lambda mx, r: [r.randint(0, 9, size=5), r.randint(4), r.randint(2, 9, size=2, dtype="int32")],
        "choice": lambda mx, r: [r.choice(5, 3), r.choice(v(mx), (2, 2)), r.choice(6, 4, False)],
        "choice p": lambda mx, r: r.choice(3, 4, p=mx.np.array([0.2, 0.3, 0.5])),
        "shuffle": lambda mx, r: inplace(mx.np.arange(6), r.shuffle),
        "multinomial": lambda mx, r: [r.multinomial(9, [0.5, 0.5]), r.multinomial(9, mx.np.array([0.5, 0.5]), size=2)],
        "multinomial deep": lambda mx, r: r.multinomial(9, [[0.5, 0.5]]),
        "multinomial numpy": lambda mx, r: r.multinomial(9, onp.array([0.5, 0.5])),
        "gamma": lambda mx, r: [r.gamma(2.0, 1.0, size=2), r.beta(1, 2, size=2), r.chisquare(3, size=2)],
        "exponential": lambda mx, r: [r.exponential(size=2), r.weibull(2.0, size=2), r.pareto(2.0, size=2)],
        "logistic": lambda mx, r: [r.logistic(size=2), r.gumbel(size=2), r.rayleigh(size=2), r.power(2.0, size=2)],
        "lognormal": lambda mx, r: r.lognormal(size=2),
        "bernoulli": lambda mx, r: mx.npx.random.bernoulli(0.5, size=8),
        "bernoulli both": lambda mx, r: mx.npx.random.bernoulli(0.5, 0.5),
        "uniform_n": lambda mx, r: mx.npx.random.uniform_n(v(mx), 9.0, batch_shape=(2,)),
        "normal_n": lambda mx, r: mx.npx.random.normal_n(batch_shape=(2,)),
        "seed": lambda mx, r: [mx.npx.random.seed(3), r.uniform(size=2)],
    }.items()
}
TOPICS = {
    "printed": PRINTED,
    "made": MADE,
    "arithmetic": ARITHMETIC,
    "indexed": INDEXED,
    "methods": METHODS,
    "gradients": GRADIENTS,
    "functions": FUNCTIONS,
    "0-d": ZERO_DIMENSIONAL,
    "fallbacks": FALLBACKS,
    "extension": EXTENSION,
    "random": RANDOM,
}


def shown(mx, function):
    """What an expression gives, as text: repr, or the type and the last line of what it raises."""
    try:
        return text_of(function(mx))
    except Exception as err:  # noqa: BLE001 - whatever it is, it is compared
        lines = str(err).strip().splitlines() or [""]
        return f"raises {type(err).__name__}: {lines[-1]}"


def text_of(value):
    """repr, the same for every NumPy."""
    if isinstance(value, onp.generic):
        return repr(value.item())
    if isinstance(value, (list, tuple)):
        inner = ", ".join(text_of(item) for item in value)
        return f"[{inner}]" if isinstance(value, list) else f"({inner})"
    return repr(value)
