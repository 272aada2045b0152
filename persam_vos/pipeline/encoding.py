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

Embedded = tuple[Frame, ImageEmbedding]


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
    """

    def __init__(
        self, engine: Engine[Any], timings: Timings, memory: GpuMemory | None = None, *, max_pixels: float = math.inf
    ) -> None:
        self._engine, self._timings, self._max_pixels = engine, timings, max_pixels
        self._memory = memory or GpuMemory(engine)

    def run(self, frames: Iterator[Frame]) -> Generator[Embedded, None, None]:
        """Yield each frame with its embedding, in order; frames may differ in size.

        Raises:
            torch.OutOfMemoryError: If the GPU's memory is too small for one frame, or for a batch that the user chose.
        """
        return self._side_by_side(frames) if self._engine.side_by_side else self._in_batches(frames)

    def _side_by_side(self, frames: Iterator[Frame]) -> Generator[Embedded, None, None]:
        """Encode each frame by itself; as soon as one is done, the next one starts."""
        pending: deque[tuple[Frame, Future[_Encoded]]] = deque()
        error: Exception | None = None
        more, done = True, 0.0
        with ThreadPoolExecutor(self._engine.batch_size, "persam-vos encode") as pool:
            try:
                while more or pending:
                    # Keep one more frame in flight than are encoded: the oldest may finish last.
                    if more and len(pending) <= self._engine.batch_size and self._fits(pending):
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
                    self._timings.add("encode", max(encoded.end - max(encoded.start, done), 0.0))
                    done = max(encoded.end, done)
                    yield frame, encoded.embedding
            finally:
                pool.shutdown(cancel_futures=True)
        if error is not None:
            raise error

    def _fits(self, pending: deque[tuple[Frame, Future[_Encoded]]]) -> bool:
        return sum(frame.height * frame.width for frame, _ in pending) < self._max_pixels

    def _encode_one(self, frame: Frame) -> _Encoded:
        start = time.perf_counter()
        (embedding,) = self._engine.batch_encoder.encode([frame])
        return _Encoded(embedding, start, time.perf_counter())

    def _in_batches(self, frames: Iterator[Frame]) -> Generator[Embedded, None, None]:
        while batch := self._batch(frames):
            while batch:
                now = batch[: self._engine.batch_size]
                with self._timings.stage("encode"):
                    embeddings = self._memory.encode(now)
                if embeddings is None:
                    continue
                batch = batch[len(now) :]
                # Drop references to embeddings handed out, so that they can be freed.
                embeddings.reverse()
                for frame in now:
                    yield frame, embeddings.pop()

    def _batch(self, frames: Iterator[Frame]) -> list[Frame]:
        """Take frames until there are ``batch_size``, or ``max_pixels``; none if there are none left."""
        batch: list[Frame] = []
        pixels = 0
        for frame in itertools.islice(frames, self._engine.batch_size):
            batch.append(frame)
            pixels += frame.height * frame.width
            if pixels >= self._max_pixels:
                break
        return batch
