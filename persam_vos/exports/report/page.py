"""Makes ``report.html`` of what a run has left: pictures, tracks and record."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from persam_vos.errors import OutputError
from persam_vos.exports.report.charts import Chart, charts_of, position_at
from persam_vos.exports.report.mending import Mending, mending_of, ticks_of
from persam_vos.exports.report.pictures import REPORT, Picture, Pictures, pictures_file
from persam_vos.exports.report.rendering import data_url, rendered
from persam_vos.exports.report.series import ObjectSeries
from persam_vos.exports.styles import ObjectStyles
from persam_vos.files import write_lines

_SHEET = 24  # pictures of the contact sheet, at most
# A stretch goes on while the IoU that masks probably lack is at least this share of what the named frame lacks.
_STRETCH_SHARE = 0.5


@dataclass(frozen=True, slots=True)
class Look:
    """A frame that needs a look.

    Attributes:
        frame: Its index.
        object_id: The object that is most doubtful there.
        reason: Why, in a few words.
    """

    frame: int
    object_id: int
    reason: str


@dataclass(frozen=True, slots=True)
class _Place:
    """A stretch that needs a look, as the page shows it."""

    look: Look
    name: str
    first: int
    last: int
    time: float
    score: float | None
    shown: int
    picture: str
    mending: Mending | None

    def lies_in(self, other: _Place) -> bool:
        """Tell whether the frame is one of another place's stretch, of the same object."""
        return self.look.object_id == other.look.object_id and other.first <= self.look.frame <= other.last


@dataclass(frozen=True, slots=True)
class _Tracked:
    """An object, as the page shows it."""

    id: int
    label: str
    colour: str
    frames: int
    present: int
    mean_score: float | None
    charts: tuple[Chart, ...]
    keyframes: tuple[float, ...]
    stretches: tuple[tuple[float, float], ...]


def write_report(
    folder: Path,
    record: Mapping[str, Any],
    series: Sequence[ObjectSeries],
    looks: Sequence[Look],
    styles: ObjectStyles,
    final: Path | None = None,
) -> Path:
    """Write ``report.html``: self-contained, for a browser without a network.

    Args:
        folder: The folder of the results, with the pictures that a ``ReportWriter`` has left.
        record: What run.json says.
        series: Of the objects.
        looks: Frames that need a look, the most doubtful first.
        styles: Names and colours of objects.
        final: The name that the folder will have, for the commands that the report names; None for the one it has.

    Raises:
        OutputError: If it cannot be written.
    """
    pictures = _pictures(folder)
    height, width = record["frame_size"]
    places: list[_Place] = []
    for look in looks:
        place = _place(look, series, pictures.all, partial(mending_of, record=record, folder=folder, final=final))
        if place is not None and not any(place.lies_in(other) for other in places):
            places.append(place)
    text = rendered(
        "report.html",
        record=record,
        name=Path(str(record["source"])).name,
        rate=_rate(record.get("frame_rate")),
        sheet=[(each, data_url(each.jpeg)) for each in _evenly(pictures.spaced, _SHEET)],
        tracked=[_tracked(each, places, height * width, styles) for each in series],
        places=places,
        width=width,
        height=height,
        columns=ticks_of(width),
        rows=ticks_of(height),
        facts=_facts(record),
    )
    write_lines(folder / REPORT, text)
    return folder / REPORT


def _pictures(folder: Path) -> Pictures:
    path = pictures_file(folder).partial
    try:
        return Pictures.from_json(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise OutputError(f"{path}: the pictures of the report cannot be read ({error})") from error


def _evenly(pictures: Sequence[Picture], count: int) -> list[Picture]:
    if len(pictures) <= count:
        return list(pictures)
    return [pictures[round(i * (len(pictures) - 1) / (count - 1))] for i in range(count)]


def _tracked(series: ObjectSeries, places: Iterable[_Place], pixels: int, styles: ObjectStyles) -> _Tracked:
    count = len(series.frames)
    position = {frame: i for i, frame in enumerate(series.frames)}
    scores = [score for score in series.scores if score == score]
    red, green, blue = (int(value) for value in styles.overlay[series.id])
    own = [place for place in places if place.look.object_id == series.id]
    half = position_at(1, count) - position_at(0, count)
    return _Tracked(
        id=series.id,
        label=series.name or f"object {series.id}",
        colour=f"#{red:02x}{green:02x}{blue:02x}",
        frames=count,
        present=len(scores),
        mean_score=sum(scores) / len(scores) if scores else None,
        charts=tuple(charts_of(series, pixels)),
        keyframes=tuple(position_at(i, count) for i, said in enumerate(series.keyframes) if said),
        stretches=tuple(
            (
                position_at(position[place.first], count) - half / 2,
                position_at(position[place.last], count) - position_at(position[place.first], count) + half,
            )
            for place in own
        ),
    )


def _place(
    look: Look,
    series: Sequence[ObjectSeries],
    pictures: Sequence[Picture],
    mending: Callable[[int, int], Mending | None],
) -> _Place | None:
    own = next((each for each in series if each.id == look.object_id), None)
    if own is None or not pictures:
        return None
    at = own.frames.index(look.frame)
    first, last = _stretch(own, at)
    picture = min(pictures, key=lambda each: (abs(each.frame - look.frame), each.frame))
    # Where the picture is of another frame of the same stretch, that one is mended: it can be pointed at.
    mended = picture.frame if own.frames[first] <= picture.frame <= own.frames[last] else look.frame
    score = own.scores[at]
    return _Place(
        look=look,
        name=own.name or f"object {own.id}",
        first=own.frames[first],
        last=own.frames[last],
        time=own.times[at],
        score=score if score == score else None,
        shown=picture.frame,
        picture=data_url(picture.jpeg),
        mending=mending(mended, own.id),
    )


def _stretch(series: ObjectSeries, at: int) -> tuple[int, int]:
    """Return the first and the last place around a frame that is as doubtful, by and large."""
    lacking = [1 - score if score == score else 0.0 for score in series.scores]
    least = max(_STRETCH_SHARE * lacking[at], 0.05)
    first = last = at
    while first > 0 and lacking[first - 1] >= least:
        first -= 1
    while last + 1 < len(lacking) and lacking[last + 1] >= least:
        last += 1
    return first, last


def _facts(record: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return what the page says of the run in a table."""
    machine, versions = record["machine"], record["versions"]
    stages = record.get("seconds_per_stage", {})
    network = [
        ("method", f"{record['settings'].get('method')}, {record['settings'].get('model')}"),
        ("encoder", f"{record.get('backend')}, {record.get('precision')}"),
    ]
    found = [
        *(network if "backend" in record else [("masks", str(record.get("masks", "")))]),
        ("frames a second", f"{record['frames_per_second']:.2f}"),
        ("seconds", f"{record['seconds']:.1f}" + (", with loading the model" if "backend" in record else "")),
        ("seconds per stage", ", ".join(f"{name} {seconds:.1f}" for name, seconds in stages.items())),
        ("peak memory", "unknown" if record["peak_memory_mib"] is None else f"{record['peak_memory_mib']:.0f} MiB"),
        ("machine", f"{machine.get('gpu') or machine['device']}, {machine['cpus']} CPUs, {machine['system']}"),
        ("versions", ", ".join(f"{name} {version}" for name, version in versions.items())),
    ]
    return [(name, text) for name, text in found if text]


def _rate(text: str | None) -> str:
    if text is None:
        return ""
    top, _, bottom = text.partition("/")
    return f"{int(top) / int(bottom or 1):.3g} frames/s"
