"""Fewer frames are encoded at once while the GPU's memory is too small for more."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import torch

from persam_vos.errors import SettingsError
from persam_vos.media.frame import Frame
from persam_vos.sam.encoder import ImageEmbedding
from persam_vos.sam.engine import Engine

Result = TypeVar("Result")


class GpuMemory:
    """Shares a GPU's memory between the encoder and what runs beside it.

    Whenever the memory is too small, the engine's ``batch_size`` is halved, unless the user has set it.
    """

    def __init__(self, engine: Engine[Any]) -> None:
        self._engine = engine
        self._encoding = threading.Lock()

    def encode(self, frames: Sequence[Frame]) -> list[ImageEmbedding] | None:
        """Encode frames at once; return None if they did not fit and fewer may be tried.

        Raises:
            torch.OutOfMemoryError: If no fewer may be tried.
        """
        try:
            with self._encoding:
                return self._engine.batch_encoder.encode(frames)
        except torch.OutOfMemoryError:
            if not self._may_halve:
                raise
        self._halve()
        return None

    def retry(self, work: Callable[[], Result]) -> Result:
        """Do work beside the encoder; while it does not fit, halve the batch and do it again.

        Args:
            work: Must leave nothing behind where it fails.

        Raises:
            torch.OutOfMemoryError: If the batch may not be halved any more.
        """
        while True:
            try:
                return work()
            except torch.OutOfMemoryError:
                if not self._may_halve:
                    raise
            # The batch that is being encoded lets go of its memory first.
            with self._encoding:
                self._halve()

    @property
    def _may_halve(self) -> bool:
        return self._engine.settings.batch_size == "auto" and self._engine.batch_size > 1

    def _halve(self) -> None:
        # The encoder's thread and the tracker's may both want this at once.
        self._engine.batch_size = max(self._engine.batch_size // 2, 1)
        if self._engine.device.type == "cuda":
            torch.cuda.empty_cache()


@contextmanager
def explained_gpu_memory_errors(engine: Engine[Any]) -> Iterator[None]:
    """Say what helps when the GPU's memory is too small.

    Raises:
        SettingsError: Instead of PyTorch's error.
    """
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise SettingsError(
            f"out of GPU memory with batches of {engine.batch_size} pictures; pass a smaller --batch-size, another"
            " --model or --device cpu"
        ) from error
