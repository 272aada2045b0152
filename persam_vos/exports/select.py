"""Chooses the writers of a video's run by the names of its exports."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from persam_vos.errors import OutputError, SettingsError
from persam_vos.exports.alpha.cutout import CutoutWriter
from persam_vos.exports.alpha.films import MatteWriter, ProresWriter, WebmWriter
from persam_vos.exports.alpha.per_object import ObjectWriter, PerObjectWriter, is_of_one_object
from persam_vos.exports.alpha.pictures import ExrWriter, RgbaWriter
from persam_vos.exports.annotations.coco import CocoWriter
from persam_vos.exports.annotations.cvat import CvatWriter
from persam_vos.exports.annotations.label_studio import LabelStudioWriter
from persam_vos.exports.annotations.yolo import YoloWriter
from persam_vos.exports.annotations.youtube_vis import YoutubeVisWriter
from persam_vos.exports.base import ExportSettings, ResumableWriter, open_folder
from persam_vos.exports.benchmark_folders import DavisWriter, MoseWriter, SavWriter, YoutubeVosWriter
from persam_vos.exports.frame_folder import remove_frame_folder
from persam_vos.exports.frame_names import FrameNames
from persam_vos.exports.masks import mask_writer
from persam_vos.exports.prompt_masks import PROMPTS
from persam_vos.exports.refine import REFINING, RefinedWriters, refines
from persam_vos.exports.report import ReportWriter
from persam_vos.exports.report.pictures import REPORT
from persam_vos.exports.styles import ObjectStyles
from persam_vos.exports.tracks import TracksWriter
from persam_vos.exports.videos import OverlayWriter
from persam_vos.files import output_errors, real_path
from persam_vos.media import StreamInfo
from persam_vos.media.photo_files import glob_holds, is_glob
from persam_vos.prompts import NamedObject
from persam_vos.settings.output import DEFAULTS, ExportOptions

Purpose = Literal["looking", "editing", "annotating", "benchmarks"]


class VideoExport(NamedTuple):
    """An export.

    Attributes:
        about: What it is, in one sentence.
        purpose: Whom it is for.
        path: What it writes, a file or a folder.
        writer: Makes its writer.
        options: What only this export and few others take; see ``options_of``.
        extra_files: What the folder holds besides files of frames.
        others: What it writes instead with other options.
    """

    about: str
    purpose: Purpose
    path: str
    writer: Callable[[ExportSettings], ResumableWriter]
    options: tuple[str, ...] = ()
    extra_files: tuple[str, ...] = ()
    others: tuple[str, ...] = ()


_NUMBERED = ("start_number", "keep_names")
EXPORTS = {
    "masks": VideoExport(
        "A label map for each frame, as PNG: pixel value n is object n.",
        "looking",
        "masks",
        mask_writer,
        ("masks_format", *_NUMBERED),
    ),
    "overlay": VideoExport(
        "A film with each object tinted, outlined and named.", "looking", "overlay.mp4", OverlayWriter
    ),
    "cutout": VideoExport(
        "A film of the objects on a colour or the blurred frame.",
        "editing",
        "cutout.mp4",
        CutoutWriter,
        ("background",),
    ),
    "report": VideoExport(
        "A page with pictures, scores over time, and where to look.", "looking", REPORT, ReportWriter
    ),
    "matte": VideoExport(
        "A film in white on black, with soft edges, for every editor.",
        "editing",
        "matte.mp4",
        MatteWriter,
        ("matte_codec",),
        others=("matte.mov",),
    ),
    "prores": VideoExport(
        "A film with alpha in ProRes 4444, for editing and compositing.",
        "editing",
        "prores.mov",
        ProresWriter,
        ("alpha",),
    ),
    "webm": VideoExport("A film with alpha in VP9, for browsers.", "editing", "alpha.webm", WebmWriter, ("alpha",)),
    "rgba": VideoExport("A PNG with alpha for each frame.", "editing", "rgba", RgbaWriter, ("alpha", *_NUMBERED)),
    "exr": VideoExport(
        "An OpenEXR for each frame, scene-linear and premultiplied.", "editing", "exr", ExrWriter, _NUMBERED
    ),
    "coco": VideoExport(
        "Masks of each frame in COCO's JSON, with track_id.", "annotating", CocoWriter.name, CocoWriter
    ),
    "youtube-vis": VideoExport(
        "Masks of each object in YouTube-VIS's JSON.", "annotating", YoutubeVisWriter.name, YoutubeVisWriter
    ),
    "yolo": VideoExport(
        "Images and polygons with which Ultralytics trains.",
        "annotating",
        YoloWriter.name,
        YoloWriter,
        extra_files=YoloWriter.extra_files,
    ),
    "cvat": VideoExport("Masks for CVAT, in its XML for images 1.1.", "annotating", CvatWriter.name, CvatWriter),
    "label-studio": VideoExport(
        "Brush masks of images, or boxes of a video, for Label Studio.",
        "annotating",
        LabelStudioWriter.name,
        LabelStudioWriter,
    ),
    "davis": VideoExport("Label maps in the folders of DAVIS.", "benchmarks", DavisWriter.name, DavisWriter),
    "youtube-vos": VideoExport(
        "Label maps in the folders of YouTube-VOS.", "benchmarks", YoutubeVosWriter.name, YoutubeVosWriter
    ),
    "mose": VideoExport("Label maps in the folders of MOSE.", "benchmarks", MoseWriter.name, MoseWriter),
    "sa-v": VideoExport("A folder of masks for each object, as in SA-V.", "benchmarks", SavWriter.name, SavWriter),
}
_OF_ONE_OBJECT: dict[str, Callable[[ExportSettings], ObjectWriter]] = {
    "cutout": CutoutWriter,
    "matte": MatteWriter,
    "prores": ProresWriter,
    "webm": WebmWriter,
    "rgba": RgbaWriter,
    "exr": ExrWriter,
}
"""Writers that ``per_object`` makes for each object."""


def options_of(name: str) -> tuple[str, ...]:
    """Return the names of the options of ``ExportOptions`` that change an export."""
    of_each = ("per_object",) if name in _OF_ONE_OBJECT else ()
    return (*EXPORTS[name].options, *of_each, *REFINING)


def open_writers(
    output: Path,
    exports: Sequence[str],
    *,
    info: StreamInfo,
    overwrite: bool = False,
    resume: bool = False,
    options: ExportOptions = DEFAULTS,
    objects: Sequence[NamedObject] = (),
) -> list[ResumableWriter]:
    """Make the writers of a run: always the tracks, and the exports asked for.

    The folder is made and checked at once, so that a run does not fail at its end for a reason known at its start.

    Args:
        output: The folder of the results.
        exports: Names from ``EXPORTS``; a name given twice counts once.
        info: The source of the frames.
        overwrite: ``output`` may hold anything; files of the same names are replaced, others stay; see
            ``remove_exports``.
        resume: ``output`` holds what an earlier run has left, which the writers' ``resume`` takes up.
        options: How exports are written.
        objects: Those that have names and colours.

    Raises:
        SettingsError: If an export is unknown, or an option does not fit the source.
        OutputError: If ``output`` is a file, holds something (without ``overwrite`` or ``resume``), or cannot be
            written to, or an export would replace the source.
    """
    unknown = [name for name in exports if name not in EXPORTS]
    if unknown:
        raise SettingsError(f"export is {unknown[0]!r}; allowed: {', '.join(EXPORTS)}")
    chosen = tuple(dict.fromkeys(exports))
    _check_source(info.source, output, chosen)
    open_folder(output, overwrite=overwrite or resume)
    settings = ExportSettings(output, info, options, ObjectStyles(objects))
    writers = [TracksWriter(settings), *(_writer(name, settings) for name in chosen)]
    return [RefinedWriters(writers, options)] if refines(options) else writers


def _writer(name: str, settings: ExportSettings) -> ResumableWriter:
    if settings.options.per_object and name in _OF_ONE_OBJECT:
        return PerObjectWriter(_OF_ONE_OBJECT[name], settings)
    return EXPORTS[name].writer(settings)


def _check_source(source: Path, output: Path, exports: Sequence[str]) -> None:
    """Refuse a folder in which results would replace the video, or count as frames of it."""
    for name in exports:
        if found := [path for path in _paths(output, name) if real_path(source).is_relative_to(real_path(path))]:
            raise OutputError(
                f"{source}: is the video, and the export {name!r} would replace {found[0]}; give another folder"
            )
    if source.is_dir() and real_path(source) == real_path(output):
        raise OutputError(f"{output}: is the folder of images that is read; give another --output, beside it")
    if is_glob(source):
        pictures = [output / PROMPTS / "00000_1.png", *(output / name / "00000.png" for name in exports)]
        for path in pictures:
            if glob_holds(source, path):
                raise OutputError(
                    f"{output}: {source} would read its {path.parent.name} as frames; give another --output, elsewhere"
                )


def remove_exports(output: Path, exports: Iterable[str], info: StreamInfo, keep: Sequence[Path]) -> None:
    """Remove what an earlier run exported, because it belongs to other results.

    Args:
        output: The folder of both runs.
        exports: Names of the earlier run's exports.
        info: The source of the frames.
        keep: Files that this run has read or written. They stay, and so does a folder that holds one, or anything else
            than exports have.

    Raises:
        OutputError: If it cannot be removed.
    """
    kept = [real_path(path) for path in keep]
    for name in exports:
        if name not in EXPORTS:
            continue
        for path in _paths(output, name):
            if any(each.is_relative_to(real_path(path)) for each in kept):
                continue
            with output_errors(path):
                if path.is_file():
                    path.unlink()
                else:
                    remove_frame_folder(path, FrameNames(info.images), EXPORTS[name].extra_files)


def remove_replaced(
    output: Path,
    earlier: Iterable[str],
    exports: Collection[str],
    info: StreamInfo,
    *,
    written: Sequence[Path],
    keep: Sequence[Path],
) -> None:
    """Remove what an earlier run exported and this one has not written, such as a film of another suffix.

    Args:
        output: The folder of both runs.
        earlier: Names of the earlier run's exports.
        exports: Names of this run's exports. Where it has written nothing, files of these stay.
        info: The source of the frames.
        written: What this run has written.
        keep: See ``remove_exports``.

    Raises:
        OutputError: If it cannot be removed.
    """
    gone = [name for name in earlier if written or name not in exports]
    remove_exports(output, gone, info, keep=(*keep, *written))


def _paths(output: Path, name: str) -> list[Path]:
    """Return all files and folders that an export may write."""
    export = EXPORTS[name]
    whole = [export.path, *export.others]
    found = (path for path in output.glob("*") if any(is_of_one_object(path.name, each) for each in whole))
    return [*(output / each for each in whole), *(sorted(found) if name in _OF_ONE_OBJECT else ())]
