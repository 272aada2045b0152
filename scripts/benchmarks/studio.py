"""How fast the studio answers: clicks, previews and pictures, alone and while masks are propagated beside them."""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import numpy as np
import torch

from benchmarks.clips import SIZES, label_map_of, make_clip
from benchmarks.measure import described, seconds
from persam_vos.masks import interior_point

_SIZE = "480p"
_ASKED = 20
# Between two clicks of a person, at least.
_PAUSE_SECONDS = 0.3
_POLL_SECONDS = 0.05
_SEED = 0


class Studio:
    """A studio in a process of its own, asked over one connection.

    Attributes:
        address: Of its page, with the token.
    """

    def __init__(self, address: str) -> None:
        self.address = address
        parts = urlsplit(address)
        assert parts.hostname is not None
        self._connection = HTTPConnection(parts.hostname, parts.port, timeout=120)
        self._token = parse_qs(parts.query)["token"][0]

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """Return the answer: what JSON says, or bytes."""
        headers = {"Authorization": f"Bearer {self._token}", "Content-Type": "application/json"}
        self._connection.request(method, path, None if body is None else json.dumps(body), headers)
        answer = self._connection.getresponse()
        content = answer.read()
        if answer.status >= 400:
            raise RuntimeError(f"{method} {path}: {answer.status} {content[:200]!r}")
        return json.loads(content) if "json" in (answer.getheader("content-type") or "") else content

    def wait(self, holds: Callable[[Any], bool]) -> None:
        """Wait for a state."""
        while not holds(self.ask("GET", "/api/state")):
            time.sleep(_POLL_SECONDS)

    def click(self, number: int, frame: int, x: int, y: int, *, positive: bool = True) -> None:
        """Click, and take the mask, as the page does."""
        state = self.ask("POST", f"/api/objects/{number}/clicks/{frame}", {"x": x, "y": y, "positive": positive})
        self.ask("GET", f"/api/masks/{frame}.png?r={state['revision']}")


def bench_studio(arguments: argparse.Namespace) -> dict[str, Any]:
    """Start a studio on a clip, and ask it as a page does; then propagate in one on another clip, and run that clip."""
    width, height = SIZES[_SIZE]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        clip, other = folder / "clip.mp4", folder / "other.mp4"
        make_clip(str(arguments.video), clip, (width, height), arguments.frames)
        shutil.copy(clip, other)
        y, x = interior_point(label_map_of(arguments.mask, width, height) == 1)
        with started(clip, folder / "first", arguments.device) as (studio, start):
            answers = _answers(studio, arguments.frames, (x, y))
        with started(other, folder / "session", arguments.device) as (studio, _):
            number = studio.ask("POST", "/api/objects", {})["id"]
            studio.click(number, 0, x, y)
            taken = seconds(lambda: _propagate(studio))
        ran = _seconds_of_run(other, folder, arguments.device)
    return {
        "machine": described(torch.device(arguments.device)),
        "size": _SIZE,
        "frames": arguments.frames,
        "seconds_to_start": start,
        "ms": {name: _summary(times) for name, times in answers.items()},
        "propagation_seconds": round(taken, 2),
        "seconds_of_run": round(ran, 2),
    }


def _answers(studio: Studio, frames: int, place: tuple[int, int]) -> dict[str, list[float]]:
    """Return the seconds of each kind of answer."""
    chance, (x, y) = np.random.default_rng(_SEED), place
    number = studio.ask("POST", "/api/objects", {})["id"]
    middle = frames // 2
    # Networks are compiled for this size of frame.
    studio.click(number, 0, x, y)
    found: dict[str, list[float]] = {}
    others = [index for index in range(1, frames) if index != middle][: _ASKED // 4]
    found["click, frame not encoded"] = [seconds(partial(studio.click, number, index, x, y)) for index in others]
    for index in others:
        studio.ask("DELETE", f"/api/objects/{number}/prompts/{index}")
    studio.ask("POST", f"/api/prepare/{middle}")
    studio.wait(lambda state: middle in state["prepared"])

    def preview() -> None:
        at = [int(x + chance.integers(-20, 20)), int(y + chance.integers(-20, 20)), 1]
        studio.ask("POST", f"/api/preview/{middle}", {"object": number, "points": [at]})

    def clicks(count: int) -> Iterator[float]:
        for turn in range(count):
            at = int(x + chance.integers(-20, 20)), int(y + chance.integers(-20, 20))
            yield seconds(partial(studio.click, number, middle, *at))
            time.sleep(_PAUSE_SECONDS)
            if turn % 4 == 3:
                # Few people need more clicks than that.
                studio.ask("DELETE", f"/api/objects/{number}/prompts/{middle}")

    def picture() -> None:
        studio.ask("GET", f"/api/frames/{int(chance.integers(frames))}.jpg?width=960")

    found["click"] = list(clicks(_ASKED))
    found["preview"] = [seconds(preview) for _ in range(_ASKED)]
    found["picture of any frame"] = [seconds(picture) for _ in range(_ASKED)]
    studio.ask("POST", "/api/propagate", {"what": "all"})
    # The first frame in work loads what is not loaded yet.
    studio.wait(lambda state: state["job"] is None or state["job"]["done"])
    found["preview, masks propagated beside it"] = [_paused(preview) for _ in range(_ASKED // 2)]
    found["click, masks propagated beside it"] = list(clicks(_ASKED // 2))
    found["picture, masks propagated beside it"] = [_paused(picture) for _ in range(_ASKED // 2)]
    is_running = studio.ask("GET", "/api/state")["job"] is not None
    assert is_running, "all masks were there before all was asked; give more --frames"
    studio.ask("DELETE", "/api/propagate")
    studio.wait(lambda state: state["job"] is None)
    return found


def _paused(ask: Callable[[], object]) -> float:
    time.sleep(_PAUSE_SECONDS)
    return seconds(ask)


def _propagate(studio: Studio) -> None:
    """Propagate, and wait for the end."""
    studio.ask("POST", "/api/propagate", {"what": "all"})
    studio.wait(lambda state: state["job"] is None)


@contextmanager
def started(clip: Path, folder: Path, device: str) -> Iterator[tuple[Studio, dict[str, float]]]:
    """Start a studio of a clip, with a folder for its session; give it, and the seconds until it answers."""
    words = [sys.executable, "-m", "persam_vos", "studio", str(clip), "-o", str(folder), "--no-browser", "--port", "0"]
    began = time.perf_counter()
    process = subprocess.Popen([*words, "--device", device], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        studio = Studio(process.stdout.readline().strip())
        start = {"address": time.perf_counter() - began}
        studio.ask("GET", "/api/frames/0.jpg")
        start["first picture"] = time.perf_counter() - began
        studio.ask("GET", "/api/state")
        start["ready for clicks"] = time.perf_counter() - began
        yield studio, {name: round(value, 2) for name, value in start.items()}
    finally:
        process.terminate()
        process.wait()


def _seconds_of_run(clip: Path, folder: Path, device: str) -> float:
    """Return the seconds that ``run`` takes for what the session says, without its start."""
    prompts, out = folder / "session" / "prompts.json", folder / "out"
    words = ["run", str(clip), "--prompts", str(prompts), "--export", "masks", "-o", str(out), "--device", device]
    subprocess.run([sys.executable, "-m", "persam_vos", *words, "--quiet"], check=True)
    record = json.loads((out / "run.json").read_text())
    outcome = record.get("outcome", record)
    return float(outcome["frames"] / outcome["frames_per_second"])


def _summary(times: Sequence[float]) -> dict[str, int]:
    ms = [1000 * each for each in times]
    return {"median": round(statistics.median(ms)), "p95": round(float(np.quantile(ms, 0.95))), "count": len(ms)}
