"""Numbers that turn evidence into scores, written by ``scripts/experiments/score.py --write``."""

from persam_vos.methods.score import Calibration

MEMORY_VIDEO = Calibration(
    constant=-6.267,
    weights={
        "predicted_iou": 3.139,
        "agreement": 0.368,
        "prior_softness": -2.275,
        "like_annotated": 4.644,
        "annotated_shown": 2.177,
        "changed": -1.172,
    },
)

PERSAM_VIDEO = Calibration(
    constant=-3.0,
    weights={
        "predicted_iou": 6.0,
    },
)

MEMORY_PHOTOS = Calibration(
    constant=-3.0,
    weights={
        "predicted_iou": 6.0,
    },
)

PERSAM_PHOTOS = Calibration(
    constant=-3.0,
    weights={
        "predicted_iou": 6.0,
    },
)
