"""What is no file and yet a video: addresses, cameras, standard input, and playlists that the user trusts."""

from __future__ import annotations

import os
import select
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import av

from persam_vos.errors import VideoError, reason
from persam_vos.files import PathLike, real_path
from persam_vos.media.decoding.container import FORMATS_THAT_LEAD_ELSEWHERE, formats_but, playlist_kind

STANDARD_INPUT = "-"
# None of them opens a file of this computer.
_NETWORK = "crypto,http,https,httpproxy,rtmp,rtmps,rtmpt,rtp,rtsp,rtsps,srt,srtp,tcp,tls,udp"
_SCHEMES = ("http", "https", "rtmp", "rtmps", "rtp", "rtsp", "rtsps", "srt", "tcp", "udp")
# Whoever gives an address wants what it leads to, over the network.
_FORMATS_AT_ADDRESSES = frozenset({"dash", "hls", "rtp", "rtsp", "sap", "sdp"})
_PIPE = "pipe:0"
_SECONDS_TO_LOOK = 0.2  # whether nobody waits any more
_CAMERAS = {"linux": "v4l2", "darwin": "avfoundation"}
_SECONDS_TO_OPEN, _SECONDS_TO_READ = 20.0, 10.0


@dataclass(frozen=True, slots=True)
class LiveSource:
    """Where frames come from that can be read once, from first to last.

    Attributes:
        name: What it is called in messages and in run.json; without a password.
        url: What FFmpeg opens.
        format: FFmpeg's name of the format; None to find it out.
        options: Of FFmpeg.
        is_remote: Whether a connection may be lost, and be made again.
        is_repeatable: Whether a second opening has the same frames.
    """

    name: str
    url: str
    format: str | None = None
    options: Mapping[str, str] = field(default_factory=dict)
    is_remote: bool = False
    is_repeatable: bool = False

    @property
    def path(self) -> Path:
        """The name as a path, for messages; there is no such file."""
        return Path(self.name)

    def open(self, stopped: threading.Event) -> av.container.InputContainer:
        """Open it.

        Args:
            stopped: Ends waiting for standard input, once it is set.

        Raises:
            VideoError: If FFmpeg cannot.
        """
        av.logging.set_level(None)  # as for files
        try:
            return av.open(
                _WaitingInput(0, stopped) if self.url == _PIPE and sys.platform != "win32" else self.url,
                mode="r",
                format=self.format,
                container_options=dict(self.options),
                metadata_errors="replace",
                timeout=(_SECONDS_TO_OPEN, _SECONDS_TO_READ) if self.is_remote else None,
            )
        except (av.FFmpegError, OSError) as error:
            raise VideoError(f"{self.name}: cannot be opened as a video; FFmpeg says: {reason(error)}") from error


def live_source(source: PathLike, *, playlists: bool = False) -> LiveSource | None:
    """Find out whether a source is no file of frames that can be read in any order.

    Args:
        source: ``-`` is standard input, a whole number such as ``0`` is a camera unless there is such a file, and
            ``http://...`` and the like are addresses.
        playlists: Whether files may lead FFmpeg to other files and addresses.

    Returns:
        The source; None for a file, a folder or a glob.

    Raises:
        VideoError: If there is no such camera, or it is an address of a kind that is not read.
    """
    text = os.fspath(source)
    if text == STANDARD_INPUT:
        options = {"protocol_whitelist": "pipe", "format_whitelist": formats_but(FORMATS_THAT_LEAD_ELSEWHERE)}
        return LiveSource("standard input", _PIPE, options=options)
    if text.isdecimal() and not Path(text).exists():
        return _camera(int(text))
    if "://" in text:
        return _address(text)
    if playlists and playlist_kind(Path(text)):
        path = str(real_path(Path(text)))
        return LiveSource(text, path, options={"protocol_whitelist": f"file,{_NETWORK}"}, is_repeatable=True)
    return None


class _WaitingInput:
    """A pipe as FFmpeg reads it, which ends when nobody waits any more; FFmpeg itself would wait for ever.

    Args:
        descriptor: Of the pipe.
        stopped: Set when nobody waits any more.
    """

    def __init__(self, descriptor: int, stopped: threading.Event) -> None:
        self._descriptor, self._stopped = descriptor, stopped

    def read(self, size: int) -> bytes:
        """Return 1 to ``size`` bytes; none at the end."""
        while not self._stopped.is_set():
            if select.select([self._descriptor], [], [], _SECONDS_TO_LOOK)[0]:
                return os.read(self._descriptor, size)
        return b""


def _camera(number: int) -> LiveSource:
    kind = _CAMERAS.get(sys.platform)
    if kind is None:
        raise VideoError(f"{number}: cameras are not read on this system; give a file or an address")
    device = f"/dev/video{number}" if kind == "v4l2" else str(number)
    if kind == "v4l2" and not Path(device).exists():
        raise VideoError(f"{number}: there is no camera {number} ({device} does not exist), and no file of this name")
    return LiveSource(f"camera {number}", device, kind)


def _address(text: str) -> LiveSource:
    parts = urlsplit(text)
    if parts.scheme.lower() not in _SCHEMES:
        raise VideoError(f"{text}: is no address that is read; allowed: {', '.join(_SCHEMES)}, or give a file")
    name = text if parts.password is None else text.replace(f":{parts.password}@", ":***@", 1)
    options = {
        "protocol_whitelist": _NETWORK,
        "format_whitelist": formats_but(FORMATS_THAT_LEAD_ELSEWHERE - _FORMATS_AT_ADDRESSES),
    }
    if parts.scheme.lower().startswith("rtsp"):
        options["rtsp_transport"] = "tcp"  # UDP loses packets, and is often blocked
    return LiveSource(
        name, text, options=options, is_remote=True, is_repeatable=parts.scheme.lower() in ("http", "https")
    )
