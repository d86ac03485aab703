"""gluon.block: Block, HybridBlock, SymbolBlock."""

from __future__ import annotations

from tensorkeep.mxnet.gluon._block import Block
from tensorkeep.mxnet.gluon._hybrid import HybridBlock
from tensorkeep.mxnet.gluon._scope import BlockScope as _BlockScope
from tensorkeep.mxnet.gluon._symbol_block import SymbolBlock

__all__ = ["Block", "HybridBlock", "SymbolBlock"]

for _class in (Block, HybridBlock, SymbolBlock, _BlockScope):
    _class.__module__ = "mxnet.gluon.block"
