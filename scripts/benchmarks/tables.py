"""The figures of each measurement -> a table of the page."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

Found = Mapping[str, Any]


def table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> list[str]:
    """Return the lines of a table in Markdown; numbers stand at the right."""
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return ["| " + " | ".join(str(each) for each in line) + " |" for line in lines]


def _pipeline(found: Found) -> list[str]:
    rows = [[f"frames a second, {name}", value] for name, value in found["frames_per_second"].items()]
    rows += [
        [label, found[key]]
        for key, label in (
            ("pipeline_over_reference", "pipeline over reference"),
            ("pipeline_over_encoder", "pipeline over encoder alone"),
            ("encoder_over_floor", "encoder over its floor"),
            ("encoder_gflop", "GFLOP of the encoder a frame"),
            ("matrix_gflop_per_second", "GFLOP/s of a product of matrices"),
            ("peak_mib", "peak memory, MiB"),
        )
        if key in found
    ]
    name = ", ".join(found[key] for key in ("method", "preset") if key in found)
    title = f"{name}, {found['backend']} {found['precision']}, {found['frames']} frames at 480p"
    return table([title, ""], rows)


def _presets(found: Found) -> list[str]:
    rows = (
        [f"{size} `{preset}`", each["frames_per_second"], each["seconds_a_frame"], each["times_as_fast_as_default"]]
        for size, presets in found["sizes"].items()
        for preset, each in presets.items()
    )
    head = f"{found['method']}, {found['backend']} {found['precision']}, {found['frames']} frames"
    return table([head, "frames/s", "s a frame", f"times as fast as `{found['default']}`"], rows)


def _sizes(found: Found) -> list[str]:
    runs = table(
        ["size", "objects", "frames/s", "decode ms", "encode ms", "track ms", "write ms", "peak MiB so far"],
        (
            [run["size"], run["objects"], run["frames_per_second"]]
            + [run["ms_a_frame_by_stage"].get(stage, "") for stage in ("decode", "encode", "track", "write")]
            + [round(run["peak_mib"])]
            for run in found["runs"]
        ),
    )
    alone = table(
        ["stage by itself, one object", "ms a frame", "floor", "over floor"],
        (
            [f"{stages['size']} {name}", stage["ms"], stage["floor_ms"], stage["over_floor"]]
            for stages in found["stages"]
            for name, stage in stages.items()
            if name != "size"
        ),
    )
    return ["Side by side, the stages share the cores; their times overlap.", "", *runs, "", *alone]


def _encode(found: Found) -> list[str]:
    floors = ", ".join(f"{value} ms in {name}" for name, value in found["ms_at_matrix_rate"].items())
    rows = (
        [name, each["ms"], each["times_as_fast_as_square"], each["over_floor"]]
        for name, each in found["backends"].items()
    )
    head = ["854 x 480", "ms a frame", "times as fast as the square", "over floor"]
    return [f"{found['gflop']} GFLOP a frame; floor: {floors}.", "", *table(head, rows)]


def _objects(found: Found) -> list[str]:
    rows = ([count, value, found["times_one_object"][count]] for count, value in found["ms"].items())
    return table(["objects", "ms a frame", "times one object"], rows)


def _track(found: Found) -> list[str]:
    rows = [
        ["all", found["ms_a_frame"]],
        *found["ms_a_frame_by_stage"].items(),
        ["peak memory, MiB", found["peak_mib"]],
    ]
    head = f"{found['width']} x {found['height']}, {found['frames']} frames, {found['preset']}, {found['backend']}"
    return table([head, "ms a frame"], rows)


def _photos(found: Found) -> list[str]:
    height, width = found["photo_size"]
    exports = ", ".join(found["exports"])
    head = f"{width} x {height}, {found['photos']} photos, {found['backend']} {found['precision']}; {exports}"
    ratios = found["times_as_fast"]
    rows = [
        [way, value, found["seconds_to_learn"].get(way, ""), ratios.get(way, "")]
        for way, value in found["seconds_a_photo"].items()
    ]
    columns = [head, "s a photo", "s to learn, without encoding", "times as fast a photo as the authors' way"]
    learning = (
        f"`persam-f` learns {found['persam_f_learns_times_as_fast']} times as fast, by {found['steps']} steps, of which"
        f" {found['steps_timed_of_the_authors']} were timed the authors' way"
    )
    return [
        *table(columns, rows),
        "",
        f"{learning}. `memory` is held against the authors' way of `persam`.",
    ]


def _frames(found: Found) -> list[str]:
    ways = ("reading", "forwards", "backwards", "random")
    rows = [[size, *(each[way] for way in ways), each["seconds_to_open"]] for size, each in found["sizes"].items()]
    head = f"frames a second of {found['frames']}"
    return table([head, "plain reading", *ways[1:], "seconds to open"], rows)


def _start(found: Found) -> list[str]:
    return table(["", "seconds"], [["a run of one frame, process and all", found["seconds_of_a_run_of_one_frame"]]])


def _score(found: Found) -> list[str]:
    rows = [[name, value] for name, value in found["seconds"].items()]
    return table(
        [f"{found['scored_frames']} frames, {found['objects']} objects", "seconds"],
        [*rows, ["times as fast", found["times_as_fast"]]],
    )


def _memory(found: Found) -> list[str]:
    rows = [
        ["frames", found["frames"]],
        ["exports", ", ".join(found["exports"])],
        [
            "resident at most, in each 500 frames after 200, MiB",
            ", ".join(map(str, found["mib_at_most_in_500_frames"])),
        ],
        ["grown after the first of these, MiB", found["mib_grown"]],
    ]
    return table(["854 x 480", ""], rows)


def _objects_memory(found: Found) -> list[str]:
    rows = [[f"{count} objects, peak MiB", value] for count, value in found["peak_mib"].items()]
    return table(["", ""], [*rows, ["more, MiB", found["mib_more"]]])


def _exports(found: Found) -> list[str]:
    rows = (
        [f"{size} {name}", each["frames_per_second"], each["time_over_none"], each.get("kb_a_frame", "")]
        + [each.get(key, "") for key in ("alpha_mean_error", "alpha_mean_error_at_soft_edges")]
        for size, exports in found["sizes"].items()
        for name, each in exports.items()
    )
    head = [f"{found['frames']} frames", "frames/s", "time over none", "kB a frame"]
    return table([*head, "mean error of alpha, of 255", "the same at soft edges"], rows)


def _corrections(found: Found) -> list[str]:
    rows = ([name, value, found["of_first"].get(name, 1.0)] for name, value in found["seconds"].items())
    return table([f"{found['frames']} frames at {found['size']}", "s", "of the first propagation"], rows)


def _studio(found: Found) -> list[str]:
    rows = [[f"{name}, ms", each["median"], each["p95"]] for name, each in found["ms"].items()]
    rows += [[f"{name}, s after the start", value, ""] for name, value in found["seconds_to_start"].items()]
    rows += [["propagation, s", found["propagation_seconds"], ""], ["`run`, s", found["seconds_of_run"], ""]]
    return table([f"{found['frames']} frames at {found['size']}", "median", "95%"], rows)


def _page(found: Found) -> list[str]:
    rows = [[f"{name}, ms", each["median"], each["p95"]] for name, each in found["ms"].items()]
    rows += [[f"{name}, s of {found['seconds_of_clip']} s", value, ""] for name, value in found["seconds"].items()]
    rows += [[f"memory of the page {name}, MB", value, ""] for name, value in found["memory_mb"].items()]
    return table([f"{found['frames']} frames at {found['size']}", "median", "95%"], rows)


def _batch(found: Found) -> list[str]:
    rows = [
        [way, value, found["seconds_to_begin"][way], found["mib_a_worker"][way]]
        for way, value in found["seconds"].items()
    ]
    rows += [
        ["two processes over one", found["two_over_one"], "", ""],
        ["Ray over two processes", found["ray_over_jobs"], "", ""],
        ["seconds over `run`, a clip", found["seconds_over_run_a_clip"], "", ""],
    ]
    head = [f"{found['clips']} clips of {found['frames_a_clip']} frames", "s", "s to begin", "MiB a worker"]
    return table(head, rows)


TABLES: dict[str, Callable[[Found], list[str]]] = {
    "pipeline": _pipeline,
    "presets": _presets,
    "sizes": _sizes,
    "encode": _encode,
    "objects": _objects,
    "track": _track,
    "photos": _photos,
    "frames": _frames,
    "exports": _exports,
    "corrections": _corrections,
    "studio": _studio,
    "page": _page,
    "batch": _batch,
    "start": _start,
    "score": _score,
    "memory": _memory,
    "objects-memory": _objects_memory,
}
