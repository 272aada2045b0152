"""Opens video files with FFmpeg, and finds the video in them."""

from __future__ import annotations

from pathlib import Path

import av
from av.stream import Disposition

from persam_vos.errors import VideoError, reason


def open_container(path: Path) -> av.container.InputContainer:
    """Open a video file; raises ``VideoError`` if it is missing or FFmpeg cannot open it."""
    if not path.is_file():
        raise VideoError(f"{path}: no such file")
    # torchvision before 0.26 makes FFmpeg log through Python, and decoding threads may then wait for ever.
    av.logging.set_level(None)
    try:
        # FFmpeg cannot take a resolved path for one of its protocols ("pipe:", "concat:").
        container = av.open(str(path.resolve()), mode="r", metadata_errors="replace")
    except (av.FFmpegError, OSError) as error:
        raise VideoError(f"{path}: not a video, or damaged or cut short; FFmpeg says: {reason(error)}") from error
    if container.format.name == "tty":  # FFmpeg draws any *.txt as a terminal would
        container.close()
        raise VideoError(f"{path}: a text file, not a video")
    return container


def video_stream(path: Path, container: av.container.InputContainer) -> av.VideoStream:
    """Return the video that FFmpeg itself takes, ready to decode, unless that is a single picture beside a film.

    Raises:
        VideoError: If there is none.
    """
    streams = videos(container)
    if films := [stream for stream in streams if stream.frames != 1] or streams:
        best = container.streams.best("video")
        stream = next((each for each in films if best is not None and each.index == best.index), films[0])
        if stream.codec_context is None:
            raise VideoError(f"{path}: FFmpeg has no decoder for its video stream")
        stream.thread_type = "AUTO"
        return stream
    kinds = ", ".join(sorted({stream.type for stream in container.streams})) or "none"
    raise VideoError(f"{path}: holds no video stream (its streams: {kinds}); give a video")


def videos(container: av.container.InputContainer) -> list[av.VideoStream]:
    """Return the video streams that are no cover art."""
    return [stream for stream in container.streams.video if not stream.disposition & Disposition.attached_pic]


def other_videos(container: av.container.InputContainer, chosen: av.VideoStream) -> list[str]:
    """Return a warning if a file has more videos than the one that was chosen."""
    others = [stream for stream in videos(container) if stream.index != chosen.index]
    if not others:
        return []
    sizes = ", ".join(f"{_size(stream)} (stream {stream.index})" for stream in others)
    return [f"has more than one video: {_size(chosen)} (stream {chosen.index}) is read, {sizes} is not"]


def _size(stream: av.VideoStream) -> str:
    return f"{stream.width} x {stream.height}"
