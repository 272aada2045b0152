"""Texts that no program has written as they are: settings, prompts and lists."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from persam_vos.errors import PromptError, SettingsError
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
    with pytest.raises(SettingsError, match="more than 1 MiB"):
        load_settings(Path("/dev/zero"), {})
