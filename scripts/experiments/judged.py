"""Clips and albums go in; out come masks with their evidence and their true J, for ``score.py``."""

from __future__ import annotations

import argparse
import concurrent.futures
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from albums import Album, RememberingEncoder, open_model, read_albums
from jobs import HELD_OUT, SPAWN, Job, cached_encoder, encode_all, frames_of, networks
from references import iou
from torch import Tensor
from tqdm import tqdm

from persam_vos.evaluation import DavisDataset
from persam_vos.files import whole_file
from persam_vos.masks import LabelMap
from persam_vos.media.frame import Frame, untimed_frame
from persam_vos.methods import PhotoMethod, Reference, Segmentation
from persam_vos.methods.base import Study, VideoMethod, VideoTracking
from persam_vos.methods.memory import MemoryPhotos, MemoryVideo
from persam_vos.methods.persam import PersamPhotos, PersamVideo
from persam_vos.photos.finder import find_objects
from persam_vos.sam import ImageEmbedding
from persam_vos.settings.photos import PhotoSettings
from persam_vos.settings.video import TrackerSettings
from persam_vos.video import Tracker


@dataclass(frozen=True, slots=True)
class Judged:
    """One mask.

    Attributes:
        group: Sequence or album: left out together.
        kind: Kind of clip or photo; all kinds have the same weight.
        frame: Index of the frame.
        object_id: The object's.
        j: IoU of the mask with the truth; 0 where the object is not there.
        features: Its evidence.
        weight: As much as so many masks of its kind.
    """

    group: str
    kind: str
    frame: int = 0
    object_id: int = 0
    j: float = 0.0
    features: dict[str, float] = field(default_factory=dict)
    weight: float = 1.0

    def record(self) -> dict[str, Any]:
        """Return it as JSON holds it."""
        return asdict(self)


class _Recorder:
    """A video method that keeps the last ``Segmentation`` of another one."""

    def __init__(self, method: VideoMethod[Any]) -> None:
        self.study = method.study
        self._method = method
        self.last: Segmentation | None = None

    def start(self, study: Study, others: Sequence[Study] = (), /) -> VideoTracking:
        return _Recorded(self._method.start(study, others), self)


class _Recorded:
    """A tracking, or a look of it, that tells the recorder what it has found."""

    def __init__(self, inner: Any, recorder: _Recorder) -> None:
        self._inner, self._recorder = inner, recorder

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def look(self, frame: Frame, embedding: ImageEmbedding, /) -> _Recorded:
        return _Recorded(self._inner.look(frame, embedding), self._recorder)

    def settle(self, label_map: Tensor, /) -> tuple[_Recorded, Segmentation]:
        following, self._recorder.last = self._inner.settle(label_map)
        assert self._recorder.last is not None
        return _Recorded(following, self._recorder), self._recorder.last


def of_clips(arguments: argparse.Namespace, settings: TrackerSettings, kinds: Sequence[str]) -> list[Judged]:
    """Track the clips of these kinds; return their masks."""
    dataset = DavisDataset(arguments.root, arguments.year, "val")
    jobs = [
        Job(dataset, sequence, kind, settings, arguments.cache)
        for kind in kinds
        for sequence in dataset.sequences
        if arguments.split == "all" or (sequence in HELD_OUT) == (arguments.split == "held-out")
    ]
    encode_all([job for job in jobs if not _place(job).exists()])
    with concurrent.futures.ProcessPoolExecutor(arguments.workers, SPAWN) as pool:
        found = tqdm(pool.map(_kept, jobs), total=len(jobs), desc=f"track, {settings.method}")
        return [mask for masks in found for mask in masks]


def _place(job: Job) -> Path:
    """Return the file for the masks of a clip."""
    return job.cache / "judged" / f"{job.key}.json"


def _kept(job: Job) -> list[Judged]:
    """Return the masks of a clip: those of an earlier run, or else new ones, which are kept."""
    path = _place(job)
    if not path.exists():
        masks = of_clip(job)
        path.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(path, shared=True) as part:
            part.write_text(json.dumps([each.record() for each in masks]))
    return [Judged(**each) for each in json.loads(path.read_text())]


def of_clip(job: Job) -> list[Judged]:
    """Track a clip; return its masks."""
    torch.set_num_threads(1)
    clip, encoder, decoder = job.load(), cached_encoder(job), networks()[-1]
    if clip is None:
        return []
    memory = job.settings.method == "memory"
    method = _Recorder(MemoryVideo(encoder, decoder, job.settings) if memory else PersamVideo(decoder, job.settings))
    tracker = Tracker.from_parts(encoder, decoder, job.settings, method=method)
    judged: list[Judged] = []
    ids: tuple[int, ...] = ()
    for frame in frames_of(clip):
        embedding, truth = encoder.encode([frame])[0], clip.label_maps[frame.index]
        if frame.index == 0:
            ids = tracker.start(frame, truth if clip.first_mask is None else clip.first_mask, embedding).ids
            continue
        method.last = None
        tracker.step(frame, embedding)
        if method.last is not None:
            judged += _judged(Judged(job.sequence, job.variant), frame.index, method.last, truth, ids)
    return judged


def _judged(like: Judged, index: int, found: Segmentation, truth: LabelMap, ids: Sequence[int]) -> Iterator[Judged]:
    """Yield the masks of a frame; an absent object has none."""
    features = {name: each.tolist() for name, each in found.evidence.features.items()} if found.evidence else {}
    for i, number in enumerate(ids):
        if features and (mask := found.label_map == number).any():
            own = {name: each[i] for name, each in features.items()}
            yield replace(like, frame=index, object_id=number, j=iou(mask, truth == number), features=own)


def of_albums(arguments: argparse.Namespace, settings: PhotoSettings) -> list[Judged]:
    """Search photos of the objects and of others; return the masks, at any similarity."""
    roots = [arguments.root, *arguments.albums]
    albums = [each for each in read_albums(roots, arguments.frames) if each.object_ids == [1]]
    encoder, decoder = open_model(settings, albums, arguments.cache)
    method: PhotoMethod = (MemoryPhotos if settings.method == "memory" else PersamPhotos)(decoder, settings)
    with torch.inference_mode():
        return [
            mask
            for album in tqdm(albums, desc=f"search, {settings.method}", unit="album")
            for mask in _of_album(method, encoder, album, [each for each in albums if each is not album], arguments)
        ]


def _of_album(
    method: PhotoMethod,
    encoder: RememberingEncoder,
    album: Album,
    others: Sequence[Album],
    arguments: argparse.Namespace,
) -> Iterator[Judged]:
    """Learn from the first photo of an album; judge masks in its other photos, and in some of other albums.

    Photos that show the object and photos that do not have the same weight in each album.
    """
    (rgb, label_map), *own = album.photos
    frame = untimed_frame(rgb)
    method.learn([Reference(frame, encoder.encode([frame])[0], label_map)], [1])
    elsewhere = []
    for other in others:
        places = np.linspace(0, len(other.photos) - 1, arguments.negatives).round().astype(int)
        elsewhere += [(other.photos[i][0], np.zeros_like(other.photos[i][1])) for i in dict.fromkeys(places.tolist())]
    for kind, shown in (("shown", own), ("not shown", elsewhere)):
        for index, (rgb, truth) in enumerate(shown):
            frame = untimed_frame(rgb)
            found = find_objects(method, frame, encoder.encode([frame])[0], [1], presence=0.0)
            yield from _judged(Judged(album.name, kind, weight=1 / len(shown)), index, found, truth, [1])
