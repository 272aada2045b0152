"""``scripts/fuzz.py``: the same seed gives the same files, and each thing that must not happen is found."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from random import Random

import pytest
from fuzzing.changes import (
    damage_boxes,
    damage_bytes,
    damage_json,
    damage_lines,
    damage_png,
    damage_riff,
    damage_safetensors,
    damage_text,
    damage_zip,
)
from fuzzing.films_and_pictures import film, label_pngs, photos
from fuzzing.seeds import checkpoints, configs, mask_files_of_json, prompts, tracks

SCRIPTS = Path(__file__).parents[2] / "scripts"
WHOLE = {
    damage_boxes: film(),
    damage_bytes: b"some bytes",
    damage_json: prompts()[0][0],
    damage_lines: tracks()[0][0],
    damage_png: label_pngs()[0][0],
    damage_riff: next(data for data, damage in photos() if damage is damage_riff),
    damage_safetensors: checkpoints()[0][0],
    damage_text: configs()[0][0],
    damage_zip: next(data for data, damage in checkpoints() if damage is damage_zip),
}
# What reads a file in a process of its own, and what is said of it.
READS = {
    "read": "None",
    "refused": "refuse()",
    "traceback": "{}['a']",
    "crash": "os.kill(os.getpid(), signal.SIGSEGV)",
    "hang": "time.sleep(60)",
    "memory": "bytearray(200 << 20).count(1)",
    "code run": "os.system('true')",
    "touched": "open('../canary/secret.mp4', 'w')",
}
PROGRAM = """
import json, os, signal, sys, time
from collections import deque
from pathlib import Path
from fuzzing.campaign import Campaign, Limits
from fuzzing.kinds import Kind
from persam_vos.errors import MaskError

def refuse():
    raise MaskError("refused")

reads = json.loads(sys.argv[2])
kinds = [Kind(name, "file", lambda: [(b"", None)], lambda path, read=read: eval(read)) for name, read in reads.items()]
found = {}
campaign = Campaign(Path(sys.argv[1]), Limits(1.0, 100 << 20), 2, lambda kind, index, verdict: found.update(
    {f"{kind.name} {index}": verdict.outcome}))
campaign.run([(kind, lambda index: b"", deque([0, 1])) for kind in kinds])
print(json.dumps(found))
"""


@pytest.mark.parametrize("damage", WHOLE, ids=lambda damage: damage.__name__)
def test_damage_is_of_its_seed_alone(damage) -> None:
    whole = WHOLE[damage]

    once, again = ([damage(Random(f"1 {index}"), whole) for index in range(20)] for _ in range(2))

    assert once == again
    assert len({*once}) > 10


@pytest.mark.parametrize("make", [photos, checkpoints, mask_files_of_json], ids=lambda make: make.__name__)
def test_whole_files_are_the_same_in_every_run(make) -> None:
    assert [data for data, _ in make()] == [data for data, _ in make()]
    assert film() == film()


@pytest.mark.skipif(sys.platform != "linux", reason="processes are forked and watched as on Linux")
def test_each_thing_that_must_not_happen_is_found(tmp_path: Path) -> None:
    command = [sys.executable, "-c", PROGRAM, str(tmp_path / "work"), json.dumps(READS)]

    done = subprocess.run(command, cwd=SCRIPTS, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {f"{name} {index}": name for name in READS for index in (0, 1)}
