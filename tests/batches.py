"""Small batches for tests: clips of a moving square, a fake network, and what a batch tells."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from clips import moving_square, save, write_clip
from fakes import FakeEncoder, FakeEngine

from persam_vos.batch.here import Here
from persam_vos.batch.manifest import read_manifest
from persam_vos.batch.run import BatchOutcome, Workers, run_batch
from persam_vos.batch.shards import ALL
from persam_vos.batch.work import ClipResult
from persam_vos.media.frame import Frame
from persam_vos.media.masks.reading import AS_IT_IS
from persam_vos.pipeline.progress import NoProgress, Progress
from persam_vos.sam.encoder import ImageEmbedding
from persam_vos.settings.video import Settings

# Values of a setting that no test needs otherwise.
DIES_ONCE, IS_SLOW = 1, 2
FAST: dict[str, Any] = {"export": "masks", "nearer_view": 0}


def write_batch(folder: Path, names: Sequence[str] = ("a", "b", "c"), frames: int = 4) -> Path:
    """Write clips of squares, their masks, and a manifest of them; return the manifest."""
    labels = np.zeros((48, 64), np.uint8)
    labels[16:32, 0:16] = 1
    lines = []
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        write_clip(folder / f"{name}.mp4", moving_square(frames))
        save(folder / f"{name}.png", labels)
        lines.append(json.dumps({"id": name, "video": f"{name}.mp4", "mask": f"{name}.png"}) + "\n")
    (folder / "clips.jsonl").write_text("".join(lines))
    return folder / "clips.jsonl"


def with_grow(manifest: Path, grow: dict[str, int]) -> None:
    """Give clips a value of the setting ``grow``, by id."""
    lines = [json.loads(line) for line in manifest.read_text().splitlines()]
    told = [line | ({"grow": grow[line["id"]]} if line["id"] in grow else {}) for line in lines]
    manifest.write_text("".join(json.dumps(line) + "\n" for line in told))


def fake_engine(settings: Settings) -> FakeEngine:
    return FakeEngine(settings=settings)


class SlowEncoder(FakeEncoder):
    """Takes a tenth of a second for each frame."""

    def encode(self, frames: Sequence[Frame]) -> list[ImageEmbedding]:
        time.sleep(0.1)
        return super().encode(frames)


def deadly(folder: Path) -> Callable[[Settings], FakeEngine]:
    """Return what makes fake engines, but kills the process the first time that a setting says so.

    Args:
        folder: Remembers who has died.
    """

    def load(settings: Settings) -> FakeEngine:
        if settings.grow == DIES_ONCE and not (folder / "died").exists():
            (folder / "died").touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return FakeEngine(settings=settings, encoder=SlowEncoder() if settings.grow == IS_SLOW else None)

    return load


class WatchedBatch:
    """Remembers what a batch tells."""

    def __init__(self, of_frames: Progress | None = None) -> None:
        self.of_frames = of_frames or NoProgress()
        self.told: list[ClipResult] = []
        self.begun: tuple[int, int] | None = None
        self.ended = False

    def begin(self, clips: int, done: int) -> None:
        self.begun = clips, done

    def clip(self, result: ClipResult) -> None:
        self.told.append(result)

    def interrupt(self) -> None:
        pass

    def end(self) -> None:
        self.ended = True

    @property
    def statuses(self) -> dict[str, str]:
        return {each.id: each.status for each in self.told}


def run(
    manifest: Path, output: Path, watch: WatchedBatch | None = None, workers: Workers | None = None, **options: Any
) -> BatchOutcome:
    """Work on a manifest with a fake network, in this process unless told otherwise."""
    flags = {**FAST, **options.pop("flags", {})}
    given = {"reading": AS_IT_IS, "shard": ALL, **options}
    clips = read_manifest(manifest, config=None, flags=flags)
    return run_batch(clips, output, workers or Here(fake_engine), watch or WatchedBatch(), **given)


def index_of(path: Path) -> list[tuple[str, str]]:
    """Return id and status of each line of an index."""
    return [(line["id"], line["status"]) for line in map(json.loads, path.read_text().splitlines())]


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())
