"""A model on a device, and frames embedded by it, as many at once as fit."""

from __future__ import annotations

import itertools
import math
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, NamedTuple, TypeVar

import torch

from persam_vos.errors import SettingsError
from persam_vos.exports.run_record import machine, peak_memory_mib, versions
from persam_vos.files import file_sha256
from persam_vos.media.frame import Frame
from persam_vos.pipeline.timings import Timings
from persam_vos.sam.backends.base import Backend
from persam_vos.sam.backends.openvino_decoder import OpenVinoMaskDecoding
from persam_vos.sam.backends.select import open_backend
from persam_vos.sam.checkpoints.loading import choose_device, load_sam
from persam_vos.sam.checkpoints.registry import resolve_checkpoint
from persam_vos.sam.decoder import Decoder
from persam_vos.sam.encoder import Encoder, ImageEmbedding, SamEncoder
from persam_vos.settings.common import EngineSettings

Result = TypeVar("Result")
# Frames waiting between two stages, beside those in work: enough to hide jitter, little enough to keep memory small
# at 4K. An embedding takes some 15 MB.
QUEUE_DEPTH = 4
EMBEDDED_DEPTH = 2
# Frames encoded at once on a GPU, at first: halved as often as its memory is not enough.
_GPU_BATCH = {"mobile_sam": 16, "vit_b": 8, "vit_l": 4, "vit_h": 4}


class _Encoded(NamedTuple):
    """An embedding, and when, by the clock, it was begun and done."""

    embedding: ImageEmbedding
    start: float
    end: float


class EmbeddingEngine:
    """A model on a device, and its parts.

    Attributes:
        encoder: For one frame at a time.
        batch_size: Frames that ``embedded`` encodes at once.
        encodes_apart: Whether what encodes has threads of its own, and each of these frames to itself.
    """

    def __init__(self, settings: EngineSettings, *, square: bool, progress: bool = True) -> None:
        """Load the model.

        Args:
            settings: Which model, and what runs it.
            square: Whether the padding is encoded as well.
            progress: Show a bar if the model must be downloaded.
        """
        self.settings = settings
        self._encoding = threading.Lock()
        self.device = choose_device(settings.device)
        self.checkpoint = resolve_checkpoint(settings.model, settings.checkpoint, progress=progress)
        self._sam = load_sam(settings.model, self.checkpoint, self.device)
        self._square = square
        at_once = None if settings.batch_size == "auto" else settings.batch_size
        if at_once is None and self.device.type == "cuda":
            at_once = _GPU_BATCH[settings.model]
        backend = open_backend(settings.backend, self._sam, self.device, settings.precision, at_once)
        self.backend, self.precision = backend.name, backend.precision
        self.encodes_apart, self.batch_size = backend.apart, backend.at_once
        self._ahead: Encoder = SamEncoder(self._sam, backend, square=square)
        # What runs frames side by side gives each of them a part of the threads only.
        self.encoder = self.another_encoder() if backend.apart else self._ahead
        decoding = OpenVinoMaskDecoding(self._sam, backend.precision) if backend.name == "openvino" else None
        self.decoder = Decoder(self._sam, _torch_dtype(backend, self.device), decoding)

    def another_encoder(self, *, square: bool | None = None) -> Encoder:
        """Return an encoder for one frame at a time, that shares nothing but the weights with the one there is.

        Args:
            square: Whether it encodes the padding as well; None for as the one there is.
        """
        backend = open_backend(self.settings.backend, self._sam, self.device, self.settings.precision, at_once=1)
        return SamEncoder(self._sam, backend, square=self._square if square is None else square)

    @property
    def may_halve(self) -> bool:
        """Whether fewer frames at once may be encoded than ``batch_size``: if nobody has asked for that number."""
        return self.settings.batch_size == "auto" and self.batch_size > 1

    def halve_batch(self) -> None:
        """Encode half as many frames at once from now on, and let go of what the larger batch had claimed."""
        # The encoder's thread and the tracker's may both want this at once.
        self.batch_size = max(self.batch_size // 2, 1)
        if self.device.type == "cuda":
            torch.cuda.empty_cache()

    def with_room(self, work: Callable[[], Result]) -> Result:
        """Do what needs the GPU beside the encoder; while that is too much for it, encode fewer frames at once.

        Args:
            work: Something that leaves nothing behind where it fails.

        Returns:
            What ``work`` returns.
        """
        while True:
            try:
                return work()
            except torch.OutOfMemoryError:
                if not self.may_halve:
                    raise
            # The batch that is being encoded lets go of its memory first.
            with self._encoding:
                self.halve_batch()

    def embedded(
        self, frames: Iterator[Frame], timings: Timings, most_pixels: float = math.inf
    ) -> Iterator[tuple[Frame, ImageEmbedding]]:
        """Encode frames, several at once; if that is too much for the GPU, fewer from then on.

        Args:
            frames: Of any size each.
            timings: Told how long it takes.
            most_pixels: While frames of so many together are encoded, no more are taken, however few they are.
        """
        encoded = self._side_by_side if self.encodes_apart else self._in_batches
        return encoded(frames, timings, most_pixels)

    def _side_by_side(
        self, frames: Iterator[Frame], timings: Timings, most_pixels: float
    ) -> Iterator[tuple[Frame, ImageEmbedding]]:
        """Encode every frame by itself; as soon as one is done, another one begins."""
        pending: deque[tuple[Frame, Future[_Encoded]]] = deque()
        error: Exception | None = None
        more, done = True, 0.0
        with ThreadPoolExecutor(self.batch_size, "persam-vos encode") as pool:
            try:
                while more or pending:
                    pixels = sum(frame.height * frame.width for frame, _ in pending)
                    # One more than are encoded, for the first of them may be the last to be done.
                    if more and len(pending) <= self.batch_size and pixels < most_pixels:
                        try:
                            pending.append((frame := next(frames), pool.submit(self._encode_one, frame)))
                        except StopIteration:
                            more = False
                        except Exception as raised:
                            # The frames before come first.
                            error, more = raised, False
                        continue
                    frame, future = pending.popleft()
                    encoded = future.result()
                    # Time in which several were encoded counts once.
                    timings.add("encode", max(encoded.end - max(encoded.start, done), 0.0))
                    done = max(encoded.end, done)
                    yield frame, encoded.embedding
            finally:
                pool.shutdown(cancel_futures=True)
        if error is not None:
            raise error

    def _encode_one(self, frame: Frame) -> _Encoded:
        start = time.perf_counter()
        (embedding,) = self._ahead.encode([frame])
        return _Encoded(embedding, start, time.perf_counter())

    def _in_batches(
        self, frames: Iterator[Frame], timings: Timings, most_pixels: float
    ) -> Iterator[tuple[Frame, ImageEmbedding]]:
        while batch := _batch(frames, self.batch_size, most_pixels):
            while batch:
                now = batch[: self.batch_size]
                with timings.stage("encode"):
                    embeddings = self._encode_if_it_fits(now)
                if embeddings is None:
                    self.halve_batch()
                    continue
                batch = batch[len(now) :]
                # What has been handed out is not held here as well.
                embeddings.reverse()
                for frame in now:
                    yield frame, embeddings.pop()

    def _encode_if_it_fits(self, frames: Sequence[Frame]) -> list[ImageEmbedding] | None:
        """Encode frames; None if the GPU's memory is not enough, and fewer at once may be tried."""
        try:
            with self._encoding:
                return self._ahead.encode(frames)
        except torch.OutOfMemoryError:
            if not self.may_halve:
                raise
        return None

    @contextmanager
    def memory_errors(self) -> Iterator[None]:
        """Say of a GPU whose memory is not enough what can be done about it.

        Raises:
            SettingsError: Instead of PyTorch's error.
        """
        try:
            yield
        except torch.OutOfMemoryError as error:
            raise SettingsError(
                f"out of GPU memory with batches of {self.batch_size} pictures; pass a smaller --batch-size, another"
                " --model or --device cpu"
            ) from error


def _batch(frames: Iterator[Frame], size: int, most_pixels: float) -> list[Frame]:
    """Take frames until they are so many, or so large together; none if there are none left."""
    batch: list[Frame] = []
    pixels = 0
    for frame in itertools.islice(frames, size):
        batch.append(frame)
        pixels += frame.height * frame.width
        if pixels >= most_pixels:
            break
    return batch


def _torch_dtype(backend: Backend, device: torch.device) -> torch.dtype:
    """Return what PyTorch computes cells in: what the encoder does, where PyTorch is fast at it.

    OpenVINO has bfloat16 on CPUs where PyTorch only imitates it, 20 times as slowly.
    """
    able = device.type != "cpu" or backend.name == "torch" or torch.ops.mkldnn._is_mkldnn_bf16_supported()
    return torch.bfloat16 if backend.precision == "bfloat16" and able else torch.float32


def gpu_name(device: torch.device) -> str | None:
    """Return the name of a GPU; None of a CPU."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else None


def engine_record(engine: EmbeddingEngine, seconds: float) -> dict[str, Any]:
    """Return what every run.json says, of a run that took so many seconds."""
    return {
        "settings": engine.settings.model_dump(mode="json"),
        "backend": engine.backend,
        "precision": engine.precision,
        "decoder_precision": engine.decoder.precision,
        "guided_decoder_precision": engine.decoder.guided_precision,
        "batch_size": engine.batch_size,
        "checkpoint": {"path": str(engine.checkpoint), "sha256": file_sha256(engine.checkpoint)},
        "versions": versions(),
        "machine": machine(engine.device.type, gpu_name(engine.device)),
        "seconds": round(seconds, 3),
        "peak_memory_mib": peak_memory_mib(),
    }
