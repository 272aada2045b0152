"""The annotated frame and its masks go in; out come the masks that the memory learns from, moved to the true edges.

People draw polygons of a few points: an edge is cut off, ground is taken in, a hand is left out. The memory averages
over cells, and is hardly misled by that. So the frame is segmented as if nobody had annotated it, by a memory of the
drawn masks. What is found replaces what was drawn if its outline lies on clearly stronger edges of the picture; else it
may add a missing piece. An exact mask lies on the strongest edges already, and stays.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from persam_vos.masks import LabelMap, Mask, Rgb
from persam_vos.media.frame import Frame
from persam_vos.methods.competition import soft_aggregation
from persam_vos.methods.memory.decoding import PriorDecoder, prior_to_logits
from persam_vos.methods.memory.memory import Memory
from persam_vos.methods.memory.prior import Query, foreground_prior
from persam_vos.methods.memory.ridge import Basis
from persam_vos.sam.encoder import ImageEmbedding
from persam_vos.sam.regions import Region
from persam_vos.settings.video import TrackerSettings

# Looks at the annotated frame: the second one learns from the masks of the first, and finds more of a missing piece.
_LOOKS = 2
# A found outline replaces a drawn one if its edges are stronger by this factor, in the geometric mean.
_MIN_EDGE_RATIO = 1.25
# A missing piece is added if its own edges are stronger by this factor than those of the cut: its outline is short, so
# that chance has more of a say.
_MIN_PIECE_EDGE_RATIO = 1.5
# Smaller pieces, as a share of the drawn mask, are not added: exact masks have many of them.
_MIN_PIECE_SHARE = 0.02
# Least outline of either mask along a piece, in pixels, to compare edges by.
_MIN_OUTLINE_PIXELS = 3
# IoU of drawn and found mask below which the drawn one is doubted, and below which something else has been found.
_DOUBTED_IOU, _UNLIKE_IOU = 0.65, 0.5
# Long side, in pixels, of the picture whose edges are measured: finer ones of a large frame are noise.
_EDGES_LONG_SIDE = 1024

_Map = npt.NDArray[np.float32]


def snap_first_masks(
    frame: Frame,
    embedding: ImageEmbedding,
    features: Tensor,
    label_map: LabelMap,
    object_ids: Sequence[int],
    decoder: PriorDecoder,
    settings: TrackerSettings,
    basis: Basis,
) -> tuple[LabelMap, tuple[str, ...]]:
    """Move drawn masks to the edges of their objects, where decoder and picture agree on them.

    Args:
        frame: The annotated frame.
        embedding: Of it.
        features: cells x D, by ``cell_features``.
        label_map: uint8, H x W, as drawn.
        object_ids: Ids of the N objects; each has a pixel in the label map.
        decoder: Of the frame's model.
        settings: How the memory learns and looks.
        basis: Of the features.

    Returns:
        uint8, H x W: what the memory shall learn from, where each object has a pixel, and none has pixels that were
        drawn as another one's and that this one keeps; and a line for each object whose mask resembles nothing that is
        found there.
    """
    found = _look(frame, embedding, features, label_map, object_ids, decoder, settings, basis)
    strength = edge_strength(frame.rgb)
    snapped, warnings = np.zeros_like(label_map), []
    drawn_here = np.zeros(label_map.shape, np.bool_)
    for object_id in object_ids:
        drawn, seen = label_map == object_id, found == object_id
        iou = _iou(drawn, seen)
        mask = drawn if iou < _UNLIKE_IOU else snap_to_edges(drawn, seen, strength)
        # A pixel that two objects claim stays with the one that it was drawn for.
        snapped[mask & (drawn | ~drawn_here)] = object_id
        drawn_here |= mask & drawn
        if iou < _DOUBTED_IOU:
            warnings.append(
                f"object {object_id}: its mask on frame {frame.index} and what is found there share only"
                f" {100 * iou:.0f}% of their pixels; does it belong to this frame, and show one thing?"
            )
    return snapped, tuple(warnings)


def _look(
    frame: Frame,
    embedding: ImageEmbedding,
    features: Tensor,
    label_map: LabelMap,
    object_ids: Sequence[int],
    decoder: PriorDecoder,
    settings: TrackerSettings,
    basis: Basis,
) -> LabelMap:
    """Segment the annotated frame as if it were not annotated: uint8, H x W; an object may have no pixel."""
    geometry = embedding.geometry
    ids = torch.tensor(object_ids, dtype=torch.uint8, device=features.device)
    known = torch.from_numpy(label_map).to(ids.device)
    found = known
    for _ in range(_LOOKS):
        masks = known == ids[:, None, None]
        coverage = geometry.to_cells(masks, embedding.cells)
        memory = Memory.learn(features, coverage.flatten(1), settings, basis=basis)
        query = Query.of(memory, features, coverage, torch.ones_like(ids, dtype=torch.bool))
        logits = prior_to_logits(foreground_prior(memory, query, settings), embedding)
        decoded = decoder.decode(frame, embedding, logits, None)
        found = soft_aggregation(decoded.patches, object_ids, Region.whole(frame.height, frame.width))
        if not bool((found.flatten() == ids[:, None]).any(dim=1).all()):
            # The memory learns nothing from an empty mask.
            break
        known = found
    return found.cpu().numpy()


def snap_to_edges(drawn: Mask, found: Mask, strength: _Map) -> Mask:
    """Replace a drawn mask by a found one, or add the pieces that it lacks, where that lies on stronger edges.

    Pieces are only added. Where the found mask lacks a piece of the drawn one, the drawn one has most often been right.

    Args:
        drawn: bool, H x W.
        found: bool, H x W.
        strength: float, H x W, by ``edge_strength``.

    Returns:
        bool, H x W: equal to one of both at every pixel.
    """
    of_drawn, of_found = _outline(drawn), _outline(found)
    if _lies_better(strength, of_found, of_drawn, _MIN_EDGE_RATIO):
        return found
    # Shared outlines say nothing about a piece.
    of_drawn, of_found = of_drawn & ~of_found, of_found & ~of_drawn
    snapped = drawn.copy()
    count, pieces, stats, _ = cv2.connectedComponentsWithStats((found & ~drawn).astype(np.uint8), connectivity=4)
    for piece in range(1, count):
        left, top, width, height, area = stats[piece].tolist()
        if area < _MIN_PIECE_SHARE * drawn.sum():
            continue
        window = Region.at(top, left, height, width).expanded(2, drawn.shape)
        own = pieces[window] == piece
        beside = cv2.dilate(own.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
        outlines = of_found[window] & beside, of_drawn[window] & beside
        if _lies_better(strength[window], *outlines, _MIN_PIECE_EDGE_RATIO):
            snapped[window] |= own
    return snapped


def edge_strength(rgb: Rgb) -> _Map:
    """Return the logarithm of the gradient of a frame's colours: float, H x W.

    The strongest gradient within a pixel counts, since outlines are a pixel off. In a logarithm, a weak edge that
    follows an object all around outweighs a strong one that it crosses.
    """
    height, width = rgb.shape[:2]
    scale = min(_EDGES_LONG_SIDE / max(height, width), 1.0)
    size = max(round(scale * width), 1), max(round(scale * height), 1)
    lab = cv2.cvtColor(cv2.resize(rgb, size, interpolation=cv2.INTER_AREA), cv2.COLOR_RGB2LAB)
    smooth = cv2.GaussianBlur(lab, (0, 0), 1.0).astype(np.float32)
    slopes = (cv2.Sobel(smooth, cv2.CV_32F, *order, ksize=3) for order in ((1, 0), (0, 1)))
    squares = np.sum([(slope**2).sum(axis=2) for slope in slopes], axis=0)
    strongest = cv2.dilate(np.sqrt(squares), np.ones((3, 3), np.uint8))
    strength: _Map = np.log1p(cv2.resize(strongest, (width, height), interpolation=cv2.INTER_LINEAR))
    return strength


def _outline(mask: Mask) -> Mask:
    """Return the pixels on both sides of a mask's edge, without the frame's own border."""
    bits, around = mask.astype(np.uint8), np.ones((3, 3), np.uint8)
    outline = cv2.dilate(bits, around) > cv2.erode(bits, around)
    outline[[0, -1]] = outline[:, [0, -1]] = False
    return outline


def _lies_better(strength: _Map, outline: Mask, other: Mask, ratio: float) -> bool:
    """Tell whether the edges under an outline are stronger by a ratio than those under another one."""
    if min(outline.sum(), other.sum()) < _MIN_OUTLINE_PIXELS:
        return False
    return bool(strength[outline].mean() - strength[other].mean() > np.log(ratio))


def _iou(a: Mask, b: Mask) -> float:
    return float((a & b).sum() / (a | b).sum())
