"""What is known of the objects of a session goes in; out comes the score of each in every frame, without its pixels."""

from __future__ import annotations

from collections.abc import Collection

from persam_vos.video.propagation.found_store import FoundStore
from persam_vos.video.session.edition import Edition


def lanes_of(
    edition: Edition, store: FoundStore, frames: range, anew: Collection[int] = ()
) -> dict[int, list[float | None]]:
    """Return by object its score in each frame; None where nothing is known.

    Args:
        edition: What was said: an object that is shown has the score 1, one that is absent 0.
        store: Of the masks.
        frames: Indices of the frames, rising.
        anew: Ids of objects of which the store knows an earlier object only.
    """
    found = store.scores(frames)
    lanes: dict[int, list[float | None]] = {}
    for each in edition.objects:
        said = {frame: float(not keyframe.absent) for frame, keyframe in edition.of(each.id).items()}
        known = {} if each.id in anew else found
        lanes[each.id] = [said.get(frame, known.get((each.id, frame))) for frame in frames]
    return lanes
