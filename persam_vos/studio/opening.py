"""A video and its folder become a studio: what is wrong is said before anything is served."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from persam_vos.prompts import Span
from persam_vos.prompts.prompts_json import read_prompts
from persam_vos.sam.checkpoints.registry import resolve_checkpoint
from persam_vos.settings.video import Settings, load_settings
from persam_vos.studio.footage import Footage
from persam_vos.studio.parts import Studio
from persam_vos.studio.session.project import Project, folder_for, saved_settings

if TYPE_CHECKING:
    from persam_vos.video.session.session import Session


# What is needed of the settings of a session before it is opened.
_ON_OPENING = ("deinterlace", "model", "checkpoint")


def open_studio(
    video: str,
    folder: Path | None = None,
    *,
    span: Span,
    prompts: Path | None = None,
    config: Path | None = None,
    flags: Mapping[str, Any],
) -> Studio:
    """Open a video and its session; the network is loaded in the background.

    Args:
        video: A video, an image or a folder of images, or a glob of images.
        folder: Of the session; None for the one beside the video.
        span: The frames of a new session.
        prompts: A prompts.json with which a new session begins, such as that of a run; None for nothing.
        config: YAML file of settings, or None.
        flags: Settings by name; None stands for one that was not given.

    Raises:
        PersamVosError: If a setting is not allowed, the video or the prompts cannot be read, or the folder is not
            usable.
    """
    given = {name: value for name, value in flags.items() if value is not None}
    settings = _settings(folder or folder_for(video), config, given)
    asked = None if prompts is None else read_prompts(prompts)
    if asked is not None and span == Span():
        span = asked.range or span
    footage = Footage(video, deinterlace=settings.deinterlace)
    try:
        frames = footage.frames(span)
        project = Project(folder or folder_for(video), footage.source)
        try:
            if asked is not None:
                project.check_begins_with(asked.video)
            project.begin(frames, is_chosen=span != Span())
            goes_on = project.check_prompts()
        except BaseException:
            project.close()
            raise
    except BaseException:
        footage.close()
        raise
    own: dict[str, Any] = {"settings": settings} if config is not None or not goes_on else given

    def open_session() -> Session:
        # PyTorch takes seconds to import.
        from persam_vos.video.session.session import Session

        if goes_on:
            return Session.open(project.prompts, masks=project.masks, **own)
        if prompts is not None:
            session = Session.open(prompts, masks=project.masks, **own)
            project.keep(session)
            return session
        return Session(video, masks=project.masks, **own, **_part(project, len(footage.video)))

    return Studio(footage, project, open_session)


def _settings(folder: Path, config: Path | None, given: Mapping[str, Any]) -> Settings:
    """Return the settings of a session, as far as they are needed before it is opened."""
    saved = saved_settings(folder) if config is None else {}
    settings = load_settings(config, {name: saved[name] for name in _ON_OPENING if name in saved} | dict(given))
    if settings.checkpoint is not None:
        # That it is missing is said now, and not at the first click.
        resolve_checkpoint(settings.model, settings.checkpoint)
    return settings


def _part(project: Project, count: int) -> dict[str, Any]:
    """Return which frames of a video of so many belong to a session, as options of ``Session``; none for all."""
    frames = project.frames
    if frames is None or frames == range(count):
        return {}
    return {"start": frames.start, "end": frames[-1] + 1, "stride": frames.step}
