"""Expressions that real MXNet and tensorkeep.mxnet must give the same answer to; only NumPy is imported here.

Each is evaluated in a new namespace: mx, nd, np, autograd, x (2×3×4, 0 to 23), v (0 to 4), c (a CSR matrix), r (the same
row_sparse), d (3×3 dense), and the functions below. A line that begins with "#" names what follows.
"""

from __future__ import annotations

import pickle
import warnings
from typing import Any

import numpy as np


def after(array: Any, key: Any, value: Any) -> Any:
    """The array after array[key] = value."""
    array[key] = value
    return array


def shares(array: Any, key: Any) -> Any:
    """Whether array[key] is a view: what a write to it does to the array."""
    part = array[key]
    part[:] = -1
    return array


def recorded(mx: Any, function: Any) -> Any:
    """The gradient of sum(function(a)) at a = [1, 2, 3, 4] in a 2×2 array."""
    a = mx.nd.array([[1.0, 2.0], [3.0, 4.0]])
    a.attach_grad()
    with mx.autograd.record():
        found = function(a)
    found.backward()
    return [found, a.grad]


def kept(mx: Any, function: Any) -> Any:
    """What becomes of function(a), which was recorded, and of the gradient, when `a` is written afterwards."""
    a = mx.nd.array([[1.0, 2.0], [3.0, 4.0]])
    a.attach_grad()
    with mx.autograd.record():
        found = function(a)
    a[:] = 9
    found.backward()
    return [found, a.grad]


def namespace(mx: Any) -> dict[str, Any]:
    """What an expression can name."""
    nd = mx.nd
    d = nd.array([[0, 1, 0], [2, 0, 3], [0, 0, 0]])
    return {
        "mx": mx, "nd": nd, "np": np, "autograd": mx.autograd, "after": after, "shares": shares, "pickle": pickle,
        "BF16": np.dtype([("bfloat16", np.uint16)]), "recorded": lambda function: recorded(mx, function),
        "seeded": lambda function: [mx.random.seed(5), function()],
        "sparse_gradient": lambda function: sparse_gradient(mx, function),
        "kept": lambda function: kept(mx, function),
        "x": nd.array(np.arange(24, dtype=np.float32).reshape(2, 3, 4)), "v": nd.array([0, 1, 2, 3, 4]),
        "g": nd.sparse.row_sparse_array(([[1, 2, 3]], [2]), shape=(3, 3)),
        "d": d, "c": d.tostype("csr"), "r": d.tostype("row_sparse"),
        "w": nd.array([[1, 2, 3], [4, 5, 6], [7, 8, 9]]),
        "i": nd.array([[1, 2], [3, 4]], dtype="int32"),
    }  # fmt: skip


def describe(value: Any) -> Any:
    """A result in words and numbers that JSON holds."""
    if hasattr(value, "asnumpy"):
        values = value.asnumpy()
        if values.dtype.names:
            values = values.view(np.uint16)
        facts = [type(value).__name__, value.stype, list(value.shape), np.dtype(value.dtype).str, str(value.context)]
        return {"array": facts, "values": values.tolist(), "repr": repr(value)}
    if isinstance(value, np.ndarray):
        return {"numpy": [list(value.shape), value.dtype.str], "values": value.tolist()}
    if isinstance(value, np.generic):
        return {"scalar": value.dtype.str, "values": value.item()}
    if isinstance(value, (list, tuple)):
        return {type(value).__name__: [describe(item) for item in value]}
    if isinstance(value, dict):
        return {"dict": [[key, describe(item)] for key, item in value.items()]}
    if isinstance(value, bytes):
        return {"bytes": value.hex()}
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    return {"other": str(value)}


def answer(mx: Any, expression: str) -> Any:
    """What an expression gives, described; an exception by its class and text."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return describe(eval(expression, namespace(mx)))
        except Exception as err:  # noqa: BLE001  # whatever it is, it is the answer
            text = str(err).strip()
            deep = "Traceback (most recent call last)" in text
            return {"error": type(err).__name__, "text": None if deep else text.removeprefix("MXNetError: ")}


def expressions(text: str) -> list[str]:
    """The lines of a block, without comments."""
    return [line.strip() for line in text.splitlines() if line.strip() and not line.strip().startswith("#")]


INDEXING = expressions("""
x[0]
x[-1]
x[2]
x[-3]
x[0, 1]
x[0, 1, 2]
x[0, 5]
x[0, 1, 2, 3]
x[..., 1]
x[None]
x[None, 0]
x[:, ::-1]
x[1:, 2:, ::2]
x[5:]
x[0:0]
x[[0, 1]]
x[[0, -1], [0, 1]]
x[[0, 5]]
x[[-9]]
x[[0, 1], :, [0, 1]]
x[0, :, [0, 1]]
x[:, 0, [0, 1]]
x[:, [0, 1], 0]
x[[0, 1], None, [1, 2]]
x[None, [0, 1], 1:, [0, 1]]
x[[0, 1], ::-1]
x[::-1, [0, 2]]
x[(0, 1),]
x[range(2)]
x[nd.array([0, 1])]
x[nd.array([1.7])]
x[np.array([True, False])]
x[[True, False]]
x[True]
x[False]
x[True, 0]
x[None, True]
x[nd.array([True, False], dtype="bool")]
x["a"]
x[1.0]
x[np.int64(1)]
x[np.int32(-1)]
x[..., ...]
x[()]
x[:,]
x[:]
x[::0]
x[2:1]
x[nd.array([[0, 1], [1, 0]])]
x[0:1, [0, 1]]
x[..., None]
x[0, None]
x[0][0][0]
v[2]
v[2:3]
v[-1]
v[-3:-1]
v[::-1]
v[::2]
v[4:0:-2]
v[5:]
v[nd.array([0, 7])]
v[nd.array([3, 1, 1])]
x[:, np.array([True, False, True])]
x[np.array([0, 1], dtype="int8")]
x[slice(0, 1)]
x[0, ...]
x[..., 0, 0]
x[:, :, :, :]
x[None, None, ..., None]
x[:, 1:2, 0]
x[1, 1:2]
x[:, (0, 1)]
x[((0, 1), (1, 0))]
x[[[0, 1]]]
x[2**40]
i[0, 1].asscalar()
len(x)
[row for row in v]
[row.shape for row in x]
v[1].shape
nd.array(3).shape
nd.array(3)[()]
nd.array(3)[0]
nd.array([[]]).shape
""")

SETTING = expressions("""
after(x, 0, 7)
after(x, (0, 1), 7.5)
after(x, (0, 1, 2), -1)
after(x, slice(None), 3)
after(x, slice(1, None), nd.ones((3, 4)))
after(x, Ellipsis, 2)
after(x, (Ellipsis, 1), nd.array([1, 2, 3]))
after(x, (slice(None), 1), nd.array([[1, 2, 3, 4]]))
after(x, (slice(None), slice(None, None, -1)), x.copy())
after(x, (slice(None), slice(None, None, 2), slice(1, 3)), 0)
after(x, [0, 1], 5)
after(x, ([0, 1], [0, 2]), 9)
after(x, ([0, 1], slice(None), [0, 2]), nd.array([[1, 2, 3], [4, 5, 6]]))
after(x, (0, slice(None), [0, 2]), nd.array([1, 2]))
after(x, (slice(None, None, -1), [0, 2]), nd.arange(2).reshape((2, 1, 1)))
after(x, ([0, 1], slice(None, None, -2)), nd.arange(4).reshape((2, 2, 1)))
after(x, nd.array([1]), 4)
after(x, 5, 1)
after(x, (0, 9), 1)
after(x, (0, 0, 0, 0), 1)
after(x, 0, nd.ones((5,)))
after(x, 0, nd.ones((1, 1, 3, 4)))
after(x, slice(None), np.ones((2, 3, 4)))
after(x, slice(None), np.ones((4,)))
after(x, slice(None), [[1, 2, 3, 4]])
after(x, slice(None), np.float32(2))
after(x, 0, np.arange(12).reshape(3, 4))
after(x, 0, [1, 2, 3, 4])
after(x, 0, "abc")
after(x, 0, None)
after(x, 0, True)
after(x, (None, 0), 1)
after(x, (0, None), nd.ones((1, 3, 4)))
after(x, ([0, 1], None, [1, 2]), nd.zeros((2, 1, 4)))
after(v, 1, 7)
after(v, -1, 7)
after(v, slice(1, 3), nd.array([8, 9]))
after(v, slice(None, None, -1), nd.array([5, 6, 7, 8, 9]))
after(v, slice(None, None, 2), nd.array([5, 6, 7]))
after(v, nd.array([0, 4]), nd.array([5, 6]))
after(v, [0, 0], nd.array([5, 6]))
after(v, slice(1, 3), nd.array([8, 9], dtype="int32"))
after(v, 0, nd.array([8]))
after(i, 0, 1.9)
after(i, slice(None), 1.9)
after(i, slice(None), nd.array([[1.9, -1.9], [2.5, 3.5]]))
after(nd.array(3), (), 4)
after(nd.array(3), slice(None), nd.array(5))
after(nd.array(3), 0, 4)
after(nd.array([1, 2], dtype="bool"), 0, 0)
""")

SHARING = expressions("""
shares(x, 0)
shares(x, slice(0, 1))
shares(x, (0, 1))
shares(x, (0, slice(1, 2)))
shares(x, (slice(None), 0))
shares(x, (slice(None), slice(0, 1)))
shares(x, (0, slice(None), 1))
shares(x, (slice(0, 1), slice(0, 2)))
shares(x, (slice(0, 1), slice(0, 2), slice(0, 2)))
shares(x, (0, 1, slice(0, 2)))
shares(x, [0])
shares(x, None)
shares(x, (0, None))
shares(x, Ellipsis)
shares(x, (Ellipsis, slice(0, 1)))
shares(x, (slice(None, None, -1)))
shares(x, (0, slice(None, None, 2)))
shares(x, (slice(1, None), slice(2, None), slice(3, None)))
shares(v, slice(1, 3))
shares(v, slice(None, None, 2))
shares(v, 2)
[after(x.reshape((6, 4)), slice(None), 0), x]
[after(x.reshape(-1), 0, 7), x]
[after(x.T, slice(None), 0), x]
[after(x.flatten(), slice(None), 0), x]
[after(x.flatten(inplace=True), slice(None), 0), x]
[after(x.expand_dims(0), slice(None), 0), x]
[after(x.expand_dims(0, inplace=True), slice(None), 0), x]
[after(x.detach(), slice(None), 0), x]
[after(x.copy(), slice(None), 0), x]
[after(x.as_in_context(mx.cpu(0)), slice(None), 0), x]
[after(x.as_in_context(mx.cpu(1)), slice(None), 0), x]
[after(x.astype("float32"), slice(None), 0), x]
[after(x.astype("float32", copy=False), slice(None), 0), x]
[after(x.transpose((0, 1, 2)), slice(None), 0), x]
[after(nd.reshape(x, (6, 4)), slice(None), 0), x]
[after(x.slice_axis(axis=0, begin=0, end=1), slice(None), 0), x]
[after(x.broadcast_to((2, 3, 4)), slice(None), 0), x]
[after(x.squeeze(), slice(None), 0), x]
[after(x.as_nd_ndarray(), slice(None), 0), x]
[after(nd.concatenate([x], always_copy=False), slice(None), 0), x]
[after(nd.concatenate([x]), slice(None), 0), x]
[after(x.T.reshape(-1), 0, 99), x]
x[0].reshape((4, 3))[0]
""")

ARITHMETIC = expressions("""
w + w
w + 1
1 + w
w - 1.5
2 - w
w * w
w * 2
w / 2
2 / w
w % 2
7 % w
w ** 2
2 ** w
-w
abs(-w)
w + v
w + nd.array([1, 2, 3])
w + i
w + None
w + "a"
w + np.ones(3)
np.float32(2) * w
np.ones((3, 3)) * w
w == w
w != 2
w > 4
4 > w
w >= 4
w < w
w <= 4
w == None
i + 1.5
i / 2
i * 2.9
i % 2
i == 2
i > i
w.__iadd__(1)
w.__isub__(nd.ones((3, 3)))
w.__imul__(2)
w.__itruediv__(2)
w.__imod__(2)
w.__iadd__("a")
w.__iadd__(nd.ones((2, 2)))
w.__iadd__(nd.array([1, 2, 3]))
nd.add(1, 2)
nd.maximum(1, 2)
nd.maximum(w, 5)
nd.minimum(5, w)
nd.equal(1, 1)
nd.logical_and(w, 0)
nd.logical_or(0, w)
nd.logical_xor(1, 0)
nd.power(2, 3)
nd.modulo(7, 4)
nd.true_divide(w, 2)
nd.lesser(w, 5)
nd.lesser_equal(5, w)
nd.greater_equal(3, 3)
bool(nd.array([1]))
bool(nd.array([0]))
bool(w)
bool(v[5:])
hash(w) == hash(w)
w is w[:]
""")

METHODS = expressions("""
x.shape
x.ndim
x.size
x.dtype is np.float32
x.stype
x.context
x.ctx == mx.cpu()
x.T
v.T
x.T.T
nd.array([3.5]).asscalar()
nd.array(3).asscalar()
x.asscalar()
x.asnumpy()
x.astype("int32")
x.astype(np.float16).dtype is np.float16
x.astype(BF16)
x.astype("foo")
x.astype(np.float64, copy=False).dtype is np.float64
x.reshape((6, 4))
x.reshape(6, 4)
x.reshape((-1,))
x.reshape((0, -1))
x.reshape((-2, 1))
x.reshape((-3, 4))
x.reshape((-4, 1, 2, -2))
x.reshape((-4, -1, 2, -2))
x.reshape((0, 0, -4, 2, -1))
x.reshape(shape=(4, 6))
x.reshape((-1, 0), reverse=True)
x.reshape((3, 3))
x.reshape((5, -1))
x.reshape((2, 3, 4), foo=1)
x.reshape()
x.reshape((-1, -1))
x.reshape((0, 0, 0, 0))
x.reshape((-3, -3))
x.flatten()
x.expand_dims(1).shape
x.expand_dims(axis=-1, inplace=True).shape
x.expand_dims(9, inplace=True)
x.expand_dims(0).squeeze().shape
x.expand_dims(0).squeeze(axis=0).shape
x.expand_dims(0).squeeze(axis=0, inplace=True).shape
x.expand_dims(0).squeeze(inplace=True).shape
x.squeeze(axis=0, inplace=True)
x.expand_dims(0).squeeze(axis=(0, 0), inplace=True)
nd.ones((1, 1)).squeeze(inplace=True)
v.broadcast_to((2, 5))
v.broadcast_to((2, 4))
x.broadcast_to((4,))
v.broadcast_like(nd.zeros((2, 5)))
x.sum()
x.sum(axis=0)
x.sum(axis=(0, 1), keepdims=True)
x.mean(axis=1)
x.max()
x.argmax(axis=1)
x.argsort()
x.sort(axis=1, is_ascend=False)
x.topk(k=2)
x.topk(k=2, ret_typ="both")
x.norm()
x.clip(3, 5)
x.clip(a_min=3, a_max=5)
x.transpose()
x.transpose((1, 0, 2)).shape
x.transpose(axes=(2, 0, 1)).shape
x.swapaxes(0, 2).shape
x.split(num_outputs=3, axis=1)
x.split(3, axis=1, squeeze_axis=True)
x.split_v2(2)
x.split_v2((1, 2), axis=1)
x.split_v2(5)
x.split_v2("a")
x.slice(begin=(0, 1), end=(1, 3))
x.slice_axis(axis=1, begin=0, end=2)
x.slice_like(nd.zeros((1, 2, 3)))
x.take(nd.array([0]))
v.take(nd.array([9, 1]))
nd.array([1, 2]).one_hot(3)
x.pick(nd.array([[0, 1, 2], [1, 2, 3]]))
x.tile((2, 1, 1)).shape
x.repeat(2, axis=0).shape
x.flip(axis=0)
x.pad(mode="constant", pad_width=(0, 0, 0, 0, 1, 1))
v.diag()
w.diag()
w.diag(1)
x.zeros_like()
x.ones_like()
x.shape_array()
x.size_array()
x.exp()
v.sqrt()
v.square()
v.sigmoid()
v.relu()
v.softmax()
v.log_softmax()
v.softmin()
v.rsqrt()
v.cbrt()
v.rcbrt()
v.reciprocal()
(-v).abs()
(v - 2).sign()
(v / 3).round()
(v / 3).rint()
(v / 3).fix()
(v / 3).floor()
(v / 3).ceil()
(v / 3).trunc()
(v / 9).arcsin()
v.sin()
v.tanh()
v.arcsinh()
v.degrees()
v.radians()
v.expm1()
v.log1p()
v.nansum()
v.nanprod()
v.prod()
x.reshape((2, 3, 2, 2)).depth_to_space(1).shape
x.reshape_like(nd.zeros((4, 6))).shape
x.slice_assign_scalar(9, (0, 0, 0), (1, 2, 2), (None, None, None))
x.slice_assign(nd.ones((1, 3, 4)), (0, None, None), (1, None, None), (None, None, None))
x.copyto(nd.zeros((2, 3, 4)))
x.copyto(nd.zeros((2, 3)))
x.copyto(nd.zeros((2, 3, 4), dtype="int32"))
x.copyto(mx.cpu(1))
x.copyto(x)
x.copyto(3)
x.as_in_context(mx.cpu(0)) is x
x.as_in_context(mx.cpu(2)).context
x.wait_to_read()
x.tostype("default")
w.tostype("csr")
w.tostype("row_sparse")
x.tostype("csr")
x.tostype("row_sparse")
w.tostype("foo")
x.grad
x.detach()
x.foo
nd.foo
mx.nd.waitall()
""")

RECORDING = expressions("""
recorded(lambda a: a * 2)
recorded(lambda a: a[0] * 3)
recorded(lambda a: a[:, 1] * a[:, 0])
recorded(lambda a: a[0:1].reshape((2,)) ** 2)
recorded(lambda a: a[[0, 0]])
recorded(lambda a: a[:, ::-1] * nd.array([[1, 2], [3, 4]]))
recorded(lambda a: a.T * nd.array([[1, 2], [3, 4]]))
recorded(lambda a: a.astype("float64") * 2)
recorded(lambda a: a.copy() * 2)
recorded(lambda a: a.as_in_context(mx.cpu(1)) * 2)
recorded(lambda a: a.detach() * a)
recorded(lambda a: a.reshape((4,))[1:3])
recorded(lambda a: a.expand_dims(0, inplace=True).squeeze(inplace=True) * 5)
recorded(lambda a: a.__iadd__(1))
recorded(lambda a: after(a, 0, 1))
recorded(lambda a: after(a * 2, 0, 1))
recorded(lambda a: after(nd.zeros((2, 2)), slice(None), a * 2))
recorded(lambda a: after(nd.zeros((2, 2)), 0, a[0] * 2))
recorded(lambda a: after(nd.zeros((2, 2)), (slice(None), 1), a[0] * 2))
recorded(lambda a: after(nd.zeros((2, 2)), [1], a[0:1] * 2))
recorded(lambda a: nd.exp(a, out=a))
recorded(lambda a: nd.exp(nd.zeros((2, 2)), out=a))
recorded(lambda a: nd.exp(nd.zeros((2, 2)), out=a * 2))
recorded(lambda a: nd.exp(a, out=nd.zeros((2, 2))))
recorded(lambda a: nd.concat(a, a, dim=0))
recorded(lambda a: a.sum())
kept(lambda a: nd.reshape(a, (4,)))
kept(lambda a: a.T)
kept(lambda a: a[0])
kept(lambda a: a.reshape((4,)))
kept(lambda a: nd.identity(a))
kept(lambda a: nd.slice_axis(a, axis=0, begin=0, end=1))
kept(lambda a: a * a)
recorded(lambda a: 1)
""")

CREATION = expressions("""
nd.zeros(3)
nd.zeros((2, 3))
nd.zeros([2, 3], dtype="int64")
nd.zeros((2,), ctx=mx.cpu(1))
nd.ones((2, 1), dtype=np.float16)
nd.ones(2, dtype="bool")
nd.full((2, 2), 7)
nd.full((2, 2), 7.9, dtype="int32")
nd.full((2,), nd.array([3, 4]))
nd.full((2,), 3, out=nd.zeros((2,)))
nd.empty((2, 3)).shape
nd.empty(2, dtype="uint8").dtype is np.uint8
nd.array([1, 2])
nd.array([[1, 2], [3, 4]], dtype="int8")
nd.array(np.array([1.5, 2.5]))
nd.array(np.array([1, 2]))
nd.array(np.array([1, 2], dtype=">i4"), dtype="int32")
nd.array(np.arange(6).reshape(2, 3).T)
nd.array(nd.array([1, 2], dtype="int32"))
nd.array(nd.array([1, 2], dtype="int32"), dtype="float64")
nd.array(3)
nd.array(3.5, dtype="int32")
nd.array(True)
nd.array([True, False])
nd.array([True, False], dtype="bool")
nd.array([])
nd.array([1, "a"])
nd.array([[1, 2], [3]])
nd.array({"a": 1})
nd.array(None)
nd.array([1.5, -2.5, 65504, 1e-8], dtype="float16")
nd.array([1.5, 3.14159], dtype=BF16)
nd.array([300], dtype="uint8")
nd.array([1, 2], ctx=mx.cpu(3))
nd.array(range(3))
nd.array((1, 2))
nd.array([nd.array([1, 2]), nd.array([3, 4])])
nd.array([2**24 + 1], dtype="int64")
nd.arange(3)
nd.arange(1, 3)
nd.arange(1, 3, 0.5)
nd.arange(3, 0, -1)
nd.arange(0, 3, repeat=2)
nd.arange(3, dtype="int32")
nd.arange(2, ctx=mx.cpu(1))
nd.linspace(0, 1, 5)
nd.linspace(0, 1, 5, endpoint=False)
nd.linspace(0, 10, 3, dtype="int32")
nd.eye(3)
nd.eye(2, 3)
nd.eye(3, k=1)
nd.eye(3, k=-1, dtype="int32")
nd.concatenate([w, w])
nd.concatenate([w, w], axis=1)
nd.concatenate([w, x])
nd.concatenate([])
nd.concatenate(w)
nd.moveaxis(x, 0, 2).shape
nd.moveaxis(x, (0, 1), (2, 0)).shape
nd.moveaxis(x, 5, 0)
nd.moveaxis(x, (0, 1), (2,))
nd.zeros_like(x)
nd.stack(v, v)
nd.histogram(v, bins=nd.array([0, 2, 4]))
nd.histogram(v, bins=2, range=(0, 4))
nd.histogram(v, bins=2)
nd.histogram(v, bins="a")
nd.onehot_encode(nd.array([0, 2]), nd.zeros((2, 3)))
nd.zeros(3, foo=1)
nd.zeros((2, 2), stype="csr")
nd.zeros((2, 2), stype="foo")
nd.array([1], dtype="foo")
nd.zeros(2, dtype="float32", out=nd.ones(2))
nd.from_numpy(np.array([1.0, 2.0]))
nd.from_numpy(np.array([1, 2]), zero_copy=False)
nd.from_numpy(np.ones((2, 3)).T)
nd.from_dlpack(v.to_dlpack_for_read())
nd.from_dlpack(nd.to_dlpack_for_write(v))
""")

PRINTING = expressions("""
repr(x)
str(v)
repr(i)
repr(nd.array([1.5]))
repr(nd.array(3))
repr(nd.array([1e10, 1e-10]))
repr(nd.array([float("nan"), float("inf"), -float("inf")]))
repr(nd.array([1.5, 2], dtype="float16"))
repr(nd.array([1.5, 3.25], dtype=BF16))
repr(nd.array([True, False], dtype="bool"))
repr(nd.arange(2000))
repr(nd.zeros((3, 4, 5)))
repr(v[5:])
repr({"a": v})
str([v])
repr(c)
repr(r)
repr(v[0].asscalar())
str(v[0].asscalar())
repr([v[1].asscalar(), v[2].asscalar()])
"{}".format(v)
"%s" % v[0]
f"{v[1].asscalar():.3f}"
repr(nd.zeros((2,), ctx=mx.cpu(1)))
repr(nd.zeros((2,), ctx=mx.cpu_pinned(0)))
""")

SPARSE = expressions("""
c.data
c.indices
c.indptr
r.data
r.indices
c.shape
c.dtype is np.float32
c.stype
c.ndim
len(c)
c.size
c._num_aux
c._aux_types == [np.int64, np.int64]
c * 2.0
c / 2
2 * c
c + 1
c + c
c - c
c * c
c / c
c * w
w * c
c + w
r * 2
r + r
r - r
r * r
r + w
w + r
r * w
-c
-r
abs(c)
c == c
c > 0
c >= 0
c == 2
c != 1
r < 0
c ** 2
c.copy()
c.astype("float16")
c.astype("float32", copy=False) is c
c.as_in_context(mx.cpu(1))
c[0]
c[1]
c[-1]
c[-2]
c[0:2]
c[1:]
c[:]
c[0, 1]
c[::2]
r[:]
r[0, 1]
c.reshape(9)
c.T
c.sum()
nd.sum(c, axis=0)
nd.sum(c, axis=1)
nd.norm(c)
c.asnumpy()
r.asnumpy()
c.tostype("default")
c.tostype("csr")
c.tostype("row_sparse")
r.tostype("csr")
r.tostype("default")
c.copyto(nd.zeros((3, 3)))
c.copyto(r)
r.copyto(r.copy())
c.copyto(nd.sparse.zeros("csr", (3, 3)))
after(nd.sparse.zeros("csr", (3, 3)), slice(None), c)
after(nd.sparse.zeros("row_sparse", (3, 3)), slice(None), w)
after(nd.sparse.zeros("row_sparse", (3, 3)), slice(None), 2)
after(c, slice(None), 2)
after(c, slice(0, 1), c)
nd.sparse.retain(r, nd.array([0]))
nd.sparse.retain(r, nd.array([1, 2])).indices
nd.zeros((3, 3), stype="csr")
nd.zeros((3, 3), stype="row_sparse").data
nd.sparse.zeros("csr", (3, 2)).indptr
nd.sparse.zeros("row_sparse", (3, 2)).indices
nd.sparse.empty("csr", (2, 2))
nd.sparse.zeros("foo", (2, 2))
nd.zeros_like(c)
nd.ones_like(c)
c.check_format()
c.detach()
c.grad
nd.where(c, w, w)
nd.clip(r, 0, 1)
nd.clip(c, 0, 1)
nd.relu(c)
nd.square(r)
nd.exp(c)
nd.slice(c, begin=(0, 0), end=(2, 2))
nd.dot(c, w)
nd.dot(c, w, transpose_a=True)
nd.dot(w, c)
nd.sparse.dot(c, nd.array([1, 2, 3]))
nd.sparse.dot(c, w, transpose_a=True, forward_stype="default")
nd.concat(c, c, dim=0)
nd.sparse.add(c, c)
nd.sparse.multiply(c, w)
nd.add_n(r, r)
nd.elemwise_mul(c, w)
nd.broadcast_mul(c, nd.array([[1, 2, 3]]))
nd.broadcast_div(c, nd.array([[1, 2, 4]]))
nd.cast_storage(w, "csr")
nd.sparse.csr_matrix(([1, 2, 3], [1, 0, 2], [0, 1, 3, 3]), shape=(3, 3))
nd.sparse.csr_matrix(([1, 2, 3], [1, 0, 2], [0, 1, 3, 3]))
nd.sparse.csr_matrix((2, 3))
nd.sparse.csr_matrix([[0, 1], [2, 0]])
nd.sparse.csr_matrix([[0, 1], [2, 0]], dtype="float64")
nd.sparse.csr_matrix(np.array([[0, 1], [2, 0]]))
nd.sparse.csr_matrix(w, shape=(3, 4))
nd.sparse.csr_matrix(r)
nd.sparse.csr_matrix(c)
nd.sparse.csr_matrix((1, 2, 3, 4))
nd.sparse.row_sparse_array(([[1, 2], [3, 4]], [0, 2]), shape=(4, 2))
nd.sparse.row_sparse_array(([[1, 2], [3, 4]], [0, 2]))
nd.sparse.row_sparse_array((3, 2))
nd.sparse.row_sparse_array((3,))
nd.sparse.row_sparse_array((3, 2, 1))
nd.sparse.row_sparse_array(c)
nd.sparse.row_sparse_array(w)
nd.sparse.row_sparse_array(w, dtype="float16")
nd.sparse.array(w)
nd.sparse.array(np.ones(2))
nd.sparse.array([1])
nd.array(c)
nd.array(c, dtype="float64").dtype is np.float64
nd.array(r)
nd.sparse.csr_matrix(([1, 2], [1, 0], [0, 1, 2, 2]), shape=(3, 3)).asnumpy()
nd.sparse.csr_matrix(([1.5, 2], [1, 0], [0, 1, 2, 2]), shape=(3, 3), dtype="float64").data
pickle.loads(pickle.dumps(c))
pickle.loads(pickle.dumps(r)).indices
""")

PICKLES = expressions("""
pickle.dumps(v, 0)
pickle.dumps(v, 2)
pickle.dumps(v, 4)
pickle.dumps(v.astype("float16"), 4)
pickle.dumps(c, 4)
pickle.dumps(r, 4)
pickle.dumps({"a": v, "b": [i]}, 4)
pickle.dumps(nd.zeros((2,), ctx=mx.cpu(1)), 4)
pickle.loads(pickle.dumps(x))
pickle.loads(pickle.dumps(nd.zeros((2,), ctx=mx.cpu(1))))
v.__getstate__()
v.__reduce__()[1]
type(v).__module__
type(c).__module__
""")

UPDATES = expressions("""
# A row_sparse gradient changes the rows that it stores, and of the states the same rows.
[nd.sgd_update(w, g, out=w, lr=1, wd=0.1), w]
[nd.sgd_update(w, g, out=w, lr=1, wd=0.1, lazy_update=False), w]
[nd.sgd_mom_update(w, g, d, out=w, lr=1, wd=0.1, momentum=0.9), w, d]
[nd.sgd_mom_update(w, g, d, out=w, lr=1, wd=0.1, momentum=0.9, lazy_update=False), w, d]
[nd.adam_update(w, g, d, d.abs(), out=w, lr=1), w, d]
[nd.sparse.adagrad_update(w, g, d, out=w, lr=1), w, d]
recorded(lambda a: nd.sparse.dot(nd.array([[0, 1], [2, 0]]).tostype("csr"), a))
recorded(lambda a: nd.sparse.dot(nd.array([[0, 1], [2, 0]]).tostype("csr"), a, transpose_a=True, forward_stype="default"))
sparse_gradient(lambda a: nd.Embedding(nd.array([1, 1]), a, input_dim=2, output_dim=2, sparse_grad=True))
sparse_gradient(lambda a: a * a)
""")


def sparse_gradient(mx: Any, function: Any) -> Any:
    """The row_sparse gradient of function(a) at a = [[0, 0], [3, 4]]."""
    a = mx.nd.array([[0.0, 0.0], [3.0, 4.0]])
    a.attach_grad(stype="row_sparse")
    with mx.autograd.record():
        found = function(a)
    found.backward()
    return [a.grad, a.grad.asnumpy()]


RANDOM = expressions("""
seeded(lambda: nd.random.uniform(shape=(2, 3)))
seeded(lambda: nd.random.uniform())
seeded(lambda: nd.random.uniform(-1, 1, 4, dtype="float64"))
seeded(lambda: nd.random.uniform(low=2, high=3, shape=(2,), ctx=mx.cpu(0)))
seeded(lambda: nd.random.uniform(out=nd.zeros((3,))))
seeded(lambda: nd.random.uniform(nd.array([0, 10]), nd.array([1, 20])))
seeded(lambda: nd.random.uniform(nd.array([0, 10]), nd.array([1, 20]), shape=2))
seeded(lambda: nd.random.uniform(0, nd.array([1])))
seeded(lambda: nd.random.uniform("a"))
seeded(lambda: nd.random.uniform(nd.array([0]), 1))
seeded(lambda: nd.random.uniform_like(nd.zeros((2, 2))))
seeded(lambda: nd.random.normal(0, 1, (2, 2)))
seeded(lambda: nd.random.normal(nd.array([0, 100]), nd.array([1, 1])))
seeded(lambda: nd.random.randn(2, 3))
seeded(lambda: nd.random.randn(2, loc=5, scale=0.1))
seeded(lambda: nd.random.exponential(2, 3))
seeded(lambda: nd.random.gamma(2, 3, 3))
seeded(lambda: nd.random.poisson(4, 5))
seeded(lambda: nd.random.negative_binomial(3, 0.4, 4))
seeded(lambda: nd.random.generalized_negative_binomial(3, 0.4, 4))
seeded(lambda: nd.random.randint(0, 10, shape=6))
seeded(lambda: nd.random.randint(-5, 5, (2, 2), dtype="int64"))
seeded(lambda: nd.random.multinomial(nd.array([0.2, 0.3, 0.5]), shape=5))
seeded(lambda: nd.random.multinomial(nd.array([[0, 1], [1, 0]]), get_prob=True))
seeded(lambda: nd.random.shuffle(nd.arange(6)))
seeded(lambda: nd.random_uniform(0, 1, shape=(2,)))
seeded(lambda: nd.uniform(0, 1, shape=(2,)))
seeded(lambda: mx.random.normal(shape=(2,)))
seeded(lambda: nd.random.foo)
""")

NAMESPACES = expressions("""
nd.linalg.gemm2(w, w)
nd.linalg_gemm2(w, w)
nd.linalg.det(nd.array([[[2, 0], [0, 3]]]))
nd.op.exp(v)
nd.op.broadcast_add(w, w)
nd._internal._plus_scalar(v, scalar=2)
nd._internal._plus_scalar(v, 2)
nd.image.to_tensor(nd.ones((2, 2, 3), dtype="uint8")).shape
nd.contrib.isnan(nd.array([float("nan"), 1]))
nd.sparse.zeros_like(c)
nd.exp(v)
nd.exp(data=v)
nd.exp(v, out=nd.zeros((5,)))
nd.sum(v, axis=0)
nd.sum(v, 0)
nd.FullyConnected(w, w, no_bias=True, num_hidden=3)
nd.FullyConnected(w, w, v[:3], num_hidden=3)
nd.FullyConnected(data=w, weight=w, bias=v[:3], num_hidden=3)
nd.FullyConnected(w, w, None, 3, True)
nd.Activation(v, "relu")
nd.Activation(v, act_type="foo")
nd.Activation(v)
nd.concat(w, w, dim=1)
nd.concat(*[w, w], dim=0)
nd.add_n(w, w, w)
nd.stack(v, v, axis=1)
nd.split(w, num_outputs=3)
nd.topk(w, k=2, ret_typ="both")
nd.cast(v, dtype="int32")
nd.cast(v, np.int32)
nd.dot(w, w, name="foo")
nd.exp(3)
nd.exp()
nd.dot(w, 3)
nd.broadcast_add(w, x)
nd.elemwise_add(w, i)
nd.NDArray is type(v)
nd.ndarray.NDArray is type(v)
mx.ndarray.zeros(2)
mx.nd.ndarray.array([1])
""")

GROUPS = {
    "indexing": INDEXING, "setting": SETTING, "sharing": SHARING, "arithmetic": ARITHMETIC, "methods": METHODS,
    "recording": RECORDING, "creation": CREATION, "printing": PRINTING, "sparse": SPARSE, "pickles": PICKLES,
    "random": RANDOM, "updates": UPDATES, "namespaces": NAMESPACES,
}  # fmt: skip
