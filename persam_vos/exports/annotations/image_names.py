"""What annotation files call the images of a video."""

from __future__ import annotations

import os
from pathlib import PurePath

from persam_vos.media import StreamInfo


class ImageNames:
    """Names of images: of an image sequence, paths of its files below their common folder; else ``00000.jpg``.

    Args:
        info: The source of the frames.
    """

    def __init__(self, info: StreamInfo) -> None:
        self._images = info.images
        folders = {path.parent for path in info.images}
        self._folder = PurePath(os.path.commonpath(folders)) if len(folders) > 1 else next(iter(folders), PurePath())

    def name(self, index: int) -> str:
        """Return the name of a frame's image, with slashes on every system.

        Args:
            index: Of the frame, in the source.
        """
        return self._images[index].relative_to(self._folder).as_posix() if self._images else f"{index:05d}.jpg"
