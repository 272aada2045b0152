"""A video and the objects of its first frame go in; their masks in every frame come out, as results or as files.

``Tracker`` takes frames one at a time, ``tracked_frames`` a whole video, and ``run_video`` also writes its folder.
"""

from persam_vos.video.first_frame import Annotation, AnnotationFile, FirstFrame
from persam_vos.video.pipeline import new_tracker, track_video, tracked_frames
from persam_vos.video.run import run_video
from persam_vos.video.tracker import Tracker

__all__ = [
    "Annotation",
    "AnnotationFile",
    "FirstFrame",
    "Tracker",
    "new_tracker",
    "run_video",
    "track_video",
    "tracked_frames",
]
