"""The networks of segment-anything are imported without the package around them."""

from __future__ import annotations

import importlib
import importlib.util
import subprocess
import sys

import pytest

from persam_vos.errors import MissingDependencyError
from persam_vos.sam.networks import segment_anything


def test_nothing_slow_is_imported() -> None:
    """A second of start-up: torchvision and PyTorch's compiler, of which nothing is used; what few runs need."""
    code = (
        "import sys, persam_vos.video.run; assert 'segment_anything' not in sys.modules;"
        "slow = ('torchvision', 'torch._dynamo', 'timm', 'matplotlib', 'openvino', 'scipy');"
        "print(*[name for name in slow if name in sys.modules])"
    )

    found = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)

    assert not found.stdout.strip()


def test_segment_anything_can_still_be_imported_whole() -> None:
    code = (
        "import persam_vos.sam.networks.sam, sys; assert 'segment_anything' not in sys.modules;"
        "import segment_anything; assert segment_anything.SamPredictor and segment_anything.modeling.Sam"
    )

    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)

    with pytest.raises(MissingDependencyError, match="segment-anything is not installed"):
        importlib.reload(segment_anything)
