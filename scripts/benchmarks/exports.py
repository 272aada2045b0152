"""What each export costs beside tracking, how large its files are, and how exactly alpha comes back from films."""

from __future__ import annotations

import argparse
import statistics
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt

from benchmarks.clips import SIZES, label_map_of, make_clip
from benchmarks.measure import described, in_turns, median_ratio
from persam_vos.exports.select import open_writers
from persam_vos.masks import LabelMap
from persam_vos.media.frame import Frame
from persam_vos.media.readers import open_video
from persam_vos.results import FrameResult
from persam_vos.sam import Engine
from persam_vos.settings.video import Settings
from persam_vos.video import track_video

EXPORT_SIZES = ("480p", "720p")
MEASURED = ("masks", "overlay", "cutout", "matte", "prores", "webm", "rgba", "exr")
# Frames of the run before the timed ones, in which networks are compiled for the size.
_WARM_UP_FRAMES = 4
# Films whose alpha is decoded again, and the decoder: FFmpeg's own one of VP9 leaves alpha out.
_FILMS = {"prores": ("prores.mov", "prores"), "webm": ("alpha.webm", "libvpx-vp9")}


def bench_exports(arguments: argparse.Namespace) -> dict[str, Any]:
    """Track a clip with each export and with none, in turns, at the chosen sizes."""
    engine = Engine(Settings(preset=arguments.preset, device=arguments.device))
    sizes: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        for name in arguments.sizes:
            label_map = label_map_of(arguments.mask, *SIZES[name])
            clip, short = Path(folder) / f"{name}.mp4", Path(folder) / f"{name}-short.mp4"
            for path, count in ((clip, arguments.frames), (short, _WARM_UP_FRAMES)):
                make_clip(str(arguments.video), path, SIZES[name], count)
            _run(engine, short, label_map, ())
            ways: dict[str, Callable[[], object]] = {"none": partial(_run, engine, clip, label_map, ())}
            ways |= {each: partial(_run, engine, clip, label_map, (each,)) for each in arguments.exports}
            times = in_turns(ways, arguments.repeats, warm_up=False)
            sizes[name] = {
                each: {
                    "frames_per_second": round(arguments.frames / statistics.median(taken), 2),
                    "time_over_none": round(median_ratio(taken, times["none"]), 3),
                }
                for each, taken in times.items()
            }
            for each in arguments.exports:
                sizes[name][each] |= _files(engine, clip, label_map, each, arguments.frames)
    return {"machine": described(engine.device), "frames": arguments.frames, "sizes": sizes}


class _Kept:
    """A writer that keeps the alpha of all frames."""

    def __init__(self) -> None:
        self.warnings: list[str] = []
        self.alpha: list[npt.NDArray[np.uint8]] = []

    def write(self, _: Frame, result: FrameResult) -> None:
        if result.alpha is not None:
            self.alpha.append(result.alpha)

    def close(self) -> tuple[Path, ...]:
        return ()

    def abort(self) -> None:
        pass


def _run(
    engine: Engine[Settings], clip: Path, label_map: LabelMap, exports: Sequence[str], output: Path | None = None
) -> list[npt.NDArray[np.uint8]]:
    """Track a clip from file to files; return the alpha of its frames if ``output`` is given, where the files stay."""
    engine.settings = Settings(**{**engine.settings.model_dump(), "export": exports})
    kept = _Kept()
    with tempfile.TemporaryDirectory() as folder, open_video(str(clip)) as reader:
        writers = open_writers(output or Path(folder), exports, info=reader.info, options=engine.settings)
        track_video(engine, reader, label_map, [*writers, *([kept] if output else ())])
    return kept.alpha


def _files(engine: Engine[Settings], clip: Path, label_map: LabelMap, export: str, frames: int) -> dict[str, float]:
    """Return the bytes a frame of an export, and of a film with alpha its mean error, in values of 0..255."""
    with tempfile.TemporaryDirectory() as folder:
        alpha = _run(engine, clip, label_map, (export,), Path(folder))
        held = sum(path.stat().st_size for path in Path(folder).rglob("*") if path.is_file())
        found = {"kb_a_frame": round(held / frames / 1000, 1)}
        if export in _FILMS:
            name, decoder = _FILMS[export]
            read = _alpha_of_film(Path(folder) / name, decoder)
            errors = [np.abs(a.astype(int) - b) for a, b in zip(alpha, read, strict=True)]
            soft = [error[(a > 0) & (a < 255)] for error, a in zip(errors, alpha, strict=True)]
            found["alpha_mean_error"] = round(float(np.mean(errors)), 4)
            found["alpha_mean_error_at_soft_edges"] = round(float(np.concatenate(soft).mean()), 3)
    return found


def _alpha_of_film(path: Path, decoder: str) -> list[npt.NDArray[np.uint8]]:
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        reads = av.CodecContext.create(decoder, "r") if decoder != "prores" else stream.codec_context
        frames = [frame for packet in container.demux(stream) for frame in reads.decode(packet)]
    return [frame.to_ndarray(format="rgba")[..., 3] for frame in frames]
