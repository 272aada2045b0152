"""A video and the objects of its first frame go in; their masks in every frame come out, as results or as files.

``Tracker`` takes frames one at a time, ``track`` and ``tracked_frames`` a whole video; ``run_video`` also writes its
folder.
"""

from persam_vos.video.between import GapTracker
from persam_vos.video.pipeline import new_tracker, track_video, tracked_frames
from persam_vos.video.prompting.keyframes import Keyframe, Keyframes
from persam_vos.video.prompting.label_maps import AnnotationFile
from persam_vos.video.prompting.prompting import Prompting, PromptSource
from persam_vos.video.run import run_video
from persam_vos.video.tracker import Tracker
from persam_vos.video.tracking import TrackedFrame, Tracking, track

__all__ = [
    "AnnotationFile",
    "GapTracker",
    "Keyframe",
    "Keyframes",
    "PromptSource",
    "Prompting",
    "TrackedFrame",
    "Tracker",
    "Tracking",
    "new_tracker",
    "run_video",
    "track",
    "track_video",
    "tracked_frames",
]
