"""Carries a subtitle track of a source into a file that is being written, in step with the video, as plain text."""

from __future__ import annotations

import re
import struct
from collections.abc import Generator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av

from persam_vos.media.encoding.carried import ERRORS, CarriedTrack

_UNIT = Fraction(1, 1000)
_BEFORE = 30  # seconds before a part in which texts begin that are still shown in it
# FFmpeg's decoders give the text of any subtitles as ASS, and its encoder of MP4's wants the head of such a file.
_HEAD = b"""[Script Info]
ScriptType: v4.00+

[V4+ Styles]
Format: Name, Fontname, Fontsize, PrimaryColour, SecondaryColour, OutlineColour, BackColour, Bold, Italic, Underline, \
StrikeOut, ScaleX, ScaleY, Spacing, Angle, BorderStyle, Outline, Shadow, Alignment, MarginL, MarginR, MarginV, Encoding
Style: Default,Arial,16,&Hffffff,&Hffffff,&H0,&H0,0,0,0,0,100,100,0,0,1,1,0,2,10,10,10,1

[Events]
Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text
"""
_STYLES = re.compile(r"\{[^}]*\}")
_MAX_BYTES = 0xFFFF  # of a text: MP4 tells its length in two bytes
_TEXT_CODECS = frozenset({"ass", "mov_text", "ssa", "srt", "subrip", "text", "webvtt"})
_CONTAINERS = frozenset({"mp4", "mov"})


def is_kept(stream: Any, container: av.container.OutputContainer) -> bool:
    """Tell whether a file of this kind can hold the subtitles of a stream: text, in MP4 and MOV."""
    context = stream.codec_context
    return context is not None and context.name in _TEXT_CODECS and container.format.name in _CONTAINERS


class SubtitleTrack(CarriedTrack):
    """Adds a subtitle track to an open container and fills it as the video goes on.

    An error in the source's subtitles ends them with a warning; the video goes on.

    Args:
        source: The file with the subtitles.
        container: The open container; its header is not yet written.
        number: Which one of the source's subtitle streams, from 0; of those that ``is_kept``.
        shift: Seconds to subtract from its times, as from the video's.
        end: When the last frame ends, in seconds of the source.
        target: The final name of the file, for warnings.

    Attributes:
        warnings: What went wrong, one line each.
    """

    _NOUN = "subtitles of {source} are"

    def __init__(
        self,
        source: Path,
        container: av.container.OutputContainer,
        *,
        number: int,
        shift: Fraction,
        end: Fraction,
        target: Path,
    ) -> None:
        super().__init__(source, container, target)
        self._shift, self._end = shift, end
        try:
            stream = self._open(shift - _BEFORE if shift > _BEFORE else None).streams.subtitles[number]
            self._output: Any = container.add_stream("mov_text")
            self._output.codec_context.subtitle_header = _HEAD
            self._output.time_base = _UNIT
            self._label(stream, self._output)
            self._packets = self._texts(stream)
        except ERRORS as error:
            self._give_up(error)
        self._fetch()

    def advance(self, until: Fraction) -> None:
        """Write what is shown from times up to one of the source in seconds."""
        while (packet := self._pending) is not None and packet.pts is not None:
            if packet.pts * _UNIT + self._shift > until:
                return
            packet.stream = self._output
            self._write(packet)

    def finish(self) -> None:
        """Write the rest, up to the end of the last frame."""
        self.advance(self._end)

    def _texts(self, stream: Any) -> Generator[av.Packet[Any], None, None]:
        """Yield the texts as packets of MP4, with times of the new file in milliseconds, which rise."""
        after = 0
        for packet in stream.container.demux(stream):
            if packet.pts is None or not (text := _text_of(packet)):
                continue
            begins = packet.pts * packet.time_base
            ends = begins + (packet.duration or 0) * packet.time_base
            start, stop = (round((time - self._shift) / _UNIT) for time in (begins, min(ends, self._end)))
            start = max(start, after)
            if stop <= start:
                continue
            made: av.Packet[Any] = av.Packet(struct.pack(">H", len(text)) + text)
            made.pts = made.dts = start
            made.duration, made.time_base = stop - start, _UNIT
            after = stop
            yield made


def _text_of(packet: Any) -> bytes:
    """Return the text of a packet as UTF-8, without styles; empty where it shows none."""
    lines = [shown.dialogue.decode(errors="replace") for shown in packet.decode() if shown.type == b"ass"]
    text = _STYLES.sub("", "\n".join(lines)).strip().encode()
    return text[:_MAX_BYTES].decode(errors="ignore").encode()
