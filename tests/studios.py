"""A studio on a port of its own, over a made-up video and without the network, for tests of its HTTP interface."""

from __future__ import annotations

import asyncio
import io
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from PIL import Image
from sessions import prepared

from persam_vos.masks import Mask
from persam_vos.prompts import Span
from persam_vos.studio.footage import Footage
from persam_vos.studio.http.app import make_app
from persam_vos.studio.http.security import Door
from persam_vos.studio.parts import Studio
from persam_vos.studio.serving import Listening, Server
from persam_vos.studio.session.project import Project
from persam_vos.video.session.session import Session

PATIENCE_SECONDS = 60


@dataclass
class Served:
    """A studio that is served, and a script that may ask it.

    Attributes:
        studio: Its parts.
        door: Its token and port.
        script: A client that brings the token.
    """

    studio: Studio
    door: Door
    script: httpx.Client

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.door.port}"

    def get(self, path: str, **options: Any) -> Any:
        return _json(self.script.get(path, **options))

    def post(self, path: str, body: object = None, **options: Any) -> Any:
        return _json(self.script.post(path, json=body, **options))

    def put(self, path: str, body: object) -> Any:
        return _json(self.script.put(path, json=body))

    def draw(self, object_id: int, frame: int, mask: Mask) -> Any:
        """Give an object a mask; return the state."""
        put = self.script.put(
            f"/api/objects/{object_id}/prompts/{frame}", content=png(mask), headers={"content-type": "image/png"}
        )
        return _json(put)

    def mask(self, frame: int) -> np.ndarray:
        """Return the label map of a frame."""
        found = self.script.get(f"/api/masks/{frame}.png")
        assert found.status_code == 200, found.text
        return np.asarray(Image.open(io.BytesIO(found.content)))

    @contextmanager
    def listening(self) -> Iterator[Callable[[str], dict[str, Any]]]:
        """Give what waits for the next event of a kind."""
        with self.script.stream("GET", "/api/events") as stream:
            events = read_events(stream)
            assert next(events)[0] == "state"

            def wait(kind: str) -> dict[str, Any]:
                return next(data for name, data in events if name == kind)

            yield wait


def read_events(stream: httpx.Response) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the kinds and the data of an event stream."""
    kind = ""
    for line in stream.iter_lines():
        if line.startswith("event: "):
            kind = line.removeprefix("event: ")
        elif line.startswith("data: "):
            yield kind, json.loads(line.removeprefix("data: "))


@contextmanager
def served(source: str | Path, folder: Path, *, opened: Callable[[Project], Session] | None = None) -> Iterator[Served]:
    """Serve a studio, from the opening of its folder to the end."""
    footage = Footage(str(source))
    project = Project(folder, footage.source)
    project.begin(footage.frames(Span()), is_chosen=False)
    open_session = opened or (lambda project: seeing_session(str(source), project))
    studio = Studio(footage, project, lambda: open_session(project))
    with Listening(port=0).bind() as bound:
        door = Door.new(bound.getsockname()[1], "127.0.0.1")
        server = Server(make_app(studio, door), studio)
        thread = threading.Thread(target=lambda: asyncio.run(server.serve(sockets=[bound])))
        thread.start()
        try:
            address = f"http://127.0.0.1:{door.port}"
            headers = {"authorization": f"Bearer {door.token}"}
            with httpx.Client(base_url=address, headers=headers, timeout=PATIENCE_SECONDS) as script:
                yield Served(studio, door, script)
        finally:
            server.should_exit = True
            thread.join()
            studio.close()


def seeing_session(source: str, project: Project) -> Session:
    """Open a session without the network: masks that are propagated follow colours, points give the left half."""
    kept: dict[str, Any] = {"masks": project.masks, "cache": project.folder.parent / "cache"}
    if project.check_prompts():
        return prepared(Session.open(project.prompts, **kept))
    return prepared(Session(source, **kept))


def png(mask: Mask) -> bytes:
    """Return a mask as a PNG, white on black."""
    written = io.BytesIO()
    Image.fromarray(mask.astype(np.uint8) * 255).save(written, format="PNG")
    return written.getvalue()


def _json(answer: httpx.Response) -> Any:
    assert answer.status_code < 300, f"{answer.status_code} {answer.text}"
    return answer.json()
