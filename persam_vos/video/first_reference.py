"""The objects of a video's first frame, found by annotated photos that show the same ones."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from persam_vos.errors import EmptyMaskError, VideoError
from persam_vos.media.frame import Frame
from persam_vos.media.mask_files import doubts
from persam_vos.media.reference_files import ReferenceFile
from persam_vos.media.stream import FrameReader
from persam_vos.photos.finder import PhotoFinder, ids_of
from persam_vos.pipeline.gpu_memory import memory_errors
from persam_vos.results import FrameResult
from persam_vos.sam.engine import Engine
from persam_vos.settings.common import EngineSettings
from persam_vos.settings.photos import PhotoSettings, load_photo_settings
from persam_vos.video.first_frame import Annotation


@dataclass(frozen=True, slots=True)
class FirstReference:
    """Annotated photos of the objects, which are then found in the first frame; see ``PhotoFinder``.

    Attributes:
        references: The photos.
        settings: Of the search.
    """

    references: tuple[ReferenceFile, ...]
    settings: PhotoSettings

    @property
    def files(self) -> tuple[Path, ...]:
        """The photos and their masks."""
        return tuple(path for each in self.references for path in (each.photo, each.mask))

    def read(
        self, open_again: Callable[[], FrameReader], height: int, width: int
    ) -> Callable[[Engine[Any]], Annotation]:
        """Read the photos and the first frame.

        Raises:
            PersamVosError: If one of them cannot be read, or a mask does not fit. What is returned raises
                EmptyMaskError if nothing in the frame is like what the photos show.
        """
        del height, width
        learnt = [reference.read(self.settings.max_pixels) for reference in self.references]
        asked = ids_of([label_map for _, label_map in learnt], self.settings)
        frame, source = _first_frame(open_again)

        def find(engine: Engine[Any]) -> Annotation:
            with memory_errors(engine):
                # Photos are looked for in the whole square, whatever the tracker needs.
                finder = PhotoFinder.from_parts(engine.another_encoder(square=True), engine.decoder, self.settings)
                finder.learn(learnt)
                result = finder.find(frame)
            return self._annotation(result, asked, finder.reference_similarity, source)

        return find

    def _annotation(
        self, result: FrameResult, asked: Sequence[int], usual: Mapping[int, float], source: Path
    ) -> Annotation:
        found = [entry for entry in result.objects if entry.present]
        photos = ", ".join(str(each.photo) for each in self.references)
        if not found:
            raise EmptyMaskError(
                f"{source}: nothing in its first frame is like what {photos} shows; start the video where the object is"
                " seen, or pass another --first-ref, a lower --presence, or --first-mask"
            )
        seen = {entry.id for entry in found}
        missing = () if self.settings.all_instances else [each for each in asked if each not in seen]
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
        return Annotation(result.label_map, (*warnings, *doubts(result.label_map)), record)


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


def _first_frame(open_again: Callable[[], FrameReader]) -> tuple[Frame, Path]:
    """Decode one frame.

    Raises:
        VideoError: If there is none.
    """
    with open_again() as reader:
        for frame in reader:
            return frame, reader.info.source
        raise VideoError(f"{reader.info.source}: no frame could be decoded")
