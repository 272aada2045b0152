"""What ``import persam_vos`` loads and offers, in a process of its own."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import persam_vos

HEAVY = ("torch", "numpy", "cv2", "PIL", "pydantic", "av", "scipy", "openvino", "typer", "yaml")


def loaded_by(*statements: str) -> set[str]:
    """Run statements in a fresh process, and return the modules that it has loaded."""
    code = "; ".join([*statements, "import sys", "print(*sys.modules)"])
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(run.stdout.split())


def test_importing_the_package_loads_nothing_heavy() -> None:
    loaded = loaded_by("import persam_vos", "dir(persam_vos)")

    assert not loaded.intersection(HEAVY)
    assert {name for name in loaded if name.startswith("persam_vos")} == {"persam_vos"}


def test_files_masks_and_settings_need_no_network() -> None:
    names = "open_video, read_mask, read_photo, Settings, PhotoSettings, score_davis, FrameResult, PersamVosError"

    assert "torch" not in loaded_by(f"from persam_vos import {names}")


@pytest.mark.parametrize("name", persam_vos.__all__)
def test_every_public_name_is_there(name: str) -> None:
    assert getattr(persam_vos, name) is not None
    assert name in dir(persam_vos)


def test_type_checkers_see_the_names_that_are_there() -> None:
    tree = ast.parse(Path(persam_vos.__file__).read_text())
    guarded = next(node for node in tree.body if isinstance(node, ast.If))
    seen = {alias.name: node.module for node in guarded.body for alias in node.names}  # type: ignore[attr-defined]

    assert seen == persam_vos._MODULE_OF
    assert persam_vos.__all__ == sorted([*seen, "__version__"])


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'persam_vos' has no attribute 'tracker'"):
        persam_vos.tracker  # noqa: B018
    with pytest.raises(ImportError, match="cannot import name 'trakc'"):
        from persam_vos import trakc  # noqa: F401
