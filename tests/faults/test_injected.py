"""A few faults of each kind, of a fixed seed, struck at real processes; scripts/faults.py strikes many."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "faults.py"
KINDS = (
    "kill-run", "kill-resume-keyframes", "kill-image", "kill-render", "kill-studio", "disk-full", "vanishing",
    "input-cut", "sigint", "two-runs", "state",
)  # fmt: skip

pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux") or shutil.which("cc") is None, reason="needs Linux and a C compiler"
)


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """The table of the script, by kind."""
    file = tmp_path_factory.mktemp("faults") / "rows.json"
    words = ["--only", ",".join(KINDS), "--count", "1", "--seed", "7", "--json", str(file)]
    ended = subprocess.run([sys.executable, str(SCRIPT), *words], capture_output=True, text=True, check=False)
    assert file.exists(), ended.stderr
    return {row["kind"]: row for row in json.loads(file.read_text(encoding="utf-8"))}


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_lost(rows: dict[str, dict[str, Any]], kind: str) -> None:
    assert rows[kind]["injected"] == 1
    assert rows[kind]["bad"] == []
    assert rows[kind]["broken"] == rows[kind]["frames_lost"] == rows[kind]["tracebacks"] == 0
