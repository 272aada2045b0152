"""Texts that no program has written as they are: settings, prompts and lists."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path

import pytest

from persam_vos.cli.status import say
from persam_vos.errors import PromptError, SettingsError
from persam_vos.prompts.points import as_point
from persam_vos.prompts.prompts_json import read_prompts
from persam_vos.settings import load_settings
from persam_vos.text_files import read_text


def test_a_name_that_is_too_long_for_a_file_is_no_background(tmp_path: Path) -> None:
    config = tmp_path / "settings.yaml"
    config.write_text(f"background: {'a' * 10_000}\n")

    with pytest.raises(SettingsError, match="must be a colour"):
        load_settings(config, {})


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no pipes with names")
def test_a_pipe_is_read_once_somebody_writes(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=lambda: pipe.write_text("seed: 1\n"))
    writer.start()

    assert read_text(pipe) == "seed: 1\n"
    writer.join()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no pipes with names")
def test_a_pipe_that_nobody_writes_into_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("persam_vos.text_files._SECONDS_FOR_A_WRITER", 0.1)
    pipe = tmp_path / "prompts.json"
    os.mkfifo(pipe)

    with pytest.raises(PromptError, match="pipe that nobody has written into"):
        read_prompts(pipe)


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="this system has no such device")
def test_a_device_without_an_end_is_refused() -> None:
    with pytest.raises(SettingsError, match="more than 64 KiB"):
        load_settings(Path("/dev/zero"), {})


@pytest.mark.parametrize("end", ["export: *j", "prior_share: *j", "k: &x [*x]"])
def test_settings_that_name_their_own_parts_again_and_again_are_refused(tmp_path: Path, end: str) -> None:
    parts = [
        f"{name}: &{name} [{', '.join([f'*{before}'] * 9)}]"
        for before, name in zip("abcdefghi", "bcdefghij", strict=True)
    ]
    config = tmp_path / "settings.yaml"
    config.write_text("\n".join(["a: &a [x]", *parts, end]))

    with pytest.raises(SettingsError, match="names its own parts again and again"):
        load_settings(config, {})


def test_a_setting_may_name_another_one(tmp_path: Path) -> None:
    config = tmp_path / "settings.yaml"
    config.write_text("prior_share: &share 0.25\ndoubt: *share\n")

    assert load_settings(config, {}).doubt == 0.25


def test_a_long_file_of_prompts_is_refused_without_a_search_for_the_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("persam_vos.prompts.prompts_json._MAX_SEARCHED", 100)
    monkeypatch.setattr("yaml.compose", None)
    path = tmp_path / "prompts.json"
    path.write_text(json.dumps({"version": 1, "prompts": [{"frame": 0, "object": 1, "box": [0]}], "video": "a" * 100}))

    with pytest.raises(PromptError, match=r"prompts\.json: box is \[0\]"):
        read_prompts(path)


def test_a_number_that_is_no_float_is_no_place_of_a_point() -> None:
    with pytest.raises(PromptError, match="allowed: X,Y"):
        as_point([10**400, 0])


def test_no_control_character_of_a_name_reaches_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    say("a\x1b[31mb\x07\x9b is\n no file")

    assert capsys.readouterr().err == "persam-vos: a\\x1b[31mb\\x07\\x9b is no file\n"
