"""What a sound and a subtitle track have in common: each is read beside the video, and written in step with it."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import Any, ClassVar

import av

from persam_vos.errors import VideoError, reason
from persam_vos.media.decoding.container import open_container

# Of a stream: what players show in their list of tracks.
_TOLD = ("language", "title", "handler_name")
ERRORS = (av.FFmpegError, OSError, ValueError, AttributeError, IndexError, VideoError)
"""What goes wrong while a track is read or made, ``AttributeError`` in versions of PyAV that lack something for it."""


class CarriedTrack:
    """A track of a source that is carried into an open container; an error in it ends it with a warning.

    Args:
        source: The file with the track.
        container: The open container; its header is not yet written.
        target: The final name of the file, for warnings: the container has a temporary name.

    Attributes:
        warnings: What went wrong, one line each.
    """

    _NOUN: ClassVar[str]
    """What it is, with its verb, for warnings."""

    def __init__(self, source: Path, container: av.container.OutputContainer, target: Path) -> None:
        self.warnings: list[str] = []
        self._source, self._container, self._target = source, container, target
        self._input: av.container.InputContainer | None = None
        self._packets: Generator[av.Packet[Any], None, None] | None = None
        self._pending: av.Packet[Any] | None = None

    def close(self) -> None:
        """Close the source; a second call does nothing."""
        if self._packets is not None:
            self._packets.close()
        if self._input is not None:
            self._input.close()

    def _open(self, at: Fraction | None) -> av.container.InputContainer:
        """Open the source, and go to a time of it in seconds; None for its beginning."""
        self._input = open_container(self._source)
        if at is not None:
            with suppress(av.FFmpegError):  # then it is read from the start
                self._input.seek(round(at * av.time_base))
        return self._input

    def _label(self, stream: Any, output: Any) -> None:
        """Give the track that is written the labels of the one that is read."""
        output.metadata.update({key: stream.metadata[key] for key in _TOLD if key in stream.metadata})
        output.disposition = stream.disposition

    def _write(self, packet: av.Packet[Any]) -> None:
        """Write a packet, and fetch the next one."""
        try:
            self._container.mux_one(packet)
        except (av.InvalidDataError, av.ArgumentError) as error:  # the packet is at fault, not the disk
            self._give_up(error)
        self._fetch()

    def _fetch(self) -> None:
        try:
            self._pending = next(self._packets, None) if self._packets is not None else None
        except ERRORS as error:
            self._give_up(error)

    def _give_up(self, error: Exception) -> None:
        self._pending = self._packets = None
        self.warnings.append(
            f"{self._target}: {self._NOUN.format(source=self._source)} left out or cut short ({reason(error)})"
        )
