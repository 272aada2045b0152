"""Clips tracked and scored under many settings: embeddings and results are kept, so that nothing is done twice."""

from __future__ import annotations

import concurrent.futures
import functools
import hashlib
import json
import multiprocessing
import time
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import variants
from embeddings import CachedEncoder, fingerprint
from PIL import Image
from tqdm import tqdm
from variants import OLD, VARIANTS, Clip, Source, sampled

import persam_vos
from persam_vos.evaluation import DavisDataset, score_label_maps
from persam_vos.files import whole_file
from persam_vos.media.frame import Frame
from persam_vos.results import FrameResult
from persam_vos.sam import Candidates, Decoder, SamEncoder
from persam_vos.sam.backends import EncoderBackend, open_backend
from persam_vos.sam.checkpoints import resolve_checkpoint
from persam_vos.sam.checkpoints.loading import load_sam
from persam_vos.sam.networks import Sam
from persam_vos.settings.video import TrackerSettings
from persam_vos.video import Tracker

# Each has a motion of its own that fits no other sequence: a fast turn of the whole body, a run through people's legs,
# and traffic close behind. What is right for the other six and wrong for these is not general.
HELD_OUT = ("breakdance", "dog", "scooter-black")
"""Sequences on which no setting is chosen: they are for the last check of a change."""

# A fork of a process that has run PyTorch may hang.
SPAWN = multiprocessing.get_context("spawn")

# Objects x (J, F).
Scores = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Job:
    """One sequence in one variant under one configuration.

    Attributes:
        dataset: All sequences: the others give backgrounds and objects.
        sequence: Which of them.
        variant: Which kind of clip is made of it.
        settings: How it is tracked.
        cache: Folder for embeddings and results.
    """

    dataset: DavisDataset
    sequence: str
    variant: str
    settings: TrackerSettings
    cache: Path

    @functools.cached_property
    def clip_key(self) -> str:
        """Hash what the clip depends on."""
        paths = [*self.dataset.frames(self.sequence), *self.dataset.annotations(self.sequence)]
        files = [(path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in paths]
        others = self.variant not in OLD and self.dataset.sequences
        text = f"{self.dataset.root.resolve()} {self.sequence} {self.variant} {files} {others} {maker()}"
        return hashlib.sha256(text.encode()).hexdigest()

    @functools.cached_property
    def key(self) -> str:
        """Hash what the result depends on: clip, settings, code and encoder."""
        text = f"{self.clip_key} {self.settings.model_dump_json()} {code()} {fingerprint()}"
        return hashlib.sha256(text.encode()).hexdigest()

    @property
    def square(self) -> bool:
        """Whether the whole square is encoded."""
        return self.settings.method != "memory"

    def load(self) -> Clip | None:
        """Make the clip; None if the sequence cannot give it."""
        clip = read(self.dataset, self.sequence, whole=self.variant in OLD)
        turn = self.dataset.sequences.index(self.sequence)
        held_out = self.sequence in HELD_OUT
        donors = [
            functools.partial(read, self.dataset, other, whole=False)
            for other in self.dataset.sequences
            if other != self.sequence and (other in HELD_OUT) == held_out
        ]
        seed = zlib.crc32(self.sequence.encode())
        return VARIANTS[self.variant](Source(clip.frames, clip.label_maps, seed, turn, donors))


def read(dataset: DavisDataset, sequence: str, *, whole: bool) -> Clip:
    """Read all frames and label maps of a sequence, or those that a new kind of clip uses."""
    frames, annotations = dataset.frames(sequence), dataset.annotations(sequence)
    used = range(len(annotations)) if whole else sampled(len(annotations))
    label_maps = [dataset.label_map(annotations[i]) for i in used]
    label_maps[0] = dataset.first_label_map(sequence)
    return Clip([np.asarray(Image.open(frames[i]).convert("RGB")) for i in used], label_maps)


def frames_of(clip: Clip) -> Iterator[Frame]:
    """Yield the frames of a clip as the tracker takes them."""
    for index, rgb in enumerate(clip.frames):
        yield Frame(index, index, Fraction(1, 24), np.ascontiguousarray(rgb))


@functools.cache
def maker() -> str:
    """Hash the source of what makes clips."""
    return _hash([Path(__file__), *Path(variants.__file__).parent.glob("*.py")])


@functools.cache
def code() -> str:
    """Hash the source of the package."""
    return _hash(list(Path(persam_vos.__file__).parent.rglob("*.py")))


def _hash(paths: Sequence[Path]) -> str:
    return hashlib.sha256(b"".join(path.read_bytes() for path in sorted(paths))).hexdigest()


class CountingDecoder(Decoder):
    """A decoder that counts its passes."""

    passes = 0

    def decode(self, *args: Any, **kwargs: Any) -> Candidates:
        """Decode and count."""
        self.passes += 1
        return super().decode(*args, **kwargs)


@functools.cache
def networks() -> tuple[Sam, EncoderBackend, CountingDecoder]:
    """Return the network, the backend of its encoder and its decoder, loaded once a process."""
    sam = load_sam("mobile_sam", resolve_checkpoint("mobile_sam", None), torch.device("cpu"))
    # In float32, so that the cache is the same on every machine.
    return sam, open_backend("auto", sam, torch.device("cpu"), "float32"), CountingDecoder(sam)


def cached_encoder(job: Job) -> CachedEncoder:
    """Return an encoder over the cache."""
    sam, backend, _ = networks()
    return CachedEncoder(SamEncoder(sam, backend, square=job.square), job.cache)


def follow(job: Job, clip: Clip) -> Iterator[tuple[FrameResult, float]]:
    """Track a clip; yield the result and the milliseconds of every frame but the first."""
    torch.set_num_threads(1)
    encoder = cached_encoder(job)
    tracker = Tracker.from_parts(encoder, networks()[-1], job.settings)
    first_mask = clip.label_maps[0] if clip.first_mask is None else clip.first_mask
    for frame in frames_of(clip):
        embedding = encoder.encode([frame])[0]
        start = time.perf_counter()
        result = tracker.step(frame, embedding) if frame.index else tracker.start(frame, first_mask, embedding)
        milliseconds = 1000 * (time.perf_counter() - start)
        if frame.index:
            yield result, milliseconds


def scored(clip: Clip, results: Sequence[FrameResult]) -> Iterator[dict[str, Any]]:
    """Yield a record per frame, but the first, and object: J, F, the area in truth, and what the tracker says of it."""
    objects = int(clip.label_maps[0].max())
    for result in results:
        truth = clip.label_maps[result.index]
        areas = np.bincount(truth.reshape(-1), minlength=256)
        scores = score_label_maps(result.label_map, truth, objects)
        told = {each.id: asdict(each) for each in result.objects}
        for number, (j, f) in enumerate(scores.tolist(), 1):
            yield {"frame": result.index, "j": j, "f": f, "truth_area": int(areas[number]), **told.get(number, {})} | {
                "id": number
            }


def work(job: Job) -> tuple[str, dict[str, Any]]:
    """Track and score one clip."""
    decoder = networks()[-1]
    before = decoder.passes
    clip = job.load()
    if clip is None:
        return job.key, {"records": []}
    results, milliseconds = zip(*follow(job, clip), strict=True)
    return job.key, {
        "frames": len(clip),
        "records": list(scored(clip, results)),
        "milliseconds": float(np.mean(milliseconds)),
        "passes": (decoder.passes - before) / len(results),
    }


def encode_all(jobs: Sequence[Job]) -> None:
    """Encode the frames that are not in the cache; a clip that has been encoded once is not made again."""
    marks = {job.cache / "encoded" / f"{job.clip_key}-{fingerprint()}-{job.square}": job for job in jobs}
    for mark, job in tqdm([each for each in marks.items() if not each[0].exists()], desc="encode", unit="clip"):
        clip = job.load()
        for frame in frames_of(clip) if clip else ():
            cached_encoder(job).fill(frame)
        mark.parent.mkdir(parents=True, exist_ok=True)
        mark.touch()


def run(jobs: Sequence[Job], workers: int) -> dict[str, dict[str, Any]]:
    """Return the result of every job; those of earlier runs come from the folder ``results`` of the cache."""
    folder = jobs[0].cache / "results"
    folder.mkdir(parents=True, exist_ok=True)
    missing = list({job.key: job for job in jobs if not (folder / f"{job.key}.json").exists()}.values())
    if missing:
        encode_all(missing)
        with concurrent.futures.ProcessPoolExecutor(min(workers, len(missing)), SPAWN) as pool:
            futures = [pool.submit(work, job) for job in missing]
            try:
                for future in tqdm(concurrent.futures.as_completed(futures), total=len(missing), desc="track"):
                    key, result = future.result()
                    with whole_file(folder / f"{key}.json", shared=True) as part:
                        part.write_text(json.dumps(result, default=_number))
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise
    return {job.key: json.loads((folder / f"{job.key}.json").read_text()) for job in jobs}


def _number(value: Any) -> float:
    return float(value)
