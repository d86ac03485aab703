"""Faster R-CNN's regions, and rotated ones."""

from tests.mxnet.ops.case import Case, Given, Rand

SMALL = {"scales": (1, 2), "ratios": (0.5, 1), "feature_stride": 4, "rpn_min_size": 2}
PROBS = Rand((1, 8, 4, 5), "float32", "uniform", 0, 1)
MOVES = Rand((1, 16, 4, 5), "float32", "uniform", -0.5, 0.5)
INFO = Given([[16, 18, 1.0]])
TWO = (
    Rand((2, 8, 4, 5), "float32", "uniform", 0, 1), Rand((2, 16, 4, 5), "float32", "uniform", -0.5, 0.5),
    Given([[16, 18, 1.0], [12, 20, 2.0]]),
)  # fmt: skip
ROIS = Given([[0, 4, 3, 4, 2, 30], [1, 2, 2, 6, 5, -75], [0, 7, 5, 3, 0.5, 0], [1, 1, 1, 2, 2, 90]])

CASES = [
    *(
        Case("_contrib_Proposal", (PROBS, MOVES, INFO), {**SMALL, "rpn_post_nms_top_n": 6, **attrs}, grad=False)
        for attrs in [
            {}, {"output_score": True}, {"threshold": 0.3, "output_score": True}, {"rpn_pre_nms_top_n": 10},
            {"rpn_min_size": 5, "output_score": True}, {"iou_loss": True}, {"rpn_post_nms_top_n": 40, "threshold": 0.2},
            {"ratios": (0.7, 3)},
        ]
    ),
    Case(
        "_contrib_Proposal", (Rand((1, 24, 2, 2), "float32", "uniform", 0, 1), Rand((1, 48, 2, 2)), INFO),
        {"rpn_post_nms_top_n": 5}, grad=False,
    ),
    *(
        Case(
            "_contrib_Proposal", (PROBS, MOVES, Given([[height, width, 1.0]])),
            {**SMALL, "rpn_post_nms_top_n": 30, "threshold": 0.9, "output_score": True}, grad=False,
        )
        for height, width in [(8, 20), (16, 11), (9, 9)]
    ),
    Case("_contrib_Proposal", TWO, {**SMALL, "rpn_post_nms_top_n": 6}, error=True),
    *(
        Case("_contrib_MultiProposal", TWO, {**SMALL, "rpn_post_nms_top_n": 6, **attrs}, grad=False)
        for attrs in [{}, {"output_score": True}, {"threshold": 0.3}, {"rpn_pre_nms_top_n": 10}]
    ),
    *(
        Case("_contrib_RROIAlign", ((2, 3, 6, 8), ROIS), {"pooled_size": size, "spatial_scale": scale, **more}, grad=False)
        for size, scale, more in [
            ((2, 2), 1, {}), ((2, 3), 0.5, {}), ((3, 2), 1, {"sampling_ratio": 2}), ((2, 2), 0.75, {"sampling_ratio": 1}),
        ]
    ),
]  # fmt: skip
