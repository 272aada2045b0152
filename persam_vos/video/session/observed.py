"""What is known of the masks of a video that was propagated goes in; out come the numbers by which they are doubted."""

from __future__ import annotations

from collections.abc import Sequence

from persam_vos.exports.report.doubts import Observed
from persam_vos.masks import box_xyxy
from persam_vos.video.propagation.found import Outline
from persam_vos.video.propagation.propagated import FoundObject, PropagatedVideo


def observe(video: PropagatedVideo) -> dict[int, dict[int, Observed]]:
    """Look at all frames of a video that was propagated; pixels are read only where two directions are compared."""
    return {frame: _observed_in(video, frame) for frame in video.frames}


def _observed_in(video: PropagatedVideo, frame: int) -> dict[int, Observed]:
    outlines = {number: video.outlines(frame, number) for number in video.object_ids}
    alone = all(len(sides) == 1 and not is_keyframe for sides, is_keyframe in outlines.values())
    # Masks of all objects, which take long, are asked for once.
    found = {} if alone else video.found(frame)
    return {number: _observed(*outlines[number], found.get(number)) for number in outlines}


def _observed(outlines: Sequence[Outline], is_keyframe: bool, found: FoundObject | None) -> Observed:
    if found is not None and (len(outlines) != 1 or is_keyframe):
        fused = found.fused
        box, area = box_xyxy(fused.mask), int(fused.mask.sum())
        middle = None if box is None else ((box[0] + box[2]) / 2, (box[1] + box[3]) / 2)
        lacking = 0.0 if is_keyframe or box is None else 1 - fused.score
        return Observed(is_keyframe, lacking, 0.0 if fused.agreement is None else 1 - fused.agreement, area, middle)
    (only,) = outlines
    if only.box is None:
        return Observed(False, 0.0, 0.0, 0, None)
    middle = (only.box.left + (only.box.width - 1) / 2, only.box.top + (only.box.height - 1) / 2)
    return Observed(False, 1 - only.score, 0.0, only.area, middle)
