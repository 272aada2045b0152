"""What an earlier run's record allows to go on with."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest

import persam_vos
from persam_vos.errors import OutputError
from persam_vos.exports.run_record import versions
from persam_vos.photos.resume import check_resumable


def record() -> dict[str, Any]:
    reference = {"photo_sha256": "a", "mask_sha256": "b", "resize_mask": False, "mask_threshold": None}
    reference |= {"invert_mask": False, "mask_ids": None}
    return {
        "settings": {"method": "memory", "presence": 0.5, "device": "cpu"},
        "checkpoint": {"sha256": "c"},
        "versions": {"persam-vos": "0.2.0"},
        "references": [reference],
    }


def checked(folder: Path, earlier: dict[str, Any], now: dict[str, Any]) -> None:
    (folder / "run.json").write_text(json.dumps(earlier))
    check_resumable(folder, now)


def test_the_same_run_goes_on_on_another_device(tmp_path: Path) -> None:
    now = record()
    now["settings"]["device"] = "cuda"

    checked(tmp_path, record(), now)


def test_another_version_is_the_reason_named(tmp_path: Path) -> None:
    earlier = copy.deepcopy(record())
    earlier["versions"]["persam-vos"] = "0.1.0"
    del earlier["settings"]["presence"], earlier["references"][0]["resize_mask"]

    with pytest.raises(OutputError, match=r"made with version 0\.1\.0 of persam-vos, this one is 0\.2\.0; resume"):
        checked(tmp_path, earlier, record())


def test_a_setting_that_one_record_lacks_is_no_difference(tmp_path: Path) -> None:
    now = record()
    now["settings"]["target_cell_share"] = 0.3
    checked(tmp_path, record(), now)

    now["settings"]["presence"] = 0.7
    with pytest.raises(OutputError, match=r"made with presence 0\.5, this run has 0\.7; resume"):
        checked(tmp_path, record(), now)


def test_a_record_names_the_version_that_runs() -> None:
    assert versions()["persam-vos"] == persam_vos.__version__
