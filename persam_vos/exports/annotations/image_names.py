"""What annotation files call the images of a video."""

from __future__ import annotations

import os
from pathlib import PurePath

from persam_vos.media import StreamInfo


class ImageNames:
    """Names of images: of an image sequence, paths of its files below their common folder; else numbers.

    Args:
        info: The source of the frames.
        of_video: Format of the name of a frame of a video.

    Attributes:
        folder: The common folder of an image sequence.
    """

    def __init__(self, info: StreamInfo, of_video: str = "{:05d}.jpg") -> None:
        self._images, self._of_video = info.images, of_video
        folders = {path.parent for path in info.images}
        self.folder = PurePath(os.path.commonpath(folders)) if len(folders) > 1 else next(iter(folders), PurePath())

    def name(self, index: int) -> str:
        """Return the name of a frame's image, with slashes on every system.

        Args:
            index: Of the frame, in the source.
        """
        images = self._images
        return images[index].relative_to(self.folder).as_posix() if images else self._of_video.format(index)
