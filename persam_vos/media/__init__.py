"""Files and pixels: videos, photos and masks on disk come in, and frames, photos and label maps as arrays go out.

Drawn frames come in as well, and go out as a video file with the times and the audio of its source.
"""

from persam_vos.media.demo import DemoClip, demo_clip
from persam_vos.media.encoding.video_writer import VideoWriter
from persam_vos.media.frame import Frame, FramesDone
from persam_vos.media.masks.doubts import annotation_warnings
from persam_vos.media.masks.files import as_mask, read_mask
from persam_vos.media.masks.reading import MaskReading
from persam_vos.media.photo_files import find_photos, photo_size, read_photo, refuse_larger
from persam_vos.media.random_access import RandomAccessVideo
from persam_vos.media.ranges import FrameAt, FrameRange, SecondsAt, frame_range, parse_position
from persam_vos.media.readers import open_random_access, open_video
from persam_vos.media.reference_files import ReferenceFile
from persam_vos.media.stream import Clip, FrameReader, GeneratorReader, StreamInfo

__all__ = [
    "Clip",
    "DemoClip",
    "Frame",
    "FrameAt",
    "FrameRange",
    "FrameReader",
    "FramesDone",
    "GeneratorReader",
    "MaskReading",
    "RandomAccessVideo",
    "ReferenceFile",
    "SecondsAt",
    "StreamInfo",
    "VideoWriter",
    "annotation_warnings",
    "as_mask",
    "demo_clip",
    "find_photos",
    "frame_range",
    "open_random_access",
    "open_video",
    "parse_position",
    "photo_size",
    "read_mask",
    "read_photo",
    "refuse_larger",
]
