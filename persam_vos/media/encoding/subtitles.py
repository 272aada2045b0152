"""Carries a subtitle track of a source into a file that is being written, in step with the video, as plain text."""

from __future__ import annotations

import re
import struct
from collections.abc import Generator
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import Any

import av

from persam_vos.errors import reason
from persam_vos.media.decoding.container import open_container

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
_TOLD = ("language", "title", "handler_name")
ERRORS = (av.FFmpegError, OSError, ValueError, AttributeError)
"""What goes wrong while subtitles are read or their track is made; the last one by versions of PyAV without them."""


def is_kept(stream: Any, container: av.container.OutputContainer) -> bool:
    """Tell whether a file of this kind can hold the subtitles of a stream: text, in MP4 and MOV."""
    context = stream.codec_context
    return context is not None and context.name in _TEXT_CODECS and container.format.name in _CONTAINERS


class SubtitleTrack:
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
        self.warnings: list[str] = []
        self._source, self._container, self._target = source, container, target
        self._shift, self._end = shift, end
        self._packets: Generator[av.Packet[Any], None, None] | None = None
        self._pending: av.Packet[Any] | None = None
        self._input: av.container.InputContainer | None = None
        try:
            self._input = open_container(source)
            if shift > _BEFORE:
                with suppress(av.FFmpegError):  # then it is read from the start
                    self._input.seek(round((shift - _BEFORE) * av.time_base))
            stream = self._input.streams.subtitles[number]
            self._output: Any = container.add_stream("mov_text")
            self._output.codec_context.subtitle_header = _HEAD
            self._output.time_base = _UNIT
            self._output.metadata.update({key: stream.metadata[key] for key in _TOLD if key in stream.metadata})
            self._output.disposition = stream.disposition
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
            try:
                self._container.mux_one(packet)
            except (av.InvalidDataError, av.ArgumentError) as error:  # the packet is at fault, not the disk
                self._give_up(error)
            self._fetch()

    def finish(self) -> None:
        """Write the rest, up to the end of the last frame."""
        self.advance(self._end)

    def close(self) -> None:
        """Close the source; a second call does nothing."""
        if self._packets is not None:
            self._packets.close()
        if self._input is not None:
            self._input.close()

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

    def _fetch(self) -> None:
        try:
            self._pending = next(self._packets, None) if self._packets is not None else None
        except ERRORS as error:
            self._give_up(error)

    def _give_up(self, error: Exception) -> None:
        self._pending = self._packets = None
        words = reason(error)
        self.warnings.append(f"{self._target}: subtitles of {self._source} are left out or cut short ({words})")


def _text_of(packet: Any) -> bytes:
    """Return the text of a packet as UTF-8, without styles; empty where it shows none."""
    lines = [shown.dialogue.decode(errors="replace") for shown in packet.decode() if shown.type == b"ass"]
    text = _STYLES.sub("", "\n".join(lines)).strip().encode()
    return text[:_MAX_BYTES].decode(errors="ignore").encode()
