"""From the prior to masks, with a decoder that answers as it is told."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from cells import Following
from pictures import frame_of, iou

from persam_vos.masks import LabelMap
from persam_vos.media.frame import Frame
from persam_vos.methods.memory import MemoryVideo
from persam_vos.sam.decoder import Decoder
from persam_vos.sam.encoder import ImageEmbedding
from persam_vos.sam.geometry import Geometry
from persam_vos.sam.prompts import OUTSIDE_LOGIT, Candidates, Prompts
from persam_vos.settings.video import TrackerSettings
from persam_vos.video.tracker import Tracker


def one_square() -> tuple[ImageEmbedding, LabelMap, Frame]:
    """A square of ten by ten cells, on features that tell it from the rest without fail."""
    kinds = torch.zeros(64, 64, dtype=torch.long)
    kinds[20:30, 10:20] = 1
    label_map = np.zeros((1024, 1024), np.uint8)
    label_map[320:480, 160:320] = 1
    embedding = ImageEmbedding(torch.eye(256)[kinds].permute(2, 0, 1).contiguous(), Geometry(1024, 1024))
    return embedding, label_map, frame_of(np.zeros((1024, 1024, 3), np.uint8))


class Answering(Decoder):
    """A decoder that writes down what it is asked, and always gives the same four candidates, or four per object."""

    dtype = torch.float32

    def __init__(self, logits: torch.Tensor, predicted_iou: Sequence[float]) -> None:
        every = logits if logits.ndim == 4 else logits[None]
        self._answer = Candidates(every, torch.tensor([predicted_iou]), every[:, :0])
        self.asked: list[Prompts] = []

    def decode(self, embedding: ImageEmbedding, prompts: Prompts, *_: object, **__: object) -> Candidates:
        self.asked.append(prompts)
        many = len(prompts.points)
        logits = self._answer.logits.expand(many, -1, -1, -1)
        return Candidates(logits, self._answer.predicted_iou.expand(many, -1), logits[:, :0])


@pytest.mark.parametrize(("height", "width"), [(480, 854), (854, 480), (1080, 1920), (420, 1024)])
def test_the_border_of_the_frame_is_part_of_it(height: int, width: int) -> None:
    """What fills the frame is found up to its last row and column: the padding does not blur into them."""
    embedding = ImageEmbedding(
        torch.eye(256)[torch.zeros(64, 64, dtype=torch.long)].permute(2, 0, 1), Geometry(height, width)
    )
    frame = frame_of(np.zeros((height, width, 3), np.uint8))
    label_map = np.ones((height, width), np.uint8)
    rows, columns = Geometry(height, width).valid(256)
    picture = torch.full((4, 256, 256), OUTSIDE_LOGIT)
    picture[:, :rows, :columns] = 3.0
    tracker = Tracker.from_parts(
        None, Answering(picture, [1.0] * 4), TrackerSettings(mask_token=False, nearer_view=0, keep_first_mask=True)
    )  # type: ignore[arg-type]

    tracker.start(frame, label_map, embedding)

    assert tracker.step(frame, embedding).label_map.all()


def test_an_object_in_front_of_another_keeps_its_pixels() -> None:
    """The decoder gives the one behind the whole silhouette, and is less sure of the one in front."""
    kinds = torch.zeros(64, 64, dtype=torch.long)
    kinds[10:50, 20:36] = 1
    kinds[24:30, 25:31] = 2
    label_map = kinds.to(torch.uint8).repeat_interleave(16, 0).repeat_interleave(16, 1).numpy()
    embedding = ImageEmbedding(torch.eye(256)[kinds].permute(2, 0, 1).contiguous(), Geometry(1024, 1024))
    logits = torch.stack([torch.where(kinds > 0, 10.0, -10.0), torch.where(kinds == 2, -0.3, -10.0)])
    fine = logits.repeat_interleave(4, 1).repeat_interleave(4, 2)[:, None].expand(-1, 4, -1, -1)
    decoder = Answering(fine, [1.0] * 4)
    tracker = Tracker.from_parts(
        None, decoder, TrackerSettings(doubt=0, mask_token=False, nearer_view=0, keep_first_mask=True)
    )  # type: ignore[arg-type]
    frame = frame_of(np.zeros((1024, 1024, 3), np.uint8))

    tracker.start(frame, label_map, embedding)
    found = tracker.step(frame, embedding).label_map

    assert min(iou(found == i, label_map == i) for i in (1, 2)) > 0.8


@pytest.mark.parametrize(("doubt", "believed"), [(0.0, True), (TrackerSettings().doubt, False)])
def test_a_mask_that_leaves_the_prior_is_doubted(doubt: float, believed: bool) -> None:
    embedding, label_map, frame = one_square()
    everything = Answering(torch.full((4, 256, 256), 10.0), [1.0] * 4)
    settings = TrackerSettings(doubt=doubt, memory_presence=0, mask_token=False, nearer_view=0, keep_first_mask=True)
    tracker = Tracker.from_parts(None, everything, settings)  # type: ignore[arg-type]

    tracker.start(frame, label_map, embedding)
    found = tracker.step(frame, embedding).label_map == 1

    assert found.all() == believed
    assert believed or iou(found, label_map == 1) > 0.8


@pytest.mark.parametrize("temperature", [TrackerSettings().choice_temperature, 1e-6])
def test_candidates_are_mixed_only_with_their_equals(temperature: float) -> None:
    """Two that are nearly as good meet in the middle; what is worse has no say, even if it is sure of itself."""
    embedding, label_map, frame = one_square()
    logits = torch.full((4, 256, 256), -10.0)
    logits[:2, 80:120, 40:80] = 10.0
    logits[0, 80:120, 80:84] = logits[1, 80:120, 36:40] = 5.0  # a strip that each holds alone
    logits[2:, 200:, 200:] = 10.0
    settings = TrackerSettings(
        prior_share=0, doubt=0, choice_temperature=temperature, mask_token=False, nearer_view=0, keep_first_mask=True
    )
    method = MemoryVideo(None, Answering(logits, [0.9, 0.901, 1.0, 1.0]), settings)  # type: ignore[arg-type]

    result = Following.start(method, frame, embedding, label_map, [1]).step(frame, embedding)

    both_strips_are_gone = iou(result.label_map == 1, label_map == 1) > 0.95
    assert both_strips_are_gone == (temperature > 1e-3)
    assert not result.label_map[600:].any()
    assert result.evidence is not None
    assert result.evidence.features["predicted_iou"].tolist() == pytest.approx([0.9], abs=2e-3)


def test_passes_ask_different_questions() -> None:
    embedding, label_map, frame = one_square()
    decoder = Answering(torch.zeros(4, 256, 256), [1.0] * 4)
    tracker = Tracker.from_parts(
        None, decoder, TrackerSettings(passes=4, mask_token=False, nearer_view=0, keep_first_mask=True)
    )  # type: ignore[arg-type]

    tracker.start(frame, label_map, embedding)
    tracker.step(frame, embedding)

    assert [prompts.mask_logits is None for prompts in decoder.asked] == [False, True, False, False]
    boxes = [prompts.points[0, 1:].flatten() for prompts in decoder.asked]
    side = float(boxes[0][2] - boxes[0][0])
    assert 150 < side < 180
    growths = [float(box[2] - box[0]) / side - 1 for box in boxes]
    assert growths == pytest.approx([0, 0, 0.2, 0.1], abs=1e-4)
