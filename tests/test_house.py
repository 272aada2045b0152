"""The house: rooms stand on floors, say what they do, export what they name, and stay small."""

from __future__ import annotations

import importlib
import pkgutil
import re
import sys
from pathlib import Path

import pytest
from importlinter.cli import lint_imports

import persam_vos

if sys.version_info >= (3, 11):
    import tomllib
else:
    tomllib = pytest.importorskip("tomli")

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "persam_vos"
MODULES = sorted(
    module.name
    for module in pkgutil.walk_packages([str(PACKAGE)], "persam_vos.")
    if not module.name.endswith("__main__")
)
ROOMS = sorted(path.parent.relative_to(ROOT).as_posix().replace("/", ".") for path in PACKAGE.rglob("*/__init__.py"))


def test_rooms_import_only_from_the_floors_below() -> None:
    assert lint_imports(config_filename=str(ROOT / "pyproject.toml"), no_cache=True) == 0


def test_every_room_and_module_stands_on_a_floor() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    (layers,) = (c["layers"] for c in settings["tool"]["importlinter"]["contracts"] if c["type"] == "layers")
    floors = {name.strip() for layer in layers for name in layer.split("|")}

    assert floors == {name for name in MODULES if name.count(".") == 1}
    assert len(layers) <= 20


def test_what_everybody_uses_and_what_starts_fast_never_imports_torch() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    contracts = settings["tool"]["importlinter"]["contracts"]
    (sources,) = (c["source_modules"] for c in contracts if c.get("forbidden_modules") == ["torch"])
    rooms = {f"persam_vos.{room}" for room in ("media", "exports", "evaluation", "settings", "prompts")}

    front_hall = {f"persam_vos.{path.stem}" for path in PACKAGE.glob("*.py") if not path.stem.startswith("__")}
    assert set(sources) == front_hall | rooms


def test_the_front_hall_is_small() -> None:
    assert len(list(PACKAGE.glob("*.py"))) <= 10


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_says_what_comes_in_and_what_goes_out(room: str) -> None:
    doc = importlib.import_module(room).__doc__ or ""

    assert len(doc) > 60, doc
    assert len(re.findall(r"\.(?=\s|$)", doc)) <= 3, doc


@pytest.mark.parametrize("room", ["persam_vos", *ROOMS])
def test_a_room_exports_what_it_names(room: str) -> None:
    module = importlib.import_module(room)
    names = getattr(module, "__all__", [])

    assert len(set(names)) == len(names)
    assert [name for name in names if not hasattr(module, name)] == []


def test_files_stay_short() -> None:
    files = [*PACKAGE.rglob("*.py"), *(ROOT / "scripts").rglob("*.py")]
    lengths = {str(path.relative_to(ROOT)): len(path.read_text(encoding="utf-8").splitlines()) for path in files}

    assert {name: length for name, length in lengths.items() if length > 300} == {}


def test_the_package_has_a_version() -> None:
    assert re.fullmatch(r"\d+\.\d+\.\d+.*", persam_vos.__version__)
