"""Operators on boxes: overlap, suppression, matching, coding."""

from tests.mxnet.ops.case import Case, Given, Rand

D = Given(
    [
        [[0, 0.5, 0.1, 0.1, 0.2, 0.2], [1, 0.4, 0.1, 0.1, 0.2, 0.2], [0, 0.3, 0.1, 0.1, 0.14, 0.14],
         [2, 0.6, 0.5, 0.5, 0.7, 0.8]],
        [[1, 0.5, 0.2, 0.1, 0.6, 0.5], [1, 0.5, 0.3, 0.1, 0.6, 0.5], [0, -0.1, 0.3, 0.1, 0.6, 0.5],
         [1, 0.2, 0.9, 0.9, 0.8, 0.8]],
    ]
)  # fmt: skip
RANDOM = Rand((2, 12, 6), "float32", "uniform", 0, 1)
A = Given([[0, 0, 2, 2], [1, 1, 3, 3]])
B = Given([[0, 0, 1, 1], [5, 5, 6, 6], [1, 1, 0, 0]])
ANCHORS = Given([[[0, 0, 2, 2], [1, 1, 3, 3], [0, 0, 1, 1], [2, 2, 4, 6]]])
ENCODE = (
    Given([[1, 0, -1, 0.6]]), Given([[0, 1, 0, 1]]), ANCHORS, Given([[[0, 0, 2, 3], [1, 1, 4, 3]]]),
)  # fmt: skip
DELTAS = Given([[[0.1, 0.2, 0.3, -0.1], [0, 0, 1, 1], [1, 1, 2, 3], [0, 0, 0, 0]]] * 2)
SCORES = Given([[0.5, 0.6], [0.1, 0.2], [0.3, 0.4]])
PADDED = Given(
    [[0, 0.5, 0.1, 0.1, 0.2, 0.2], [0, 0.4, 0.1, 0.1, 0.2, 0.2], [1, 0.3, 0, 0, 1, 1], [-1, 0.6, 5, 5, 7, 8]]
)

CASES = [
    *(
        Case("_contrib_box_nms", (D,), {"overlap_thresh": 0.1, **attrs})
        for attrs in [
            {}, {"id_index": 0}, {"id_index": 0, "force_suppress": True}, {"id_index": 0, "background_id": 0},
            {"topk": 2}, {"valid_thresh": 0.4}, {"out_format": "center"}, {"in_format": "center"},
            {"in_format": "center", "out_format": "center"}, {"valid_thresh": 2}, {"topk": 100, "valid_thresh": -1},
            {"score_index": 0, "id_index": 1},
        ]
    ),
    Case("_contrib_box_nms", (D,)),
    Case("_contrib_box_nms", (PADDED,), {"id_index": 0, "force_suppress": True}, grad=False),
    Case("_contrib_box_nms", (PADDED,), {"id_index": 0, "background_id": 1}, grad=False),
    *(Case("_contrib_box_nms", (RANDOM,), {"overlap_thresh": t, "in_format": "center"}) for t in (0.1, 0.3, 0.7)),
    Case("_contrib_box_nms", (Rand((10, 7), "float32", "uniform", 0, 1),), {"coord_start": 1, "score_index": 6}),
    *(Case("_contrib_box_nms", (Rand((1, 6, 6), d, "uniform", 0, 1),), {"overlap_thresh": 0.2}) for d in ("float64",)),
    Case("_contrib_box_nms", (Rand((6,)),), error=True),
    Case("_contrib_box_nms", (D,), {"coord_start": 1}, error=True),
    Case("_contrib_box_nms", (D,), {"score_index": 7}, error=True),
    Case("_contrib_box_nms", (Rand((4, 6), "int32"),), error=True),
    *(Case("_contrib_box_iou", (A, B), {"format": f}, grad=False) for f in ("corner", "center")),
    Case("_contrib_box_iou", (Rand((1, 5, 4), "float64"), Rand((2, 3, 4), "float64")), grad=False),
    Case("_contrib_box_iou", (Rand((4,)), B), error=True),
    Case("_contrib_box_iou", (Rand((2, 3)), B), error=True),
    Case("_contrib_box_iou", (Rand((2, 4), "float64"), B), error=True),
    Case("_contrib_box_encode", (*ENCODE, Given([0, 0, 0, 0]), Given([0.1, 0.1, 0.2, 0.2])), grad=False),
    Case("_contrib_box_encode", (*ENCODE, Given([0.1, 0, 0.2, -1]), Given([1, 0.1, 0.5, 2])), grad=False),
    Case("_contrib_box_decode", (DELTAS, ANCHORS), grad=False),
    Case("_contrib_box_decode", (DELTAS, ANCHORS), {"format": "corner"}, grad=False),
    Case(
        "_contrib_box_decode", (DELTAS, ANCHORS),
        {"std0": 0.1, "std1": 0.2, "std2": 0.3, "std3": 0.4, "clip": 0.5}, grad=False,
    ),
    Case("_contrib_box_decode", (DELTAS, A), error=True),
    *(
        Case("_contrib_bipartite_matching", (SCORES,), attrs, grad=False)
        for attrs in [
            {"threshold": 1e-12}, {"threshold": 0.25, "is_ascend": True}, {"threshold": 1e-12, "topk": 1},
            {"threshold": 0.45}, {"threshold": 0.3},
        ]
    ),
    Case("_contrib_bipartite_matching", (Rand((2, 4, 3)),), {"threshold": 0.1}, grad=False),
    Case("_contrib_bipartite_matching", (Given([[0.5, 0.5], [0.5, 0.5]]),), {"threshold": 0.1}, grad=False),
    Case("_contrib_bipartite_matching", (Rand((6,)),), {"threshold": 0.1}, error=True),
]  # fmt: skip
