"""Stand-ins for the network and for files, at the seams where plumbing is tested."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
import torch

from persam_vos.errors import OutputError, VideoError
from persam_vos.masks import LabelMap
from persam_vos.media.frame import Frame
from persam_vos.media.stream import StreamInfo
from persam_vos.pipeline.progress import NoProgress
from persam_vos.results import FrameResult
from persam_vos.sam.backends.base import EncoderBackend
from persam_vos.sam.encoder import ImageEmbedding, SamEncoder
from persam_vos.sam.engine import Engine, EngineParts
from persam_vos.sam.geometry import Geometry
from persam_vos.sam.networks.sam import Sam
from persam_vos.sam.prompts import Candidates, Prompts
from persam_vos.settings.video import Settings

HEIGHT, WIDTH = 36, 64
# Of PerSAM-F, fewer and longer steps end where a thousand short ones do.
FEWER_STEPS = {"finetune_steps": 100, "finetune_learning_rate": 1e-2}


def first_mask() -> LabelMap:
    """Return an object in the left half."""
    label_map = np.zeros((HEIGHT, WIDTH), np.uint8)
    label_map[:, : WIDTH // 2] = 1
    return label_map


class FakeEncoder:
    def __init__(self) -> None:
        self.batches: list[list[int]] = []

    def encode(self, frames: Sequence[Frame]) -> list[ImageEmbedding]:
        self.batches.append([frame.index for frame in frames])
        return [ImageEmbedding(torch.ones(256, 64, 64), Geometry(frame.height, frame.width)) for frame in frames]


class SmallEncoder(FakeEncoder):
    """Has room for so many frames at once."""

    def __init__(self, room: int) -> None:
        super().__init__()
        self.room = room

    def encode(self, frames: Sequence[Frame]) -> list[ImageEmbedding]:
        if len(frames) > self.room:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return super().encode(frames)


class FakeDecoder:
    """Answers every prompt with the left half of the picture, and own tokens with nothing."""

    token_size = 32
    dtype = torch.float32
    precision = guided_precision = "float32"

    warmed_up = 0

    def warm_up(self) -> None:
        self.warmed_up += 1

    def decode(
        self,
        embedding: ImageEmbedding,
        prompts: Prompts,
        guidance: object = None,
        *,
        windows: object = None,
        extra_tokens: torch.Tensor | None = None,
        blocked: torch.Tensor | None = None,
    ) -> Candidates:
        count = len(prompts.points)
        logits = torch.full((count, 4, 256, 256), -5.0)
        logits[..., :128] = 5.0
        own = torch.zeros(count, 0 if extra_tokens is None else extra_tokens.shape[1], 256, 256)
        return Candidates(logits, torch.full((count, 4), 0.9), own)


class FakeEngine(Engine[Settings]):
    """An engine of fakes; ``encoder`` serves one frame as well as batches."""

    def __init__(
        self,
        batch_size: int = 1,
        *,
        settings: Settings | None = None,
        encoder: FakeEncoder | None = None,
        side_by_side: bool = False,
    ) -> None:
        self.fake_encoder, self.fake_decoder = encoder or FakeEncoder(), FakeDecoder()
        parts = EngineParts(
            encoder=self.fake_encoder,
            batch_encoder=self.fake_encoder,
            decoder=self.fake_decoder,  # type: ignore[arg-type]
            another_encoder=lambda square: self.fake_encoder,
            batch_size=batch_size,
            side_by_side=side_by_side,
            checkpoint=Path(__file__),
        )
        # The fake encoder is asked about frames of the video only.
        super().__init__(settings or Settings(nearer_view=0), parts=parts)


class Watch(NoProgress):
    """Calls a function for each result."""

    def __init__(self, on_result: Callable[[FrameResult], object]) -> None:
        self._on_result = on_result

    def advance(self, result: FrameResult) -> None:
        self._on_result(result)


class FakeReader:
    def __init__(self, count: int, fail_at: int | None = None) -> None:
        self.info = StreamInfo(Path("clip.mp4"), WIDTH, HEIGHT, Fraction(25), Fraction(1, 25), count, False)
        self.warnings: list[str] = ["reader warns"]
        self.count, self.fail_at, self.given, self.closed = count, fail_at, 0, False

    def __iter__(self) -> Iterator[Frame]:
        for index in range(self.count):
            if index == self.fail_at:
                raise VideoError(f"frame {index} is broken")
            self.given += 1
            yield Frame(index, index, Fraction(1, 25), np.zeros((HEIGHT, WIDTH, 3), np.uint8))

    def stop(self) -> bool:
        return False

    def close(self) -> None:
        self.closed = True

    def __enter__(self) -> FakeReader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class FakeWriter:
    def __init__(self, fail_at: int | None = None, fail_close: bool = False) -> None:
        self.warnings: list[str] = ["writer warns"]
        self.fail_at, self.fail_close = fail_at, fail_close
        self.indices: list[int] = []
        self.state = "open"

    def write(self, frame: Frame, result: FrameResult) -> None:
        assert frame.index == result.index
        if frame.index == self.fail_at:
            raise OutputError("disk full")
        self.indices.append(frame.index)

    def close(self) -> tuple[Path, ...]:
        if self.fail_close:
            raise OutputError("cannot rename")
        self.state = "closed"
        return (Path("done"),)

    def abort(self) -> None:
        self.state = "aborted" if self.state == "open" else self.state


class RememberingEncoder(SamEncoder):
    """Encodes each picture once: many tests look at the same scenes. Keeps the latest 48 embeddings, 0.7 GB."""

    def __init__(self, sam: Sam, backend: EncoderBackend, *, square: bool = False) -> None:
        super().__init__(sam, backend, square=square)
        self._known: OrderedDict[bytes, ImageEmbedding] = OrderedDict()

    def encode(self, frames: Sequence[Frame]) -> list[ImageEmbedding]:
        return [self._remembered(frame) for frame in frames]

    def _remembered(self, frame: Frame) -> ImageEmbedding:
        key = hashlib.sha1(str(frame.rgb.shape).encode() + frame.rgb.tobytes()).digest()
        if key not in self._known:
            (self._known[key],) = super().encode([frame])
            if len(self._known) > 48:
                self._known.popitem(last=False)
        self._known.move_to_end(key)
        return self._known[key]
