"""Numbers that turn evidence into scores, written by ``scripts/experiments/score.py --write``."""

from persam_vos.methods.score import Calibration

MEMORY_VIDEO = Calibration(
    constant=-12.78,
    weights={
        "annotated_shown": 16.63,
        "log_softness": -0.3121,
        "log_prior_softness": -1.372,
        "changed": -0.3761,
    },
)

PERSAM_VIDEO = Calibration(
    constant=-16.88,
    weights={
        "predicted_iou": 9.202,
        "similarity_share": 8.44,
    },
)

MEMORY_PHOTOS = Calibration(
    constant=-20.42,
    weights={
        "similarity_share": 23.28,
        "log_prior_softness": -1.424,
    },
)

PERSAM_PHOTOS = Calibration(
    constant=-18.95,
    weights={
        "predicted_iou": 11.38,
        "similarity_share": 8.294,
    },
)
