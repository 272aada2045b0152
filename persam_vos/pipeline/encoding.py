"""Frames become embeddings, several at once: one batch after the other, or side by side."""

from __future__ import annotations

import itertools
import math
import time
from collections import deque
from collections.abc import Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, NamedTuple

from persam_vos.media.frame import Frame
from persam_vos.pipeline.gpu_memory import GpuMemory
from persam_vos.pipeline.timings import Timings
from persam_vos.sam.encoder import ImageEmbedding
from persam_vos.sam.engine import Engine

Embedded = tuple[Frame, ImageEmbedding | None]
# Pixels of the frames that pass by, with which no further frame is taken: 300 MB.
_MAX_PASSING_PIXELS = 100_000_000
# A frame, and whether it is encoded.
_Chosen = tuple[Frame, bool]


class _Encoded(NamedTuple):
    """An embedding, and when its encoding started and ended, in seconds of ``time.perf_counter``."""

    embedding: ImageEmbedding
    start: float
    end: float


class EncodeStage:
    """Encodes a stream of frames with an engine.

    Args:
        engine: The model.
        timings: Told how long encoding takes, as ``encode``.
        memory: The GPU's, shared with what runs beside this stage; None if nothing does.
        max_pixels: Take no further frame while frames of so many pixels together are being encoded.
        every: Encode the first frame and every n-th after it; the others pass by.
        position: Of the first frame after one that was encoded; 0 for one that is.
    """

    def __init__(
        self,
        engine: Engine[Any],
        timings: Timings,
        memory: GpuMemory | None = None,
        *,
        max_pixels: float = math.inf,
        every: int = 1,
        position: int = 0,
    ) -> None:
        self._engine, self._timings, self._max_pixels = engine, timings, max_pixels
        self._every, self._position = every, position
        self._memory = memory or GpuMemory(engine)

    def run(self, frames: Iterator[Frame]) -> Generator[Embedded, None, None]:
        """Yield each frame in order, with its embedding or, if it is not encoded, None; frames may differ in size.

        Raises:
            torch.OutOfMemoryError: If the GPU's memory is too small for one frame, or for a batch that the user chose.
        """
        chosen = ((frame, position % self._every == 0) for position, frame in enumerate(frames, self._position))
        return self._side_by_side(chosen) if self._engine.side_by_side else self._in_batches(chosen)

    def _side_by_side(self, frames: Iterator[_Chosen]) -> Generator[Embedded, None, None]:
        """Encode each frame by itself; as soon as one is done, the next one starts."""
        pending: deque[tuple[Frame, Future[_Encoded] | None]] = deque()
        error: Exception | None = None
        more, done = True, 0.0
        with ThreadPoolExecutor(self._engine.batch_size, "persam-vos encode") as pool:
            try:
                while more or pending:
                    if more and self._has_room(pending):
                        try:
                            frame, encode = next(frames)
                            pending.append((frame, pool.submit(self._encode_one, frame) if encode else None))
                        except StopIteration:
                            more = False
                        except Exception as raised:
                            # The frames before come first.
                            error, more = raised, False
                        continue
                    frame, future = pending.popleft()
                    if future is None:
                        yield frame, None
                        continue
                    encoded = future.result()
                    # Time in which several were encoded counts once.
                    self._timings.add("encode", max(encoded.end - max(encoded.start, done), 0.0))
                    done = max(encoded.end, done)
                    yield frame, encoded.embedding
            finally:
                pool.shutdown(cancel_futures=True)
        if error is not None:
            raise error

    def _has_room(self, pending: deque[tuple[Frame, Future[_Encoded] | None]]) -> bool:
        # Keep one more frame in flight than are encoded: the oldest may finish last.
        in_flight = sum(future is not None for _, future in pending)
        pixels = sum(frame.height * frame.width for frame, _ in pending)
        passing = sum(frame.height * frame.width for frame, future in pending if future is None)
        few = pixels < self._max_pixels and passing < _MAX_PASSING_PIXELS
        return in_flight <= self._engine.batch_size and few

    def _encode_one(self, frame: Frame) -> _Encoded:
        start = time.perf_counter()
        (embedding,) = self._engine.batch_encoder.encode([frame])
        return _Encoded(embedding, start, time.perf_counter())

    def _in_batches(self, frames: Iterator[_Chosen]) -> Generator[Embedded, None, None]:
        while batch := self._batch(frames):
            while batch:
                # As many as hold ``batch_size`` frames to encode, which may have become smaller.
                counts = itertools.accumulate(encode for _, encode in batch)
                now = batch[: sum(count <= self._engine.batch_size for count in counts)]
                encoded = [frame for frame, encode in now if encode]
                with self._timings.stage("encode"):
                    embeddings = self._memory.encode(encoded) if encoded else []
                if embeddings is None:
                    continue
                batch = batch[len(now) :]
                # Drop references to embeddings handed out, so that they can be freed.
                embeddings.reverse()
                for frame, encode in now:
                    yield frame, embeddings.pop() if encode else None

    def _batch(self, frames: Iterator[_Chosen]) -> list[_Chosen]:
        """Take frames until ``batch_size`` are to be encoded, or there are too many pixels; none if none are left."""
        batch: list[_Chosen] = []
        encoded = pixels = passing = 0
        for frame, encode in frames:
            batch.append((frame, encode))
            size = frame.height * frame.width
            encoded, pixels, passing = encoded + encode, pixels + size, passing + (not encode) * size
            full = encoded >= self._engine.batch_size
            if full or pixels >= self._max_pixels or passing >= _MAX_PASSING_PIXELS:
                break
        return batch
