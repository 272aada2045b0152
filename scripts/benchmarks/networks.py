"""The encoder by backend, precision and batch size, and the time that more objects cost the tracker."""

from __future__ import annotations

import argparse
import contextlib
import itertools
import statistics
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks.measure import counted_flop, described, in_turns, matrix_rate, seconds
from persam_vos.errors import SettingsError
from persam_vos.media.frame import Frame
from persam_vos.sam import Decoder, Engine, Geometry, ImageEmbedding, SamEncoder
from persam_vos.sam.backends import EncoderBackend, open_backend
from persam_vos.sam.checkpoints import resolve_checkpoint
from persam_vos.sam.checkpoints.loading import choose_device, load_sam
from persam_vos.sam.networks import Sam
from persam_vos.sam.networks.sizes import INPUT_SIDE_PIXELS
from persam_vos.settings.video import Settings
from persam_vos.video import new_tracker

BACKENDS = ("torch", "onnxruntime", "openvino")
PRECISIONS = ("float32", "bfloat16")
_REFERENCE = "the square, timm's blocks, eager float32"


class EagerBackend(EncoderBackend):
    """MobileSAM's encoder with the blocks of timm's TinyViT, in PyTorch's own layout.

    Changes ``sam``: its blocks are replaced. Needs timm, which only the development environment installs.
    """

    name, precision = "eager", "float32"

    def __init__(self, sam: Sam) -> None:
        self._network: Any = sam.image_encoder
        for stage in self._network.trunk.stages[1:]:
            stage.blocks = torch.nn.Sequential(*map(_plain, stage.blocks)).eval()

    def run(self, pictures: Tensor) -> list[tuple[Tensor, ...]]:
        """Embed a batch."""
        return list(zip(*self._network(pictures), strict=True))


def _plain(block: Any) -> torch.nn.Module:
    """Return timm's block with the parameters of a block."""
    from timm.models.tiny_vit import TinyVitBlock

    attention = block.attn
    plain = TinyVitBlock(attention.heads * attention.key_width, attention.heads, block.window)
    plain.attn.load_state_dict(attention.state_dict())
    plain.mlp.load_state_dict(block.mlp.state_dict())
    plain.local_conv = block.local_conv
    return plain.requires_grad_(False).to(block.local_conv.weight.device)


def published_parts(engine: Engine[Any]) -> tuple[SamEncoder, Decoder]:
    """Return the authors' way to encode, the whole square in eager float32 PyTorch, and a decoder."""
    sam = load_sam(engine.settings.model, engine.checkpoint, engine.device)
    return SamEncoder(sam, EagerBackend(sam), square=True), Decoder(sam)


def frame_480p() -> Frame:
    """Return a frame of noise: the content does not change the time."""
    return Frame(0, 0, Fraction(1), np.random.default_rng(0).integers(0, 256, (480, 854, 3), dtype=np.uint8))


def encoder_flop(sam: Sam, frame: Frame, *, square: bool) -> int:
    """Count the operations that encoding a frame takes."""
    sides = Geometry(frame.height, frame.width).resized
    rows, columns = (INPUT_SIDE_PIXELS if square else sam.encoded_length(side) for side in sides)
    device = sam.pixel_mean.device
    return counted_flop(lambda: sam.image_encoder(torch.zeros(1, 3, rows, columns, device=device)))


def bench_encode(arguments: argparse.Namespace) -> dict[str, Any]:
    """Encode a 480p frame in turns by each backend, precision and batch size, beside the padded square in float32."""
    device = choose_device(arguments.device)
    sam = load_sam("mobile_sam", resolve_checkpoint("mobile_sam"), device)
    frame = frame_480p()
    flop = encoder_flop(sam, frame, square=False)
    plain = load_sam("mobile_sam", resolve_checkpoint("mobile_sam"), device)
    square = SamEncoder(plain, EagerBackend(plain), square=True)
    ways: dict[str, Callable[[], object]] = {_REFERENCE: lambda: square.encode([frame])}
    batches = {_REFERENCE: 1}
    floors = {precision: flop / matrix_rate(precision, device) for precision in PRECISIONS}
    for name, precision, batch in itertools.product(BACKENDS, PRECISIONS, arguments.batch_sizes):
        with contextlib.suppress(SettingsError):
            encoder = SamEncoder(sam, open_backend(name, sam, device, precision, batch))
            key = f"{name} {precision}, {batch} at once"
            ways[key] = lambda encoder=encoder, batch=batch: encoder.encode([frame] * batch)  # type: ignore[misc]
            batches[key] = batch
    medians = {
        name: statistics.median(times) / batches[name] for name, times in in_turns(ways, arguments.repeats).items()
    }
    slowest = medians[_REFERENCE]
    return {
        "machine": described(device),
        "frame_size": [480, 854],
        "gflop": round(flop / 1e9, 1),
        "ms_at_matrix_rate": {name: round(1000 * floor, 1) for name, floor in floors.items()},
        "backends": {
            name: {
                "ms": round(1000 * median, 1),
                "times_as_fast_as_square": round(slowest / median, 2),
                "over_floor": round(median / floors["bfloat16" if "bfloat16" in name else "float32"], 2),
            }
            for name, median in medians.items()
        },
    }


def bench_objects(arguments: argparse.Namespace) -> dict[str, Any]:
    """Track 1, 4, 16 and 32 squares, each with features of its own."""
    engine = Engine(Settings(method=arguments.method, device=arguments.device))
    device = engine.device
    frame = Frame(0, 0, Fraction(1), np.zeros((576, 1024, 3), np.uint8))
    kinds = torch.zeros(64, 64, dtype=torch.long)
    label_map = np.zeros((576, 1024), np.uint8)
    for i in range(32):
        row, column = 1 + 8 * (i // 8), 1 + 8 * (i % 8)
        kinds[row : row + 6, column : column + 6] = i + 1
        label_map[16 * row : 16 * (row + 6), 16 * column : 16 * (column + 6)] = i + 1
    features, *stages = (torch.eye(size)[kinds].to(device).permute(2, 0, 1) for size in (256, 128, 160, 320))
    embedding = ImageEmbedding(features, Geometry(576, 1024), tuple(stage[:, :36] for stage in stages))
    milliseconds = {}
    for count in (1, 4, 16, 32):
        tracker = new_tracker(engine)
        tracker.start(frame, np.where(label_map <= count, label_map, 0).astype(np.uint8), embedding)
        tracker.step(frame, embedding)
        times = [seconds(lambda tracker=tracker: tracker.step(frame, embedding)) for _ in range(arguments.repeats)]  # type: ignore[misc]
        milliseconds[count] = 1000 * statistics.median(times)
    return {
        "machine": described(device),
        "method": arguments.method,
        "ms": {count: round(each, 1) for count, each in milliseconds.items()},
        "times_one_object": {count: round(each / milliseconds[1], 2) for count, each in milliseconds.items()},
    }
