"""A video in parts, complete files of some frames each, which are joined without being encoded again."""

from __future__ import annotations

import heapq
import shutil
from collections.abc import Generator, Iterable
from contextlib import suppress
from fractions import Fraction
from pathlib import Path

import av

from persam_vos.errors import OutputError, reason
from persam_vos.files import save_to_disk

_START_ANEW = "the run cannot be resumed; pass --overwrite to start anew"


class VideoParts:
    """The parts of a video that is being made, in a hidden folder beside it.

    A part has the index of its first frame as its name, and gets it when it is complete and on the disk.

    Args:
        path: The video.

    Attributes:
        unfinished: Where the next part is written to.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._folder = path.with_name(f".{path.name}.parts.partial")
        self._gone = path.with_name(f".{path.name}.parts.old.partial")
        self.unfinished = self._folder / f"unfinished{path.suffix}"

    def begin(self) -> None:
        """Make the folder, empty.

        Raises:
            OSError: If that fails.
        """
        shutil.rmtree(self._folder, ignore_errors=True)
        self._folder.mkdir()

    def add(self, first_index: int) -> None:
        """Take the file ``unfinished`` as the part that begins with the frame ``first_index``.

        Raises:
            OSError: If that fails.
        """
        save_to_disk(self.unfinished)
        self.unfinished.replace(self._folder / f"{first_index:05d}{self._path.suffix}")

    def paths(self) -> list[Path]:
        """Return the parts in order; none if the folder is missing."""
        return [path for _, path in self._numbered()]

    def drop_after(self, index: int) -> None:
        """Remove the parts that begin after a frame, and what is unfinished.

        Raises:
            OSError: If that fails.
        """
        self.unfinished.unlink(missing_ok=True)
        for first_index, path in self._numbered():
            if first_index > index:
                path.unlink()

    def check(self, count: int) -> None:
        """Check that the parts hold so many frames.

        Raises:
            OutputError: If they hold more or fewer, or cannot be read.
        """
        held = 0
        for path in self.paths():
            try:
                held += _frames(path)
            except (av.FFmpegError, OSError, IndexError) as error:
                raise OutputError(f"{path}: cannot be read ({reason(error)}); {_START_ANEW}") from error
        if held != count:
            raise OutputError(f"{self._path}: {held} of the {count} frames done are left; {_START_ANEW}")

    def discard(self) -> None:
        """Remove the folder; never raises.

        It loses its name at once: a process that dies here must not leave some of the parts, which a later run would
        take for all that there were.
        """
        shutil.rmtree(self._gone, ignore_errors=True)
        with suppress(OSError):
            self._folder.replace(self._gone)
        shutil.rmtree(self._gone, ignore_errors=True)

    def _numbered(self) -> list[tuple[int, Path]]:
        parts = (path for path in self._folder.glob(f"*{self._path.suffix}") if path.stem.isdecimal())
        return sorted((int(path.stem), path) for path in parts)


def _frames(path: Path) -> int:
    """Return the number of frames that a file's header tells; of a WebM file, whose header does not, count them."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        return stream.frames or sum(packet.pts is not None for packet in container.demux(stream))


def joined_packets(
    parts: Iterable[Path], nominal: Fraction, reordered: int
) -> Generator[av.Packet[av.VideoStream], None, None]:
    """Yield the packets of parts of one video, as those of one stream, in decoding order.

    Frames keep their presentation times. Each part starts its decoding times anew; here they rise over all parts, since
    players and MP4 want it so: each frame is decoded when the one ``reordered`` places before it is shown.

    Args:
        parts: Files whose presentation times rise from one to the next; each begins with a key frame.
        nominal: Seconds that a frame lasts; of the last frame, which no other ends.
        reordered: Frames by which the encoder decodes ahead of what it shows.

    Raises:
        OutputError: If a part is another encoder's, whose frames this stream's headers do not describe.
        av.FFmpegError: If a part cannot be read.
    """
    shown: list[int] = []
    count = 0
    header: bytes | None = None
    for path in parts:
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            header = header or stream.codec_context.extradata
            if stream.codec_context.extradata != header:
                raise OutputError(f"{path}: was made by another encoder than the parts before it; pass --overwrite")
            for packet in container.demux(stream):
                if packet.pts is None:
                    continue  # the empty packet at the end
                packet.duration = max(1, round(nominal / packet.time_base))
                heapq.heappush(shown, packet.pts)
                if count < reordered:
                    packet.dts = shown[0] - (reordered - count) * packet.duration
                else:
                    packet.dts = heapq.heappop(shown)
                count += 1
                yield packet
