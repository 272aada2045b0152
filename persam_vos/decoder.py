"""Prompts and an embedding become mask candidates: SAM's prompt encoder and mask decoder."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from persam_vos.cells import Window
from persam_vos.encoder import ImageEmbedding
from persam_vos.frame import Geometry
from persam_vos.models.mask_decoder import (
    MaskDecoderNetwork,
    MaskDecoding,
    Question,
    TorchMaskDecoding,
    by_cell,
    laid_out,
)
from persam_vos.models.sam import CHANNELS, Sam

PADDING, POSITIVE, TOP_LEFT, BOTTOM_RIGHT = -1, 1, 2, 3

# Cells that are decoded at once, but one object at least: what a whole picture's cells need fills a CPU's caches, and
# more of them run slower there; small windows together are up to twice as fast.
_CELLS_AT_ONCE = {"cpu": 2304, "cuda": 16 * 4096}
# Logit of what was left out: padding, and what lies outside an object's window.
NO_PICTURE = -20.0
# A window reaches beyond an object by its own width and height, but by so many cells at most, and has so many cells at
# least. On nine sequences and three composites J&F is 0.05 and 0.01 below that without a most; with a most of eight
# cells, or half the object's size, it is 0.05 to 0.07 below.
_MOST_ROOM = 12
_LEAST_WINDOW = 24
# Sizes of windows go in steps, for several of one size to fit into a batch, and because an inference engine keeps some
# 4 MB for each size.
_STEP = 8


@dataclass(frozen=True, slots=True)
class Prompts:
    """What the decoder is told of N objects in one frame.

    Attributes:
        points: float, N x P x 2, (x, y) in pixels of the frame.
        labels: int, N x P: 1 positive, 0 negative, -1 no point at all, 2 and 3 the corners of a box.
        mask_logits: float, N x 256 x 256 over the padded square: what an earlier pass gave; None for the first pass.
    """

    points: Tensor
    labels: Tensor
    mask_logits: Tensor | None = None

    def with_points(self, points: Tensor, labels: Tensor) -> Prompts:
        """Add points, float N x k x 2 as (x, y) in pixels of the frame, of labels, int N x k."""
        return Prompts(
            torch.cat([self.points, points], dim=1), torch.cat([self.labels, labels], dim=1), self.mask_logits
        )

    def with_boxes(self, boxes: Tensor, known: Tensor) -> Prompts:
        """Add a box to each object.

        Args:
            boxes: float, N x 4, XYXY in pixels of the frame.
            known: bool, N; where False the box is left out.
        """
        if not bool(known.any()):
            return self
        corners = torch.tensor([TOP_LEFT, BOTTOM_RIGHT], device=self.labels.device).expand(len(boxes), -1)
        labels = torch.where(known[:, None], corners, PADDING)
        return self.with_points(boxes.unflatten(1, (2, 2)), labels)

    def with_mask(self, mask_logits: Tensor) -> Prompts:
        """Add the logits of an earlier pass, float N x 256 x 256."""
        return Prompts(self.points, self.labels, mask_logits)


@dataclass(frozen=True, slots=True)
class Guidance:
    """PerSAM's two ways to guide the decoder (arXiv 2305.03048, section 3.2).

    Attributes:
        attention: float, N x h x w in 0..1, added to the token-to-image attention, which is then normalised again
            (target-guided attention); None for none.
        target: float, N x C, added to every token before each layer (target-semantic prompting); None for none.
    """

    attention: Tensor | None = None
    target: Tensor | None = None


@dataclass(frozen=True, slots=True)
class Candidates:
    """The decoder's four answers for each of N objects.

    Attributes:
        logits: float, N x 4 x 256 x 256 over the padded square; 0 is the answer for an unambiguous prompt, 1 to 3 are
            the nested ones (whole, part, subpart in no fixed order).
        predicted_iou: float, N x 4.
        own_logits: float, N x K x 256 x 256: products of the upscaled embedding with the tokens that were given;
            outside a window as the logits are.
    """

    logits: Tensor
    predicted_iou: Tensor
    own_logits: Tensor


class Decoder:
    """SAM's prompt encoder and mask decoder.

    Attributes:
        dtype: In which PyTorch computes cells; what goes in and comes out is float32.
        precision: Of what answers without guidance.
        guided_precision: Of what answers with it.
    """

    def __init__(self, sam: Sam, dtype: torch.dtype = torch.float32, backend: MaskDecoding | None = None) -> None:
        """Take the networks, and what runs the mask decoder where PerSAM does not guide it; None for PyTorch."""
        self.dtype = dtype
        self._prompt_encoder = sam.prompt_encoder
        self._guided = TorchMaskDecoding(MaskDecoderNetwork(sam, dtype))
        self._backend = backend or self._guided
        self.precision, self.guided_precision = self._backend.precision, self._guided.precision
        self._taken: Tensor | None = None
        with torch.inference_mode():
            # In memory the numbers of a cell lie side by side, as those of an embedding.
            position = self._prompt_encoder.get_dense_pe().contiguous(memory_format=torch.channels_last)[0]
            self._guided_position = position.to(dtype)
            self._position = position if backend else self._guided_position

    def get_ready(self) -> None:
        """Begin to load what answering needs, while something else is done."""
        self._backend.get_ready()

    def without(self, taken: Tensor) -> Decoder:
        """Return the same decoder for a frame of which some is out of the running.

        Args:
            taken: bool, 256 x 256 over the padded square: no answer reaches there.
        """
        other = copy.copy(self)
        other._taken = taken
        return other

    @property
    def token_size(self) -> int:
        """Length of a mask token."""
        return CHANNELS // 8

    @torch.inference_mode()
    def decode(
        self,
        embedding: ImageEmbedding,
        prompts: Prompts,
        guidance: Guidance | None = None,
        *,
        windows: Sequence[Window] | None = None,
        own_tokens: Tensor | None = None,
    ) -> Candidates:
        """Answer the prompts of all objects.

        Args:
            embedding: Of the frame.
            prompts: Of N objects, at least 1.
            guidance: Of the same N objects, or None.
            windows: N parts of the picture to which each object's answer is confined, see ``windows_around``; None for
                the whole square, with its padding, as SAM was trained. That needs an embedding of the whole square.
            own_tokens: float, N x K x ``token_size``: mask tokens beside SAM's four; None for K = 0.
        """
        cells = embedding.cells
        tokens = self._embed_points(embedding, prompts)
        windows = windows or [Window(0, 0, cells, cells)] * len(tokens)
        own_tokens = tokens.new_zeros(len(tokens), 0, self.token_size) if own_tokens is None else own_tokens
        logits = tokens.new_full((len(tokens), 4 + own_tokens.shape[1], 4 * cells, 4 * cells), NO_PICTURE)
        predicted_iou = tokens.new_zeros(len(tokens), 4)
        for batch in _alike(windows, _CELLS_AT_ONCE[tokens.device.type]):
            placed = [windows[i] for i in batch]
            asked = embedding, tokens[batch], own_tokens[batch], prompts, guidance
            answers, predicted_iou[batch] = self._decode_batch(*asked, batch, placed)
            for i, window, answer in zip(batch, placed, answers, strict=True):
                logits[i][window.cut(4)] = answer
        if self._taken is not None:
            logits[:, :4].masked_fill_(self._taken, NO_PICTURE)
        return Candidates(logits[:, :4], predicted_iou, logits[:, 4:])

    def _decode_batch(
        self,
        embedding: ImageEmbedding,
        tokens: Tensor,
        own_tokens: Tensor,
        prompts: Prompts,
        guidance: Guidance | None,
        batch: Sequence[int],
        windows: Sequence[Window],
    ) -> tuple[Tensor, Tensor]:
        """Answer the prompts of the objects in ``batch``, each in its window, all of one size."""

        def cut(grids: Tensor, scale: int = 1) -> Tensor:
            return torch.stack([grids[i][window.cut(scale)] for i, window in zip(batch, windows, strict=True)])

        def cells(grid: Tensor) -> Tensor:
            parts = [grid.permute(1, 2, 0)[window.cut(1)[1:]] for window in windows]
            return (torch.stack(parts) if parts[1:] else parts[0][None]).flatten(1, 2)

        mask_logits = None if prompts.mask_logits is None else by_cell(cut(prompts.mask_logits, 4))
        position = self._position if guidance is None else self._guided_position
        question = Question(cells(embedding.features), cells(position), tokens, own_tokens, mask_logits)
        if guidance is None:
            products, predicted_iou = self._backend.answer(question)
        else:
            bias = None if guidance.attention is None else cut(guidance.attention).flatten(1)[:, None]
            target = None if guidance.target is None else guidance.target[batch, None]
            products, predicted_iou = self._guided.answer(question, bias=bias, target=target)
        return laid_out(products, windows[0].columns).float(), predicted_iou

    def _embed_points(self, embedding: ImageEmbedding, prompts: Prompts) -> Tensor:
        """Sparse embeddings, N x (P + 1 if there is no box) x C, as SAM's prompt encoder makes them."""
        encoder = self._prompt_encoder
        points, labels = prompts.points, prompts.labels
        if not bool((labels == TOP_LEFT).any()):
            points = torch.cat([points, points.new_zeros(len(points), 1, 2)], dim=1)
            labels = torch.cat([labels, labels.new_full((len(labels), 1), PADDING)], dim=1)
        # SAM addresses the middle of a pixel.
        located = encoder.pe_layer.forward_with_coords(
            embedding.geometry.points_to_input(points) + 0.5, encoder.input_image_size
        )
        kinds = torch.cat([encoder.not_a_point_embed.weight, *(e.weight for e in encoder.point_embeddings)])
        embedded: Tensor = torch.where(labels[..., None] == PADDING, 0.0, located) + kinds[labels + 1]
        return embedded


def windows_around(boxes: Tensor, geometry: Geometry, cells: int) -> list[Window]:
    """Confine each object's answer to its surroundings: less work, the more so the smaller it is.

    Args:
        boxes: float, N x 4, XYXY in pixels of the frame.
        geometry: Of the frame.
        cells: Side of the grid over the square.
    """
    rows, columns = geometry.valid(cells)
    scaled = geometry.boxes_to_input(boxes) * (cells / geometry.input_size)
    windows = []
    for x0, y0, x1, y1 in scaled.tolist():
        (top, height), (left, width) = _stretch(y0, y1, rows), _stretch(x0, x1, columns)
        windows.append(Window(top, left, height, width))
    return windows


def _stretch(low: float, high: float, end: int) -> tuple[int, int]:
    """Start and length of a stretch of 0..end that reaches well beyond low..high on both sides."""
    own = high - low
    steps = math.ceil(max(own + 2 * min(own, _MOST_ROOM), _LEAST_WINDOW) / _STEP)
    length = min(_STEP * steps, end)
    return min(max(round((low + high - length) / 2), 0), end - length), length


def _alike(windows: Sequence[Window], cells_at_once: int) -> Iterator[list[int]]:
    """Sort objects into batches whose windows have one size, so that no answer depends on what else is asked."""
    groups: dict[tuple[int, int], list[int]] = {}
    for i, window in enumerate(windows):
        groups.setdefault((window.rows, window.columns), []).append(i)
    for (rows, columns), group in groups.items():
        at_once = max(cells_at_once // (rows * columns), 1)
        yield from (group[start : start + at_once] for start in range(0, len(group), at_once))
