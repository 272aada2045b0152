"""Odd names, links and devices wherever a command takes a path, and damaged files through whole commands."""

from __future__ import annotations

import contextlib
import io
import json
import os
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

from fuzzing import films_and_pictures as pictures
from fuzzing import seeds
from fuzzing.changes import damage_bytes
from fuzzing.films_and_pictures import Seed
from fuzzing.kinds import Kind
from persam_vos.cli.app import main
from persam_vos.errors import PersamVosError

_NAMES = (
    b"a b", b"-rf", b"--help", b"-", b"a\nb", b"a\rb", b"a\x1b[31mb\x07", b"\x7f", b"\xff\xfe", b"\xed\xa0\x80",
    b"%05d", b"*", b"[a]", b"?", b"a'b\"c", b"$HOME", b"~", b"pipe:0", b"concat:a|b", b"file:a", b"data:,a", b"con",
    b"a,b", b"a=b", b"1=a", b"<b>", b"&amp;", b"\xe2\x80\xaegnp", b"\xc3\xa9" * 127, b"n" * 255, b"n" * 250,
    b".hidden", b"a.", b" ", b"\\", b"..a", b"./a", b"masks/../a",
)  # fmt: skip
# Places of a command that take a path; NAME is replaced.
_COMMANDS = {
    "video": "render NAME masks -o out --export overlay,masks",
    "masks": "render clip.mp4 NAME -o out --export overlay,masks",
    "output": "render clip.mp4 masks -o NAME --export overlay,coco,report",
    "config": "render clip.mp4 masks -o out --config NAME",
    "background": "render clip.mp4 masks -o out --export cutout --background NAME",
    "object": "render clip.mp4 masks -o out --per-object --export matte,yolo,cvat,coco,report --name 1=NAME",
    "tracked": "run NAME --first-mask mask.png -o out --checkpoint none.pt",
    "prompts": "run clip.mp4 --prompts NAME -o out --checkpoint none.pt",
    "weights": "run clip.mp4 --first-mask mask.png -o out --checkpoint NAME",
    "photo": "image photo.png mask.png NAME -o out --checkpoint none.pt",
    "results": "score NAME davis",
    "data set": "score results NAME",
    "manifest": "batch NAME -o out --checkpoint none.pt",
    "verified": "models verify NAME",
}  # fmt: skip
_MAKES = ("file", "folder", "link", "loop", "dangling", "pipe", "/dev/zero", "/dev/null", "/dev/full")


def call(*words: str) -> None:
    """Run a command in this process.

    Raises:
        PersamVosError: With what it says, if it ends with status 2.
        AssertionError: If it says that in more than one line, or lets a control character through.
    """
    said, told = io.StringIO(), io.StringIO()
    with contextlib.redirect_stderr(said), contextlib.redirect_stdout(told):
        status = main([*words])
    lines = [each for each in said.getvalue().splitlines() if each.startswith("persam-vos: ")]
    assert status in (0, 1, 2, 130), status
    odd = {each for each in said.getvalue() if ord(each) < 32 or 126 < ord(each) < 160} - {"\n", "\r"}
    assert not odd, f"prints {odd}"
    if status == 2:
        assert lines, said.getvalue()
        raise PersamVosError(lines[-1])


def _beside() -> None:
    Path("clip.mp4").write_bytes(_film())
    Path("mask.png").write_bytes(_mask())
    Path("photo.png").write_bytes(_photo())
    for folder in ("masks", "results/alpha", "davis/Annotations/480p/alpha", "davis/ImageSets/2017"):
        Path(folder).mkdir(parents=True)
    for index in range(4):
        for folder in ("masks", "results/alpha", "davis/Annotations/480p/alpha"):
            Path(folder, f"{index:05d}.png").write_bytes(_mask())
    Path("davis/ImageSets/2017/val.txt").write_text("alpha\n")


@cache
def _film() -> bytes:
    return pictures.film()


@cache
def _mask() -> bytes:
    return pictures.label_pngs()[2][0]


@cache
def _photo() -> bytes:
    return pictures.photos()[0][0]


_WHOLE: dict[str, Callable[[], bytes]] = {
    "video": _film, "tracked": _film, "config": lambda: b"export: overlay\n", "first mask": _mask,
    "background": _photo,
    "prompts": lambda: seeds.prompts()[0][0], "weights": lambda: seeds.checkpoints()[0][0], "photo": _photo,
    "manifest": lambda: b'{"id": "a", "video": "clip.mp4", "mask": "mask.png"}\n',
}  # fmt: skip


def _cases() -> Sequence[Seed]:
    named = [(place, "file", os.fsdecode(name)) for place in _COMMANDS for name in _NAMES]
    made = [(place, how, "odd") for place in _COMMANDS for how in _MAKES]
    return [(json.dumps(each).encode(), damage_bytes) for each in (*named, *made)]


def _odd_path(path: Path) -> None:
    place, how, name = json.loads(path.read_bytes())
    if not how.startswith("/") and place != "object":
        _make(place, how, name)
    word = how if how.startswith("/") else name
    call(*(each.replace("NAME", word) for each in _COMMANDS[place].split()))


def _make(place: str, how: str, name: str) -> None:
    """Make what a name stands for, if it can be made: a file as it should be, or something else."""
    with contextlib.suppress(OSError):
        made = Path(name)
        if place in ("masks", "results", "data set", "output") and how == "file":
            source = {"masks": "masks", "results": "results", "data set": "davis"}.get(place)
            if source is not None:
                Path(source).rename(made)
        elif how == "file":
            made.write_bytes(_WHOLE.get(place, _film)())
        elif how == "folder":
            made.mkdir()
        elif how == "pipe":
            os.mkfifo(made)
        else:
            made.symlink_to({"link": "clip.mp4", "loop": name, "dangling": "nowhere"}[how])


def _links() -> Sequence[Seed]:
    places = ("masks", "overlay.mp4", "run.json", "tracks.jsonl", "report.html", "coco.json", ".overlay.mp4.partial")
    hidden = (
        ".masks.partial",
        ".masks.old.partial",
        ".run.json.partial",
        ".tracks.jsonl.partial",
        ".coco.json.frames.partial",
    )
    targets = ("../../canary/secret.mp4", "../../canary", "../../canary/new")
    cases = [(place, target) for place in (*places, *hidden, ".report.html.pictures.partial") for target in targets]
    return [(json.dumps(each).encode(), damage_bytes) for each in cases]


def _output_with_a_link(path: Path) -> None:
    """Render twice into a folder in which a link leads out of it."""
    place, target = json.loads(path.read_bytes())
    Path("out").mkdir()
    Path("out", place).symlink_to(target)
    call("render", "clip.mp4", "masks", "-o", "out", "--overwrite", "--export", "overlay,masks,coco,report")


def _render(_path: Path) -> None:
    call("render", "film.mp4", "masks", "-o", "out", "--export", "overlay,report", "--quiet")


def _render_run(_path: Path) -> None:
    call("render", "clip.mp4", "run", "-o", "out", "--export", "coco,report", "--quiet")


def _run() -> None:
    _beside()
    Path("masks").rename("unused")
    Path("run/masks").mkdir(parents=True)
    for index in range(4):
        Path(f"run/masks/{index:05d}.png").write_bytes(_mask())
    Path("run/run.json").write_text(json.dumps(seeds.run_record()))
    Path("run/tracks.jsonl").write_bytes(seeds.tracks()[0][0])


COMMANDS = (
    Kind("odd paths", "case.json", cache(_cases), _odd_path, _beside, is_damaged=False),
    Kind("links in OUT", "case.json", cache(_links), _output_with_a_link, _beside, is_damaged=False),
    Kind("render: films", "film.mp4", pictures.films, _render, _beside, share=0.5),
    Kind("render: masks", "run/masks/00001.png", pictures.label_pngs, _render_run, _run, share=0.2),
    Kind("render: tracks.jsonl", "run/tracks.jsonl", seeds.tracks, _render_run, _run, share=0.2),
)
