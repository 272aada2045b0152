"""Warnings stay as they were outside, whichever threads are quiet at the same time."""

from __future__ import annotations

import threading
import warnings

import pytest
import torch

from persam_vos.quiet import quiet_warnings
from persam_vos.sam.backends import onnx_export


def test_an_export_and_a_photo_at_once_leave_warnings_as_they_were(monkeypatch: pytest.MonkeyPatch) -> None:
    """The export begins first and ends last; with filters of its own, it would restore those of the photo."""
    exporting, reading, exported = threading.Event(), threading.Event(), threading.Event()
    filters = list(warnings.filters)

    def export(*_: object, **__: object) -> None:
        exporting.set()
        reading.wait(0.5)

    def read_photo() -> None:
        exporting.wait(10)
        with quiet_warnings():
            reading.set()
            exported.wait(10)

    monkeypatch.setattr(torch.onnx, "export", export)
    photo = threading.Thread(target=read_photo)
    photo.start()
    onnx_export._export(torch.nn.Identity(), {"x": torch.zeros(1)}, {})
    exported.set()
    photo.join()

    assert warnings.filters == filters
