"""Sessions of a made-up video of two squares, without the network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cells import PriorAsMask
from moving import SeeingEngine, film
from PIL import Image

from persam_vos.masks import LabelMap
from persam_vos.video.session.session import Session

COUNT = 12
SQUARES = {1: lambda i: 8 + 8 * i, 2: lambda i: 150 - 8 * i}


def true_labels() -> list[LabelMap]:
    """Return the label maps of the video."""
    return film(SQUARES, COUNT)[1]


def two_squares(cache: Path, **options: Any) -> Session:
    """Return a session of the video."""
    return prepared(Session(film(SQUARES, COUNT)[0], frame_rate=25, cache=cache, **options))


def prepared(session: Session) -> Session:
    """Put what stands for the network into a session."""
    session._parts._engine = SeeingEngine()
    session._ready()._propagation._method._decoder = PriorAsMask()
    return session


def saved_film(folder: Path) -> str:
    """Write the frames of the video as images; return their glob."""
    folder.mkdir()
    for index, rgb in enumerate(film(SQUARES, COUNT)[0]):
        Image.fromarray(rgb).save(folder / f"{index:05d}.png")
    return str(folder / "*.png")
