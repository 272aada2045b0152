"""Make the picture of the README from the overlay of the demo.

    make demo
    python scripts/make/picture.py out/demo/overlay.mp4

Writes docs/demo.jpg: six frames, evenly spaced.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from PIL import Image

from persam_vos.media.readers import open_video

TARGET = Path(__file__).parents[2] / "docs" / "demo.jpg"
# Frames on the sheet, frames in a row, and the width of each in pixels.
COUNT, COLUMNS, TILE_WIDTH = 6, 3, 400


def main() -> None:
    """Write the sheet."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("video", help="overlay.mp4 of the demo")
    with open_video(parser.parse_args().video) as reader:
        frames = [frame.rgb for frame in reader]
    chosen = [frames[i] for i in np.linspace(0, len(frames) - 1, COUNT).round().astype(int)]
    height = round(TILE_WIDTH * chosen[0].shape[0] / chosen[0].shape[1])
    sheet = Image.new("RGB", (COLUMNS * TILE_WIDTH, COUNT // COLUMNS * height))
    for i, rgb in enumerate(chosen):
        tile = Image.fromarray(rgb).resize((TILE_WIDTH, height), Image.Resampling.LANCZOS)
        sheet.paste(tile, (i % COLUMNS * TILE_WIDTH, i // COLUMNS * height))
    sheet.save(TARGET, quality=85)
    print(TARGET)


if __name__ == "__main__":
    main()
