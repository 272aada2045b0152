"""Carries the audio of a source into a file that is being written, in step with the video."""

from __future__ import annotations

from collections.abc import Generator
from fractions import Fraction
from pathlib import Path
from typing import Any, cast

import av

from persam_vos.media.decoding.container import open_container, video_stream
from persam_vos.media.encoding.carried import ERRORS, CarriedTrack

# Codecs that players and editors expect in a file, by FFmpeg's name of its container.
_COPIED_CODECS = {
    "mp4": frozenset({"aac", "ac3", "alac", "eac3", "flac", "mp3", "opus"}),
    "mov": frozenset({"aac", "ac3", "alac", "eac3", "mp3", "pcm_s16be", "pcm_s16le", "pcm_s24be", "pcm_s24le"}),
    "webm": frozenset({"opus", "vorbis"}),
}
# What other codecs (WMA; in MP4 also PCM and Vorbis) become.
_ENCODER = {"mp4": "aac", "mov": "aac", "webm": "libopus"}


class AudioTrack(CarriedTrack):
    """Adds an audio stream to an open container and fills it as the video goes on.

    Packets are copied if files of this kind usually hold their codec, else decoded and encoded again as AAC or Opus.
    Memory does not grow with the length of the source.

    An error in the source's audio ends the audio with a warning; the video goes on.

    Args:
        source: The file with the audio.
        container: The open container; its header is not yet written.
        number: Which one of the source's audio streams, from 0.
        shift: Seconds to subtract from the audio's times, as from the video's.
        ends: Where the audio begins and ends, in seconds of the source; None for all of it.
        target: The final name of the file, for warnings: the container has a temporary name.

    Attributes:
        warnings: What went wrong, one line each.
    """

    _NOUN = "the audio of {source} is"

    def __init__(
        self,
        source: Path,
        container: av.container.OutputContainer,
        *,
        number: int = 0,
        shift: Fraction,
        target: Path,
        ends: tuple[Fraction, Fraction] | None = None,
    ) -> None:
        super().__init__(source, container, target)
        self._shift, self._ends = shift, ends
        self._output: av.AudioStream
        try:
            stream = self._open(None if ends is None else ends[0]).streams.audio[number]
            self._packets = self._add_stream(stream)
            self._label(stream, self._output)
        except ERRORS as error:
            self._give_up(error)
        self._fetch()

    def advance(self, until: Fraction | None) -> None:
        """Write the audio that starts up to a time of the source in seconds, or all that is left if it is None."""
        while (packet := self._pending) is not None:
            if until is not None and packet.dts is not None and packet.dts * packet.time_base > until:
                return
            offset = round(self._shift / packet.time_base)
            packet.dts = None if packet.dts is None else packet.dts - offset
            packet.pts = packet.dts if packet.pts is None else packet.pts - offset
            packet.stream = self._output
            self._write(packet)

    def finish(self, last_pts: int, duration: int) -> None:
        """Write the rest: up to the end of the range or, if the source has more frames, of the last frame; else all.

        Args:
            last_pts: Presentation time of the last frame written, in units of the source video's time base.
            duration: Duration of that frame in the same units.
        """
        if self._pending is not None:
            self.advance(self._ends[1] if self._ends else _end_if_cut(self._source, last_pts, duration))

    def _add_stream(self, stream: av.AudioStream) -> Generator[av.Packet[Any], None, None]:
        if stream.codec_context is None:
            raise ValueError("FFmpeg has no decoder for it")
        if stream.codec_context.codec.canonical_name in _COPIED_CODECS[self._container.format.name]:
            self._output = self._container.add_stream_from_template(stream)
            return self._copied(stream)
        encoder = _ENCODER[self._container.format.name]
        rates = av.Codec(encoder, "w").audio_rates or []
        rate = stream.rate if stream.rate in rates else 48000
        self._output = cast(av.AudioStream, self._container.add_stream(encoder, rate=rate))
        self._output.codec_context.layout = "stereo" if stream.channels > 1 else "mono"
        return self._encoded(stream)

    def _copied(self, stream: av.AudioStream) -> Generator[av.Packet[Any], None, None]:
        previous: int | None = None
        for packet in stream.container.demux(stream):  # type: ignore[attr-defined]  # the container is an input
            if packet.dts is None or (previous is not None and packet.dts <= previous):
                continue  # the empty packet at the end, or a time that does not rise: MP4 cannot hold it
            previous = packet.dts
            if not self._is_before(packet.pts, (packet.duration or 0) * packet.time_base, packet.time_base):
                yield packet

    def _encoded(self, stream: av.AudioStream) -> Generator[av.Packet[Any], None, None]:
        for frame in stream.container.decode(stream):  # type: ignore[attr-defined]  # the container is an input
            if not self._is_before(frame.pts, Fraction(frame.samples, frame.sample_rate), frame.time_base):
                yield from self._output.encode(frame)
        yield from self._output.encode(None)

    def _is_before(self, pts: int | None, seconds: Fraction, time_base: Fraction) -> bool:
        """Tell whether audio at ``pts``, so many seconds long, ends before the audio that is wanted begins."""
        return self._ends is not None and pts is not None and pts * time_base + seconds <= self._ends[0]


def _end_if_cut(source: Path, last_pts: int, duration: int) -> Fraction | None:
    """Return where the frame at ``last_pts`` ends, in seconds, if the source has frames after it; else None."""
    with open_container(source) as container:
        stream = video_stream(source, container)
        time_base = stream.time_base or Fraction(1)
        try:
            container.seek(last_pts, stream=stream)
            for packet in container.demux(stream):
                if packet.pts is not None and packet.pts > last_pts and not packet.is_discard:
                    return (last_pts + duration) * time_base
        except av.FFmpegError:
            return None
    return None
