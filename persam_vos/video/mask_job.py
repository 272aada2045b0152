"""The job on one frame: the mask of its objects, made of boxes and points, and written into a file."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from persam_vos.errors import OutputError
from persam_vos.exports.draw import draw_overlay, palette_image
from persam_vos.files import real_path, whole_file
from persam_vos.media.photo_files import glob_holds, is_glob
from persam_vos.prompts import ObjectPrompt, Prompt, Span, VideoPrompts
from persam_vos.sam.engine import Engine
from persam_vos.settings.video import Settings
from persam_vos.video.prompting.given_prompts import GivenPrompts
from persam_vos.video.prompting.prompting import Prompting
from persam_vos.video.source import VideoSource

# Kinds of pictures that an overlay may be, by suffix.
_PICTURES = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG"}
_JPEG_QUALITY = 92


def write_mask(
    source: str,
    prompts: tuple[ObjectPrompt, ...],
    output: Path,
    settings: Settings,
    *,
    frame: int | str | None = None,
    first_id: int = 1,
    overlay: Path | None = None,
    overwrite: bool = False,
) -> tuple[str, ...]:
    """Segment the objects of a frame of a video, or of a photo, and write their label map as palette PNG.

    Everything that can be wrong with the input is found before the model is loaded.

    Args:
        source: Video file, image, folder of images, or glob.
        prompts: Of each object; they have the values ``first_id`` and on.
        output: The file.
        settings: Which model, and what runs it.
        frame: Index of the frame, or seconds as text such as ``"12.5s"``; None for the first one.
        first_id: Value of the first object, 1..255.
        overlay: A file for the frame with its objects tinted, to look at: PNG or JPEG; None for none.
        overwrite: Replace files of these names.

    Returns:
        What makes the mask doubtful.

    Raises:
        PersamVosError: Of the kind that fits what is wrong.
    """
    _check_output(source, output, "--output", overwrite=overwrite)
    if overlay is not None:
        _check_output(source, overlay, "--overlay", overwrite=overwrite)
        if overlay.suffix.lower() not in _PICTURES or real_path(overlay) == real_path(output):
            raise OutputError(f"{overlay}: --overlay must be another file than --output: {', '.join(_PICTURES)}")
    said = tuple(Prompt(None, number, says) for number, says in enumerate(prompts, first_id))
    prompting = Prompting((GivenPrompts(VideoPrompts(said)),))
    with VideoSource(source, settings, span=Span(start=frame)).open() as reader:
        prompting.check(reader)
        rgb = reader.peek().rgb
        keyframes = prompting.find(Engine(settings), lambda _: reader.peek())
    label_map = keyframes.label_map(keyframes.frames[0])
    _write(palette_image(label_map), output, "PNG")
    if overlay is not None:
        _write(Image.fromarray(draw_overlay(rgb, label_map)), overlay, _PICTURES[overlay.suffix.lower()])
    return keyframes.warnings


def _write(picture: Image.Image, path: Path, kind: str) -> None:
    with whole_file(path) as partial:
        picture.save(partial, format=kind, quality=_JPEG_QUALITY)


def _check_output(source: str, output: Path, option: str, *, overwrite: bool) -> None:
    """Refuse a file that is there already, would replace what is read, or would count as a frame of it."""
    if is_glob(source):
        lies_there = glob_holds(source, output)
    else:
        lies_there = real_path(output).is_relative_to(real_path(Path(source)))
    if lies_there:
        raise OutputError(f"{output}: is what is read, or lies in it; give another {option}")
    if output.is_dir():
        raise OutputError(f"{output}: is a folder; give the name of a file, such as {output / 'mask.png'}")
    if output.exists() and not overwrite:
        raise OutputError(f"{output}: exists already; pass --overwrite to replace it, or give another {option}")
