"""The house rules hold in src; and each of them finds what it is for, shown on made-up trees."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.house import rules

PACKAGE = Path(__file__).resolve().parents[2] / "src" / "tensorkeep"

Rule = Callable[[Path], list[str]]
ALL_RULES = [rules.layers, rules.separate, rules.heavy_at_top, rules.too_long, rules.writes, rules.runs_code]


@pytest.mark.parametrize("rule", ALL_RULES, ids=lambda rule: rule.__name__)
def test_the_source_keeps_the_house_rules(rule: Rule) -> None:
    """No module of src breaks the rule."""
    assert len(rules.modules(PACKAGE)) > 10

    assert rule(PACKAGE) == []


BROKEN = [
    (rules.layers, "core/tree.py", "from tensorkeep.formats import detect"),
    (rules.layers, "core/tree.py", "import tensorkeep.formats.npy"),
    (rules.layers, "core/tree.py", "from tensorkeep import formats"),
    (rules.layers, "core/tree.py", "from ..formats import npy"),
    (rules.layers, "core/tree.py", "def f():\n    from tensorkeep.formats import npy"),
    (rules.layers, "core/tree.py", "if TYPE_CHECKING:\n    from tensorkeep.formats import npy"),
    (rules.layers, "core/tree.py", "importlib.import_module('tensorkeep.formats.npy')"),
    (rules.layers, "core/tree.py", "from tensorkeep.testing import faults"),
    (rules.layers, "formats/npy.py", "from tensorkeep.storage import atomic"),
    (rules.layers, "errors.py", "from tensorkeep._optional import require"),
    (rules.layers, "formats/npy.py", "from tensorkeep import load"),
    (rules.layers, "attic/box.py", "x = 1"),
    (rules.separate, "formats/npy.py", "from tensorkeep.formats.torch import unpack"),
    (rules.separate, "formats/npy.py", "from tensorkeep.formats import torch"),
    (rules.separate, "formats/npy.py", "from . import torch"),
    (rules.separate, "formats/npy.py", "from .torch.zip import unpack"),
    (rules.separate, "formats/_zip.py", "from tensorkeep.formats import torch"),
    (rules.separate, "mxnet/ops/math.py", "from .nn import relu"),
    (rules.separate, "adapters/jax.py", "from tensorkeep.adapters import torch"),
    (rules.heavy_at_top, "core/tree.py", "import numpy as np"),
    (rules.heavy_at_top, "core/tree.py", "from torch.nn import Module"),
    (rules.heavy_at_top, "core/tree.py", "try:\n    import ml_dtypes\nexcept ImportError:\n    ml_dtypes = None"),
    (rules.heavy_at_top, "core/tree.py", "class C:\n    import jax"),
    (rules.heavy_at_top, "api.py", "import rich"),
    (rules.heavy_at_top, "checkpoint/steps.py", "import keras"),
    (rules.heavy_at_top, "checkpoint/integrations/keras.py", "import torch"),
    (rules.heavy_at_top, "checkpoint/integrations/mxnet.py", "import keras"),
    (rules.layers, "checkpoint/steps.py", "from tensorkeep.checkpoint.integrations import keras"),
    (rules.layers, "checkpoint/steps.py", "from tensorkeep.api import save"),
    (rules.separate, "checkpoint/integrations/keras.py", "from tensorkeep.checkpoint.integrations.lightning import X"),
    (rules.heavy_at_top, "cli/ls.py", "import numpy"),
    (rules.too_long, "core/tree.py", "x = 1\n" * 601),
    (rules.writes, "core/tree.py", "open(path, 'w')"),
    (rules.writes, "api.py", "with open(path, mode='wb') as f: pass"),
    (rules.writes, "api.py", "io.open(path, 'r+b')"),
    (rules.writes, "api.py", "Path(path).open('ab')"),
    (rules.writes, "api.py", "path.write_bytes(data)"),
    (rules.writes, "api.py", "os.fdopen(fd, 'xb')"),
    (rules.writes, "api.py", "os.open(path, os.O_RDONLY | os.O_CREAT)"),
    (rules.writes, "api.py", "os.replace(a, b)"),
    (rules.runs_code, "formats/npy.py", "import pickle"),
    (rules.runs_code, "formats/npy.py", "def f():\n    from marshal import loads"),
    (rules.runs_code, "formats/npy.py", "from pickle import dumps"),
    (rules.runs_code, "mxnet/optimizer.py", "from pickle import loads"),
    (rules.runs_code, "mxnet/optimizer.py", "from pickle import _Unpickler"),
    (rules.runs_code, "mxnet/optimizer.py", "import pickle"),
    (rules.runs_code, "formats/npy.py", "eval(header)"),
    (rules.runs_code, "formats/npy.py", "torch.load(path, weights_only=True)"),
    (rules.runs_code, "formats/npy.py", "np.load(path, allow_pickle=True)"),
]


@pytest.mark.parametrize(("rule", "where", "source"), BROKEN, ids=lambda v: getattr(v, "__name__", str(v)[:40]))
def test_a_broken_rule_is_found(tmp_path: Path, rule: Rule, where: str, source: str) -> None:
    """A tree with one violation is reported once, with its place."""
    package = tree(tmp_path, {where: source})

    found = rule(package)

    assert len(found) == 1, found
    assert Path(where).name.removesuffix(".py") in found[0]


ALLOWED = [
    ("core/tree.py", "from tensorkeep.core import tensor\nfrom tensorkeep.errors import LimitError"),
    ("core/tree.py", "def f():\n    import numpy\n    return numpy"),
    ("core/tree.py", "if TYPE_CHECKING:\n    import numpy"),
    ("_optional.py", "from tensorkeep.errors import MissingExtraError"),
    ("formats/npy.py", "from tensorkeep.formats import Format, _zip\nfrom tensorkeep.formats._pickle import machine"),
    ("formats/torch/legacy.py", "from tensorkeep.formats.torch.zip import unpack"),
    ("mxnet/symbol.py", "import torch\nfrom tensorkeep.mxnet.ops import nn\nfrom . import ndarray"),
    ("mxnet/optimizer.py", "from pickle import dumps"),
    ("adapters/torch.py", "from tensorkeep.adapters.base import Adapter"),
    ("cli/ls.py", "import click\nfrom rich.table import Table\nfrom tensorkeep.api import open"),
    ("checkpoint/integrations/keras.py", "import keras\nfrom tensorkeep.api import save\nfrom . import _common"),
    ("testing/faults.py", "import pickle\nimport numpy\nimport tensorkeep\nopen(path, 'wb')"),
    ("storage/atomic.py", "os.open(path, os.O_CREAT)\nos.replace(a, b)"),
    ("api.py", "open(path, 'rb')\nopen(path)\ntext.replace(a, b)\nre.compile(x)\nnp.load(p, allow_pickle=False)"),
    ("core/tree.py", "x = 1\n" * 600),
    ("__init__.py", "def f():\n    from tensorkeep.api import load\n    return load"),
]


@pytest.mark.parametrize(("where", "source"), ALLOWED, ids=lambda v: str(v)[:40])
def test_what_is_allowed_passes_every_rule(tmp_path: Path, where: str, source: str) -> None:
    """The rules refuse nothing that the design allows."""
    package = tree(tmp_path, {where: source})

    assert [line for rule in ALL_RULES for line in rule(package)] == []


def tree(root: Path, files: dict[str, str]) -> Path:
    """A small package with the rooms that the examples speak of, and the given files."""
    package = root / "tensorkeep"
    rooms = ["__init__", "core/__init__", "formats/__init__", "formats/_zip", "formats/_pickle", "formats/npy"]
    rooms += ["formats/torch/__init__", "formats/torch/zip", "storage/__init__", "storage/atomic", "testing/__init__"]
    rooms += [
        "mxnet/__init__",
        "mxnet/ndarray",
        "mxnet/ops/__init__",
        "mxnet/ops/nn",
        "adapters/base",
        "adapters/torch",
    ]
    for name, source in {**{f"{room}.py": "" for room in rooms}, **files}.items():
        path = package / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source, "utf-8")
    return package
