"""Masks at the frame's size, each only in the window that its object may fill."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from persam_vos.sam.geometry import Geometry
from persam_vos.sam.regions import EMPTY_REGION, Region, mask_regions

# A probability of 0.01, which never wins a pixel and hardly ever decides which object does.
MIN_MASK_LOGIT = -4.6


@dataclass(frozen=True, slots=True)
class Patch:
    """One object's mask in a window of the frame; outside the window it is background.

    Attributes:
        window: Pixels of the frame; ``EMPTY_REGION`` for an object that is nowhere.
        logits: float, h x w, of the window's pixels.
    """

    window: Region
    logits: Tensor

    def probability(self, region: Region) -> Tensor:
        """Return float, h x w in 0..1, for a region of the frame that lies in the window."""
        return self.logits[region.relative_to(self.window)].sigmoid()


def masks_to_patches(logits: Tensor, geometry: Geometry, min_logit: float) -> list[Patch]:
    """Resample masks to the frame, each where it may exceed ``min_logit``.

    Args:
        logits: float, N x n x n over the padded square.
        geometry: Geometry of the frame.
        min_logit: Logit below which a pixel counts as background.

    Returns:
        N patches.
    """
    rows, columns = geometry.valid(logits.shape[-1])
    patches = []
    for mask, held in zip(logits, mask_regions(logits[:, :rows, :columns] > min_logit), strict=True):
        if held == EMPTY_REGION:
            patches.append(Patch(EMPTY_REGION, mask[EMPTY_REGION]))
        else:
            # Pixels between an outermost sample and its neighbour may exceed it too.
            patches.append(Patch(*geometry.crop_to_frame(mask, held.expanded(1, (rows, columns)))))
    return patches
