"""One tensor of a torch pickle at a time: the 35 opcodes that nearly every tensor consists of, taken in one step.

The machine asks here when `_rebuild_tensor_v2` is about to be called. What does not look exactly as torch.save (protocol 2)
writes it is left to the machine; what does gives the same stack, memo and counts as the machine would. It halves the time
of opening a file of 10,000 tensors.
"""

from __future__ import annotations

import re
import struct
from collections import OrderedDict
from typing import TYPE_CHECKING

from tensorkeep.formats._pickle_parts import Global

if TYPE_CHECKING:
    from tensorkeep.formats._pickle import Machine

__all__ = ["SHORTCUTS"]

_INT = rb"(?:K.|M..|J....)"
_INTS = rb"(%b\x85|%b{2}\x86|%b{3}\x87|\(%b{4,8}t)" % ((_INT,) * 4)
_PUT = rb"r(....)"  # the memo has 256 entries after some 40 tensors
_TENSOR = re.compile(
    rb"\(\(h(.)(h.|j....)X(.)\0\0\0([0-9]{1,15})" + _PUT  # 'storage', its class, its key
    + rb"h(.)(" + _INT + rb")t" + _PUT + rb"Q"  # the device, the number of elements
    + rb"(" + _INT + rb")" + _INTS + _PUT + _INTS + _PUT  # offset, shape, strides
    + rb"\x89h(.)\)R" + _PUT + rb"t" + _PUT + rb"R" + _PUT,  # no gradient, OrderedDict(), the call
    re.DOTALL,
)  # fmt: skip
_EACH = re.compile(_INT, re.DOTALL)
_SEVEN = struct.Struct("<7I").pack
_CONTAINERS = 6

_tuples: dict[bytes, tuple[int, ...]] = {}
_MAX_CACHED = 10_000


def _rebuild_tensor(m: Machine, func: Global, pos: int) -> int:
    """Call `func` for the tensor whose arguments begin at `pos`; the position behind it, or 0 when it looks otherwise."""
    match = _TENSOR.match(m.data, pos, m.limit)
    if match is None:
        return 0
    (
        word,
        cls_at,
        length,
        key_raw,
        put0,
        place,
        count,
        put1,
        start,
        size_raw,
        put2,
        step_raw,
        put3,
        hooks,
        put4,
        put5,
        put6,
    ) = match.groups()
    memo = m.memo
    n = len(memo)
    if put0 + put1 + put2 + put3 + put4 + put5 + put6 != _SEVEN(n, n + 1, n + 2, n + 3, n + 4, n + 5, n + 6):
        return 0
    index = cls_at[1] if cls_at[0] == 0x68 else int.from_bytes(cls_at[1:], "little")
    if len(key_raw) != length[0] or index >= n:
        return 0
    cls, location, ordered = memo[index], memo[place[0]], memo[hooks[0]]
    kind = memo[word[0]]
    if type(cls) is not Global or type(ordered) is not Global or ordered.name != "OrderedDict" or type(kind) is not str:
        return 0
    if ordered.module != "collections":
        return 0
    m.pos = match.end()
    key = key_raw.decode("ascii")
    pid = (kind, cls, key, location, _number(count))
    storage = m.persist(pid)
    ordered.called += 1
    held: OrderedDict[str, object] = OrderedDict()
    size, steps = _ints(size_raw), _ints(step_raw)
    args = (storage, _number(start), size, steps, False, held)
    tensor = m.reduce(func, args)
    memo += (key, pid, size, steps, held, args, tensor)
    m.stack.append(tensor)
    m.budget -= _CONTAINERS
    return m.pos


def _number(raw: bytes) -> int:
    if raw[0] == 0x4B:
        return raw[1]
    return int.from_bytes(raw[1:], "little", signed=raw[0] == 0x4A)


def _ints(raw: bytes) -> tuple[int, ...]:
    found = _tuples.get(raw)
    if found is None:
        found = tuple(_number(part) for part in _EACH.findall(raw, raw[0] == 0x28, len(raw) - 1))
        if len(_tuples) < _MAX_CACHED:
            _tuples[raw] = found
    return found


SHORTCUTS = {("torch._utils", "_rebuild_tensor_v2"): _rebuild_tensor}
"""(module, name) of a function to what takes a whole call of it."""
