"""A folder of results belongs to one process at a time, and nothing of that is left."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from persam_vos.errors import OutputError
from persam_vos.locks import FolderLock, written_alone

HOLD = """
import sys, time
from pathlib import Path
from persam_vos.locks import written_alone
with written_alone(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_nothing_is_left_of_a_lock(tmp_path: Path) -> None:
    with written_alone(tmp_path / "out"):
        assert [path.name for path in (tmp_path / "out").iterdir()] == [".lock.partial"]

    assert list((tmp_path / "out").iterdir()) == []
    with written_alone(tmp_path / "out"):
        pass


def test_another_process_is_refused_until_the_first_one_dies(tmp_path: Path) -> None:
    holding = [sys.executable, "-c", HOLD, str(tmp_path)]
    with subprocess.Popen(holding, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        said = re.escape(f"{tmp_path}: is being written by another run (process {other.pid}); wait for its end")
        with pytest.raises(OutputError, match=said), written_alone(tmp_path):
            pass
        other.kill()

    assert (tmp_path / ".lock.partial").exists()
    with written_alone(tmp_path):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_lock_that_was_removed_is_taken_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One process opens the file, another one removes it: holding a file without a name would keep nobody out."""
    removed = []
    has_its_name = FolderLock._has_its_name

    def remove_once(lock: FolderLock) -> bool:
        if not removed:
            removed.append(True)
            (tmp_path / "lock").unlink()
        return has_its_name(lock)

    monkeypatch.setattr(FolderLock, "_has_its_name", remove_once)
    lock = FolderLock(tmp_path, "lock", "is held{by}")

    assert (tmp_path / "lock").read_text() == f"{os.getpid()}\n"
    with pytest.raises(OutputError, match=f"is held .process {os.getpid()}."):
        FolderLock(tmp_path, "lock", "is held{by}")
    lock.remove()


def test_a_lock_is_no_results(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="is a file"), written_alone(Path(__file__)):
        pass
    (tmp_path / ".lock.partial").mkdir()
    with pytest.raises(OutputError, match=r"\.lock\.partial: cannot be written"), written_alone(tmp_path):
        pass
