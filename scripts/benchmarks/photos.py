"""Photos from file to files by each method, and learning, beside the authors' way."""

from __future__ import annotations

import argparse
import itertools
import statistics
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional

from benchmarks.clips import label_map_of
from benchmarks.measure import described, in_turns, median_ratio
from benchmarks.networks import published_parts
from persam_vos.exports.photos import PhotoWriter
from persam_vos.exports.results_jsonl import PhotoResult
from persam_vos.exports.run_record import peak_memory_mib
from persam_vos.masks import LabelMap, Rgb
from persam_vos.media.frame import Frame, untimed_frame
from persam_vos.media.photo_files import read_photo
from persam_vos.media.readers import open_video
from persam_vos.methods.persam.cascade import Cascade
from persam_vos.methods.persam.concept import learn_concept
from persam_vos.methods.persam.similarity import similarity_maps
from persam_vos.photos import PhotoFinder, find_in_photos
from persam_vos.results import FrameResult
from persam_vos.sam import Decoder, Encoder, Engine, ImageEmbedding
from persam_vos.settings.photos import PhotoSettings, load_photo_settings

METHODS = ("memory", "persam", "persam-f")
# The methods that the authors published -> the name of their way of working.
PUBLISHED = {"persam": "authors' way, persam", "persam-f": "authors' way, persam-f"}
EXPORTS = ("masks", "overlay", "cutout")
# The authors' way learns in a thousand steps that take equally long; this many are timed.
STEPS = 20


class _Files:
    """A ``ResultWriter`` that hands results to a ``PhotoWriter``."""

    def __init__(self, folder: Path, photos: Sequence[Path]) -> None:
        self.warnings: list[str] = []
        self._photos = photos
        self._writer = PhotoWriter(folder, exports=EXPORTS, overwrite=True)

    def write(self, frame: Frame, result: FrameResult) -> None:
        photo = self._photos[frame.index]
        self._writer.write(PhotoResult(photo, photo.stem, result.label_map, result.objects), frame.rgb)

    def close(self) -> tuple[Path, ...]:
        self._writer.close()
        return ()

    def abort(self) -> None:
        self._writer.close()


class _Known:
    """An encoder that returns one known embedding."""

    def __init__(self, embedding: ImageEmbedding) -> None:
        self._embedding = embedding

    def encode(self, frames: Sequence[Frame]) -> list[ImageEmbedding]:
        return [self._embedding] * len(frames)


def bench_photos(arguments: argparse.Namespace) -> dict[str, Any]:
    """Find the object of a clip's first frame in later frames, saved as photos; then time learning without encoding."""
    flags = {name: getattr(arguments, name) for name in ("backend", "precision", "device")}
    settings = {method: load_photo_settings(None, flags | {"method": method}) for method in METHODS}
    engine = Engine(settings["memory"])
    plain, plain_decoder = published_parts(engine)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        photos = _save_photos(arguments.video, folder / "in", arguments.frames)
        rgb = read_photo(photos.pop(0))
        reference = rgb, label_map_of(arguments.mask, rgb.shape[1], rgb.shape[0])
        ways: dict[str, Callable[[], object]] = {}
        for method, each in settings.items():
            finder = _learnt(engine.encoder, engine.decoder, each, reference)
            ways[method] = partial(_find_side_by_side, engine, finder, photos, folder / method)
        for method, title in PUBLISHED.items():
            finder = _learnt(plain, plain_decoder, settings[method], reference)
            ways[title] = partial(_find_in_sequence, plain, finder, photos, folder / title)
        times = in_turns(ways, arguments.repeats)
    learning = in_turns(_ways_to_learn(engine, plain, plain_decoder, settings, reference), arguments.repeats)
    learning[PUBLISHED["persam-f"]] = [
        each * settings["persam-f"].finetune_steps / STEPS for each in learning[PUBLISHED["persam-f"]]
    ]
    return {
        "machine": described(engine.device),
        "photo_size": list(rgb.shape[:2]),
        "photos": len(photos),
        "exports": list(EXPORTS),
        "backend": engine.backend,
        "precision": engine.precision,
        "seconds_a_photo": {way: round(statistics.median(each) / len(photos), 3) for way, each in times.items()},
        "times_as_fast": {
            method: round(median_ratio(times[PUBLISHED.get(method, PUBLISHED["persam"])], times[method]), 2)
            for method in METHODS
        },
        "seconds_to_learn": {way: round(statistics.median(each), 3) for way, each in learning.items()},
        "steps": settings["persam-f"].finetune_steps,
        "steps_timed_of_the_authors": STEPS,
        "persam_f_learns_times_as_fast": round(median_ratio(learning[PUBLISHED["persam-f"]], learning["persam-f"]), 1),
        "peak_mib": peak_memory_mib(),
    }


def _save_photos(clip: Path, folder: Path, count: int) -> list[Path]:
    """Save the first frame of a clip and ``count`` others, evenly spaced."""
    folder.mkdir()
    with open_video(str(clip)) as reader:
        last = (reader.info.frame_count or count + 1) - 1
        chosen = set(np.linspace(0, last, count + 1).round().astype(int).tolist())
        for frame in itertools.takewhile(lambda frame: frame.index <= last, reader):
            if frame.index in chosen:
                Image.fromarray(frame.rgb).save(folder / f"{frame.index:05d}.jpg", quality=92)
    return sorted(folder.iterdir())


def _learnt(
    encoder: Encoder, decoder: Decoder, settings: PhotoSettings, reference: tuple[Rgb, LabelMap]
) -> PhotoFinder:
    finder = PhotoFinder.from_parts(encoder, decoder, settings)
    finder.learn([reference])
    return finder


def _find_side_by_side(engine: Engine[Any], finder: PhotoFinder, photos: Sequence[Path], output: Path) -> None:
    find_in_photos(engine, finder, photos, _Files(output, photos))


def _find_in_sequence(encoder: Encoder, finder: PhotoFinder, photos: Sequence[Path], output: Path) -> None:
    """Read, encode, segment and write one photo after the other, as the authors' scripts do."""
    files = _Files(output, photos)
    for index, photo in enumerate(photos):
        frame = untimed_frame(read_photo(photo), index)
        files.write(frame, finder.find(frame, encoder.encode([frame])[0]))
    files.close()


def _ways_to_learn(
    engine: Engine[Any],
    plain: Encoder,
    plain_decoder: Decoder,
    settings: dict[str, PhotoSettings],
    reference: tuple[Rgb, LabelMap],
) -> dict[str, Callable[[], object]]:
    """Return ways to learn from an encoded reference: each method's, and ``STEPS`` steps of the authors' PerSAM-F."""
    frame = untimed_frame(reference[0])
    known = _Known(engine.encoder.encode([frame])[0])
    ways: dict[str, Callable[[], object]] = {
        method: partial(_learnt, known, engine.decoder, each, reference) for method, each in settings.items()
    }
    mask = torch.from_numpy(reference[1] > 0).to(engine.device)
    (embedding,) = plain.encode([frame])
    ways[PUBLISHED["persam-f"]] = partial(_learn_as_published, plain_decoder, settings["persam-f"], embedding, mask)
    return ways


def _learn_as_published(decoder: Decoder, settings: PhotoSettings, embedding: ImageEmbedding, mask: Tensor) -> None:
    """Learn PerSAM-F's weights as its script does: the decoder runs at every step, and the loss is over all pixels."""
    with torch.no_grad():
        concepts = [learn_concept([(embedding, mask)], settings.target)]
        similarity = similarity_maps(concepts, embedding)
        cascade = Cascade(decoder, settings)
        prompts = cascade.prompts(embedding, similarity)
    weights = torch.full((2,), 1 / 3, device=mask.device, requires_grad=True)
    optimizer = torch.optim.AdamW([weights], lr=settings.finetune_learning_rate, eps=1e-4)
    target = mask.float().flatten()
    for _ in range(STEPS):
        with torch.no_grad():
            answer = cascade.first_pass(embedding, similarity, concepts, prompts)
            candidates = embedding.geometry.to_frame(answer.logits[0, 1:]).flatten(1)
        loss = _loss(torch.cat([1 - weights.sum()[None], weights]) @ candidates, target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def _loss(logits: Tensor, target: Tensor) -> Tensor:
    """Return Dice + focal loss (PerSAM, arXiv 2305.03048, section 3.3)."""
    probability = logits.sigmoid()
    dice = 1 - (2 * probability @ target + 1) / (probability.sum() + target.sum() + 1)
    right = torch.where(target > 0, probability, 1 - probability)
    weighted = torch.where(target > 0, 0.25, 0.75) * (1 - right) ** 2
    return dice + (weighted * functional.binary_cross_entropy_with_logits(logits, target, reduction="none")).mean()
