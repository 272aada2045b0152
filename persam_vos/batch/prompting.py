"""What is said of a clip becomes the prompting of its run, and is checked on its first frame."""

from __future__ import annotations

from persam_vos.batch.clips import BatchClip
from persam_vos.media.masks.reading import MaskReading
from persam_vos.prompts import Prompt, Span, VideoPrompts
from persam_vos.prompts.prompts_json import read_prompts
from persam_vos.video.prompting.given_prompts import GivenPrompts
from persam_vos.video.prompting.label_maps import AnnotationFile
from persam_vos.video.prompting.prompting import Prompting, other_frames
from persam_vos.video.source import VideoSource


def prompting_of(clip: BatchClip, reading: MaskReading) -> tuple[Prompting, Span]:
    """Return what is said of the objects of a clip, and the frames that are tracked.

    Args:
        clip: The clip.
        reading: How masks are read.

    Raises:
        PromptError: If its prompts.json cannot be read.
    """
    said = clip.said
    if said.prompts is not None:
        given = read_prompts(said.prompts)
        return Prompting((GivenPrompts(given, reading),), given.objects), clip.span(given.range)
    if said.mask is not None:
        return Prompting((AnnotationFile(said.mask, None, reading),)), clip.span(None)
    shown = VideoPrompts(tuple(Prompt(None, number, says) for number, says in enumerate(said.shown, 1)))
    return Prompting((GivenPrompts(shown, reading),)), clip.span(None)


def check_clip(clip: BatchClip, reading: MaskReading) -> None:
    """Read the first frame of a clip, and all that is said of it, as its run will.

    Raises:
        PersamVosError: Of the kind that fits what is wrong.
    """
    prompting, span = prompting_of(clip, reading)
    video = VideoSource(clip.video, clip.settings, span=span, masks=prompting.files)
    with video.open() as reader:
        prompting.check(reader)
        with other_frames(video, reader, prompting):
            pass
