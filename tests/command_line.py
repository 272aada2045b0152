"""The command line in this process: what it prints, and its exit status."""

from __future__ import annotations

import io
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from persam_vos.cli.app import main


class Answer(NamedTuple):
    status: int
    out: str
    err: str


Command = Callable[..., Answer]


def call(*arguments: object) -> Answer:
    """Run ``persam-vos`` with these words."""
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        status = main([*map(str, arguments)])
    return Answer(status, out.getvalue(), err.getvalue())


def one_line(answer: Answer, *parts: str) -> None:
    """Check that misuse is answered by one line that has these parts."""
    assert answer.status == 2, answer
    assert answer.out == ""
    (line,) = answer.err.splitlines()
    assert line.startswith("persam-vos: ")
    for part in parts:
        assert part in line, line


def save(path: Path, picture: np.ndarray, **options: Any) -> Path:
    """Write a picture, and the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(picture).save(path, **options)
    return path
