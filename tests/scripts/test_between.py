"""between.py: settings of the preset ``quick`` from the command line."""

from __future__ import annotations

import sys
from pathlib import Path

import between
import pytest
from ablate import settings_of

from persam_vos.settings.video import TrackerSettings


def test_a_row_has_any_number_of_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    assert settings_of("flow_agreement=0.6,encode_every=2") == {"flow_agreement": 0.6, "encode_every": 2}

    tracked: list[TrackerSettings] = []
    command = f"between {Path()} --cache {Path()} --set flow_agreement=0.6,encode_every=2 --set passes=2"
    monkeypatch.setattr(sys, "argv", command.split())
    monkeypatch.setattr(between, "DavisDataset", lambda *_: None)
    monkeypatch.setattr(between, "sequences_of", lambda _: ["cat"])
    monkeypatch.setattr(between, "Job", lambda _data, _name, _kind, settings, _cache: settings)
    monkeypatch.setattr(between, "run", lambda settings, _workers: tracked.extend(settings) or {})
    monkeypatch.setattr(between, "run_between", lambda settings, _workers: tracked.extend(settings) or {})
    monkeypatch.setattr(between, "table", lambda _: [])
    monkeypatch.setattr(between, "zip", lambda *_, **__: [], raising=False)
    between.main()

    assert [(each.flow_agreement, each.encode_every, each.passes) for each in tracked[1:]] == [(0.6, 2, 2)]
