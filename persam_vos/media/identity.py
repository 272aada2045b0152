"""What tells a video from others, wherever its files lie."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from persam_vos.media.photo_files import is_glob
from persam_vos.media.sources import find_source

# Bytes at either end of a file that are compared.
_END_BYTES = 1 << 20


def source_identity(source: Path) -> dict[str, Any]:
    """Return what tells a video file, or images, from others, as JSON; nothing of arrays.

    Args:
        source: A path of a video, an image or a folder of images, or a glob of images.
    """
    if source.is_file():
        return _file_identity(source)
    if not (source.is_dir() or is_glob(source)):
        return {}
    _, images = find_source(source)
    listed = json.dumps([(path.name, path.stat().st_size) for path in images])
    return {"images_sha256": hashlib.sha256(listed.encode()).hexdigest()}


def _file_identity(path: Path) -> dict[str, Any]:
    size = path.stat().st_size
    with path.open("rb") as file:
        digest = hashlib.sha256(file.read(_END_BYTES))
        file.seek(max(0, size - _END_BYTES))
        digest.update(file.read())
    return {"bytes": size, "ends_sha256": digest.hexdigest()}
