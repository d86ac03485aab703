"""The random generators of a process as plain data: Python's, NumPy's, torch's and its GPUs', tensorkeep.mxnet's.

JAX has none: its keys are values of the state.
"""

from __future__ import annotations

import random
import sys
from typing import Any

__all__ = ["capture_generators", "plain", "restore_generators"]


def capture_generators() -> dict[str, Any]:
    """The state of every generator that the process has loaded."""
    import numpy as np

    version, internal, gauss = random.getstate()
    found: dict[str, Any] = {"python": {"version": version, "state": np.array(internal, np.uint64), "gauss": gauss}}
    kind, keys, position, has_gauss, cached = np.random.get_state(legacy=True)
    found["numpy"] = {"kind": kind, "keys": keys, "position": position, "has_gauss": has_gauss, "cached": cached}
    torch = sys.modules.get("torch")
    if torch is not None:
        found["torch"] = torch.get_rng_state()
        if torch.cuda.is_available() and torch.cuda.is_initialized():
            found["cuda"] = list(torch.cuda.get_rng_state_all())
    mxnet = sys.modules.get("tensorkeep.mxnet._rng")
    if mxnet is not None:
        found["mxnet"] = mxnet.get_state()
    return found


def restore_generators(found: dict[str, Any]) -> list[str]:
    """Set the generators to what was captured; the names of those that could not be (their library is not loaded)."""
    import numpy as np

    missing: list[str] = []
    if "python" in found:
        own = found["python"]
        random.setstate((own["version"], tuple(int(n) for n in own["state"]), own["gauss"]))
    if "numpy" in found:
        own = found["numpy"]
        np.random.set_state((own["kind"], own["keys"], own["position"], own["has_gauss"], own["cached"]))
    torch = sys.modules.get("torch")
    for name in ("torch", "cuda", "mxnet"):
        if name not in found:
            continue
        if name == "mxnet":
            module = sys.modules.get("tensorkeep.mxnet._rng")
            if module is None:
                missing.append(name)
            else:
                module.set_state(found[name])
        elif torch is None or (name == "cuda" and torch.cuda.device_count() < len(found[name])):
            missing.append(name)
        elif name == "torch":
            torch.set_rng_state(torch.as_tensor(found[name]))
        else:
            torch.cuda.set_rng_state_all([torch.as_tensor(state) for state in found[name]])
    return missing


def plain(tree: Any) -> Any:
    """A step's tree with arrays in the place of its tensors."""
    from tensorkeep.core.tensor import Tensor
    from tensorkeep.core.tree import map_tree
    from tensorkeep.storage.reading import read_tensors

    return map_tree(tree, lambda v: read_tensors([v], verify=False)[0] if isinstance(v, Tensor) else v)
