"""SSD's operators: anchors, their targets, detections."""

import numpy as np

from tests.mxnet.ops.case import Case, Given, Rand

IMAGE = (1, 3, 2, 3)


def boxes(count: int, seed: int) -> list[list[float]]:
    rng = np.random.RandomState(seed)
    start = rng.uniform(0, 0.6, size=(count, 2))
    return np.round(np.concatenate([start, start + rng.uniform(0.1, 0.4, size=(count, 2))], 1), 4).tolist()


ANCHORS = Given([boxes(12, 1)])
TRUTH = boxes(4, 2)
LABELS = Given(
    [
        [[1, *TRUTH[0]], [0, *TRUTH[1]], [2, *TRUTH[2]]],
        [[0, *TRUTH[3]], [-1] * 5, [-1] * 5],
        [[-1] * 5, [-1] * 5, [-1] * 5],
        [[2, *boxes(12, 1)[4]], [1, *boxes(12, 1)[4]], [0, 0.95, 0.95, 0.99, 0.99]],
    ]
)
PREDS = Rand((4, 3, 12))
PROBS = Rand((2, 4, 12), "float32", "uniform", 0, 1)
LOCS = Rand((2, 48))

CASES = [
    *(
        Case("_contrib_MultiBoxPrior", (IMAGE,), attrs, grad=False)
        for attrs in [
            {}, {"sizes": (0.5, 0.25), "ratios": (1, 2, 0.5)}, {"sizes": 0.3}, {"ratios": (2, 1), "sizes": (0.4, 0.2)},
            {"sizes": (0.9,), "clip": True, "steps": (0.4, 0.3), "offsets": (0.3, 0.7)}, {"steps": (-2, -1)},
            {"sizes": "(0.9,)", "ratios": "(1, 3)"},
        ]
    ),
    Case("_contrib_MultiBoxPrior", (Rand(IMAGE, "float64"),), error=True),
    Case("_contrib_MultiBoxPrior", ((2, 3),), error=True),
    Case("_contrib_MultiBoxPrior", (IMAGE,), {"steps": (0.4, -1)}, error=True),
    Case("_contrib_MultiBoxPrior", (IMAGE,), {"sizes": ()}, error=True),
    *(
        Case("_contrib_MultiBoxTarget", (ANCHORS, LABELS, PREDS), attrs, grad=False)
        for attrs in [
            {}, {"overlap_threshold": 0.2}, {"overlap_threshold": 0}, {"ignore_label": -7},
            {"negative_mining_ratio": 1.5}, {"negative_mining_ratio": 2, "negative_mining_thresh": 0.3},
            {"negative_mining_ratio": 1, "minimum_negative_samples": 4}, {"variances": (1, 0.5, 0.25, 2)},
            {"negative_mining_ratio": 0.3, "overlap_threshold": 0.9},
        ]
    ),
    Case("_contrib_MultiBoxTarget", (ANCHORS, Rand((4, 3)), PREDS), error=True),
    Case("_contrib_MultiBoxTarget", (ANCHORS, LABELS, Rand((4, 3, 5))), error=True),
    *(
        Case("_contrib_MultiBoxDetection", (PROBS, LOCS, ANCHORS), attrs, grad=False)
        for attrs in [
            {}, {"clip": False}, {"threshold": 0.8}, {"nms_threshold": 0.2}, {"nms_threshold": 0.2, "nms_topk": 4},
            {"force_suppress": True, "nms_threshold": 0.3}, {"nms_threshold": -1}, {"variances": (1, 0.5, 0.25, 2)},
            {"threshold": 2}, {"background_id": 1}, {"nms_threshold": 1.5, "nms_topk": 2},
        ]
    ),
    Case("_contrib_MultiBoxDetection", (PROBS, Rand((2, 40)), ANCHORS), error=True),
]  # fmt: skip
