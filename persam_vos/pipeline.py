"""The stages wired together: decode, encode, track and write side by side, through bounded queues."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from persam_vos.config import Settings
from persam_vos.decoder import Decoder
from persam_vos.encoder import Encoder, ImageEmbedding, SamEncoder
from persam_vos.errors import SettingsError, VideoError
from persam_vos.frame import Frame
from persam_vos.models.backends import open_backend
from persam_vos.models.checkpoints import resolve_checkpoint
from persam_vos.models.loading import choose_device, load_sam
from persam_vos.objects import FrameResult, LabelMap
from persam_vos.reader import FrameReader
from persam_vos.record import Timings
from persam_vos.tracker import Tracker
from persam_vos.workers import PoliteInterrupt, Sink, prefetch
from persam_vos.writer import ResultWriter

# Frames waiting between two stages, beside a batch in work: enough to hide jitter, little enough to keep memory small
# at 4K. An embedding takes some 15 MB.
_QUEUE_DEPTH = 4
_EMBEDDED_DEPTH = 2
# Up to so many objects, in frames of so many pixels, tracking takes less than encoding.
_FEW_OBJECTS = 2
_FEW_PIXELS = 1920 * 1200
# Frames encoded at once on a GPU, at first: halved as often as its memory is not enough.
_GPU_BATCH = {"mobile_sam": 16, "vit_b": 8, "vit_l": 4, "vit_h": 4}


def encodes_square(settings: Settings) -> bool:
    """Say whether the padding is encoded as well: what PerSAM makes of a frame depends on it."""
    return settings.encode == "square" or (settings.encode == "auto" and settings.method != "memory")


class Engine:
    """A model on a device, ready to track one video after another."""

    def __init__(self, settings: Settings, *, progress: bool = True) -> None:
        """Load the model that the settings name; ``progress`` shows a bar if it must be downloaded."""
        self.settings = settings
        self.device = choose_device(settings.device)
        self.checkpoint = resolve_checkpoint(settings.model, settings.checkpoint, progress=progress)
        sam = load_sam(settings.model, self.checkpoint, self.device)
        backend = open_backend(settings.backend, sam, self.device, settings.precision)
        self.backend, self.precision = backend.name, backend.precision
        auto = _GPU_BATCH[settings.model] if self.device.type == "cuda" else backend.at_once
        self.batch_size = auto if settings.batch_size == "auto" else settings.batch_size
        self.encoder: Encoder = SamEncoder(sam, backend, square=encodes_square(settings))
        # What the tracker encodes itself, for a closer look, comes one by one: apart from what runs several at once.
        self.closer_encoder = self.encoder
        if settings.closer_look:
            alone = open_backend(settings.backend, sam, self.device, settings.precision)
            self.closer_encoder = SamEncoder(sam, alone, square=encodes_square(settings))
        self.decoder = Decoder(sam)

    @property
    def may_halve(self) -> bool:
        """Whether fewer frames at once may be encoded than ``batch_size``: if nobody has asked for that number."""
        return self.settings.batch_size == "auto" and self.batch_size > 1

    def halve_batch(self) -> None:
        """Encode half as many frames at once from now on, and let go of what the larger batch had claimed."""
        self.batch_size //= 2
        if self.device.type == "cuda":
            torch.cuda.empty_cache()

    def new_tracker(self) -> Tracker:
        """Return a tracker for one more video."""
        return Tracker(self.closer_encoder, self.decoder, self.settings)


@dataclass(frozen=True, slots=True)
class TrackOutcome:
    """How the tracking of one video ended.

    Attributes:
        frames: Frames tracked and written.
        interrupted: Whether the user stopped it before the end.
        written: What the writers left under its final name.
        timings: Seconds per stage.
        warnings: Of the reader and the writers.
    """

    frames: int
    interrupted: bool
    written: tuple[Path, ...]
    timings: Timings
    warnings: tuple[str, ...]


def track(
    engine: Engine,
    reader: FrameReader,
    label_map: LabelMap,
    writers: Sequence[ResultWriter],
    *,
    on_frame: Callable[[FrameResult], None] = lambda _: None,
    on_interrupt: Callable[[], None] = lambda: None,
    keep_interrupted: bool = True,
) -> TrackOutcome:
    """Track the objects of a video's first frame through all of it.

    Decoding, encoding and writing run in threads of their own, ahead of and behind the tracker. The first error of any
    stage stops all of them and is raised; the writers' unfinished files are removed.

    Args:
        engine: The model.
        reader: The video; it is closed at the end.
        label_map: uint8, H x W, the annotation of the first frame.
        writers: Where the results go; they are closed or aborted at the end.
        on_frame: Called after each frame, in order.
        on_interrupt: Called at the first Ctrl-C or SIGTERM, which takes effect after the frame in work.
        keep_interrupted: The first Ctrl-C or SIGTERM ends the run after the frame in work, and the files of the frames
            done are finished properly; if False, they are removed.

    Raises:
        VideoError: If the video has no frame or cannot be decoded.
        SettingsError: If the GPU's memory is not enough: for the batch size that the settings name, or for one frame.
        MaskError: If the annotation does not fit the first frame.
        OutputError: If a result cannot be written.
        KeyboardInterrupt: If the user interrupts for a second time, or ``keep_interrupted`` is False.
    """
    timings = Timings()
    sink = Sink(writers, timings, _QUEUE_DEPTH)
    with PoliteInterrupt(on_interrupt) as interrupt, _threads_left_to_the_encoder(engine, label_map):
        try:
            with _memory_errors(engine, reader), closing(_results(engine, reader, label_map, timings)) as results:
                frames = _write_all(results, sink, on_frame, interrupt)
            if interrupt.asked and not keep_interrupted:
                raise KeyboardInterrupt
            if not frames:
                raise VideoError(f"{reader.info.source}: no frame could be decoded")
            written = sink.close()
        except BaseException:
            sink.abort()
            raise
        finally:
            reader.close()
    warnings = (*reader.warnings, *(text for writer in writers for text in writer.warnings))
    return TrackOutcome(frames, interrupt.asked, written, timings, warnings)


def _write_all(
    results: Iterator[tuple[FrameResult, Frame]],
    sink: Sink,
    on_frame: Callable[[FrameResult], None],
    interrupt: PoliteInterrupt,
) -> int:
    """Hand results to the writers until they end or the user wants to stop; return their number."""
    frames = 0
    for result, frame in results:
        sink.put(frame, result)
        frames += 1
        on_frame(result)
        if interrupt.asked:
            break
    return frames


@contextmanager
def _memory_errors(engine: Engine, reader: FrameReader) -> Iterator[None]:
    """Say of a GPU whose memory is not enough what can be done about it."""
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise SettingsError(
            f"out of GPU memory with batches of {engine.batch_size} frames of {reader.info.height} x"
            f" {reader.info.width}; pass a smaller --batch-size, another --model or --device cpu"
        ) from error


@contextmanager
def _threads_left_to_the_encoder(engine: Engine, label_map: LabelMap) -> Iterator[None]:
    """Give the tracker half of the CPU's threads, where the encoder beside it has threads of its own and more to do.

    Where PyTorch runs both, their number is one for the whole process; on a GPU the tracker needs little of the CPU. It
    is settled beforehand, not by what takes how long: masks may depend on it in their last digits.
    """
    threads = torch.get_num_threads()
    light = len(np.unique(label_map)) <= 1 + _FEW_OBJECTS and label_map.size <= _FEW_PIXELS
    light = light and not engine.settings.closer_look
    apart = engine.backend != "torch" and engine.device.type == "cpu"
    torch.set_num_threads(max(threads // 2, 1) if light and apart else threads)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _results(
    engine: Engine, reader: FrameReader, label_map: LabelMap, timings: Timings
) -> Generator[tuple[FrameResult, Frame], None, None]:
    """Run all stages but writing; closing this ends their threads, the last stage's first."""
    tracker = engine.new_tracker()
    with (
        closing(prefetch("decode", timings.timed("decode", reader), _QUEUE_DEPTH)) as decoded,
        closing(prefetch("encode", _embedded(engine, decoded, timings), _EMBEDDED_DEPTH)) as embedded,
    ):
        for frame, embedding in embedded:
            with timings.stage("track"):
                first = frame.index == 0
                result = tracker.start(frame, label_map, embedding) if first else tracker.step(frame, embedding)
            yield result, frame


def _embedded(engine: Engine, frames: Iterator[Frame], timings: Timings) -> Iterator[tuple[Frame, ImageEmbedding]]:
    """Encode frames, several at once; if that is too much for the GPU, fewer from then on."""
    while batch := list(itertools.islice(frames, engine.batch_size)):
        while batch:
            now = batch[: engine.batch_size]
            with timings.stage("encode"):
                embeddings = _encode_if_it_fits(engine, now)
            if embeddings is None:
                engine.halve_batch()
                continue
            batch = batch[len(now) :]
            # What has been handed out is not held here as well.
            embeddings.reverse()
            for frame in now:
                yield frame, embeddings.pop()


def _encode_if_it_fits(engine: Engine, frames: Sequence[Frame]) -> list[ImageEmbedding] | None:
    """Encode frames; None if the GPU's memory is not enough, and fewer at once may be tried."""
    try:
        return engine.encoder.encode(frames)
    except torch.OutOfMemoryError:
        if not engine.may_halve:
            raise
    return None
