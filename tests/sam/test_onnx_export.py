"""A cached export is used only if it is whole, and done without where it cannot be written."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
import torch

from persam_vos.media.frame import Frame
from persam_vos.sam.backends import BackendName, onnx_export, open_backend
from persam_vos.sam.encoder import SamEncoder
from persam_vos.sam.networks.sam import Sam

CPU = torch.device("cpu")
ENGINES = [name for name in ("onnxruntime", "openvino") if importlib.util.find_spec(name)]


@pytest.mark.parametrize("name", ENGINES[:1])
def test_an_export_is_made_once(
    name: BackendName, sam: Sam, wide: Frame, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (first,) = SamEncoder(sam, open_backend(name, sam, CPU)).encode([wide])
    (export,) = (cache / "exports").iterdir()
    monkeypatch.setattr(onnx_export, "_export", None)

    (second,) = SamEncoder(sam, open_backend(name, sam, CPU)).encode([wide])

    assert torch.equal(first.features, second.features)
    assert export.suffix == ".onnx"


@pytest.mark.parametrize("left", [0, 20, 40, -1])
def test_a_damaged_export_is_made_anew(left: int, cache: Path) -> None:
    pytest.importorskip("onnx")
    network, inputs = torch.nn.Linear(4, 4), {"x": torch.zeros(1, 4)}
    first = onnx_export.onnx_export_of(network, inputs)
    (export,) = (cache / "exports").iterdir()
    whole = export.read_bytes()
    export.write_bytes(whole[:left])

    second = onnx_export.onnx_export_of(network, inputs)

    assert second == first
    assert export.read_bytes() == whole
    assert list((cache / "exports").iterdir()) == [export]


@pytest.mark.parametrize("name", ENGINES[:1])
def test_a_cache_that_cannot_be_written_is_done_without(name: BackendName, sam: Sam, wide: Frame, cache: Path) -> None:
    (cache / "exports").write_text("a file where the folder should be")

    (embedding,) = SamEncoder(sam, open_backend(name, sam, CPU)).encode([wide])

    assert torch.isfinite(embedding.features).all()
