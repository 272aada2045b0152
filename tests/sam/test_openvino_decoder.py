"""The mask decoder by OpenVINO says what PyTorch says."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch

from persam_vos.pipeline.record import run_record
from persam_vos.sam.backends import openvino_decoder
from persam_vos.sam.backends.openvino_core import compiled, computes_in_bfloat16
from persam_vos.sam.backends.openvino_decoder import OpenVinoMaskDecoderBackend
from persam_vos.sam.backends.select import open_backend
from persam_vos.sam.decoder import Decoder
from persam_vos.sam.encoder import ImageEmbedding
from persam_vos.sam.engine import Engine
from persam_vos.sam.geometry import Geometry
from persam_vos.sam.networks.sam import Sam
from persam_vos.sam.prompts import Candidates, Guidance, Prompts
from persam_vos.sam.regions import Region
from persam_vos.settings.common import EngineSettings

pytest.importorskip("openvino")
pytest.importorskip("onnx")
pytestmark = pytest.mark.usefixtures("exports_of_this_file")

POINTS = torch.tensor([[[100.0, 50.0], [400.0, 300.0]], [[853.0, 479.0], [0.0, 0.0]], [[10.0, 470.0], [700.0, 8.0]]])
LABELS = torch.tensor([[1, 1], [1, 0], [0, 1]])
BOXES = torch.tensor([[10.0, 20.0, 300.0, 400.0], [0.0, 0.0, 854.0, 480.0], [500.0, 100.0, 510.0, 130.0]])
WINDOWS = [Region.at(0, 0, 36, 64), Region.at(3, 8, 24, 32), Region.at(3, 0, 24, 32)]


@pytest.fixture(scope="module")
def ours(sam: Sam) -> Decoder:
    return Decoder(sam, backend=OpenVinoMaskDecoderBackend(sam, "float32"))


@pytest.fixture(scope="module")
def embedding() -> ImageEmbedding:
    generator = torch.Generator().manual_seed(0)
    return ImageEmbedding(0.1 * torch.randn(256, 64, 64, generator=generator), Geometry(480, 854))


def told(masked: bool) -> Prompts:
    prompts = Prompts(POINTS, LABELS).with_boxes(BOXES, torch.ones(3, dtype=torch.bool))
    if not masked:
        return prompts
    return prompts.with_mask(10 * torch.randn(3, 256, 256, generator=torch.Generator().manual_seed(1)))


def assert_same(found: Candidates, expected: Candidates) -> None:
    torch.testing.assert_close(found.logits, expected.logits, atol=1e-3, rtol=1e-3)
    torch.testing.assert_close(found.extra_logits, expected.extra_logits, atol=1e-3, rtol=1e-3)
    torch.testing.assert_close(found.predicted_iou, expected.predicted_iou, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("windows", [None, WINDOWS])
@pytest.mark.parametrize("own", [0, 1, 32])
@pytest.mark.parametrize("masked", [False, True])
def test_it_answers_like_pytorch(
    masked: bool, own: int, windows: list[Region] | None, decoder: Decoder, ours: Decoder, embedding: ImageEmbedding
) -> None:
    tokens = torch.randn(3, own, decoder.token_size, generator=torch.Generator().manual_seed(2)) if own else None

    expected, found = (
        each.decode(embedding, told(masked), windows=windows, extra_tokens=tokens) for each in (decoder, ours)
    )

    assert_same(found, expected)


def test_in_bfloat16_it_says_nearly_the_same(sam: Sam, decoder: Decoder, embedding: ImageEmbedding) -> None:
    half = Decoder(sam, backend=OpenVinoMaskDecoderBackend(sam, "bfloat16"))

    expected, found = (each.decode(embedding, told(True), windows=WINDOWS) for each in (decoder, half))

    if computes_in_bfloat16():
        assert not torch.equal(found.logits, expected.logits)
    assert float((found.logits - expected.logits).norm() / expected.logits.norm()) < 0.05
    assert half.precision == "bfloat16"


def test_a_signal_is_heard_after_networks_are_gone() -> None:
    program = """
import signal
import torch
from persam_vos.sam.backends.onnx_export import onnx_export_of
from persam_vos.sam.backends.openvino_core import compiled
export = onnx_export_of(torch.nn.Linear(4, 4), {"x": torch.zeros(1, 4)})
first, second = (compiled(export, "float32", threads=1) for _ in range(2))
del first
del second
signal.signal(signal.SIGINT, lambda *_: print("heard"))
signal.raise_signal(signal.SIGINT)
"""

    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)

    assert (ended.returncode, ended.stdout) == (0, "heard\n"), ended.stderr


def test_what_persam_guides_is_left_to_pytorch(decoder: Decoder, ours: Decoder, embedding: ImageEmbedding) -> None:
    guidance = Guidance(torch.linspace(0, 1, 4096).reshape(1, 64, 64).repeat(3, 1, 1), torch.ones(3, 256))

    expected, found = (each.decode(embedding, told(False), guidance) for each in (decoder, ours))

    assert torch.equal(found.logits, expected.logits)
    assert not torch.allclose(found.logits, ours.decode(embedding, told(False)).logits)


def test_an_answer_is_not_written_over_by_the_next(ours: Decoder, embedding: ImageEmbedding) -> None:
    first = ours.decode(embedding, told(True), windows=WINDOWS)
    kept = first.logits.clone(), first.predicted_iou.clone()
    other = ImageEmbedding(embedding.features.flip(0), embedding.geometry)

    ours.decode(other, told(True), windows=WINDOWS)

    assert torch.equal(first.logits, kept[0])
    assert torch.equal(first.predicted_iou, kept[1])


def test_no_object_hangs_on_the_others(ours: Decoder, embedding: ImageEmbedding) -> None:
    together = ours.decode(embedding, told(True), windows=WINDOWS)
    prompts = told(True)
    assert prompts.mask_logits is not None

    for i in range(3):
        one = Prompts(prompts.points[[i]], prompts.labels[[i]], prompts.mask_logits[[i]])
        alone = ours.decode(embedding, one, windows=[WINDOWS[i]])
        assert torch.equal(alone.logits[0], together.logits[i])


def test_several_threads_may_ask(ours: Decoder, embedding: ImageEmbedding) -> None:
    embeddings = [ImageEmbedding(embedding.features.roll(i, 0), embedding.geometry) for i in range(6)]
    expected = [ours.decode(each, told(True), windows=WINDOWS).logits for each in embeddings]

    with ThreadPoolExecutor(3) as pool:
        found = list(pool.map(lambda each: ours.decode(each, told(True), windows=WINDOWS).logits, embeddings))

    # Each thread has its own number of threads, and with it its rounding.
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, atol=1e-3, rtol=1e-3)


def test_it_is_made_ready_beforehand_and_once(
    sam: Sam, embedding: ImageEmbedding, monkeypatch: pytest.MonkeyPatch
) -> None:
    ready = Decoder(sam, backend=OpenVinoMaskDecoderBackend(sam, "float32"))

    ready.warm_up()

    # Whatever is loaded from now on fails.
    monkeypatch.setattr(openvino_decoder, "onnx_export_of", None)
    monkeypatch.setattr(openvino_decoder, "compiled", None)
    assert ready.decode(embedding, told(True)).logits.shape == (3, 4, 256, 256)
    with pytest.raises(TypeError):
        ready.decode(embedding, told(False))


def test_networks_may_be_exported_at_the_same_time(
    sam: Sam, embedding: ImageEmbedding, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in the first run of all, whose cache is empty: PyTorch exports one network at a time."""
    monkeypatch.setenv("PERSAM_VOS_CACHE", str(tmp_path))
    decoder = Decoder(sam, backend=OpenVinoMaskDecoderBackend(sam, "float32"))
    backend = open_backend("openvino", sam, torch.device("cpu"), "float32")

    decoder.warm_up()
    (outputs,) = backend.run(torch.zeros(1, 3, 176, 1024))

    assert outputs[0].shape == (256, 64, 64)
    assert decoder.decode(embedding, told(True)).logits.shape == (3, 4, 256, 256)
    assert len(list((tmp_path / "exports").iterdir())) == 2


def test_a_request_that_failed_is_not_used_again(ours: Decoder, embedding: ImageEmbedding) -> None:
    expected = ours.decode(embedding, told(True), windows=WINDOWS).logits
    bad = told(True).with_mask(torch.zeros(3, 252, 256))

    with pytest.raises(RuntimeError):
        ours.decode(embedding, bad)

    assert torch.equal(ours.decode(embedding, told(True), windows=WINDOWS).logits, expected)


@pytest.mark.parametrize("threads", [1, 2])
def test_it_has_as_many_threads_as_pytorch(
    threads: int, sam: Sam, embedding: ImageEmbedding, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoding = OpenVinoMaskDecoderBackend(sam, "float32")
    asked: list[int] = []

    def noted(export: bytes, precision: str, threads: int, **others: int) -> object:
        asked.append(threads)
        return compiled(export, precision, threads, **others)

    monkeypatch.setattr(openvino_decoder, "compiled", noted)
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)

    for _ in range(2):
        Decoder(sam, backend=decoding).decode(embedding, told(True), windows=WINDOWS)

    assert asked == [threads]


def test_an_export_that_cannot_be_made_is_an_error_where_it_is_needed(
    sam: Sam, embedding: ImageEmbedding, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> bytes:
        raise RuntimeError("no export")

    monkeypatch.setattr("persam_vos.sam.backends.openvino_decoder.onnx_export_of", broken)
    unable = Decoder(sam, backend=OpenVinoMaskDecoderBackend(sam, "float32"))

    with pytest.raises(RuntimeError, match="no export"):
        unable.warm_up()
    with pytest.raises(RuntimeError, match="no export"):
        unable.decode(embedding, told(True))


def test_the_engine_has_it_where_openvino_encodes() -> None:
    engine = Engine(EngineSettings(backend="openvino", precision="float32"), square=False)
    other = Engine(EngineSettings(backend="torch"), square=False)

    assert isinstance(engine.decoder._backend, OpenVinoMaskDecoderBackend)
    assert not isinstance(other.decoder._backend, OpenVinoMaskDecoderBackend)
    record = run_record(engine, {}, {}).contents()
    assert record["decoder_precision"] == record["guided_decoder_precision"] == "float32"
