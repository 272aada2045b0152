"""Embeddings and annotated frames or photos go in; a ``Segmentation`` of every other frame or photo comes out.

A method is a folder with its form for ``video`` and its form for ``photos`` side by side.
"""

from persam_vos.methods.base import (
    PhotoMethod,
    Proposal,
    Reference,
    Segmentation,
    Study,
    VideoMethod,
    VideoTracking,
    frame_result,
)
from persam_vos.methods.together import Step, step_together

__all__ = [
    "PhotoMethod",
    "Proposal",
    "Reference",
    "Segmentation",
    "Step",
    "Study",
    "VideoMethod",
    "VideoTracking",
    "frame_result",
    "step_together",
]
