"""ROIPooling, ROIAlign, position-sensitive pooling."""

from tests.mxnet.ops.case import Case, Given, Rand

X = Rand((2, 2, 7, 8), "float32", "perm")
ROIS = Given([[0, 1, 1, 5, 6], [1, 0, 0, 7, 6], [0, 2.4, 3.6, 2.6, 3.8], [1, 4, 2, 9, 12], [0, 5, 5, 3, 3]])
IN = Given([[0, 0.5, 1.2, 5.1, 6.0], [1, 0, 0, 7, 6], [0, 2.4, 3.6, 2.6, 3.8], [1, 4, 2, 9, 12]])
NONE = Given([[-1, 1, 1, 4, 4], [1, 1, 1, 4, 4]])
DOUBLE = Rand((2, 2, 7, 8), "float64", "perm")
P, D = "_contrib_PSROIPooling", "_contrib_DeformablePSROIPooling"
DEFORMED = {"spatial_scale": 1.0, "output_dim": 2, "pooled_size": 2, "group_size": 2}
S = (2, 8, 7, 8)
CASES = [
    Case("ROIPooling", (X, ROIS), {"pooled_size": (2, 2), "spatial_scale": 1.0}),
    Case("ROIPooling", (X, ROIS), {"pooled_size": (3, 2), "spatial_scale": 0.5}),
    Case("ROIPooling", (X, ROIS), {"pooled_size": (7, 7), "spatial_scale": 1.0}),
    Case("ROIPooling", (DOUBLE, Rand((3, 5), "float64", "int", 0, 2)), {"pooled_size": (2, 2), "spatial_scale": 1.0}),
    Case("ROIPooling", (X, ROIS), {"pooled_size": (2, 2), "spatial_scale": 2.0}, error=True),
    Case("ROIPooling", (X, (3, 4)), {"pooled_size": (2, 2), "spatial_scale": 1.0}, error=True),
    Case("_contrib_ROIAlign", ((2, 2, 7, 8), IN), {"pooled_size": (2, 2), "spatial_scale": 1.0}),
    Case("_contrib_ROIAlign", ((2, 2, 7, 8), IN), {"pooled_size": (2, 3), "spatial_scale": 0.5, "sample_ratio": 2}),
    Case("_contrib_ROIAlign", ((2, 2, 7, 8), IN), {"pooled_size": (3, 3), "spatial_scale": 1.0, "aligned": True}),
    Case(
        "_contrib_ROIAlign",
        ((2, 8, 7, 8), IN),
        {"pooled_size": (2, 2), "spatial_scale": 1.0, "position_sensitive": True},
    ),
    Case("_contrib_ROIAlign", ((2, 2, 7, 8), NONE), {"pooled_size": (2, 2), "spatial_scale": 1.0}),
    Case("_contrib_ROIAlign", ((2, 2, 7, 8), (3, 4)), {"pooled_size": (2, 2), "spatial_scale": 1.0}, error=True),
    Case(P, (S, IN), {"spatial_scale": 1.0, "output_dim": 2, "pooled_size": 2}, grad=False),
    Case(P, (S, IN), {"spatial_scale": 0.5, "output_dim": 2, "pooled_size": 3, "group_size": 2}, grad=False),
    Case(D, (S, IN), {**DEFORMED, "no_trans": True}, grad=False),
    Case(D, (S, IN), {**DEFORMED, "no_trans": True, "sample_per_part": 3, "pooled_size": 3}, grad=False),
    Case(D, (S, IN, (4, 2, 2, 2)), {**DEFORMED, "trans_std": 0.1, "part_size": 2, "sample_per_part": 2}, grad=False),
    Case(D, (S, IN, (4, 4, 3, 3)), {**DEFORMED, "trans_std": 0.1, "pooled_size": 3, "sample_per_part": 2}, grad=False),
    Case(
        "_contrib_ROIAlign",
        (DOUBLE, Rand((3, 5), "float64", "int", 0, 2)),
        {"pooled_size": (2, 2), "spatial_scale": 0.5},
    ),
    Case(
        "ROIPooling", (X, Given([[0, -2, -3, 4, 4], [1, 6, 5, 30, 30]])), {"pooled_size": (3, 3), "spatial_scale": 1.0}
    ),
    Case(
        "ROIPooling",
        (
            X,
            Given(
                [[-0.5, 1, 1, 5, 6], [1.9, 1, 1, 5, 6], [-1, 1, 1, 5, 6], [2, 1, 1, 5, 6], [float("nan"), 1, 1, 5, 6]]
            ),
        ),
        {"pooled_size": (2, 2), "spatial_scale": 1.0},
    ),
    Case("ROIPooling", ((2, 2, 7, 8), ROIS), {"pooled_size": (2, 2), "spatial_scale": 1.0}),
]
