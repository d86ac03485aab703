"""The workloads by name, and small ones that only show that everything runs."""

from __future__ import annotations

from itertools import islice

from benchmarks import _w

TITLES = {
    "w2": "W2: a transformer of 1.25 GB in 292 tensors",
    "w5": "W5: a ResNet-50 of 102 MB in 267 tensors",
    "w3": "W3: 10,000 tensors of 1 KiB",
}
QUICK = {"w2": ("w5", 60), "w5": ("w5", 20), "w3": ("w3", 500)}


def state(name: str) -> _w.State:
    """The arrays of a workload: "w2", "w3", "w5", or "w2-quick" and so on."""
    full, _, quick = name.partition("-")
    makers = {"w2": _w.w2, "w3": _w.w3, "w5": _w.w5}
    if not quick:
        return makers[full]()
    other, count = QUICK[full]
    return dict(islice(makers[other]().items(), count))
