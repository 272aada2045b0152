"""Indices of frames go in, in any order; frames with their embeddings come out, encoded or from the disk."""

from __future__ import annotations

import itertools
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing
from typing import Any

from persam_vos.media.frame import Frame
from persam_vos.media.random_access import RandomAccessVideo
from persam_vos.pipeline.encoding import EncodeStage
from persam_vos.pipeline.gpu_memory import GpuMemory, explained_gpu_memory_errors
from persam_vos.pipeline.prefetch import prefetch
from persam_vos.pipeline.timings import Timings
from persam_vos.sam.encoder import ImageEmbedding
from persam_vos.sam.engine import Engine
from persam_vos.video.propagation.embedding_cache import EmbeddingCache

# Frames that wait between two stages, beside those in work.
_DECODED_DEPTH, _EMBEDDED_DEPTH = 4, 2


class EmbeddedFrames:
    """The frames of a video with their embeddings.

    An embedding is the same whether it was just made or kept, so that masks do not depend on what is kept.

    Attributes:
        encoded: Frames encoded so far.
    """

    def __init__(
        self, engine: Engine[Any], video: RandomAccessVideo, cache: EmbeddingCache, timings: Timings | None = None
    ) -> None:
        self.encoded = 0
        self._engine, self._video, self._cache = engine, video, cache
        self._memory = GpuMemory(engine)
        self._timings = timings or Timings()

    def have_all(self, indices: Iterable[int]) -> bool:
        """Tell whether none of these frames has to be encoded."""
        return all(index in self._cache for index in indices)

    def walk(self, frames: range) -> Generator[tuple[Frame, ImageEmbedding], None, None]:
        """Yield frames in this order; they are decoded and encoded ahead, in threads.

        Raises:
            VideoError: If a frame cannot be decoded.
            SettingsError: If the GPU's memory is too small for one frame, or for the batch size of the settings.
        """
        read = self._timings.timed("decode", self._video.frames(frames.start, frames.stop, frames.step))
        with (
            explained_gpu_memory_errors(self._engine),
            closing(prefetch("decode", read, _DECODED_DEPTH)) as decoded,
            closing(prefetch("encode", self._embedded(decoded), _EMBEDDED_DEPTH)) as embedded,
        ):
            yield from embedded

    def one(self, index: int) -> tuple[Frame, ImageEmbedding]:
        """Return one frame, encoded with all threads; see ``walk``."""
        frame, embedding = self._video.frame(index), self._cache.get(index)
        if embedding is None:
            with explained_gpu_memory_errors(self._engine):
                [made] = self._memory.retry(lambda: self._engine.encoder.encode([frame]))
            self.encoded += 1
            embedding = self._cache.put(index, made)
        return frame, embedding

    def _embedded(self, frames: Iterator[Frame]) -> Generator[tuple[Frame, ImageEmbedding], None, None]:
        for kept, group in itertools.groupby(frames, key=lambda frame: frame.index in self._cache):
            if not kept:
                yield from self._encode(group)
                continue
            for frame in group:
                embedding = self._cache.get(frame.index)
                # What was kept may be damaged.
                yield from self._encode(iter([frame])) if embedding is None else [(frame, embedding)]

    def _encode(self, frames: Iterator[Frame]) -> Generator[tuple[Frame, ImageEmbedding], None, None]:
        for frame, embedding in EncodeStage(self._engine, self._timings, self._memory).run(frames):
            assert embedding is not None, "every frame is encoded"
            self.encoded += 1
            yield frame, self._cache.put(frame.index, embedding)
