"""The objects of a video's first frame, found by annotated photos that show the same ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from persam_vos.errors import EmptyMaskError
from persam_vos.masks import LabelMap, Rgb
from persam_vos.media.frame import Frame
from persam_vos.media.masks.doubts import annotation_warnings
from persam_vos.media.reference_files import ReferenceFile
from persam_vos.media.stream import FrameReader
from persam_vos.photos.finder import PhotoFinder, ids_of
from persam_vos.pipeline.gpu_memory import explained_gpu_memory_errors
from persam_vos.results import FrameResult
from persam_vos.sam.engine import Engine
from persam_vos.settings.common import EngineSettings
from persam_vos.settings.photos import PhotoSettings, load_photo_settings
from persam_vos.video.prompting.keyframes import FrameOf, Keyframes, Place, of_label_map


@dataclass(slots=True)
class FirstReference:
    """Annotated photos of the objects, which are then found in the first frame; see ``PhotoFinder``, ``PromptSource``.

    Attributes:
        references: The photos.
        settings: Of the search.
    """

    references: tuple[ReferenceFile, ...]
    settings: PhotoSettings
    _photos: list[tuple[Rgb, LabelMap]] = field(default_factory=list, init=False, repr=False, compare=False)
    _frame: Frame | None = field(default=None, init=False, repr=False, compare=False)
    _source: Path = field(default=Path(), init=False, repr=False, compare=False)

    @property
    def files(self) -> tuple[Path, ...]:
        """The photos and their masks."""
        return tuple(path for each in self.references for path in (each.photo, each.mask))

    def check(self, video: FrameReader) -> tuple[Place, ...]:
        """Read the photos, their masks, and the first frame; which of their objects it shows is not yet known.

        Raises:
            PhotoError: If a photo cannot be read.
            MaskError: If a mask cannot be read, does not fit, or is empty.
            SettingsError: If the masks show several objects, and all instances of one are asked for.
            VideoError: If the video has no frame.
        """
        self._photos = [reference.read(self.settings.max_pixels) for reference in self.references]
        ids_of([label_map for _, label_map in self._photos], self.settings)
        self._frame, self._source = video.peek(), video.info.source
        return ()

    def find(self, engine: Engine[Any], frame_of: FrameOf) -> Keyframes:  # noqa: ARG002 - the first frame is at hand
        """Find the objects of the photos in the first frame; see ``PromptSource``.

        Raises:
            EmptyMaskError: If the frame shows none of them.
        """
        assert self._frame is not None, "check comes first"
        with explained_gpu_memory_errors(engine):
            # Photos are encoded with their padding, whatever the tracker needs.
            finder = PhotoFinder.from_parts(engine.another_encoder(square=True), engine.decoder, self.settings)
            finder.learn(self._photos)
            result = finder.find(self._frame)
        return self._keyframes(result, finder.reference_similarity)

    def _keyframes(self, result: FrameResult, usual: Mapping[int, float]) -> Keyframes:
        found = [entry for entry in result.objects if entry.present]
        photos = ", ".join(str(each.photo) for each in self.references)
        if not found:
            raise EmptyMaskError(
                f"{self._source}: nothing in its first frame is like what {photos} shows; start the video where the"
                " object is seen, or pass another --first-ref, a lower --presence, or --first-mask"
            )
        seen = {entry.id for entry in found}
        asked = () if self.settings.all_instances else ids_of([each for _, each in self._photos], self.settings)
        missing = [each for each in asked if each not in seen]
        warnings = [f"object {each} of {photos} is not seen in the first frame, and not tracked" for each in missing]
        record = {
            "first_refs": [reference.record() for reference in self.references],
            "first_ref_settings": self.settings.model_dump(mode="json"),
            "usual_likeness": usual,
            "found_in_first_frame": [
                {"object": entry.id, "score": entry.score, "similarity": entry.similarity, "area": entry.area}
                for entry in found
            ],
        }
        warnings += annotation_warnings(result.label_map, drawn=False)
        return Keyframes(of_label_map(result.index, result.label_map), tuple(warnings), record)


def reference_settings(settings: EngineSettings, method: str, **flags: Any) -> PhotoSettings:
    """Return the settings of a search in the first frame: the model of the run, and what the method does on photos.

    Args:
        settings: Of the run.
        method: ``memory``, ``persam`` or ``persam-f``.
        flags: Of ``PhotoSettings``; None leaves one to the method.

    Raises:
        SettingsError: If a flag is not allowed.
    """
    of_run = settings.model_dump(include=set(EngineSettings.model_fields))
    return load_photo_settings(None, {**of_run, "method": method, **flags})
