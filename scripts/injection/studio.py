"""The studio, told over HTTP to propagate and export, and struck: what was answered is there at the next start."""

from __future__ import annotations

import errno
import http.client
import json
import shutil
import signal
import time
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

from injection import processes
from injection.commands import Bench
from injection.finding import Finding
from injection.material import SETTINGS
from injection.points import Aim, Calls, Strike, count, counted, struck
from injection.processes import Ended, Process
from injection.whole import broken_files, differences, leftovers

_EXPORTS = ["masks", "overlay"]
_PATIENCE_SECONDS = 60.0
_GONE = (OSError, http.client.HTTPException, ValueError)
_ENDED_BY_SIGNAL, _CHANGED = 130, 300


class RefusedError(Exception):
    """An answer that is no success."""


class Script:
    """What a script does with a studio, and how far it came.

    Attributes:
        answered: Whether an object was made, and whether its box was kept.
    """

    def __init__(self) -> None:
        self.answered = {"object": False, "box": False}

    def run(self, process: Process) -> None:
        """Mark an object, propagate and export; raises ``OSError`` or the like where the studio is gone."""
        lines = process.printed()
        if not lines:
            raise ConnectionError("it has not begun")
        address, _, self._token = lines[0].partition("/?token=")
        self._place = address.removeprefix("http://")
        state = self._ask("GET", "/api/state")
        self.check(state)
        if not state["objects"]:
            self._ask("POST", "/api/objects", {"name": "square"})
        self.answered["object"] = True
        self._ask("PUT", "/api/objects/1/prompts/0", {"box": [4, 20, 27, 43]})
        self.answered["box"] = True
        self._ask("POST", "/api/propagate", {"what": "all"})
        self._wait()
        self._ask("POST", "/api/export", {"exports": _EXPORTS})
        self._wait()

    def check(self, state: dict[str, Any]) -> None:
        """Raise ``RefusedError`` unless what was answered is there."""
        kept = {each["id"]: [mark["frame"] for mark in each["keyframes"]] for each in state["objects"]}
        if (self.answered["object"] and 1 not in kept) or (self.answered["box"] and 0 not in kept[1]):
            raise RefusedError(f"what was answered is gone: {kept}")

    def _wait(self) -> None:
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while self._ask("GET", "/api/state")["job"] is not None:
            if time.monotonic() > deadline:
                raise RefusedError("a job does not end")
            time.sleep(0.02)

    def _ask(self, method: str, path: str, body: object = None) -> Any:
        connection = http.client.HTTPConnection(self._place, timeout=_PATIENCE_SECONDS)
        headers = {"Authorization": f"Bearer {self._token}", "Content-Type": "application/json"}
        try:
            connection.request(method, path, None if body is None else json.dumps(body), headers)
            answer = connection.getresponse()
            data = answer.read()
        finally:
            connection.close()
        if answer.status >= _CHANGED:
            raise RefusedError(f"{method} {path}: {answer.status} {data[:200].decode(errors='replace')}")
        return json.loads(data) if data else None


def studio_killed(bench: Bench, random: Random) -> Finding:
    """Kill the studio at a change of its folder; start it again, and finish."""
    changes = _changes(bench)
    strike = random.choice((Strike.KILL, Strike.KILL, Strike.TEAR))
    folder, script = bench.fresh(), Script()
    process = _start(bench, folder, Aim(Calls.CHANGES, folder, random.randint(1, changes), strike))
    try:
        script.run(process)
    except _GONE:
        pass
    except RefusedError as refused:
        return Finding("studio", f"killed at {struck()}", wrong=[str(refused)])
    process.kill(signal.SIGTERM)
    ended = process.ended()
    found = Finding("studio", f"killed at {struck()}", wrong=ended.faults(-signal.SIGKILL, _ENDED_BY_SIGNAL))
    found.struck = ended.status == -signal.SIGKILL
    return _finished(bench, folder, script, found)


def studio_on_a_full_disk(bench: Bench, random: Random, *, error: int) -> Finding:
    """Let nothing more be written from one change on; then start again on a good disk, and finish."""
    folder, script, at = bench.fresh(), Script(), random.randint(1, _changes(bench))
    folder = bench.fresh()
    process = _start(bench, folder, Aim(Calls.CHANGES, folder, at, Strike.FAIL_FROM, error))
    try:
        script.run(process)
    except (*_GONE, RefusedError):
        pass
    process.kill(signal.SIGTERM)
    fault = f"{errno.errorcode[error]} from call {at}"
    found = Finding("studio", fault, wrong=process.ended().faults(2, _ENDED_BY_SIGNAL))
    return _finished(bench, folder, script, found)


def _finished(bench: Bench, folder: Path, script: Script, found: Finding) -> Finding:
    """Start a studio again over its folder, do what is left, and compare its last export."""
    found.broken += broken_files(folder) if folder.exists() else []
    try:
        ended = _to_the_end(bench, folder, script)
        found.wrong += ended.faults(_ENDED_BY_SIGNAL)
    except (*_GONE, RefusedError) as error:
        found.wrong.append(f"does not go on: {type(error).__name__} {error}")
        return found
    found.broken += broken_files(folder)
    exports = sorted(folder.glob("export-*"))
    found.lost = differences(bench.folder / "whole/studio/export-1", exports[-1]) if exports else ["no export"]
    found.lost += [f"{name}: is left" for name in leftovers(folder)]
    return found


def _changes(bench: Bench) -> int:
    """Return how many calls change files of a session; the first time, make one without a fault."""
    expected = bench.folder / "whole" / "studio"
    if "studio" not in bench.changes:
        folder = bench.fresh()
        ended = _to_the_end(bench, folder, Script(), count(folder))
        bench.changes["studio"] = counted()
        if ended.faults(_ENDED_BY_SIGNAL) or broken_files(folder) or leftovers(folder):
            raise RuntimeError(f"studio: fails without a fault: {ended} {leftovers(folder)}")
        expected.parent.mkdir(exist_ok=True)
        shutil.move(folder, expected)
    return bench.changes["studio"]


def _to_the_end(bench: Bench, folder: Path, script: Script, aim: Aim | None = None) -> Ended:
    process = _start(bench, folder, aim)
    try:
        script.run(process)
    finally:
        process.kill(signal.SIGTERM)
        ended = process.ended()
    return ended


def _start(bench: Bench, folder: Path, aim: Aim | None) -> Process:
    words = ["studio", bench.given / "clip.mp4", "--no-browser", "--port", "0", "-o", folder]
    return processes.start([*words, "--config", bench.given / SETTINGS], bench.printed, aim)


KINDS = {
    "kill-studio": studio_killed,
    "disk-full-studio": partial(studio_on_a_full_disk, error=errno.ENOSPC),
    "read-only-studio": partial(studio_on_a_full_disk, error=errno.EROFS),
}
