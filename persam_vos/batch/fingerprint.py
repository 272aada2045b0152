"""What tells a clip's input, prompts and settings from others, so that results are known to be of them."""

from __future__ import annotations

import functools
import hashlib
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from persam_vos import __version__
from persam_vos.batch.clips import BatchClip
from persam_vos.errors import PersamVosError, VideoError, reason
from persam_vos.files import file_sha256
from persam_vos.media.identity import source_identity
from persam_vos.media.masks.files import check_is_file
from persam_vos.media.masks.reading import MaskReading
from persam_vos.prompts.prompts_json import read_prompts
from persam_vos.sam.checkpoints import resolve_checkpoint
from persam_vos.video.resuming.resume import MAY_DIFFER

Fingerprint = dict[str, str]
"""Hashes, 64 hexadecimal digits each, of the ``input``, the ``prompts`` and the ``settings``, and the ``version``."""


def fingerprint_of(clip: BatchClip, reading: MaskReading) -> Fingerprint:
    """Return what tells the results of a clip from those of another one, wherever its files lie.

    Of a video file, its length and both ends count; of images, their names and lengths. Device, backend, precision and
    batch size do not count, as with ``run --resume``; of given weights, the content does.

    Args:
        clip: The clip.
        reading: How masks are read.

    Raises:
        PersamVosError: If a file cannot be read.
    """
    weights, behind = clip.settings.checkpoint, clip.settings.background_file
    # Of a background that is a file, the content counts, not the path.
    exclude = {*MAY_DIFFER, *(() if behind is None else ("background",))}
    settings = clip.settings.model_dump(mode="json", exclude=exclude)
    try:
        told = {
            "input": source_identity(Path(clip.video)),
            "prompts": [_prompts(clip), asdict(reading), clip.start, clip.end, clip.stride, clip.backward],
            "settings": [
                settings,
                None if weights is None else _hash_of_weights(resolve_checkpoint(clip.settings.model, weights)),
                None if behind is None else source_identity(behind),
            ],
        }
    except PersamVosError:
        raise
    except OSError as error:
        raise VideoError(f"{error.filename or clip.video}: cannot be read ({reason(error)})") from error
    hashes = {
        key: hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest() for key, value in told.items()
    }
    return {**hashes, "version": __version__}


@functools.lru_cache(maxsize=8)
def _hash_of_weights(path: Path) -> str:
    return file_sha256(path)


def _hash_of_mask(path: Path) -> str:
    # A device may have no end.
    check_is_file(path)
    return file_sha256(path)


def _prompts(clip: BatchClip) -> Any:
    said = clip.said
    if said.mask is not None:
        return _hash_of_mask(said.mask)
    if said.prompts is None:
        return [each.record() for each in said.shown]
    given = read_prompts(said.prompts)
    return [
        [[each.id, each.name, each.color] for each in given.objects],
        None if given.range is None else list(given.range),
        [
            [
                each.frame,
                each.object_id,
                {**each.says.record(), "mask": None if each.says.mask is None else _hash_of_mask(each.says.mask)},
            ]
            for each in given.prompts
        ],
    ]
