"""Frames and pictures for tests: real photos, and things that move over them."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from persam_vos.frame import Frame, Rgb


def frame_of(rgb: Rgb, index: int = 0) -> Frame:
    return Frame(index, index, Fraction(1, 25), np.ascontiguousarray(rgb))
