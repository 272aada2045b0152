"""Objects are learnt from annotated photos and found in others: what the video and the photo commands share."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import numpy as np
import torch

from persam_vos.errors import EmptyMaskError, MaskSizeError, SettingsError
from persam_vos.masks import LabelMap, Rgb
from persam_vos.media.frame import Frame
from persam_vos.methods.base import PhotoMethod, Reference, frame_result
from persam_vos.methods.memory.photos import MemoryPhotos
from persam_vos.methods.persam.photos import PersamPhotos
from persam_vos.photos.instances import find_instances, find_objects
from persam_vos.results import FrameResult
from persam_vos.sam.decoder import Decoder
from persam_vos.sam.encoder import Encoder, ImageEmbedding
from persam_vos.settings.photos import PhotoSettings

# Photos have no times.
_NO_TIME = Fraction(1)


class PhotoFinder:
    """Finds in any photo what annotated ones have shown.

    ``learn`` from them, then ``find`` in one photo after the other; nothing is learnt from these.
    """

    def __init__(self, encoder: Encoder, decoder: Decoder, settings: PhotoSettings) -> None:
        """Take the parts of a model; the encoder must encode the whole square, see ``PhotoMethod``."""
        self._encoder = encoder
        self.settings = settings
        self._method: PhotoMethod = (
            MemoryPhotos(decoder, settings) if settings.method == "memory" else PersamPhotos(decoder, settings)
        )
        self._object_ids: list[int] = []

    @torch.inference_mode()
    def learn(self, references: Sequence[tuple[Rgb, LabelMap]]) -> None:
        """Learn the objects of annotated photos, instead of whatever was learnt before.

        Args:
            references: Photos, uint8, H x W x 3, and their label maps, uint8, H x W, with 0 for background and n for
                object n: the same number is the same object in all of them.

        Raises:
            MaskSizeError: If a label map is not of its photo's size.
            EmptyMaskError: If no photo, or no label map, shows any object.
            SettingsError: If there are several objects, and all instances of one are asked for.
        """
        object_ids = ids_of([label_map for _, label_map in references], self.settings)
        learnt = []
        for rgb, label_map in references:
            if label_map.shape != rgb.shape[:2]:
                raise MaskSizeError(f"mask is {label_map.shape}, photo is {rgb.shape[:2]} (height, width)")
            frame = photo_frame(rgb)
            learnt.append(Reference(frame, self._encoder.encode([frame])[0], label_map))
        self._method.learn(learnt, object_ids)
        self._object_ids = object_ids

    @property
    def reference_similarity(self) -> dict[int, float]:
        """Of each object by its id, what ``presence`` is a share of: see ``PhotoMethod.reference_similarity``."""
        return {
            i: round(float(each), 6)
            for i, each in zip(self._object_ids, self._method.reference_similarity, strict=True)
        }

    @torch.inference_mode()
    def find(self, frame: Frame, embedding: ImageEmbedding | None = None) -> FrameResult:
        """Find what was learnt.

        Args:
            frame: The photo; see ``photo_frame``.
            embedding: Of it, over the whole square, if it exists already.

        Returns:
            Objects have their ids from the references; instances, 1 and on.

        Raises:
            EmptyMaskError: If ``learn`` has not been called.
        """
        if not self._object_ids:
            raise EmptyMaskError("no object is known yet: call learn with annotated photos first")
        embedding = embedding or self._encoder.encode([frame])[0]
        if self.settings.all_instances:
            found = find_instances(self._method, self._encoder, frame, embedding, self.settings)
            return frame_result(frame, found, range(1, len(found.similarity) + 1))
        found = find_objects(self._method, frame, embedding, self._object_ids, self.settings.presence)
        return frame_result(frame, found, self._object_ids)


def ids_of(label_maps: Sequence[LabelMap], settings: PhotoSettings) -> list[int]:
    """Return the ids of the objects of annotated photos, in rising order, if they are such as can be looked for.

    Raises:
        EmptyMaskError: If there is none.
        SettingsError: If there are several, and all instances of one are asked for.
    """
    object_ids = sorted({int(i) for label_map in label_maps for i in np.unique(label_map) if i})
    if not object_ids:
        raise EmptyMaskError("the references show no object: every pixel of every mask is 0")
    if settings.all_instances and len(object_ids) > 1:
        raise SettingsError(f"the masks show {len(object_ids)} objects; all instances can be found of one only")
    return object_ids


def photo_frame(rgb: Rgb, index: int = 0) -> Frame:
    """Take a photo, uint8, H x W x 3, for a frame."""
    return Frame(index, index, _NO_TIME, rgb)
