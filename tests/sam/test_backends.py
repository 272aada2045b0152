"""What runs the encoder: every backend gives PyTorch's numbers, whichever threads ask for how many pictures."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from pictures import frame_of

from persam_vos.errors import SettingsError
from persam_vos.media.frame import Frame
from persam_vos.sam.backends import openvino_encoder
from persam_vos.sam.backends import select as backends
from persam_vos.sam.backends.buffers import Buffers
from persam_vos.sam.backends.openvino_core import computes_in_bfloat16
from persam_vos.sam.backends.pytorch import TorchEncoderBackend
from persam_vos.sam.backends.select import open_backend
from persam_vos.sam.encoder import ImageEmbedding, SamEncoder
from persam_vos.sam.engine import Engine
from persam_vos.sam.networks.sam import Sam
from persam_vos.settings.common import EngineSettings

CPU = torch.device("cpu")
ENGINES = [name for name in ("onnxruntime", "openvino") if importlib.util.find_spec(name)]


pytestmark = pytest.mark.usefixtures("exports_of_this_file")


def blocks(embedding: ImageEmbedding) -> Sequence[torch.Tensor]:
    return embedding.features, *embedding.stages


@pytest.mark.parametrize("name", ENGINES)
def test_engines_give_pytorchs_numbers(name: backends.BackendName, sam: Sam, wide: Frame) -> None:
    (expected,) = SamEncoder(sam, TorchEncoderBackend(sam)).encode([wide])
    backend = open_backend(name, sam, CPU, "float32")

    first, second = SamEncoder(sam, backend).encode([wide, wide])

    assert backend.name == name
    for found, again, wanted in zip(blocks(first), blocks(second), blocks(expected), strict=True):
        # Rounded to half precision, numbers that are nearly the same may be one step apart.
        torch.testing.assert_close(found, wanted, atol=1e-4, rtol=2**-10)
        assert torch.equal(again, found)
    assert not any(module.training for module in sam.modules())  # as an export may leave them


@pytest.mark.parametrize("name", ["torch", "openvino"])
def test_bfloat16_changes_little(name: backends.BackendName, sam: Sam, wide: Frame) -> None:
    if name == "openvino":
        pytest.importorskip("openvino")
        if not computes_in_bfloat16():
            with pytest.raises(SettingsError, match="cannot compute in on this CPU"):
                open_backend(name, sam, CPU, "bfloat16")
            assert open_backend(name, sam, CPU).precision == "float32"
            return
    (expected,) = SamEncoder(sam, TorchEncoderBackend(sam)).encode([wide])
    backend = open_backend(name, sam, CPU, "bfloat16")

    (found,) = SamEncoder(sam, backend).encode([wide])

    assert backend.precision == "bfloat16"
    for half, whole in zip(blocks(found), blocks(expected), strict=True):
        assert half.dtype == torch.float32
        assert not torch.equal(half, whole)
        kept = whole.flatten(1).any(dim=0)
        likeness = torch.cosine_similarity(half.flatten(1)[:, kept], whole.flatten(1)[:, kept], dim=0)
        # PyTorch rounds the scores of attention as well.
        assert float(likeness.mean()) > (0.998 if name == "torch" else 0.999)


@pytest.mark.parametrize("name", ["torch", *ENGINES])
@pytest.mark.parametrize("upright", [False, True])
def test_what_was_handed_out_stays_as_it_is(name: backends.BackendName, upright: bool, sam: Sam, wide: Frame) -> None:
    pictures = [wide.rgb, np.full_like(wide.rgb, 90), wide.rgb[:, ::-1]]
    frames = [frame_of(np.ascontiguousarray(rgb.swapaxes(0, 1) if upright else rgb)) for rgb in pictures]
    encoder = SamEncoder(sam, open_backend(name, sam, CPU, "float32"))

    kept = [encoder.encode([frame])[0] for frame in frames]
    copies = [[block.clone() for block in blocks(embedding)] for embedding in kept]
    for frame in frames[::-1]:
        encoder.encode([frame])  # and dropped: its memory is used again

    for embedding, copied in zip(kept, copies, strict=True):
        assert embedding.features.shape == (256, 64, 64)
        assert not embedding.features[:, 20:, 20:].any()
        assert all(torch.equal(*pair) for pair in zip(blocks(embedding), copied, strict=True))
    assert not torch.equal(kept[0].features, kept[2].features)


def test_a_buffer_is_lent_again_once_nothing_refers_to_it() -> None:
    buffers = Buffers((2, 3))
    first, second = buffers.lend(), buffers.lend()
    first[:], second[:] = 1, 2
    part, other = torch.from_numpy(first)[0, 1:], second[:, :1]
    del first

    third = buffers.lend()
    assert not third.any()
    place = second.ctypes.data
    del second
    assert buffers.lend().ctypes.data != place
    del other
    again = buffers.lend()

    assert again.ctypes.data == place
    assert part.tolist() == [1, 1]
    del part
    assert buffers.lend().tolist() == [[1, 1, 1]] * 2


class Request:
    """Of an engine: knows whether it was waited for."""

    def __init__(self, fails: bool) -> None:
        self.fails, self.running, self.waited = fails, False, False

    def set_output_tensor(self, *_: object) -> None:
        assert not self.running

    def start_async(self, *_: object, **__: object) -> None:
        self.running = True

    def wait(self) -> None:
        self.running, self.waited = False, True
        if self.fails:
            raise RuntimeError("engine")


def test_whatever_fails_all_that_run_are_waited_for() -> None:
    pytest.importorskip("openvino")
    requests = [Request(fails=False), Request(fails=True), Request(fails=False)]
    made = iter(requests)
    outputs = [SimpleNamespace(shape=shape) for shape in ((1, 64, 64, 2), (1, 3, 3, 2))]
    run = openvino_encoder._OpenVinoRun(SimpleNamespace(outputs=outputs, create_infer_request=lambda: next(made)), 3)

    with pytest.raises(RuntimeError, match="engine"):
        run([np.zeros((1, 3, 4, 4), np.float32)] * 3)

    assert all(request.waited for request in requests)


@pytest.mark.parametrize("name", ENGINES[:1])
def test_a_few_sizes_of_picture_are_kept_ready(
    name: backends.BackendName, sam: Sam, wide: Frame, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("persam_vos.sam.backends.base.MAX_LOADED_SIZES", 1)
    backend = open_backend(name, sam, CPU)
    encoder = SamEncoder(sam, backend)
    (first,) = encoder.encode([wide])

    encoder.encode([frame_of(np.ascontiguousarray(wide.rgb.swapaxes(0, 1)))])
    assert len(backend._loaded) == 1  # type: ignore[attr-defined]
    (again,) = encoder.encode([wide])

    assert torch.equal(again.features, first.features)


@pytest.mark.parametrize("name", ENGINES)
def test_threads_may_ask_at_the_same_time(
    name: backends.BackendName, sam: Sam, wide: Frame, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    encoder = SamEncoder(sam, open_backend(name, sam, CPU))
    other = frame_of(np.full_like(wide.rgb, 90))
    expected = [each.features for each in encoder.encode([wide, other])]
    asked = [[0], [1, 0, 1], [0, 1], [1]] * 2

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda which: encoder.encode([(wide, other)[i] for i in which]), asked))

    for which, embeddings in zip(asked, found, strict=True):
        assert all(torch.equal(e.features, expected[i]) for i, e in zip(which, embeddings, strict=True))


@pytest.mark.parametrize("name", ENGINES)
@pytest.mark.parametrize("count", [1, 3])
def test_frames_encoded_at_once_are_as_alone(
    name: backends.BackendName, count: int, sam: Sam, wide: Frame, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With two threads: OpenVINO encodes two pictures side by side, and a third one after them."""
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    frames = [frame_of(np.roll(wide.rgb, 10 * i, axis=1)) for i in range(count)]
    alone = SamEncoder(sam, open_backend(name, sam, CPU, "float32"))
    together = SamEncoder(sam, open_backend(name, sam, CPU, "float32"))

    found = together.encode(frames)

    for frame, embedding in zip(frames, found, strict=True):
        (expected,) = alone.encode([frame])
        for one, other in zip(blocks(embedding), blocks(expected), strict=True):
            torch.testing.assert_close(one, other, atol=1e-5, rtol=0)


def test_onnxruntime_has_no_bfloat16(sam: Sam) -> None:
    pytest.importorskip("onnxruntime")
    with pytest.raises(SettingsError, match="which onnxruntime does not compute in"):
        open_backend("onnxruntime", sam, CPU, "bfloat16")


def test_auto_takes_the_fastest_that_is_installed(sam: Sam, monkeypatch: pytest.MonkeyPatch) -> None:
    installed = {"onnx", "openvino", "onnxruntime"}
    monkeypatch.setattr(backends.importlib.util, "find_spec", lambda name: name if name in installed else None)

    assert open_backend("auto", sam, CPU).name == "openvino"
    installed.remove("openvino")
    assert open_backend("auto", sam, CPU).name == "onnxruntime"
    installed.remove("onnx")
    assert open_backend("auto", sam, CPU).name == "torch"
    with pytest.raises(SettingsError, match=r"not installed: pip install 'persam-vos\[openvino\]'"):
        open_backend("openvino", sam, CPU)


def test_engines_are_for_mobile_sam_on_a_cpu(sam: Sam) -> None:
    other = Sam.__new__(Sam)
    torch.nn.Module.__init__(other)
    other.name, other.image_encoder = "vit_b", torch.nn.Identity()

    assert open_backend("auto", other, CPU).name == "torch"
    with pytest.raises(SettingsError, match="for vit_b on cpu use torch"):
        open_backend("onnxruntime", other, CPU)
    with pytest.raises(SettingsError, match="for mobile_sam on cuda use torch"):
        open_backend("openvino", sam, torch.device("cuda"))


@pytest.mark.parametrize(("name", "able"), [("openvino", True), ("openvino", False), ("torch", False)])
def test_the_decoder_computes_in_bfloat16_where_that_is_fast(
    name: backends.BackendName, able: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if name == "openvino":
        pytest.importorskip("openvino")
    monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: able)

    engine = Engine(EngineSettings(backend=name, device="cpu"), square=False)

    half = engine.precision == "bfloat16" and able
    assert engine.decoder.dtype == (torch.bfloat16 if half else torch.float32)
    assert engine.side_by_side == (name == "openvino")
    assert (engine.encoder is engine.batch_encoder) == (name == "torch")
    assert engine.batch_size >= 1


@pytest.mark.parametrize("asked", [1, 64])
def test_a_batch_on_a_cpu_is_as_asked_but_no_larger_than_is_good(asked: int) -> None:
    pytest.importorskip("openvino")

    engine = Engine(EngineSettings(backend="openvino", device="cpu", batch_size=asked), square=False)

    assert engine.batch_size == min(asked, torch.get_num_threads(), 4)


def test_embeddings_hold_what_half_precision_holds(sam: Sam, wide: Frame) -> None:
    (found,) = SamEncoder(sam, TorchEncoderBackend(sam)).encode([wide])

    for block in blocks(found):
        assert block.dtype == torch.float32
        assert (block == block.half().float()).all()
