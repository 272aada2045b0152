"""Masks on the frame, each only where its object can be: many objects in a large frame fill little of it."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from persam_vos.sam.geometry import Geometry
from persam_vos.sam.regions import EMPTY_REGION, Region, mask_regions

# Logits under which a mask is nothing: a share of 0.01, which never wins a pixel and hardly ever decides who does.
MIN_MASK_LOGIT = -4.6


@dataclass(frozen=True, slots=True)
class Patch:
    """One object's mask in a window of the frame; outside it, the object is not.

    Attributes:
        window: The rows and columns of the frame; of size 0 for an object that is nowhere.
        logits: float, h x w: in the window.
    """

    window: Region
    logits: Tensor

    def probability(self, region: Region) -> Tensor:
        """Return float, h x w in 0..1: of a region of the frame, all of it in the window."""
        return self.logits[region.relative_to(self.window)].sigmoid()


def masks_to_patches(logits: Tensor, geometry: Geometry, least: float) -> list[Patch]:
    """Bring masks to the frame, each where it may be above ``least``.

    Args:
        logits: float, N x n x n over the padded square.
        geometry: Of the frame.
        least: In logits.
    """
    rows, columns = geometry.valid(logits.shape[-1])
    patches = []
    for mask, held in zip(logits, mask_regions(logits[:, :rows, :columns] > least), strict=True):
        if held == EMPTY_REGION:
            patches.append(Patch(EMPTY_REGION, mask[EMPTY_REGION]))
        else:
            # Between this sample and the next one, which is not, pixels still may be.
            patches.append(Patch(*geometry.crop_to_frame(mask, held.expanded(1, (rows, columns)))))
    return patches
