"""Carries what a source has beside its video into a file that is being written: audio, subtitles, chapters."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import Any, cast

import av

from persam_vos.errors import VideoError
from persam_vos.media.decoding.container import open_container
from persam_vos.media.encoding.audio import AudioTrack
from persam_vos.media.encoding.subtitles import SubtitleTrack, is_kept


class SideTracks:
    """Adds the audio tracks, subtitles and chapters of a source to an open container.

    Subtitles that the file cannot hold are told to be left out: pictures in any file, all of them in WebM.

    Args:
        source: The file that the video is of.
        container: The open container; its header is not yet written.
        shift: Seconds to subtract from the source's times.
        end: When the last frame ends, in seconds of the source.
        ends: Where the audio begins and ends, in seconds of the source; None for all of it.
        target: The final name of the file, for warnings.
    """

    def __init__(
        self,
        source: Path,
        container: av.container.OutputContainer,
        *,
        shift: Fraction,
        end: Fraction,
        target: Path,
        ends: tuple[Fraction, Fraction] | None = None,
    ) -> None:
        self._told: list[str] = []
        self._audio: list[AudioTrack] = []
        self._subtitles: list[SubtitleTrack] = []
        count, kept = 1, list[int]()
        with suppress(VideoError, av.FFmpegError, OSError), open_container(source) as given:  # its track tells it
            count = len(given.streams.audio)
            container.set_chapters(cast(Any, list(_chapters(given.chapters(), shift, end))))
            of_text = [is_kept(stream, container) for stream in given.streams.subtitles]
            kept = [number for number, is_text in enumerate(of_text) if is_text]
            left = [_described(each) for each, text in zip(given.streams.subtitles, of_text, strict=True) if not text]
            if left:
                self._told.append(f"{target}: subtitles of {source} are left out: {', '.join(left)}")
        for number in range(count):
            self._audio.append(AudioTrack(source, container, number=number, shift=shift, target=target, ends=ends))
        for number in kept:
            words = SubtitleTrack(source, container, number=number, shift=shift, end=end, target=target)
            self._subtitles.append(words)

    @property
    def warnings(self) -> list[str]:
        """What is left out, one line each."""
        return [*self._told, *(warning for track in self._tracks for warning in track.warnings)]

    @property
    def _tracks(self) -> tuple[AudioTrack | SubtitleTrack, ...]:
        return (*self._audio, *self._subtitles)

    def advance(self, until: Fraction) -> None:
        """Write what starts up to a time of the source in seconds."""
        for track in self._tracks:
            track.advance(until)

    def finish(self, last_pts: int, duration: int) -> None:
        """Write the rest of all; see ``AudioTrack.finish``."""
        for track in self._audio:
            track.finish(last_pts, duration)
        for subtitles in self._subtitles:
            subtitles.finish()

    def close(self) -> None:
        """Close the source; a second call does nothing."""
        for track in self._tracks:
            track.close()


def _chapters(chapters: list[Any], shift: Fraction, end: Fraction) -> Iterator[dict[str, Any]]:
    """Yield the chapters of a part of a source, with times from its beginning."""
    for chapter in chapters:
        time_base = Fraction(chapter["time_base"])
        begins, ends = max(chapter["start"] * time_base, shift), min(chapter["end"] * time_base, end)
        if begins < ends:
            start, stop = (round((time - shift) / time_base) for time in (begins, ends))
            yield {**chapter, "start": start, "end": stop}


def _described(stream: Any) -> str:
    return stream.metadata.get("language") or f"stream {stream.index}"
