"""The tracks of a run come in; out come the frames of it that most need a look."""

from __future__ import annotations

from collections.abc import Sequence

from persam_vos.exports.report.doubts import CHANGES, Doubt, Observed, doubtful
from persam_vos.exports.report.page import Look
from persam_vos.exports.report.series import ObjectSeries

# Frames that a report names, at most.
_MOST = 8
# Below this doubt, a mask is about as sure as most good ones; see ``Doubt``.
_LEAST_DOUBT = 0.2
# Where an object comes, goes or jumps, the doubt of one frame is a mean with that of its neighbours; one that comes or
# goes has 0.067.
_LEAST_DOUBT_OF_CHANGE = 0.06


def frames_to_look_at(series: Sequence[ObjectSeries]) -> list[Look]:
    """Return the frames that most need a look, the most doubtful first; none where all is well."""
    observed: dict[int, dict[int, Observed]] = {}
    for each in series:
        for position, frame in enumerate(each.frames):
            observed.setdefault(frame, {})[each.id] = _observed(each, position)
    found = doubtful(dict(sorted(observed.items())), _MOST)
    return [Look(each.frame, each.object_id, each.reason) for each in found if each.doubt >= _least(each)]


def _least(doubt: Doubt) -> float:
    return _LEAST_DOUBT_OF_CHANGE if doubt.reason in CHANGES else _LEAST_DOUBT


def _observed(series: ObjectSeries, position: int) -> Observed:
    box, score = series.box(position), series.scores[position]
    is_keyframe = bool(series.keyframes[position])
    middle = None if box is None else ((box[0] + box[2]) / 2, (box[1] + box[3]) / 2)
    lacking = 0.0 if is_keyframe or score != score else 1 - score
    return Observed(is_keyframe, lacking, 0.0, series.areas[position], middle)
