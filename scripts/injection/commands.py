"""The commands that faults strike: their words, how they go on afterwards, and what they write without a fault."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from injection import processes
from injection.material import SETTINGS, make_material
from injection.points import Calls, count, counted
from injection.processes import Ended
from injection.whole import broken_files, differences, leftovers

Words = list[object]


@dataclass(frozen=True)
class Command:
    """A command, of a folder with the material and a folder for the results.

    Attributes:
        name: For the table.
        begin: Returns its words.
        options: With which it is called again after a fault.
    """

    name: str
    begin: Callable[[Path, Path], Words]
    options: Sequence[str]

    def words(self, given: Path, output: Path) -> Words:
        """Return the words of the first call."""
        return self.begin(given, output)

    def again(self, given: Path, output: Path) -> Words:
        """Return the words of a call after a fault."""
        return [*self.begin(given, output), *self.options]


def _engine(given: Path) -> Words:
    """Return the options of the network: PyTorch's survives a fork, and as little is computed as can be."""
    return ["--config", given / SETTINGS]


def _run(given: Path, output: Path) -> Words:
    exports = ("--export", "masks,overlay,prores,coco,report")
    return [
        "run",
        given / "clip.mp4",
        "--first-mask",
        given / "mask.png",
        *exports,
        "-o",
        output,
        "-q",
        *_engine(given),
    ]


def _keyframes(given: Path, output: Path) -> Words:
    exports = ("--export", "masks,overlay")
    return [
        "run",
        given / "clip.mp4",
        "--prompts",
        given / "prompts.json",
        *exports,
        "-o",
        output,
        "-q",
        *_engine(given),
    ]


def _image(given: Path, output: Path) -> Words:
    return ["image", given / "photos/0.jpg", given / "mask.png", given / "photos", "-o", output, "-q", *_engine(given)]


def _render(given: Path, output: Path) -> Words:
    return ["render", given / "clip.mp4", given / "masks", "--export", "masks,overlay,webm,yolo", "-o", output, "-q"]


def _mask(given: Path, output: Path) -> Words:
    files = ("-o", output / "mask.png", "--overlay", output / "overlay.jpg")
    return ["mask", given / "clip.mp4", "--box", "4,20,27,43", *files, *_engine(given)]


def _batch(given: Path, output: Path) -> Words:
    return ["batch", given / "clips.jsonl", "--export", "masks,coco", "-o", output, "-q", *_engine(given)]


COMMANDS = {
    each.name: each
    for each in (
        Command("run", _run, ("--resume",)),
        Command("keyframes", _keyframes, ("--resume",)),
        Command("image", _image, ("--resume",)),
        Command("render", _render, ("--overwrite",)),
        Command("mask", _mask, ("--overwrite",)),
        Command("batch", _batch, ("--resume",)),
    )
}


@dataclass
class Bench:
    """A folder in which commands are struck, with what they write without a fault.

    Attributes:
        folder: Of everything.
        given: The material.
        changes: How many calls of each command change files in its folder of results.
    """

    folder: Path
    changes: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.given = self.folder / "given"
        self.now = self.folder / "now" / "out"
        make_material(self.given)
        self.printed = self.folder / "printed"
        self.printed.mkdir()

    def expected(self, command: Command) -> Path:
        """Return what the command writes without a fault; done once, in this process, which remembers embeddings."""
        output = self.folder / "whole" / command.name
        if command.name not in self.changes:
            if command.name == "render":
                shutil.copytree(self.expected(COMMANDS["run"]) / "masks", self.given / "masks")
            output.parent.mkdir(exist_ok=True)
            count(output).take()
            from persam_vos.cli.app import main

            status = main([str(word) for word in command.words(self.given, output)])
            self.changes[command.name] = counted(Calls.CHANGES)
            count(self.printed).take()
            if status or broken_files(output) or leftovers(output):
                raise RuntimeError(f"{command.name}: fails without a fault: {status} {broken_files(output)}")
        return output

    def fresh(self) -> Path:
        """Return the folder of results for the next fault, which is not there yet."""
        shutil.rmtree(self.now.parent, ignore_errors=True)
        self.now.parent.mkdir()
        return self.now

    def call(self, words: Words, **options: object) -> Ended:
        """Run a command to its end; see ``processes.start``."""
        return processes.call(words, self.printed, **options)  # type: ignore[arg-type]

    def lost(self, command: Command, output: Path, *, same_parts: bool = True) -> list[str]:
        """Return in what the results differ from those without a fault, and what is left beside them."""
        left = [f"{name}: is left" for name in leftovers(output)]
        return [*differences(self.expected(command), output, same_parts=same_parts), *left]
