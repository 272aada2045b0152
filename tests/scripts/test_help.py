"""Every script tells how it is used, with the packages of the development environment."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parents[2] / "scripts"
COMMANDS = sorted(
    path.relative_to(SCRIPTS).as_posix()
    for path in SCRIPTS.rglob("*.py")
    if 'if __name__ == "__main__":' in path.read_text(encoding="utf-8")
)


@pytest.mark.parametrize("command", COMMANDS)
def test_a_script_has_help(command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    path = SCRIPTS / command
    monkeypatch.setattr(sys, "argv", [str(path), "--help"])
    monkeypatch.syspath_prepend(str(path.parent))

    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(path), run_name="__main__")

    assert ended.value.code == 0
    assert "usage: " in capsys.readouterr().out


def test_every_experiment_is_in_the_index() -> None:
    index = (SCRIPTS / "experiments" / "README.md").read_text(encoding="utf-8")

    missing = [path.name for path in (SCRIPTS / "experiments").glob("*.py") if f"`{path.name}`" not in index]
    assert missing == []
