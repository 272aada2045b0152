"""Seeded damage to files: to their bytes, to the parts of a format, and to the values of JSON."""

from __future__ import annotations

import copy
import io
import json
import struct
import zipfile
import zlib
from collections.abc import Callable
from random import Random
from typing import Any

Damage = Callable[[Random, bytes], bytes]
"""Returns a damaged file; of the same state of chance and the same file, the same."""

# What parsers stumble over. The canary is a file beside the folder of inputs, which nothing may open.
TOKENS = (
    b"nan", b"-inf", b"1e999", b"-0", b"9" * 400, b"9" * 5000, b"0x7fffffff", b"\0", b"\xff\xfe", b"\xed\xa0\x80",
    b"\xc0\xaf", b"\r\n", b"../canary/secret.mp4", b"file:../canary/secret.mp4", b"http://127.0.0.1:47831/a.mp4",
    b"#EXTM3U\n", b"ffconcat version 1.0\n", b"%s%n%d", b"%05d", b"{}", b"[]", b"[" * 2000, b'{"a":' * 2000, b"&a [*a]",
    b"!!python/object/apply:os.system [id]", b"<<: *a", b"- " * 500,
)  # fmt: skip
_GONE = "gone"
_EXTREMES = (0, 1, 2, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 2**63 - 1, 2**64 - 1)


def damage_bytes(chance: Random, data: bytes) -> bytes:
    """Change bits, numbers and blocks anywhere, more often near the beginning."""
    found = bytearray(data)
    for _ in range(chance.choice((1, 1, 2, 4, 16))):
        chance.choice(_BLOCKS)(chance, found)
    return bytes(found)


def _place(chance: Random, data: bytearray) -> int:
    return int(len(data) * chance.random() ** chance.choice((1, 3)))


def _flip(chance: Random, data: bytearray) -> None:
    if data:
        data[_place(chance, data)] ^= 1 << chance.randrange(8)


def _extreme(chance: Random, data: bytearray) -> None:
    size, order = chance.choice((1, 2, 4, 8)), chance.choice(("little", "big"))
    place, value = _place(chance, data), chance.choice(_EXTREMES) % (1 << 8 * size)
    data[place : place + size] = value.to_bytes(size, order)  # type: ignore[arg-type]


def _cut(chance: Random, data: bytearray) -> None:
    del data[_place(chance, data) :]


def _remove(chance: Random, data: bytearray) -> None:
    place = _place(chance, data)
    del data[place : place + chance.choice((1, 4, 64, 1024))]


def _repeat(chance: Random, data: bytearray) -> None:
    place, size = _place(chance, data), chance.choice((1, 4, 64, 1024))
    data[place:place] = data[place : place + size] * chance.choice((1, 2, 50))


def _swap(chance: Random, data: bytearray) -> None:
    size = chance.choice((4, 64, 512))
    one, other = sorted((_place(chance, data), _place(chance, data)))
    if one + size <= other and other + size <= len(data):
        data[one : one + size], data[other : other + size] = data[other : other + size], data[one : one + size]


def _insert(chance: Random, data: bytearray) -> None:
    place, token = _place(chance, data), chance.choice(TOKENS)
    data[place : place + (len(token) if chance.random() < 0.5 else 0)] = token


def _fill(chance: Random, data: bytearray) -> None:
    place, size = _place(chance, data), min(chance.choice((4, 64, 4096)), len(data))
    data[place : place + size] = chance.choice((bytes(size), b"\xff" * size, chance.randbytes(size)))


_BLOCKS = (_flip, _flip, _extreme, _extreme, _cut, _remove, _repeat, _swap, _insert, _fill)


def _damage_list(chance: Random, parts: list[Any], damage: Callable[[Any], Any]) -> None:
    """Leave out, repeat, exchange or damage the parts of a file."""
    for _ in range(chance.choice((1, 1, 2, 4))):
        if not parts:
            return
        one, other = chance.randrange(len(parts)), chance.randrange(len(parts))
        match chance.choice(("damage", "damage", "damage", "leave out", "repeat", "exchange")):
            case "damage":
                parts[one] = damage(parts[one])
            case "leave out":
                del parts[one]
            case "repeat":
                parts[other:other] = [parts[one]] * chance.choice((1, 3))
            case "exchange":
                parts[one], parts[other] = parts[other], parts[one]


def damage_png(chance: Random, data: bytes) -> bytes:
    """Change the chunks of a PNG, under right checksums."""
    chunks, place = [], 8
    while place + 12 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, place)
        chunks.append((kind, data[place + 8 : place + 8 + length]))
        place += 12 + length

    def damage(chunk: tuple[bytes, bytes]) -> tuple[bytes, bytes]:
        if chunk[0] == b"IDAT" and chance.random() < 0.5:
            try:
                return chunk[0], zlib.compress(damage_bytes(chance, zlib.decompress(chunk[1])))
            except zlib.error:
                pass
        return chunk[0], damage_bytes(chance, chunk[1])

    _damage_list(chance, chunks, damage)
    written = data[:8]
    for kind, body in chunks:
        written += struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
    return written


_FOLDERS = (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"edts", b"dinf", b"udta", b"mvex", b"moof", b"traf")


def damage_boxes(chance: Random, data: bytes) -> bytes:
    """Change the boxes of an MP4 or MOV, at any depth; their lengths stay right."""
    boxes, place = [], 0
    while place + 8 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, place)
        end = place + length if length >= 8 else len(data)
        boxes.append((kind, data[place + 8 : end]))
        place = end

    def damage(box: tuple[bytes, bytes]) -> tuple[bytes, bytes]:
        kind, body = box
        return kind, damage_boxes(chance, body) if kind in _FOLDERS else damage_bytes(chance, body)

    # Most of a file is pictures, and most of what is read is in the other boxes.
    if any(kind == b"moov" for kind, _ in boxes) and chance.random() < 0.8:
        boxes = [damage(box) if box[0] == b"moov" else box for box in boxes]
    else:
        _damage_list(chance, boxes, damage)
    return b"".join(struct.pack(">I4s", len(body) + 8, kind) + body for kind, body in boxes)


def damage_riff(chance: Random, data: bytes) -> bytes:
    """Change the chunks of a WebP or AVI; their lengths stay right."""
    chunks, place = [], 12
    while place + 8 <= len(data):
        kind, length = struct.unpack_from("<4sI", data, place)
        chunks.append((kind, data[place + 8 : place + 8 + length]))
        place += 8 + length + length % 2
    _damage_list(chance, chunks, lambda chunk: (chunk[0], damage_bytes(chance, chunk[1])))
    body = b"".join(struct.pack("<4sI", kind, len(each)) + each + bytes(len(each) % 2) for kind, each in chunks)
    return data[:4] + struct.pack("<I", len(body) + 4) + data[8:12] + body


def damage_zip(chance: Random, data: bytes) -> bytes:
    """Change the members of a ZIP archive, under right checksums."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = [(name, archive.read(name)) for name in archive.namelist()]
    _damage_list(chance, members, lambda member: (member[0], damage_bytes(chance, member[1])))
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w") as archive:
        for name, body in members:
            if name not in archive.namelist():
                archive.writestr(zipfile.ZipInfo(name), body)
    return written.getvalue()


def damage_safetensors(chance: Random, data: bytes) -> bytes:
    """Change the values in the header of a safetensors file, whose length stays right."""
    (length,) = struct.unpack_from("<Q", data)
    header = damage_json(chance, data[8 : 8 + length])
    return struct.pack("<Q", len(header)) + header + data[8 + length :]


def _odd_value(chance: Random) -> Any:
    numbers = (
        0,
        -1,
        1,
        255,
        256,
        2**31,
        2**63,
        -(2**63) - 1,
        2**64,
        10**400,
        0.5,
        -0.0,
        1e308,
        float("nan"),
        float("inf"),
    )
    texts = (
        "",
        "0",
        "a" * 10_000,
        "\0",
        "\ud800",
        "a\nb",
        "../canary/secret.mp4",
        "/dev/zero",
        "nan",
        "1e999",
        "-",
        "é" * 300,
    )
    nested: Any = []
    for _ in range(chance.choice((1, 50, 900))):
        nested = chance.choice(([nested], {"a": nested}))
    others = (None, True, False, [], {}, {"": {}}, [[]], [0] * 3000, nested)
    return chance.choice(chance.choice((numbers, texts, others)))


def damage_value(chance: Random, value: Any) -> Any:
    """Change values of JSON: to other types, extremes, other values of the same file, or nothing."""
    places = _places(value)
    for _ in range(chance.choice((1, 1, 2, 3))):
        if not places:
            return _odd_value(chance)
        parent, key = chance.choice(places)
        if _at(parent, key) is _GONE:
            continue
        match chance.choice(("odd", "odd", "odd", "other", "leave out", "repeat", "rename")):
            case "odd":
                parent[key] = _odd_value(chance)
            case "other":
                parent[key] = copy.deepcopy(_at(*chance.choice(places)))
            case "leave out":
                del parent[key]
            case "repeat" if isinstance(parent, list):
                parent[key:key] = [parent[key]] * chance.choice((1, 300))
            case "rename" if isinstance(parent, dict):
                parent[str(_odd_value(chance))[:50]] = parent.pop(key)
    return value


def _at(parent: Any, key: Any) -> Any:
    """Return the value at a place; ``_GONE`` if an earlier change has taken it away."""
    try:
        return parent[key]
    except (KeyError, IndexError):
        return _GONE


def _places(value: Any) -> list[tuple[Any, Any]]:
    """Return the container and the key of each value inside of a value."""
    found, left = [], [value]
    while left:
        each = left.pop()
        items = (
            list(each.items()) if isinstance(each, dict) else list(enumerate(each)) if isinstance(each, list) else []
        )
        found += [(each, key) for key, _ in items]
        left += [inner for _, inner in items]
    return found


def damage_json(chance: Random, data: bytes) -> bytes:
    """Change the values of a JSON file, and sometimes its text."""
    text = json.dumps(damage_value(chance, json.loads(data)), ensure_ascii=chance.random() < 0.5)
    written = text.encode("utf-8", "surrogatepass")
    return damage_bytes(chance, written) if chance.random() < 0.2 else written


def damage_lines(chance: Random, data: bytes) -> bytes:
    """Change lines of JSON."""
    lines = data.splitlines()

    def damage(line: bytes) -> bytes:
        try:
            return damage_json(chance, line)
        except (ValueError, RecursionError):  # damaged before
            return damage_bytes(chance, line)

    _damage_list(chance, lines, damage)
    written = b"\n".join(lines) + b"\n"
    return damage_bytes(chance, written) if chance.random() < 0.2 else written


def damage_text(chance: Random, data: bytes) -> bytes:
    """Change words and lines of a text, such as YAML."""
    lines = data.splitlines()

    def damage(line: bytes) -> bytes:
        name, separator, value = line.partition(b":")
        odd = json.dumps(_odd_value(chance)).encode() if chance.random() < 0.7 else chance.choice(TOKENS)
        return name + separator + b" " + odd if separator and value else chance.choice(TOKENS)

    _damage_list(chance, lines, damage)
    written = b"\n".join(lines) + b"\n"
    return damage_bytes(chance, written) if chance.random() < 0.2 else written
