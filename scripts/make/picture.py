"""Make the picture of the README from a finished demo.

make demo
python scripts/make/picture.py out/demo/overlay.mp4
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from PIL import Image

from persam_vos.media.readers import open_video

TARGET = Path(__file__).parents[2] / "docs" / "demo.jpg"
COUNT, COLUMNS, WIDTH = 6, 3, 400


def main() -> None:
    """Lay evenly spaced frames side by side."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("video", help="overlay.mp4 of the demo")
    with open_video(parser.parse_args().video) as reader:
        frames = [frame.rgb for frame in reader]
    chosen = [frames[i] for i in np.linspace(0, len(frames) - 1, COUNT).round().astype(int)]
    height = round(WIDTH * chosen[0].shape[0] / chosen[0].shape[1])
    sheet = Image.new("RGB", (COLUMNS * WIDTH, COUNT // COLUMNS * height))
    for i, rgb in enumerate(chosen):
        tile = Image.fromarray(rgb).resize((WIDTH, height), Image.Resampling.LANCZOS)
        sheet.paste(tile, (i % COLUMNS * WIDTH, i // COLUMNS * height))
    sheet.save(TARGET, quality=85)
    print(TARGET)


if __name__ == "__main__":
    main()
