"""What goes into the decoder beside an embedding, and what comes out: prompts, guidance, mask candidates."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

PADDING, POSITIVE, TOP_LEFT, BOTTOM_RIGHT = -1, 1, 2, 3
# Logit of samples that are not decoded: the padding, and everything outside an object's window.
OUTSIDE_LOGIT = -20.0


@dataclass(frozen=True, slots=True)
class Prompts:
    """Prompts of N objects in one frame.

    Attributes:
        points: float, N x P x 2, (x, y) in pixels of the frame.
        labels: int, N x P: 1 positive, 0 negative, -1 padding, 2 and 3 the corners of a box.
        mask_logits: float, N x 256 x 256 over the padded square, the mask prompt; None for none.
    """

    points: Tensor
    labels: Tensor
    mask_logits: Tensor | None = None

    def with_points(self, points: Tensor, labels: Tensor) -> Prompts:
        """Return the prompts with more points, float N x k x 2 as (x, y) in frame pixels, and labels, int N x k."""
        return Prompts(
            torch.cat([self.points, points], dim=1), torch.cat([self.labels, labels], dim=1), self.mask_logits
        )

    def with_boxes(self, boxes: Tensor, known: Tensor) -> Prompts:
        """Return the prompts with a box for each object.

        Args:
            boxes: float, N x 4, XYXY in pixels of the frame.
            known: bool, N; False leaves an object's box out.
        """
        if not bool(known.any()):
            return self
        corners = torch.tensor([TOP_LEFT, BOTTOM_RIGHT], device=self.labels.device).expand(len(boxes), -1)
        labels = torch.where(known[:, None], corners, PADDING)
        return self.with_points(boxes.unflatten(1, (2, 2)), labels)

    def with_mask(self, mask_logits: Tensor) -> Prompts:
        """Return the prompts with a mask prompt, float N x 256 x 256 logits over the padded square."""
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
    """SAM's four mask candidates for each of N objects.

    Attributes:
        logits: float, N x 4 x 256 x 256 over the padded square; candidate 0 is for unambiguous prompts, 1 to 3 are
            nested (whole, part, subpart in no fixed order).
        predicted_iou: float, N x 4.
        extra_logits: float, N x K x 256 x 256, products of the upscaled embedding with the extra mask tokens;
            ``OUTSIDE_LOGIT`` outside the window.
    """

    logits: Tensor
    predicted_iou: Tensor
    extra_logits: Tensor
