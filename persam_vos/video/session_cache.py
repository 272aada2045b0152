"""Where a session keeps the embeddings of its video."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from persam_vos.files import PathLike, cache_dir
from persam_vos.media.random_access import RandomAccessVideo
from persam_vos.sam.engine import Engine
from persam_vos.video.embedding_cache import EmbeddingCache, cache_identity


def open_cache(
    engine: Engine[Any], video: RandomAccessVideo, folder: PathLike | None, limit_bytes: int, at_end: ExitStack
) -> EmbeddingCache:
    """Return the cache of a video's embeddings.

    Args:
        engine: Makes them.
        video: The video.
        folder: Of all caches; None for one in the user's cache folder.
        limit_bytes: What it may take up.
        at_end: Removes what is temporary: frames of arrays have no file by which they would be known again.
    """
    if not video.files:
        folder = at_end.enter_context(tempfile.TemporaryDirectory(prefix="persam-vos-"))
    place = cache_dir() / "embeddings" if folder is None else Path(folder)
    facts = engine.checkpoint_sha256, engine.backend, engine.precision, video.info.height, video.info.width
    return EmbeddingCache(place, cache_identity(video.files, *facts), max_bytes=limit_bytes, device=engine.device)
