"""Draw what the method ``memory`` does with one frame of the demo clip, stage by stage, for docs/how-it-works.md.

    python scripts/make/stages.py

Writes annotation.jpg, similarity.jpg, prior.jpg, candidates.jpg and result.jpg into docs/images.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from persam_vos.exports.draw import draw_overlay
from persam_vos.masks import Rgb
from persam_vos.media.frame import Frame
from persam_vos.media.masks.files import read_mask
from persam_vos.media.readers import open_video
from persam_vos.sam.cells import cell_features
from persam_vos.sam.decoder import Decoder
from persam_vos.sam.encoder import ImageEmbedding
from persam_vos.sam.engine import Engine
from persam_vos.sam.prompts import Candidates, Prompts
from persam_vos.settings.video import Settings
from persam_vos.video.tracker import Tracker

ROOT = Path(__file__).parents[2]
DATA, TARGET = ROOT / "persam_vos" / "data", ROOT / "docs" / "images"
# The frame that is shown, and the width of a picture in pixels.
FRAME, WIDTH = 24, 560
# Share of a cell that the bunny must fill to count as one of its cells.
OWN = 0.5


class WatchedDecoder:
    """A decoder that keeps what it was last asked, and what it answered."""

    def __init__(self, decoder: Decoder) -> None:
        self._decoder = decoder
        self.prompts: Prompts | None = None
        self.candidates: Candidates | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._decoder, name)

    def decode(self, embedding: ImageEmbedding, prompts: Prompts, *args: Any, **kwargs: Any) -> Candidates:
        """Answer as the decoder does; see ``Decoder.decode``."""
        self.prompts, self.candidates = prompts, self._decoder.decode(embedding, prompts, *args, **kwargs)
        return self.candidates


def similarity(first: ImageEmbedding, mask: Tensor, now: ImageEmbedding) -> Tensor:
    """Return how similar each cell is to the most similar one of the object.

    Args:
        first: Of the annotated frame.
        mask: bool, 1 x H x W: the object there.
        now: Of the frame that is shown.

    Returns:
        float, rows x columns in -1..1.
    """
    known, seen = (torch.nn.functional.normalize(cell_features(each), dim=1) for each in (first, now))
    own = first.geometry.to_cells(mask, first.cells).flatten() >= OWN
    return (seen @ known[own].T).amax(dim=1).unflatten(0, now.geometry.valid(now.cells))


def heat(grid: Tensor, rgb: Rgb, low: float, high: float) -> Rgb:
    """Lay a grid of numbers over a greyed frame: violet is ``low``, yellow is ``high``."""
    scaled = ((grid - low) / (high - low)).clamp(0, 1).mul(255).byte().numpy()
    size = rgb.shape[1], rgb.shape[0]
    colours = cv2.cvtColor(cv2.applyColorMap(scaled, cv2.COLORMAP_VIRIDIS), cv2.COLOR_BGR2RGB)
    grey = cv2.cvtColor(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    return cv2.addWeighted(cv2.resize(colours, size, interpolation=cv2.INTER_NEAREST), 0.7, grey, 0.3, 0)


def four(candidates: Candidates, rgb: Rgb, embedding: ImageEmbedding) -> Image.Image:
    """Lay the decoder's four candidates for object 1 side by side, each with its predicted IoU."""
    tiles = []
    for logits, iou in zip(candidates.logits[0], candidates.predicted_iou[0].tolist(), strict=True):
        mask = (embedding.geometry.to_frame(logits[None])[0] > 0).numpy()
        tile = shrunk(draw_overlay(rgb, mask.astype(np.uint8)), WIDTH // 2)
        font = ImageFont.load_default(size=15)
        ImageDraw.Draw(tile).text(
            (8, 6), f"predicted IoU {iou:.2f}", "white", font, stroke_width=2, stroke_fill="black"
        )
        tiles.append(tile)
    width, height = tiles[0].size
    sheet = Image.new("RGB", (2 * width, 2 * height))
    for i, tile in enumerate(tiles):
        sheet.paste(tile, (i % 2 * width, i // 2 * height))
    return sheet


def shrunk(rgb: Rgb, width: int = WIDTH) -> Image.Image:
    """Return a picture of this width."""
    picture = Image.fromarray(rgb)
    return picture.resize((width, round(width * picture.height / picture.width)), Image.Resampling.LANCZOS)


@torch.inference_mode()
def stages(settings: Settings, shown: int = FRAME) -> dict[str, Image.Image]:
    """Track the demo clip up to the frame ``shown``, and draw each stage of that frame."""
    engine = Engine(settings)
    decoder = WatchedDecoder(engine.decoder)
    tracker = Tracker.from_parts(engine.encoder, decoder, settings)  # type: ignore[arg-type]
    with open_video(DATA / "bunny.mp4") as video:
        frames: list[Frame] = [frame for frame in video if frame.index <= shown]
    label_map = read_mask(DATA / "bunny_mask.png", height=frames[0].height, width=frames[0].width)
    first = engine.encoder.encode([frames[0]])[0]
    tracker.start(frames[0], label_map, first)
    for frame in frames[1:]:
        now = engine.encoder.encode([frame])[0]
        result = tracker.step(frame, now)
    rgb = frames[-1].rgb
    assert decoder.prompts is not None
    assert decoder.prompts.mask_logits is not None
    assert decoder.candidates is not None
    alike = similarity(first, torch.from_numpy(label_map > 0)[None], now)
    rows, columns = now.geometry.valid(decoder.prompts.mask_logits.shape[-1])
    prior = decoder.prompts.mask_logits[0, :rows, :columns].sigmoid()
    return {
        "annotation": shrunk(draw_overlay(frames[0].rgb, label_map)),
        "similarity": shrunk(heat(alike, rgb, float(alike.quantile(0.05)), float(alike.max()))),
        "prior": shrunk(heat(prior, rgb, 0.0, 1.0)),
        "candidates": four(decoder.candidates, rgb, now),
        "result": shrunk(draw_overlay(rgb, result.label_map)),
    }


def main() -> None:
    """Write the pictures."""
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    TARGET.mkdir(exist_ok=True)
    for name, picture in stages(Settings()).items():
        path = TARGET / f"{name}.jpg"
        picture.save(path, quality=82, optimize=True)
        print(f"{path.relative_to(ROOT)}: {path.stat().st_size / 1024:.0f} KiB")


if __name__ == "__main__":
    main()
