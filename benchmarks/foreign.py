"""One operation of a library in another environment: `python foreign.py mxnet load w5 PATH BALLAST` prints its seconds.

It imports nothing but NumPy, that library, and the workloads beside it.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks import _w, states


def mxnet(verb: str, state: _w.State, path: str, sample: _w.Sample) -> None:
    """MXNet's list files."""
    import mxnet as mx

    mx.nd.save(path + ".warm", {"a": mx.nd.zeros(64)})  # its threads are started
    mx.nd.load(path + ".warm")
    os.unlink(path + ".warm")
    if verb in ("save", "cached"):
        given = {name: mx.nd.from_numpy(array, zero_copy=True) for name, array in state.items()}
        mx.nd.waitall()
        with sample:
            mx.nd.save(path, given)
            if verb == "save":
                _w.sync(path)
        return
    name = list(state)[len(state) // 2]
    with sample:
        found = mx.nd.load(path)
        mx.nd.waitall()
        if verb == "one":
            found[name].asnumpy()


def orbax(verb: str, state: _w.State, path: str, sample: _w.Sample) -> None:
    """Orbax's checkpointer of trees."""
    import orbax.checkpoint as ocp

    with ocp.StandardCheckpointer() as checkpointer:
        checkpointer.save(path + ".warm", {"a": next(iter(state.values()))[:1]})
        checkpointer.wait_until_finished()
        checkpointer.restore(path + ".warm")
        shutil.rmtree(path + ".warm")
        if verb in ("save", "cached"):
            with sample:
                checkpointer.save(path, state)
                checkpointer.wait_until_finished()
                if verb == "save":
                    _w.sync(path)
            return
        with sample:
            own(checkpointer.restore(path).values())


def own(values: Any) -> None:
    """Write to every page, so that it is the caller's."""
    import numpy as np

    for value in values:
        array = np.asarray(value)
        if not array.flags.writeable:
            array = array.copy()
        if array.nbytes > 4096:
            array.reshape(-1).view(np.uint8)[::4096] |= 0


def main() -> None:
    """Carry out the operation that the command line names."""
    kind, verb, workload, path, ballast = sys.argv[1:]
    state = states.state(workload)
    sample = _w.Sample()
    sample.ballast_nbytes = int(ballast)
    {"mxnet": mxnet, "orbax": orbax}[kind](verb, state, path, sample)
    print(json.dumps({"seconds": sample.seconds, "peak_extra": sample.peak_extra}))


if __name__ == "__main__":
    main()
