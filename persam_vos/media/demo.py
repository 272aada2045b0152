"""The clip that ships with the package, for examples and for a first try."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple


class DemoClip(NamedTuple):
    """Paths of a short video and of the mask of its first frame."""

    video: Path
    mask: Path


def demo_clip() -> DemoClip:
    """Return the paths of the clip that ships with the package: 640 x 360 pixels, one object.

    >>> video, mask = demo_clip()
    >>> video.name, mask.name
    ('bunny.mp4', 'bunny_mask.png')
    """
    data = Path(__file__).resolve().parent.parent / "data"
    return DemoClip(data / "bunny.mp4", data / "bunny_mask.png")
