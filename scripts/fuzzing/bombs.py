"""Small files that claim much, or become much where they are unpacked: each is read once, as it is."""

from __future__ import annotations

import io
import json
import sqlite3
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Sequence
from functools import cache, partial
from pathlib import Path

import numpy as np
from PIL import Image

from fuzzing.changes import damage_bytes
from fuzzing.films_and_pictures import Seed, label_pngs, picture, saved
from fuzzing.kinds import Kind
from fuzzing.readers import READERS
from fuzzing.records import RECORDS
from persam_vos.media.masks.files import read_mask

_SIDE = 10_000  # of a picture of as many pixels as are allowed
_GREY, _RGB, _INDEXED, _RGBA = 0, 2, 3, 6
_CHANNELS = {_GREY: 1, _RGB: 3, _INDEXED: 1, _RGBA: 4}


def png(
    width: int, height: int, *, colours: int = _GREY, depth: int = 8, claimed: tuple[int, int] | None = None
) -> bytes:
    """Return a PNG of zeros, a thousandth of the size of its pixels."""
    packer = zlib.compressobj(9)
    row = bytes(1 + (width * depth * _CHANNELS[colours] + 7) // 8)
    packed = b"".join(packer.compress(row) for _ in range(height)) + packer.flush()
    header = struct.pack(">IIBBBBB", *(claimed or (width, height)), depth, colours, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"PLTE", bytes(6)), (b"IDAT", packed), (b"IEND", b"")]
    written = b"\x89PNG\r\n\x1a\n"
    for kind, body in chunks if colours == _INDEXED else (chunks[0], *chunks[2:]):
        written += struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
    return written


def _gif(width: int, height: int, frames: int = 1) -> bytes:
    """Return a GIF with a large screen and pictures of 64 x 48 pixels."""
    small = saved(Image.fromarray(picture()).convert("P"), "GIF")
    table = 13 + 3 * (2 << (small[10] & 7))
    shown = small[table:-1] * frames
    return small[:6] + struct.pack("<HH", width, height) + small[10:table] + shown + b";"


def scans(count: int, side: int = 4000) -> bytes:
    """Return a progressive JPEG whose last scan is repeated, each time for all of its blocks."""
    whole = saved(Image.new("L", (side, side)), "JPEG", progressive=True, quality=50)
    last = whole.rindex(b"\xff\xda")
    return whole[:last] + whole[last:-2] * count + whole[-2:]


def _pictures() -> list[bytes]:
    large = [png(_SIDE, _SIDE, colours=colours) for colours in _CHANNELS]
    grown = [png(64, 48, claimed=size) for size in ((2**31 - 1, 2**31 - 1), (65_500, 65_500), (_SIDE, _SIDE))]
    tiff = saved(Image.new("L", (64, 48)), "TIFF", compression="tiff_adobe_deflate")
    claims = tiff.replace(struct.pack("<HHII", 256, 4, 1, 64), struct.pack("<HHII", 256, 4, 1, 2**31))
    endless = tiff[:-4] + struct.pack("<I", 8)  # the last list of tags leads to the first
    jpeg = saved(Image.new("L", (64, 48)), "JPEG").replace(struct.pack(">HH", 48, 64), b"\xff\xff\xff\xff", 1)
    return [
        *large,
        *grown,
        png(5000, 5000, depth=16),
        _gif(65_535, 65_535),
        _gif(_SIDE, _SIDE),
        claims,
        endless,
        jpeg,
        scans(500),
    ]


def _photos() -> Sequence[Seed]:
    return [(each, damage_bytes) for each in _pictures()]


def _films() -> Sequence[Seed]:
    y4m = b"YUV4MPEG2 W%d H%d F25:1 Ip A1:1 C420jpeg\nFRAME\n"
    films = [
        y4m % (2**31 - 1, 2**31 - 1),
        y4m % (_SIDE, _SIDE),
        y4m % (_SIDE, _SIDE) + bytes(1000),
        _gif(65_535, 65_535),
    ]
    many = [_gif(2000, 2000, 3000), _gif(_SIDE, _SIDE, 20)]
    return [(each, damage_bytes) for each in (*films, *many, png(65_500, 1, claimed=(65_500, 65_500)))]


def _masks_of_json() -> Sequence[Seed]:
    square = [[0, 0], [_SIDE, 0], [_SIDE, _SIDE], [0, _SIDE]]
    shapes = [{"label": "a", "points": square, "group_id": None} for _ in range(254)]
    labelme = {"shapes": shapes, "imageHeight": _SIDE, "imageWidth": _SIDE}
    polygons = {"segmentation": [[0, 0, 9999, 0, 9999, 9999]] * 3000}
    coco = {"images": [{"id": 1, "height": _SIDE, "width": _SIDE}], "annotations": [{"image_id": 1, **polygons}]}
    pixels = _SIDE * _SIDE
    runs = [
        {"size": [_SIDE, _SIDE], "counts": each} for each in ([pixels], [0, pixels], [1] * 10**6 + [pixels - 10**6])
    ]
    long = {"shapes": [{"points": [[i % 64, i % 48] for i in range(10**6)]}], "imageHeight": 48, "imageWidth": 64}
    tall = {"size": [1, pixels], "counts": [0, pixels]}
    files = [json.dumps(each) for each in (labelme, coco, *runs, long, tall)]
    return [(each.encode(), damage_bytes) for each in [*files, *_deep_json()]]


def _deep_json() -> list[str]:
    return [
        "[" * 10**6,
        '{"a":' * 10**6,
        "[" * 10**5 + "]" * 10**5,
        "9" * 10**7,
        '"' + "\\u0000" * 10**6 + '"',
        "[" + "0," * 10**6 + "0]",
    ]


def _prompts() -> Sequence[Seed]:
    said = [{"frame": index, "object": 1, "box": [0, 0, 9, 9]} for index in range(100_000)]
    points = [{"frame": 0, "object": 1, "points": [[1, 1, 1]] * 100_000}]
    wrong = [*said, {"frame": 0, "object": 1, "box": [0]}]
    files = [json.dumps({"version": 1, "prompts": each}, indent=1) for each in (said, wrong, points)]
    return [(each.encode(), damage_bytes) for each in [*files, *_deep_json()]]


def _configs() -> Sequence[Seed]:
    laughs = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
        f"{chr(98 + i)}: &{chr(98 + i)} [{','.join(['*' + chr(97 + i)] * 9)}]\n" for i in range(20)
    )
    merged = "a: &a {x: 1}\n" + "".join(f"b{i}: &b{i} {{<<: [{','.join(['*a'] * 50)}]}}\n" for i in range(200))
    texts = [
        laughs,
        laughs + "export: *t\n",
        merged,
        "a: " + "[" * 50_000,
        "- " * 50_000,
        "? " * 50_000,
        "x: 1\n" * 50_000,
    ]
    long = [
        "k: [" + "0," * 400_000 + "]",
        "a: '" + "x" * 10**6,
        "a: " + "9" * 10**6,
        "&a [*a]",
        "a: &a {b: *a}",
        "a: 1:1" + ":1" * 10**5,
    ]
    ours = ["export: [" + "masks," * 50_000 + "]", "background: " + "a" * 900_000]
    return [(each.encode(), damage_bytes) for each in (*texts, *long, *ours)]


def _weights() -> Sequence[Seed]:
    def archive(body: bytes) -> bytes:
        written = io.BytesIO()
        with zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED) as made:
            for name, content in (("a/data.pkl", body), ("a/version", b"3\n"), ("a/byteorder", b"little")):
                made.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED)
        return written.getvalue()

    headers = [struct.pack("<Q", size) + b'{"a":' for size in (2**63, 2**64 - 1, 10**8, 10**9)]
    shape = b'{"a":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,0]}}'
    many = json.dumps({str(i): {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]} for i in range(200_000)}).encode()
    safe = [struct.pack("<Q", len(each)) + each for each in (shape, many)]
    # Numbers of gigabytes: a pickle that asks for so many bytes, and lists that double themselves.
    asks = b"\x80\x02\x8e" + struct.pack("<Q", 2**40) + b"."
    doubled = b"\x80\x02]q\x00" + b"".join(b"(h\x00h\x00ee"[1:-1] for _ in range(10)) + b"."
    deep = b"\x80\x02" + b"]" * 10**6 + b"a" * (10**6 - 1) + b"."
    bodies = [asks, doubled, deep, b"\x80\x02X" + struct.pack("<I", 2**31 - 1), bytes(1 << 30)]
    return [(each, damage_bytes) for each in (*headers, *safe, *bodies[:-1], *map(archive, bodies))]


def _embeddings() -> Sequence[Seed]:
    written = io.BytesIO()
    header = b"{'descr': '<f2', 'fortran_order': False, 'shape': (20000, 20000, 4), }".ljust(117) + b"\n"
    with zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED) as made:
        with made.open("features.npy", "w", force_zip64=True) as file:
            file.write(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header)
            for _ in range(3200):
                file.write(bytes(1_000_000))
        sizes = io.BytesIO()
        np.save(sizes, np.array([48, 64, 1024, 10**6], np.int64))
        made.writestr("sizes.npy", sizes.getvalue())
    return [(written.getvalue(), damage_bytes)]


@cache
def _stores() -> Sequence[Seed]:
    """Return stores in which a view that never ends stands in the place of a table."""
    views = {
        "stretch": "x as object, x as direction, x as start, x as frames, x as signature",
        "warning": "x as signature, x as words",
        "size": "x as height, x as width",
    }
    found: list[Seed] = []
    whole = next(each for each in RECORDS if each.name == "masks.sqlite").seeds()[0][0]
    for table, columns in views.items():
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "masks.sqlite"
            path.write_bytes(whole)
            data = sqlite3.connect(path, isolation_level=None)
            data.execute(f"drop table {table}")
            endless = "with recursive r(x) as (select 1 union all select x + 1 from r)"
            data.execute(f"create view {table} as {endless} select {columns} from r")
            data.close()
            found.append((path.read_bytes(), damage_bytes))
    return found


def _tracks() -> Sequence[Seed]:
    return [(each.encode(), damage_bytes) for each in _deep_json()]


def _scored() -> Sequence[Seed]:
    return [(png(8192, 8192), damage_bytes), (png(64, 48, claimed=(65_500, 65_500)), damage_bytes), label_pngs()[0]]


def _bombs(name: str, seeds: Callable[[], Sequence[Seed]]) -> Kind:
    kind = next(each for each in (*READERS, *RECORDS) if each.name == name)
    return Kind(f"bombs: {name}", kind.file, cache(partial(seeds)), kind.read, kind.beside, is_damaged=False)


BOMBS = (
    _bombs("photos", _photos),
    Kind("bombs: masks, pictures", "mask.png", cache(_photos), read_mask, is_damaged=False),
    _bombs("masks, uploaded", _photos),
    _bombs("films", _films),
    Kind("bombs: masks, JSON", "mask.json", cache(_masks_of_json), read_mask, is_damaged=False),
    _bombs("prompts.json", _prompts),
    _bombs("settings, YAML", _configs),
    _bombs("weights", _weights),
    _bombs("embeddings", _embeddings),
    _bombs("masks.sqlite", _stores),
    _bombs("tracks.jsonl", _tracks),
    _bombs("results.jsonl", _tracks),
    _bombs("run.json", _tracks),
    _bombs("studio.json", _tracks),
    _bombs("session.json", _tracks),
    _bombs("scored results", _scored),
)
