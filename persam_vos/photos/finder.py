"""Annotated photos and other photos go in; out comes where the others show the same objects."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt
import torch

from persam_vos.errors import EmptyMaskError, NotStartedError, SettingsError
from persam_vos.files import PathLike
from persam_vos.masks import LabelMap, Rgb
from persam_vos.media.frame import Frame, untimed_frame
from persam_vos.media.masks.files import as_mask
from persam_vos.media.photo_files import read_photo
from persam_vos.methods import PhotoMethod, Reference, Segmentation, frame_result
from persam_vos.methods.competition import (
    CellPresence,
    no_threshold,
    resolve_overlaps,
    soft_aggregation,
)
from persam_vos.methods.memory import MemoryPhotos
from persam_vos.methods.persam import PersamPhotos
from persam_vos.photos.instances import find_instances
from persam_vos.results import FrameResult
from persam_vos.sam.decoder import Decoder
from persam_vos.sam.encoder import Encoder, ImageEmbedding
from persam_vos.sam.engine import Engine
from persam_vos.settings.photos import PhotoSettings


class PhotoFinder:
    """Finds in any photo the objects that annotated photos show.

    ``learn`` from annotated photos, then ``find`` in one photo after the other; nothing is learnt from these.

    >>> from persam_vos import demo_clip, open_video
    >>> clip, mask = demo_clip()
    >>> with open_video(clip) as reader:
    ...     frames = iter(reader)
    ...     photo, other = next(frames).rgb, next(frames).rgb
    >>> finder = PhotoFinder()
    >>> finder.learn([(photo, mask)])
    >>> result = finder.find(other)
    >>> [(each.id, each.present) for each in result]
    [(1, True)]
    """

    def __init__(self, settings: PhotoSettings | None = None) -> None:
        """Load the model.

        Args:
            settings: Which model, what runs it, and how it searches; None for the defaults.

        Raises:
            CheckpointError: If the model cannot be loaded.
            SettingsError: If the device or backend is not there.
        """
        settings = settings or PhotoSettings()
        engine = Engine(settings)
        self._set_up(engine.encoder, engine.decoder, settings)

    @classmethod
    def from_parts(cls, encoder: Encoder, decoder: Decoder, settings: PhotoSettings) -> PhotoFinder:
        """Make a finder of a model that is loaded already; its encoder must encode the whole square."""
        finder = cls.__new__(cls)
        finder._set_up(encoder, decoder, settings)
        return finder

    def _set_up(self, encoder: Encoder, decoder: Decoder, settings: PhotoSettings) -> None:
        self._encoder = encoder
        self.settings = settings
        self._method: PhotoMethod = (
            MemoryPhotos(decoder, settings) if settings.method == "memory" else PersamPhotos(decoder, settings)
        )
        self._object_ids: list[int] = []

    @torch.inference_mode()
    def learn(self, references: Iterable[tuple[Frame | Rgb | PathLike, npt.ArrayLike | PathLike]]) -> None:
        """Learn the objects of annotated photos, instead of those learnt before.

        Args:
            references: Pairs of a photo and its mask. A photo is a path, or uint8, H x W x 3, RGB; a mask is a path,
                or an array, see ``as_label_map``. The same number is the same object in all of them.

        Raises:
            PhotoError: If a photo cannot be read.
            MaskError: If a mask cannot be read, or is no array of bool or integers.
            MaskSizeError: If a mask is not of its photo's size.
            EmptyMaskError: If a mask, or all of them, shows no object.
            SettingsError: If there are several objects, and all instances of one are asked for.
        """
        examples = []
        for photo, mask in references:
            frame = self._frame(photo)
            examples.append((frame, as_mask(mask, frame.height, frame.width, of="photo")))
        object_ids = ids_of([label_map for _, label_map in examples], self.settings)
        learnt = [Reference(frame, self._encoder.encode([frame])[0], label_map) for frame, label_map in examples]
        self._method.learn(learnt, object_ids)
        self._object_ids = object_ids

    @property
    def reference_similarity(self) -> dict[int, float]:
        """Similarity of each object to itself in the references, by its id; ``presence`` is a share of it."""
        return {
            i: round(float(each), 6)
            for i, each in zip(self._object_ids, self._method.reference_similarity, strict=True)
        }

    @torch.inference_mode()
    def find(self, photo: Frame | Rgb | PathLike, embedding: ImageEmbedding | None = None) -> FrameResult:
        """Find the learnt objects in a photo.

        Args:
            photo: A path, or uint8, H x W x 3, RGB, or a ``Frame``.
            embedding: Of it, over the whole square, if it exists already.

        Returns:
            Objects have their ids from the references; with ``all_instances``, instances have 1, 2, 3 and so on.

        Raises:
            NotStartedError: If ``learn`` has not been called.
            PhotoError: If the photo cannot be read.
            VideoError: If it is no such array.
        """
        if not self._object_ids:
            raise NotStartedError("no object is known yet: call learn with annotated photos first")
        frame = self._frame(photo)
        embedding = embedding or self._encoder.encode([frame])[0]
        if self.settings.all_instances:
            found = find_instances(self._method, self._encoder, frame, embedding, self.settings)
            return frame_result(frame, found, range(1, len(found.similarity) + 1))
        found = find_objects(self._method, frame, embedding, self._object_ids, self.settings.presence)
        return frame_result(frame, found, self._object_ids)

    def _frame(self, photo: Frame | Rgb | PathLike) -> Frame:
        if isinstance(photo, (str, os.PathLike)):
            photo = read_photo(photo, max_pixels=self.settings.max_pixels)
        return photo if isinstance(photo, Frame) else untimed_frame(photo)


def find_objects(
    method: PhotoMethod, frame: Frame, embedding: ImageEmbedding, object_ids: Sequence[int], presence: float
) -> Segmentation:
    """Find each object at most once.

    Args:
        method: Has learnt N objects.
        frame: The photo.
        embedding: The photo's.
        object_ids: N ids, 1..254.
        presence: Share of the references' own similarity that a mask needs; 0 accepts every mask.
    """
    proposal, usual = method.look(frame, embedding), method.reference_similarity
    needed = presence * usual if presence else no_threshold(len(object_ids), usual.device)
    test = CellPresence(proposal.patches, object_ids, embedding, proposal.similarity_of, needed=needed)
    label_map = resolve_overlaps(proposal.patches, object_ids, embedding.geometry, soft_aggregation, test)
    similarity = method.settle(label_map, object_ids, test.similarity, proposal, embedding)
    windows = [patch.window for patch in proposal.patches]
    evidence = proposal.evidence_of(similarity)
    return Segmentation(label_map.cpu().numpy(), evidence.score, similarity, windows, evidence)


def ids_of(label_maps: Sequence[LabelMap], settings: PhotoSettings) -> list[int]:
    """Return the ids of the objects of annotated photos, in rising order.

    Raises:
        EmptyMaskError: If there is no object.
        SettingsError: If there are several, and all instances of one are asked for.
    """
    object_ids = sorted({int(i) for label_map in label_maps for i in np.unique(label_map) if i})
    if not object_ids:
        raise EmptyMaskError("the references show no object: every pixel of every mask is 0")
    if settings.all_instances and len(object_ids) > 1:
        raise SettingsError(f"the masks show {len(object_ids)} objects; all instances can be found of one only")
    return object_ids
