"""A made-up video of coloured squares on blue, and what propagates them without the network."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from cells import PriorAsMask, Seeing
from fakes import FakeEngine

from persam_vos.masks import LabelMap, Mask, Rgb
from persam_vos.media.readers import open_random_access
from persam_vos.settings.video import Settings
from persam_vos.video.prompting.keyframes import Keyframe
from persam_vos.video.propagation.embedding_cache import EmbeddingCache
from persam_vos.video.propagation.found_store import FoundStore
from persam_vos.video.propagation.propagated import PropagatedVideo

HEIGHT, WIDTH, SIDE = 144, 256, 48
COLOURS = {1: (250, 20, 20), 2: (240, 230, 20), 3: (20, 220, 40)}
Places = Mapping[int, Callable[[int], int | None]]
"""By object: the left edge of its square in a frame, or None where it is out of sight."""
SETTINGS = Settings(method="memory", mask_token=False, keep_first_mask=True, nearer_view=0, closer_look=0)


class SeeingEngine(FakeEngine):
    """Encodes by ``Seeing``, and counts what it encodes."""

    def __init__(self) -> None:
        super().__init__(settings=SETTINGS, encoder=Seeing())  # type: ignore[arg-type]


def top_of(number: int) -> int:
    """Objects have rows of their own."""
    return 0 if number == 1 else 96 if number == 2 else 48


def mask_at(number: int, left: int | None, top: int | None = None) -> Mask:
    """Return the pixels of an object."""
    mask = np.zeros((HEIGHT, WIDTH), np.bool_)
    if left is not None:
        top = top_of(number) if top is None else top
        mask[top : top + SIDE, left : left + SIDE] = True
    return mask


def film(places: Places, count: int, tops: Mapping[int, int] = {}) -> tuple[list[Rgb], list[LabelMap]]:
    """Return the frames of a video, and their label maps."""
    frames, truths = [], []
    for index in range(count):
        rgb, labels = np.full((HEIGHT, WIDTH, 3), (20, 90, 200), np.uint8), np.zeros((HEIGHT, WIDTH), np.uint8)
        for number, left in places.items():
            mask = mask_at(number, left(index), tops.get(number))
            rgb[mask], labels[mask] = COLOURS[number], number
        frames.append(rgb)
        truths.append(labels)
    return frames, truths


def propagated(
    frames: list[Rgb] | Path, folder: Path, *, backward: bool = True, store: Path | None = None
) -> PropagatedVideo:
    """Return a video that is ready to be propagated; masks will be the priors."""
    engine, video = SeeingEngine(), open_random_access(frames, frame_rate=25)
    cache = EmbeddingCache(folder, "0" * 64)
    masks = FoundStore(store, HEIGHT, WIDTH)
    found = PropagatedVideo(engine, video, cache, masks, range(len(video)), backward=backward)
    found._propagation._method._decoder = PriorAsMask()
    return found


def keyframe(truths: list[LabelMap], frame: int, number: int) -> Keyframe:
    """Return the true mask of an object as a keyframe."""
    return Keyframe(frame, number, truths[frame] == number)
