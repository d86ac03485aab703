"""MXNet's random numbers: its CPU generator word for word, and the distributions that it draws from it.

A draw of N values is cut into at most 1024 chunks of at least 64; chunk i is drawn from the Mersenne Twister i, which
was seeded with seed * 127 + i, and the twisters go on from draw to draw. Operators that MXNet never made parallel
(shuffle, multinomial, most of np.random) draw from one twister of their own, which has the seed of the first.
GPUs get the same numbers, made on the CPU; MXNet's own GPU generator is cuRAND's.

Source: random_generator.h, sampler.h, resource.cc of 1.9.1, libstdc++'s <random>; compared with real MXNet in
tests/mxnet/test_rng.py.
"""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import torch

__all__ = [
    "Array", "Generator", "Lanes", "Words", "below", "generator", "get_state", "logf", "polar", "seed", "set_state",
    "shuffle_order", "std_shuffle", "to_unit", "torch_generator",
]  # fmt: skip

Array = np.ndarray[Any, Any]

STREAMS = 1024
"""kNumRandomStates: how many twisters there are."""
CHUNK = 64
"""kMinNumRandomPerThread: a draw uses another twister for every so many values."""
_MAGIC = 127
"""kRandMagic: what a seed is multiplied with."""
_BULK = 2048
"""From so many words on, randint's uint32 is faster than random_raw's uint64."""


class Words:
    """The 32-bit words of one Mersenne Twister, which can be looked at before they are used."""

    __slots__ = ("_ahead", "_twister")

    def __init__(self, seed: int) -> None:
        self._twister = np.random.RandomState(seed & 0xFFFFFFFF)
        self._ahead: Array | None = None

    def _more(self, count: int) -> Array:
        if count < _BULK:
            raw: Array = self._twister._bit_generator.random_raw(count)
            return raw
        return self._twister.randint(0, 1 << 32, count, dtype=np.uint32)

    def take(self, count: int) -> Array:
        """The next `count` words."""
        if self._ahead is None:
            return self._more(count)
        words = self.peek(count)
        self.skip(count)
        return words

    def peek(self, count: int) -> Array:
        """The next `count` words, which stay the next ones."""
        ahead = self._ahead
        if ahead is None:
            ahead = self._ahead = self._more(count)
        elif len(ahead) < count:
            ahead = self._ahead = np.concatenate([ahead, self._more(count - len(ahead))])
        return ahead[:count]

    def skip(self, count: int) -> None:
        """Use up `count` words that peek() has shown."""
        rest = self._ahead[count:] if self._ahead is not None else None
        self._ahead = rest if rest is not None and len(rest) else None


class Generator:
    """The twisters of one seed, each made when it is first drawn from.

    Attributes:
        serial: the twister of the operators that MXNet never made parallel.
        lock: held during a draw, so that threads do not get the same numbers.
    """

    def __init__(self, first: int, serial: int) -> None:
        self._first = first
        self._streams: list[Words | None] = [None] * STREAMS
        self.serial = Words(serial)
        self.lock = threading.RLock()

    def stream(self, index: int) -> Words:
        """The twister `index`."""
        found = self._streams[index]
        if found is None:
            found = self._streams[index] = Words(self._first + index)
        return found

    def chunks(self, count: int) -> tuple[int, int]:
        """How many twisters a draw of `count` values uses, and how many values each of them gives (the last: fewer)."""
        used = min(-(-count // CHUNK), STREAMS)
        return used, -(-count // used)

    def words(self, count: int, each: int = 1) -> Array:
        """`each` words for every one of `count` values, in the order of the values: (count * each,)."""
        if count <= CHUNK:
            return self.stream(0).take(count * each)
        used, step = self.chunks(count)
        parts = []
        for i in range(used):
            here = min(step, count - i * step)
            if here > 0:
                parts.append(self.stream(i).take(here * each))
        return np.concatenate(parts)

    def uniform(self, count: int, dtype: Any = np.float32) -> Array:
        """`count` values in [0, 1): float32 from one word each, float64 from two."""
        with self.lock:
            return to_unit(self.words(count, 1 if dtype is np.float32 else 2), dtype)

    def normal(self, count: int, dtype: Any = np.float32) -> Array:
        """`count` values of the standard normal distribution; every one begins a pair of its own, as MXNet's do."""
        with self.lock:
            if count <= CHUNK:
                return self._polar_rows([(self.stream(0), count)], dtype)
            used, step = self.chunks(count)
            rows = [(self.stream(i), min(step, count - i * step)) for i in range(used) if i * step < count]
            if dtype is np.float32 and step * used < 1 << 22:
                return self._polar_rows(rows, dtype)
            return np.concatenate([self._polar_rows([row], dtype) for row in rows])

    def serial_normal(self, count: int, dtype: Any = np.float32) -> Array:
        """`count` standard normal values of one std::normal_distribution on the serial twister.

        It keeps the second value of each point for the next call.
        """
        each = 2 if dtype is np.float32 else 4  # words of a point
        points = -(-count // 2)
        tries = int(points * 1.4) + 16
        while True:
            unit = to_unit(self.serial.peek(each * tries), dtype).reshape(-1, 2)
            x, y = _centred(unit[:, 0]), _centred(unit[:, 1])
            squared = x * x + y * y
            inside = np.flatnonzero((squared <= 1) & (squared != 0))
            if len(inside) >= points:
                break
            tries *= 2
        inside = inside[:points]
        self.serial.skip(each * (int(inside[-1]) + 1) if points else 0)
        x, y, squared = x[inside], y[inside], squared[inside]
        return np.stack([polar(y, squared), polar(x, squared)], axis=1).reshape(-1)[:count]

    def _polar_rows(self, rows: list[tuple[Words, int]], dtype: Any) -> Array:
        """From each stream so many values; the pairs that lie outside the unit circle are skipped."""
        need = np.array([count for _, count in rows])
        each = 2 if dtype is np.float32 else 4  # words of a pair
        pairs = int(need.max() * 1.3) + 10
        while True:
            words = np.stack([stream.peek(pairs * each) for stream, _ in rows])
            unit = to_unit(words.reshape(-1), dtype).reshape(len(rows), pairs, 2)
            x, y = _centred(unit[..., 0]), _centred(unit[..., 1])
            squared = x * x + y * y
            inside = (squared <= 1) & (squared != 0)
            order = inside.cumsum(1)
            if (order[:, -1] >= need).all():
                break
            pairs = pairs * 2
        chosen = inside & (order <= need[:, None])
        last = (order >= need[:, None]).argmax(1)
        for (stream, _), index in zip(rows, last.tolist(), strict=True):
            stream.skip((index + 1) * each)
        return polar(y[chosen], squared[chosen])


class Lanes:
    """Draws of rejection samplers: chunk i of the values on twister i, all chunks side by side.

    A sampler asks for numbers with the positions of the lanes that still need one.
    """

    def __init__(self, source: Generator, lanes: int, ahead: int) -> None:
        self._streams = [source.stream(i) for i in range(lanes)]
        self._ahead = ahead
        self._words = np.stack([stream.peek(ahead) for stream in self._streams])
        self._used = np.zeros(lanes, dtype=np.int64)

    def _reserve(self, lanes: Array, count: int) -> None:
        if int(self._used[lanes].max()) + count > self._ahead:
            self._ahead = 2 * self._ahead + count
            self._words = np.stack([stream.peek(self._ahead) for stream in self._streams])

    def uniform(self, lanes: Array, dtype: Any = np.float32) -> Array:
        """One value in [0, 1) from each of the lanes."""
        each = 1 if dtype is np.float32 else 2
        self._reserve(lanes, each)
        at = self._used[lanes]
        self._used[lanes] = at + each
        words = self._words[lanes, at]
        if each == 2:
            words = np.stack([words, self._words[lanes, at + 1]], axis=1).reshape(-1)
        return to_unit(words, dtype)

    def normal(self, lanes: Array, dtype: Any = np.float32) -> Array:
        """One value of the standard normal distribution from each of the lanes."""
        found = np.empty(len(lanes), dtype)
        open_ = np.arange(len(lanes))
        while len(open_):
            here = lanes[open_]
            x, y = _centred(self.uniform(here, dtype)), _centred(self.uniform(here, dtype))
            squared = x * x + y * y
            inside = (squared <= 1) & (squared != 0)
            found[open_[inside]] = polar(y[inside], squared[inside])
            open_ = open_[~inside]
        return found

    def close(self) -> None:
        """Use up the words that were drawn."""
        for stream, used in zip(self._streams, self._used.tolist(), strict=True):
            stream.skip(used)


def to_unit(words: Array, dtype: Any = np.float32) -> Array:
    """Values in [0, 1) as libstdc++'s generate_canonical makes them: float32 from a word, float64 from two."""
    if dtype is np.float32:
        values = words.astype(np.float32) * np.float32(2.0**-32)
        # A word near 2**32 rounds up to it.
        return np.minimum(values, np.float32(1 - 2.0**-24), out=values)
    pairs = words.reshape(-1, 2).astype(np.float64)
    return np.minimum((pairs[:, 0] + pairs[:, 1] * 2.0**32) * 2.0**-64, 1 - 2.0**-53)


def _centred(unit: Array) -> Array:
    """(-1, 1) from [0, 1)."""
    return unit * unit.dtype.type(2) - unit.dtype.type(1)


def polar(y: Array, squared: Array) -> Array:
    """Marsaglia's polar method: a normal value from a point inside the unit circle."""
    log = logf(squared) if squared.dtype == np.float32 else np.log(squared)
    return y * np.sqrt(squared.dtype.type(-2) * log / squared)


def _hex(*rows: str) -> list[float]:
    return [float.fromhex(text) for row in rows for text in row.split()]


_LOG_INVERSE = np.array(_hex(
    "0x1.661ec79f8f3bep+0 0x1.571ed4aaf883dp+0 0x1.49539f0f010bp+0 0x1.3c995b0b80385p+0 0x1.30d190c8864a5p+0",
    "0x1.25e227b0b8eap+0 0x1.1bb4a4a1a343fp+0 0x1.12358f08ae5bap+0 0x1.0953f419900a7p+0 0x1p+0 0x1.e608cfd9a47acp-1",
    "0x1.ca4b31f026aap-1 0x1.b2036576afce6p-1 0x1.9c2d163a1aa2dp-1 0x1.886e6037841edp-1 0x1.767dcf5534862p-1",
))  # fmt: skip
_LOG_OF = np.array(_hex(
    "-0x1.57bf7808caadep-2 -0x1.2bef0a7c06ddbp-2 -0x1.01eae7f513a67p-2 -0x1.b31d8a68224e9p-3 -0x1.6574f0ac07758p-3",
    "-0x1.1aa2bc79c81p-3 -0x1.a4e76ce8c0e5ep-4 -0x1.1973c5a611cccp-4 -0x1.252f438e10c1ep-5 0x0p+0",
    "0x1.aa5aa5df25984p-5 0x1.c5e53aa362eb4p-4 0x1.526e57720db08p-3 0x1.bc2860d22477p-3 0x1.1058bc8a07ee1p-2",
    "0x1.4043057b6ee09p-2",
))  # fmt: skip
(_LN2,) = _hex("0x1.62e42fefa39efp-1")
_LOG_POLY = _hex("-0x1.00ea348b88334p-2 0x1.5575b0be00b6ap-2 -0x1.ffffef20a4123p-2")


def logf(values: Array) -> Array:
    """The logarithm of positive normal float32 values, rounded as glibc's logf (2.27 and later) rounds it.

    NumPy's own float32 logarithm differs in the last bit. Source of the method and its table: the Arm optimized
    routines, logf.
    """
    bits = np.ascontiguousarray(values).view(np.uint32)
    above = (bits - np.uint32(0x3F330000)).view(np.int32)
    entry = (above >> 19) & 15
    exponent = above >> 23
    mantissa = (bits - (above & np.int32(-0x800000)).view(np.uint32)).view(np.float32)
    r = mantissa.astype(np.float64) * _LOG_INVERSE[entry] - 1.0
    base = _LOG_OF[entry] + exponent * _LN2
    squared = r * r
    tail = _LOG_POLY[0] * squared + (_LOG_POLY[1] * r + _LOG_POLY[2])
    found: Array = (tail * squared + (base + r)).astype(np.float32)
    return found


def below(words: Words, limits: Array) -> Array:
    """For each limit n a number 0 … n-1, as libstdc++'s uniform_int_distribution draws it (before GCC 11)."""
    limits = limits.astype(np.int64)
    scaling = 0xFFFFFFFF // limits
    past = limits * scaling
    found = np.empty(len(limits), np.int64)
    start = 0
    while start < len(limits):
        drawn = words.peek(len(limits) - start).astype(np.int64)
        refused = np.flatnonzero(drawn >= past[start:])
        good = int(refused[0]) if len(refused) else len(drawn)
        found[start : start + good] = drawn[:good] // scaling[start : start + good]
        words.skip(good + (1 if len(refused) else 0))
        start += good
    return found


def shuffle_order(count: int, *, downwards: bool) -> Array:
    """The order that MXNet's shuffle gives `count` things: indices, from the serial twister.

    Args:
        downwards: Fisher–Yates from the end, as for arrays of rows; else std::random_shuffle, as for 1-D arrays. MXNet
            cuts 1-D arrays of 1000 and more over its threads, so that there the order depends on the machine; this one
            is that of a single thread.
    """
    with generator().lock:
        if downwards:
            return _swapped(count, range(count - 1, 0, -1), below(generator().serial, np.arange(count, 1, -1)))
        return _swapped(count, range(1, count), below(generator().serial, np.arange(2, count + 1)))


def std_shuffle(seed: int, count: int) -> Array:
    """The order that std::shuffle gives `count` things with a new std::mt19937: one swap a draw (before GCC 7)."""
    return _swapped(count, range(1, count), below(Words(seed), np.arange(2, count + 1)))


def _swapped(count: int, places: range, picks: Array) -> Array:
    order = list(range(count))
    for i, j in zip(places, picks.tolist(), strict=True):
        order[i], order[j] = order[j], order[i]
    return np.array(order, dtype=np.int64)


class _Process:
    """What mx.random.seed sets: one generator for the process, and torch's for each device."""

    generator = Generator(0, 0)
    seed = 0
    torch: dict[torch.device, torch.Generator]


_Process.torch = {}


def generator() -> Generator:
    """The generator that every operator draws from; seeded with 0 until mx.random.seed is called."""
    return _Process.generator


def seed(value: int, *, device_only: bool = False) -> None:
    """Start again from a seed.

    Args:
        device_only: the seed was given for one device; MXNet then seeds the serial twister with it as it is.
    """
    value &= 0xFFFFFFFF
    first = value * _MAGIC & 0xFFFFFFFF
    _Process.generator = Generator(first, value if device_only else first)
    _Process.seed = value
    _Process.torch = {}


def torch_generator(device: torch.device) -> torch.Generator:
    """A torch generator for kernels that draw on a device; it starts again with every mx.random.seed."""
    found = _Process.torch.get(device)
    if found is None:
        found = _Process.torch[device] = torch.Generator(device)
        found.manual_seed(_Process.seed)
    return found


def get_state() -> dict[str, Any]:
    """Where all generators are, as arrays and numbers: what was seeded, and each twister that was drawn from."""
    own = _Process.generator
    with own.lock:
        used = {-1: own.serial, **{i: stream for i, stream in enumerate(own._streams) if stream is not None}}
        states = [stream._twister._bit_generator.state["state"] for stream in used.values()]
        ahead = [np.asarray([] if s._ahead is None else s._ahead, np.uint64) for s in used.values()]
        return {
            "seed": _Process.seed,
            "first": own._first,
            "streams": np.array(list(used), np.int64),  # -1 is the serial one
            "keys": np.stack([state["key"] for state in states]).astype(np.uint32),
            "positions": np.array([state["pos"] for state in states], np.int64),
            "ahead": np.concatenate(ahead),
            "ahead_counts": np.array([len(words) for words in ahead], np.int64),
            "torch": {str(device): found.get_state() for device, found in _Process.torch.items()},
        }


def set_state(state: dict[str, Any]) -> None:
    """Go on where `get_state` was called."""
    made = Generator(int(state["first"]), 0)
    ends = np.cumsum(state["ahead_counts"])
    for row, index in enumerate(np.asarray(state["streams"]).tolist()):
        stream = Words(0)
        twister = stream._twister._bit_generator
        key, position = np.asarray(state["keys"])[row], int(state["positions"][row])
        twister.state = {"bit_generator": "MT19937", "state": {"key": key, "pos": position}}
        words = np.asarray(state["ahead"])[ends[row] - state["ahead_counts"][row] : ends[row]]
        stream._ahead = words.copy() if len(words) else None
        if index < 0:
            made.serial = stream
        else:
            made._streams[index] = stream
    _Process.generator, _Process.seed, _Process.torch = made, int(state["seed"]), {}
    for name, found in state["torch"].items():
        torch_generator(torch.device(name)).set_state(torch.as_tensor(found))
