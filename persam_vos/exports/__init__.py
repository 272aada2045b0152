"""Results become files: results of frames or photos come in with their pixels, and masks, videos and lists go out.

Files of a run get their names once they are whole.
"""

from persam_vos.exports.base import ExportSettings, ResultWriter, ResumableWriter, open_folder
from persam_vos.exports.contact_sheet import ContactSheet
from persam_vos.exports.draw import draw_overlay, palette_image
from persam_vos.exports.frame_folder import FrameFolderWriter
from persam_vos.exports.frame_names import FrameNames
from persam_vos.exports.photo_exports import PHOTO_EXPORTS
from persam_vos.exports.photos import PhotoWriter, open_output
from persam_vos.exports.results_jsonl import PhotoResult, read_results
from persam_vos.exports.select import EXPORTS, open_writers, remove_exports

__all__ = [
    "EXPORTS",
    "PHOTO_EXPORTS",
    "ContactSheet",
    "ExportSettings",
    "FrameFolderWriter",
    "FrameNames",
    "PhotoResult",
    "PhotoWriter",
    "ResultWriter",
    "ResumableWriter",
    "draw_overlay",
    "open_folder",
    "open_output",
    "open_writers",
    "palette_image",
    "read_results",
    "remove_exports",
]
