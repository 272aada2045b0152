"""Scoring: folders of masks and a dataset on disk -> J and F (DAVIS), IoU and Boundary IoU (PerSeg), as tables and CSV.

Knows neither networks nor trackers, so that it can score the results of any method.
"""

from persam_vos.evaluation.davis import DavisScores, ObjectScores, score_davis
from persam_vos.evaluation.davis_dataset import DavisDataset, Year
from persam_vos.evaluation.label_png import read_png_label_map, read_png_mask
from persam_vos.evaluation.metrics import (
    Statistics,
    boundary_map,
    boundary_similarity,
    boundary_tolerance,
    region_similarity,
    score_label_maps,
    score_masks,
    sequence_statistics,
)
from persam_vos.evaluation.overlap import Overlap, boundary_band, compare_masks
from persam_vos.evaluation.perseg import ClassScore, PerSegMeans, PerSegScores, PhotoScore, score_perseg
from persam_vos.evaluation.perseg_dataset import PerSegDataset

__all__ = [
    "ClassScore",
    "DavisDataset",
    "DavisScores",
    "ObjectScores",
    "Overlap",
    "PerSegDataset",
    "PerSegMeans",
    "PerSegScores",
    "PhotoScore",
    "Statistics",
    "Year",
    "boundary_band",
    "boundary_map",
    "boundary_similarity",
    "boundary_tolerance",
    "compare_masks",
    "read_png_label_map",
    "read_png_mask",
    "region_similarity",
    "score_davis",
    "score_label_maps",
    "score_masks",
    "score_perseg",
    "sequence_statistics",
]
