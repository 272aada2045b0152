"""Opens video files with FFmpeg, and finds the video in them."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import cast

import av
from av.stream import Disposition

from persam_vos.errors import VideoError, reason
from persam_vos.files import real_path
from persam_vos.media.photo_files import MAX_PIXELS

_ALPHA_DECODERS = {"vp8": "libvpx", "vp9": "libvpx-vp9"}
# They open other files or addresses that the file names, or draw text.
FORMATS_THAT_LEAD_ELSEWHERE = frozenset(
    {
        *("avisynth", "concat", "dash", "hls", "imf", "lavfi", "mlv", "rtp", "rtsp", "sap", "sdp", "vapoursynth"),
        *("vobsub", "webm_dash_manifest"),
    }
)
# How such files begin, apart from white space, or what they hold near their beginning.
_BEGINNINGS = (
    (b"#extm3u", "an HLS playlist (m3u8)"),
    (b"ffconcat version", "a list of files (ffconcat)"),
    (b"[playlist]", "a playlist (pls)"),
    (b"[reference]", "a list of addresses (asx)"),
    (b"<asx", "a list of addresses (asx)"),
    (b"rtsptext", "a list of addresses (RTSPtext)"),
    (b"v=0", "a description of a stream (sdp)"),
)
_ROOTS = (
    (b"<mpd", "a DASH manifest"),
    (b"<smoothstreamingmedia", "a Smooth Streaming manifest"),
    (b"<compositionplaylist", "an IMF playlist"),
    (b"<assetmap", "an IMF asset map"),
    (b"<smil", "a playlist (smil)"),
)
_HEAD_BYTES = 4096
# Frames may become larger on the way.
_SIZE_LIMIT = {"max_pixels": str(MAX_PIXELS)}


def playlist_kind(path: Path) -> str:
    """Return what a file is that only names other files or addresses; "" for any other one, and for none."""
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD_BYTES).removeprefix(b"\xef\xbb\xbf").strip().lower()
    except OSError:
        return ""
    for beginning, kind in _BEGINNINGS:
        if head.startswith(beginning):
            return kind
    return next((kind for root, kind in _ROOTS if head.startswith(b"<") and root in head), "")


def _only_this_file(path: str) -> dict[str, str]:
    """Return options that keep FFmpeg from opening anything but the file at a resolved path."""
    # This reader takes a name with % for a pattern of many files.
    refused = FORMATS_THAT_LEAD_ELSEWHERE | ({"image2"} if "%" in path else set())
    return {"protocol_whitelist": "file", "format_whitelist": formats_but(refused)}


def formats_but(refused: Collection[str]) -> str:
    """Return the names of all of FFmpeg's formats but some, with commas."""
    return ",".join(sorted(each for each in av.formats_available if each not in refused))


def open_container(path: Path) -> av.container.InputContainer:
    """Open a video file; raises ``VideoError`` if it is missing or FFmpeg cannot open it."""
    if not path.is_file():
        raise VideoError(f"{path}: no such file")
    if kind := playlist_kind(path):
        raise VideoError(
            f"{path}: is {kind}, which makes FFmpeg open other files or addresses; give a video file itself, or"
            " --allow-playlists if you trust it"
        )
    # torchvision before 0.26 makes FFmpeg log through Python, and decoding threads may then wait for ever.
    av.logging.set_level(None)
    try:
        # FFmpeg cannot take a resolved path for one of its protocols ("pipe:", "concat:").
        resolved = str(real_path(path))
        container = av.open(resolved, mode="r", metadata_errors="replace", container_options=_only_this_file(resolved))
    except (av.FFmpegError, OSError) as error:
        raise VideoError(f"{path}: not a video, or damaged or cut short; FFmpeg says: {reason(error)}") from error
    if container.format.name == "tty":  # FFmpeg draws any *.txt as a terminal would
        container.close()
        raise VideoError(f"{path}: a text file, not a video")
    return container


def video_stream(path: Path, container: av.container.InputContainer) -> av.VideoStream:
    """Return the video that FFmpeg itself takes, ready to decode, unless that is a single picture beside a film.

    Raises:
        VideoError: If there is none, or it has more than 100 million pixels a frame.
    """
    streams = videos(container)
    if films := [stream for stream in streams if stream.frames != 1] or streams:
        best = container.streams.best("video")
        stream = next((each for each in films if best is not None and each.index == best.index), films[0])
        if stream.codec_context is None:
            raise VideoError(
                f"{path}: FFmpeg has no decoder for its video stream ({container.format.long_name}); convert it"
            )
        if stream.width * stream.height > MAX_PIXELS:
            raise VideoError(f"{path}: {_size(stream)} pixels; at most {MAX_PIXELS:,} are allowed; scale it down")
        stream.codec_context.options = _SIZE_LIMIT
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


def decoder_with_alpha(stream: av.VideoStream) -> av.VideoCodecContext | None:
    """Return the decoder of a video whose alpha FFmpeg's usual decoder drops: VP8 and VP9; None for others."""
    name = _ALPHA_DECODERS.get(stream.codec_context.name)
    if stream.metadata.get("alpha_mode") != "1" or name not in av.codecs_available:
        return None
    decoder = cast(av.VideoCodecContext, av.CodecContext.create(name, "r"))
    decoder.options = _SIZE_LIMIT
    return decoder
