"""Checkpoints: the registry, where files lie, and what is told of them. How they arrive is in test_download.py."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

import pytest

from persam_vos.errors import CheckpointError
from persam_vos.files import cache_dir
from persam_vos.sam.checkpoints import registry as checkpoints
from persam_vos.sam.checkpoints.registry import (
    BUNDLED_SHA256,
    CHECKPOINTS,
    OFFICIAL_MOBILE_SAM,
    Checkpoint,
    checkpoint_path,
    list_checkpoints,
    resolve_checkpoint,
    verify_checkpoint,
)

CONTENT = b"stands for weights"
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture(autouse=True)
def _own_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("PERSAM_VOS_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def cached(monkeypatch, tmp_path) -> Path:
    """Return where a small stand-in for the checkpoint of ``vit_b`` belongs."""
    entry = Checkpoint("vit_b", "weights.pth", "https://127.0.0.1/weights.pth", SHA256, len(CONTENT))
    monkeypatch.setattr(checkpoints, "CHECKPOINTS", {**CHECKPOINTS, "vit_b": entry})
    (tmp_path / "cache").mkdir()
    return tmp_path / "cache" / "weights.pth"


def test_the_registry_is_complete_and_secure():
    assert list(CHECKPOINTS) == ["mobile_sam", "vit_b", "vit_l", "vit_h"]
    for entry in (*CHECKPOINTS.values(), OFFICIAL_MOBILE_SAM):
        assert len(entry.sha256) == 64
        assert int(entry.sha256, 16) >= 0
        assert entry.bundled == (entry.url is None)
        if entry.url is not None:
            assert entry.url.startswith("https://")
            assert entry.url.endswith("/" + entry.filename)
            assert entry.size_bytes


def test_the_bundled_checkpoint_is_the_one_that_the_registry_names():
    status = verify_checkpoint("mobile_sam")
    assert status.state == "bundled"
    assert status.sha256 == BUNDLED_SHA256
    assert status.intact is True


def test_listing_models_does_not_import_torch():
    code = (
        "import sys; from persam_vos.sam.checkpoints.registry import list_checkpoints; "
        "list_checkpoints(); print('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"


def test_the_cache_follows_its_variable(tmp_path):
    assert cache_dir() == tmp_path / "cache"
    assert checkpoint_path("vit_h") == tmp_path / "cache" / "sam_vit_h_4b8939.pth"


@pytest.mark.skipif(sys.platform != "linux", reason="the XDG folders are those of Linux")
def test_without_its_variable_the_cache_follows_the_platform(monkeypatch, tmp_path):
    monkeypatch.setenv("PERSAM_VOS_CACHE", "")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_dir() == tmp_path / "xdg" / "persam-vos"
    monkeypatch.setenv("XDG_CACHE_HOME", "")
    assert cache_dir() == tmp_path / ".cache" / "persam-vos"


def test_a_chosen_file_wins_over_everything(tmp_path):
    chosen = tmp_path / "mine.pth"
    chosen.write_bytes(b"anything")
    assert resolve_checkpoint("mobile_sam", chosen) == chosen
    assert resolve_checkpoint("vit_h", chosen) == chosen


def test_a_chosen_file_must_be_a_file(tmp_path):
    with pytest.raises(CheckpointError, match=r"absent\.pth does not exist"):
        resolve_checkpoint("vit_b", tmp_path / "absent.pth")
    with pytest.raises(CheckpointError, match="is a folder"):
        resolve_checkpoint("vit_b", tmp_path)


def test_an_unknown_model_names_the_known_ones():
    with pytest.raises(CheckpointError, match="no model 'vit_g'; choose one of mobile_sam, vit_b, vit_l, vit_h"):
        resolve_checkpoint("vit_g")


def test_a_bundled_file_is_used_where_it_lies_and_missed_if_it_is_gone(monkeypatch, tmp_path):
    monkeypatch.setattr(checkpoints, "WEIGHTS_DIR", tmp_path)
    with pytest.raises(CheckpointError, match=r"mobile_sam\.safetensors is missing.*reinstall"):
        resolve_checkpoint("mobile_sam")
    assert verify_checkpoint("mobile_sam").state == "missing"
    (tmp_path / "mobile_sam.safetensors").write_bytes(b"weights")
    assert resolve_checkpoint("mobile_sam") == tmp_path / "mobile_sam.safetensors"


def test_the_list_tells_what_is_here_without_reading_it(monkeypatch, tmp_path, cached):
    monkeypatch.setattr(checkpoints, "WEIGHTS_DIR", tmp_path)
    (tmp_path / "mobile_sam.safetensors").write_bytes(b"weights")
    cached.write_bytes(CONTENT)
    first, second, third, _ = list_checkpoints()
    assert (first.state, first.size_bytes, first.intact) == ("bundled", 7, None)
    assert (second.state, second.size_bytes, second.intact) == ("cached", len(CONTENT), None)
    assert (third.state, third.size_bytes, third.intact) == ("not downloaded", 1_249_524_607, None)
    cached.write_bytes(CONTENT[1:])
    assert list_checkpoints()[1].intact is False


def test_verifying_tells_intact_damaged_absent_and_unknown(cached, tmp_path):
    assert verify_checkpoint("vit_b").state == "not downloaded"
    cached.write_bytes(CONTENT)
    by_name = verify_checkpoint("vit_b")
    assert (by_name.state, by_name.intact, by_name.sha256) == ("cached", True, SHA256)
    copy = tmp_path / "copy.bin"
    copy.write_bytes(CONTENT)
    by_path = verify_checkpoint(copy)
    assert (by_path.state, by_path.model, by_path.intact) == ("file", "vit_b", True)
    cached.write_bytes(CONTENT[::-1])
    assert verify_checkpoint("vit_b").intact is False
    assert verify_checkpoint(str(cached)).intact is False
    copy.write_bytes(b"my own")
    own = verify_checkpoint(copy)
    assert (own.model, own.intact, own.size_bytes) == (None, None, 6)


def test_verifying_what_is_not_there_names_the_choices(tmp_path):
    with pytest.raises(CheckpointError, match="neither a model nor a file; the models are mobile_sam, vit_b"):
        verify_checkpoint("vit_g")
    with pytest.raises(CheckpointError, match="is a folder"):
        verify_checkpoint(tmp_path)
