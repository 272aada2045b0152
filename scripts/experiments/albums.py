"""Albums, photos of the same objects, for ``references.py`` and ``presence.py``."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import yaml
from embeddings import CachedEncoder
from PIL import Image
from tqdm import tqdm

from persam_vos.errors import DatasetError
from persam_vos.evaluation import DavisDataset, PerSegDataset
from persam_vos.masks import LabelMap, Rgb
from persam_vos.media.frame import Frame, untimed_frame
from persam_vos.media.photo_files import read_photo
from persam_vos.sam import Decoder, Encoder, Engine, ImageEmbedding
from persam_vos.settings.photos import PhotoSettings

# Share of the photo; nobody gives a reference with a smaller object.
_MIN_AREA_SHARE = 1e-3


@dataclass(frozen=True)
class Album:
    """Photos that all show the same objects.

    Attributes:
        name: Name of the class or sequence.
        photos: Photos with their label maps; the same id is the same object in all of them.
    """

    name: str
    photos: tuple[tuple[Rgb, LabelMap], ...]

    @property
    def object_ids(self) -> list[int]:
        """The objects' numbers."""
        return [int(number) for number in np.unique(self.photos[0][1]) if number]


class RememberingEncoder:
    """Encodes every photo once.

    Photos are told apart by identity: albums keep them alive, and comparing pixels is slow.
    """

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder
        self._known: dict[int, ImageEmbedding] = {}

    def encode(self, frames: Sequence[Frame]) -> list[ImageEmbedding]:
        """Return embeddings; only unknown frames are encoded."""
        for frame in frames:
            if id(frame.rgb) not in self._known:
                self._known[id(frame.rgb)] = self._encoder.encode([frame])[0]
        return [self._known[id(frame.rgb)] for frame in frames]


def open_model(
    settings: PhotoSettings, albums: Sequence[Album], cache: Path | None
) -> tuple[RememberingEncoder, Decoder]:
    """Load the model, and encode all photos, with a bar.

    Args:
        settings: Model, backend and precision.
        albums: The photos.
        cache: A folder for embeddings, kept as float16 from one run to the next; None to keep none.
    """
    engine = Engine(settings)
    kept = None if cache is None else CachedEncoder(engine.encoder, cache / engine.precision)
    encoder = RememberingEncoder(kept or engine.encoder)
    for rgb in tqdm([rgb for album in albums for rgb, _ in album.photos], desc="encode", unit="photo"):
        if kept is not None:
            kept.fill(untimed_frame(rgb))
        encoder.encode([untimed_frame(rgb)])
    return encoder, engine.decoder


def read_albums(roots: Sequence[Path], frames: int) -> list[Album]:
    """Read folders in the layout of PerSeg, where a class is an album, or of DAVIS, where a sequence is one.

    Args:
        roots: The folders.
        frames: Number of frames taken from a sequence, evenly spaced.

    Raises:
        DatasetError: If a file is missing, damaged, or of another size than its photo.
    """
    albums: list[Album] = []
    for root in roots:
        albums += _classes(root) if (root / "Images").is_dir() else _sequences(root, frames)
    for album in albums:
        for rgb, label_map in album.photos:
            if rgb.shape[:2] != label_map.shape:
                raise DatasetError(f"{album.name}: a mask is {label_map.shape}, its photo {rgb.shape[:2]}")
    return [album for album in albums if len(album.photos) > 1]


def _classes(root: Path) -> Iterator[Album]:
    dataset = PerSegDataset(root)
    for name in dataset.classes:
        photos = dataset.photos(name)
        masks = [dataset.mask(dataset.annotation(photo)).astype(np.uint8) for photo in photos]
        yield Album(name, tuple(zip(map(read_photo, photos), masks, strict=True)))


def _sequences(root: Path, frames: int) -> Iterator[Album]:
    dataset = DavisDataset(root, 2017, "val")
    for name in dataset.sequences:
        paths, annotations = dataset.frames(name), dataset.annotations(name)
        if len(annotations) != len(paths):
            raise DatasetError(f"{name}: {len(annotations)} annotations of {len(paths)} frames")
        chosen = np.linspace(0, len(paths) - 1, min(frames, len(paths))).round().astype(int)
        pictures = [np.array(Image.open(paths[i]).convert("RGB")) for i in chosen]
        label_maps = [np.array(dataset.label_map(annotations[i])) for i in chosen]
        objects = range(1, int(label_maps[0].max()) + 1)
        pairs = zip(pictures, label_maps, strict=True)
        yield Album(
            name, tuple(pair for pair in pairs if all((pair[1] == i).mean() > _MIN_AREA_SHARE for i in objects))
        )


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that all scripts on albums share."""
    parser.add_argument("roots", type=Path, nargs="+", help="folders in the layout of PerSeg or DAVIS 2017")
    parser.add_argument("--frames", type=int, default=6, help="frames of each sequence")
    parser.add_argument("--cache", type=Path, help="folder for embeddings, 7 MB a photo; by default none are kept")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="a setting")
    parser.add_argument("--json", type=Path, help="file for the single figures")


def settings_of(method: str, changes: Sequence[str]) -> PhotoSettings:
    """Return the settings of a method, with ``KEY=VALUE`` changed."""
    changed = {key: yaml.safe_load(value) for key, value in (change.split("=", 1) for change in changes)}
    return PhotoSettings(method=method, **changed)
