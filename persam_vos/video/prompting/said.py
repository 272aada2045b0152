"""What a Python call says becomes settings and prompting."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy.typing as npt

from persam_vos.errors import SettingsError
from persam_vos.files import PathLike
from persam_vos.prompts import ObjectPrompt, Prompt, Span, VideoPrompts
from persam_vos.prompts.prompts_json import read_prompts
from persam_vos.settings.video import Settings
from persam_vos.video.prompting.given_prompts import GivenPrompts
from persam_vos.video.prompting.label_maps import AnnotationArray, AnnotationFile
from persam_vos.video.prompting.prompting import Prompting, PromptSource


def settings_of(settings: Settings | None, changes: dict[str, Any]) -> Settings:
    """Return the settings of a call, which are given as a whole or by name.

    Raises:
        SettingsError: If they are given in both ways, or one is not allowed.
    """
    if settings is None:
        return Settings(**changes)
    if not isinstance(settings, Settings):
        raise SettingsError(f"settings is of type {type(settings).__name__}; it must be persam_vos.Settings")
    if changes:
        raise SettingsError(f"{next(iter(changes))} is given beside settings; give it to Settings(...) instead")
    return settings


def prompting_of_call(
    mask: PathLike | npt.ArrayLike | None,
    shown: tuple[ObjectPrompt, ...],
    prompts: PathLike | VideoPrompts | None,
    references: Sequence[tuple[PathLike, PathLike]],
    settings: Settings,
) -> tuple[Prompting, Span | None]:
    """Return the prompting, and the range that its prompts name, if they do; see ``track``.

    Args:
        mask: Of the first frame.
        shown: What boxes and points of the first frame show: object n is the n-th one.
        prompts: Of any frame.
        references: Pairs of a photo and its mask.
        settings: Of the run.

    Raises:
        SettingsError: Unless one of them is given.
        PromptError: If prompts cannot be read.
    """
    if (mask is not None) + bool(shown) + (prompts is not None) + bool(references) != 1:
        raise SettingsError("give one of mask=, box= or points=, prompts=, and references=, to say what to track")
    if shown:
        prompts = VideoPrompts(tuple(Prompt(None, number, says) for number, says in enumerate(shown, 1)))
    if prompts is not None:
        given = prompts if isinstance(prompts, VideoPrompts) else read_prompts(prompts)
        return Prompting((GivenPrompts(given),), given.objects), given.range
    return Prompting((_source_of(mask, references, settings),)), None


def _source_of(
    mask: PathLike | npt.ArrayLike | None, references: Sequence[tuple[PathLike, PathLike]], settings: Settings
) -> PromptSource:
    if references:
        # Only here: what photos need takes time to import.
        from persam_vos.media.reference_files import ReferenceFile
        from persam_vos.video.prompting.first_reference import FirstReference, reference_settings

        files = tuple(ReferenceFile(Path(photo), Path(of_photo)) for photo, of_photo in references)
        return FirstReference(files, reference_settings(settings, settings.method))
    if isinstance(mask, (str, os.PathLike)):
        return AnnotationFile(Path(mask))
    assert mask is not None
    return AnnotationArray(mask)
