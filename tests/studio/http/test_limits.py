"""What is too large, or is not what it says it is, is refused before it takes memory; each is tried."""

from __future__ import annotations

import io
import socket
import struct
import zlib
from collections.abc import Iterator

import httpx
import numpy as np
import pytest
from moving import HEIGHT, WIDTH
from PIL import Image
from sessions import saved_film
from studios import PATIENCE_SECONDS, Served, png, served

from persam_vos.studio.http.limits import MOST_JSON_BYTES, MOST_PICTURE_BYTES

JSON = {"content-type": "application/json"}
PNG = {"content-type": "image/png"}


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A studio with one object of which nothing is said, which no test here changes."""
    folder = tmp_path_factory.mktemp("studio")
    with served(saved_film(folder / "frames"), folder / "session") as found:
        found.post("/api/objects")
        yield found
        (left,) = found.get("/api/state")["objects"]
        assert left["keyframes"] == []


def error_of(answer: httpx.Response) -> str:
    (words,) = answer.json().values()
    assert "\n" not in words
    return str(words)


def in_parts(size: int) -> Iterator[bytes]:
    """A body whose length is not told."""
    for _ in range(0, size, 1 << 16):
        yield b" " * (1 << 16)


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize(
    ("method", "path", "headers", "limit"),
    [
        ("POST", "/api/objects", JSON, MOST_JSON_BYTES),
        ("POST", "/api/undo", {}, MOST_JSON_BYTES),
        ("PUT", "/api/objects/1/prompts/0", JSON, MOST_JSON_BYTES),
        ("PUT", "/api/objects/1/prompts/0", PNG, MOST_PICTURE_BYTES),
    ],
)
def test_a_body_that_is_too_large_is_refused(
    studio: Served, method: str, path: str, headers: dict[str, str], limit: int, chunked: bool
) -> None:
    size = limit + (1 << 16)

    answer = studio.script.request(method, path, headers=headers, content=in_parts(size) if chunked else b" " * size)

    assert answer.status_code == 413
    assert f"{limit // 1024} KiB" in error_of(answer)
    assert studio.get("/api/video")["width"] == WIDTH


@pytest.mark.parametrize("length", ["99999999", "9" * 15, "9" * 30, "-1", "1e3"])
def test_a_length_that_no_body_has_is_refused(studio: Served, length: str) -> None:
    # No body is sent: it is refused before it is read.
    with socket.create_connection(("127.0.0.1", studio.door.port), timeout=PATIENCE_SECONDS) as raw:
        raw.sendall(
            f"POST /api/objects HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {studio.door.token}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n".encode()
        )
        assert raw.recv(1000).split()[1] in (b"400", b"413")


def bomb(width: int, height: int) -> bytes:
    """A small PNG of many pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    rows = zlib.compress(b"\0" * 1_000_000, 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def picture(image: Image.Image, kind: str = "PNG") -> bytes:
    written = io.BytesIO()
    image.save(written, format=kind)
    return written.getvalue()


MASKS = {
    "bomb": (bomb(9_000, 9_000), "9000 x 9000"),
    "large bomb": (bomb(60_000, 60_000), "decompression bomb"),
    "larger bomb": (bomb(2_000_000, 2_000_000), "PNG"),
    "other size": (png(np.ones((HEIGHT, WIDTH + 1), np.bool_)), f"the frame is {HEIGHT} x {WIDTH}"),
    "cut off": (png(np.ones((HEIGHT, WIDTH), np.bool_))[:60], "no readable PNG"),
    "JPEG": (picture(Image.new("L", (WIDTH, HEIGHT), 255), "JPEG"), "no readable PNG"),
    "nothing": (b"", "no readable PNG"),
    "black": (png(np.zeros((HEIGHT, WIDTH), np.bool_)), "shows nothing"),
    "transparent": (picture(Image.new("RGBA", (WIDTH, HEIGHT), (255, 255, 255, 0))), "shows nothing"),
}


@pytest.mark.parametrize("name", MASKS)
def test_a_mask_that_is_none_is_refused(studio: Served, name: str) -> None:
    data, words = MASKS[name]

    answer = studio.script.put("/api/objects/1/prompts/0", content=data, headers=PNG)

    assert answer.status_code == 422
    assert words in error_of(answer)


BODIES = {
    "not JSON": (b"{", "JSON"),
    "nested": (b"[" * 100_000, "recursion"),
    "a list": (b"[]", "object"),
    "an unknown key": (b'{"x": 1, "y": 2, "path": "/etc/passwd"}', "path"),
    "no number": (b'{"x": "1", "y": 2}', "x is"),
    "no finite number": (b'{"x": NaN, "y": 2}', ""),
    "infinite": (b'{"x": 1e999, "y": 2}', "x is"),
    "a missing key": (b'{"x": 1}', "y is"),
    "a switch": (b'{"x": true, "y": 2}', "x is"),
    "bytes": (b"\xff\xfe", ""),
}


@pytest.mark.parametrize("name", BODIES)
def test_json_that_is_not_what_is_wanted_is_refused_in_a_line(studio: Served, name: str) -> None:
    body, words = BODIES[name]

    answer = studio.script.post("/api/objects/1/clicks/0", content=body, headers=JSON)

    assert answer.status_code == 422
    assert words in error_of(answer)
    assert len(error_of(answer)) < 300


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""])
def test_forms_of_other_pages_are_no_json(studio: Served, kind: str) -> None:
    answer = studio.script.post("/api/objects", content=b'{"name": "dog"}', headers={"content-type": kind})

    assert answer.status_code == 415


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/api/frames/0.jpg?width=0", "1 to 65535"),
        ("/api/frames/0.jpg?width=x", "'x'"),
        ("/api/frames/12.jpg", "0 to 11"),
        ("/api/masks/12.png", "0 to 11"),
        ("/api/doubtful?count=0", "1 to 1000"),
        ("/api/lanes?start=-1", "'-1'"),
    ],
)
def test_numbers_that_are_not_allowed_are_told(studio: Served, path: str, words: str) -> None:
    answer = studio.script.get(path)

    assert answer.status_code in (404, 422)
    assert words in error_of(answer)


def test_a_method_that_a_route_does_not_have_is_told_in_json(studio: Served) -> None:
    answer = studio.script.post("/api/state")

    assert answer.status_code == 405
    assert error_of(answer)
