"""Keeps the embeddings of a video's frames on disk, so that a frame is encoded once however often it is tracked."""

from __future__ import annotations

import hashlib
import json
import os
import re
import secrets
import shutil
import threading
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from persam_vos.errors import OutputError, reason
from persam_vos.files import real_path, whole_file
from persam_vos.sam.encoder import ImageEmbedding
from persam_vos.sam.engine import Engine
from persam_vos.sam.geometry import Geometry
from persam_vos.settings.video import Settings

DEFAULT_LIMIT_BYTES = 4 * 10**9
_VERSION = 1
_LARGEST_BYTES = 1 << 28
# Another process may fill the folder at the same time: so often it is looked at again.
_COUNTED_EVERY = 32
_LARGEST_HALF = float(np.finfo(np.float16).max)
_IDENTITY = re.compile("[0-9a-f]{64}")
_CPU = torch.device("cpu")
Halves = npt.NDArray[np.float16]


def cache_identity(files: Iterable[Path], *facts: object) -> str:
    """Return what tells the embeddings of one video and one encoder from all others.

    Args:
        files: The files of the video. A file that has changed its path, size or time of change is another one. A
            video without files, such as arrays, is always another one.
        facts: What else an embedding depends on: ``encoder_facts`` and the size of the frames.

    Returns:
        64 hexadecimal digits.

    Raises:
        OSError: If a file is missing.
    """
    stamps = [(str(real_path(path)), (stat := path.stat()).st_size, stat.st_mtime_ns) for path in files]
    known = json.dumps([_VERSION, stamps or secrets.token_hex(), [str(fact) for fact in facts]])
    return hashlib.sha256(known.encode()).hexdigest()


def encoder_facts(engine: Engine[Settings]) -> tuple[object, ...]:
    """Return what embeddings depend on beside the frames: weights, backend, precision, and how much is encoded."""
    return engine.checkpoint_sha256, engine.backend, engine.precision, engine.settings.encodes_square


class EmbeddingCache:
    """Embeddings of the frames of one video, in a folder, in half precision: 4 MB a frame at 16:9 for MobileSAM.

    What ``put`` returns is what ``get`` gives later, so that results never depend on what is kept. A cache that is full
    keeps what it has and takes no more: whoever goes through a long video again and again would find nothing in a cache
    that drops the oldest. Embeddings of other videos in the same folder make room, those first that were not used for
    longest. A file that is damaged is removed, and its embedding missing. Threads may share a cache, and processes a
    folder.

    Args:
        folder: The folder of all caches; made when it is needed.
        identity: What these embeddings are of; see ``cache_identity``.
        max_bytes: How many bytes the folder may take up; 0 keeps nothing.
        device: Where the embeddings are needed.

    Attributes:
        limit_bytes: How many bytes the folder may take up.
        warnings: Why the cache takes no more, if it does not.
    """

    def __init__(
        self, folder: Path, identity: str, *, max_bytes: int = DEFAULT_LIMIT_BYTES, device: torch.device = _CPU
    ) -> None:
        self.limit_bytes = max_bytes
        self.warnings: list[str] = []
        self._all, self._folder, self._device = folder, folder / identity, device
        self._lock = threading.Lock()
        self._is_open, self._puts = True, 0
        self._count_others()
        self._own_bytes = _size_of(self._folder)
        with suppress(OSError):
            os.utime(self._folder)  # used now, and so the last to make room

    @property
    def size_bytes(self) -> int:
        """How many bytes the folder takes up, embeddings of other videos included."""
        return self._own_bytes + sum(self._others.values())

    def __contains__(self, index: int) -> bool:
        return self._path(index).is_file()

    def get(self, index: int) -> ImageEmbedding | None:
        """Return the embedding of a frame; None if it is not there."""
        path = self._path(index)
        try:
            with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
                if sum(each.file_size for each in stored.zip.infolist()) > _LARGEST_BYTES:
                    raise ValueError("unpacked, it is larger than any embedding")
                return _restore(stored, self._device)
        except FileNotFoundError:
            return None
        except Exception:  # damaged archives and headers of arrays raise nearly anything
            with self._lock, suppress(OSError):
                size = path.stat().st_size
                path.unlink()
                self._own_bytes -= size
            return None

    def put(self, index: int, embedding: ImageEmbedding) -> ImageEmbedding:
        """Keep the embedding of a frame, unless one is there or the cache is full.

        Returns:
            The embedding as ``get`` returns it.
        """
        if index in self and (kept := self.get(index)) is not None:
            return kept
        halves = _halve(embedding)
        try:
            rounded = _restore(halves, self._device)
        except ValueError:  # not finite
            return embedding
        with self._lock:
            self._puts += 1
            if self._puts % _COUNTED_EVERY == 0:
                self._count_others()
            if self._is_open and self._has_room(sum(each.nbytes for each in halves.values())):
                self._write(self._path(index), halves)
        return rounded

    def _path(self, index: int) -> Path:
        return self._folder / f"{index:06d}.npz"

    def _count_others(self) -> None:
        self._others = {path: _size_of(path) for path in _caches(self._all) if path != self._folder}

    def _has_room(self, size: int) -> bool:
        """Tell whether there is room for so many bytes; remove embeddings of other videos if there is not."""
        oldest = sorted(self._others, key=_last_use)
        while self.size_bytes + size > self.limit_bytes and self._own_bytes + size <= self.limit_bytes and oldest:
            shutil.rmtree(other := oldest.pop(0), ignore_errors=True)
            del self._others[other]
        if self.size_bytes + size > self.limit_bytes:
            self._stop(f"is full: {self.size_bytes / 1e9:.1f} of at most {self.limit_bytes / 1e9:.1f} GB")
        return self._is_open

    def _write(self, path: Path, halves: Mapping[str, Any]) -> None:
        try:
            with whole_file(path, shared=True) as partial, partial.open("wb") as file:
                np.savez(file, **halves)
            self._own_bytes += path.stat().st_size
        except (OSError, OutputError) as error:
            self._stop(f"takes no more: {reason(error)}")

    def _stop(self, why: str) -> None:
        self._is_open = False
        self.warnings.append(f"{self._all}: the cache of embeddings {why}; other frames are encoded whenever needed")


def _halve(embedding: ImageEmbedding) -> dict[str, npt.NDArray[np.generic]]:
    """Return an embedding as arrays: the cells that were encoded, channels last, in half precision."""
    geometry, filled = embedding.geometry, embedding.features.any(dim=0)
    rows, columns = _last(filled.any(dim=1)), _last(filled.any(dim=0))
    return {
        "sizes": np.array([geometry.height, geometry.width, geometry.input_size, embedding.cells], np.int64),
        "features": _half(embedding.features[:, :rows, :columns]),
        **{f"stage{number}": _half(stage) for number, stage in enumerate(embedding.stages)},
    }


def _restore(stored: Mapping[str, npt.NDArray[np.generic]], device: torch.device) -> ImageEmbedding:
    """Return the embedding of such arrays; raises ``ValueError`` or ``KeyError`` if they are not what was stored."""
    height, width, input_size, cells = (int(size) for size in stored["sizes"])
    features = _whole(stored["features"], device)
    rows, columns, channels = features.shape
    square = torch.zeros(cells, cells, channels, device=device)
    square[:rows, :columns] = features
    geometry = Geometry(height, width, input_size)
    names = [f"stage{number}" for number in range(len(stored) - 2)]
    stages = tuple(_whole(stored[name], device).permute(2, 0, 1) for name in names)
    return ImageEmbedding(square.permute(2, 0, 1), geometry, stages)


def _half(values: Tensor) -> Halves:
    largest = _LARGEST_HALF
    return np.asarray(values.permute(1, 2, 0).clamp(-largest, largest).half().contiguous().cpu().numpy())


def _whole(stored: npt.NDArray[np.generic], device: torch.device) -> Tensor:
    if stored.dtype != np.float16 or stored.ndim != 3 or not np.isfinite(stored).all():
        raise ValueError(f"is {stored.dtype}, {stored.shape}, or not finite")
    return torch.from_numpy(stored).to(device).float()


def _last(filled: Tensor) -> int:
    """Return how many elements there are up to the last one that is true."""
    return int(filled.nonzero().max()) + 1 if filled.any() else 0


def _caches(folder: Path) -> list[Path]:
    """List the caches in a folder, which may hold other things as well."""
    with suppress(OSError):
        return [path for path in folder.iterdir() if _IDENTITY.fullmatch(path.name) and not path.is_symlink()]
    return []


def _size_of(folder: Path) -> int:
    total = 0
    with suppress(OSError):
        for path in folder.iterdir():
            with suppress(OSError):
                total += path.stat().st_size
    return total


def _last_use(folder: Path) -> int:
    with suppress(OSError):
        return folder.stat().st_mtime_ns
    return 0
