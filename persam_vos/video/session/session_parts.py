"""What a session works with: its video, its model, and where embeddings and masks are kept."""

from __future__ import annotations

import copy
import tempfile
import threading
from collections.abc import Collection, Iterable, Sequence
from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path

from persam_vos.errors import NotStartedError
from persam_vos.files import PathLike, cache_dir
from persam_vos.masks import Rgb
from persam_vos.media.ranges import FrameRange
from persam_vos.media.readers import open_random_access
from persam_vos.media.sources import exact_rate
from persam_vos.methods.prompt_view import FrameViews
from persam_vos.sam.engine import Engine
from persam_vos.settings.video import Settings
from persam_vos.video.prompting.keyframes import Keyframe
from persam_vos.video.propagation.embedding_cache import EmbeddingCache, cache_identity, encoder_facts
from persam_vos.video.propagation.found_store import FoundStore
from persam_vos.video.propagation.latest import Latest
from persam_vos.video.propagation.propagated import PropagatedVideo

# Frames on which points and boxes answer at once: an embedding takes 5 to 10 MB.
_PREPARED = 6


class SessionParts:
    """The parts of a session, which threads may share; the model is loaded once it is needed.

    Attributes:
        video: The video.
        settings: Of the run.
        frames: Indices of its frames that belong to the session.
        is_whole: Whether these are all of them.
        frame_rate: Frames per second of images and arrays.
        store: Of the masks.
        cache: Of the embeddings; None until the model is loaded.
        cache_limit: Bytes that it may take up.
        anew: Ids of objects that have the id of an earlier one, until they are propagated.
    """

    def __init__(
        self,
        video: PathLike | Rgb | Sequence[Rgb],
        settings: Settings,
        part: FrameRange,
        *,
        frame_rate: Fraction | float,
        cache_folder: PathLike | None,
        cache_limit: int,
        masks: PathLike | None,
    ) -> None:
        """Open the video; for the arguments see ``Session``."""
        self.settings, self._cache_folder, self.cache_limit = settings, cache_folder, cache_limit
        self._propagated: PropagatedVideo | None = None
        self._engine: Engine[Settings] | None = None
        self._views = Latest[int, FrameViews](_PREPARED)
        self._loading = threading.RLock()
        self._is_open = True
        self.cache: EmbeddingCache | None = None
        self.anew: set[int] = set()
        with ExitStack() as opened:
            self.frame_rate = exact_rate(frame_rate)
            self.video = opened.enter_context(
                open_random_access(video, frame_rate=self.frame_rate, deinterlace=settings.deinterlace)
            )
            clip = part.clip_of(self.video)
            self.frames = range(clip.start, len(self.video) if clip.stop is None else clip.stop, clip.stride)
            self.is_whole = self.frames == range(len(self.video))
            info = self.video.info
            self.store = FoundStore(None if masks is None else Path(masks), info.height, info.width)
            opened.callback(self.store.close)
            self._opened = opened.pop_all()

    @property
    def warnings(self) -> tuple[str, ...]:
        """What makes results doubtful, one line each."""
        return (*self.video.warnings, *(self._propagated.warnings if self._propagated else ()))

    def engine(self) -> Engine[Settings]:
        """Return the model."""
        with self._loading:
            if self._engine is None:
                self._engine = Engine(self.settings)
            return self._engine

    def propagated(self, keyframes: Iterable[Keyframe]) -> PropagatedVideo:
        """Return what propagates these keyframes, whatever is said elsewhere meanwhile."""
        self.check_open()
        propagated = copy.copy(self._propagating())
        propagated.place(keyframes, self.anew)
        return propagated

    def forget_anew(self, ids: Collection[int]) -> None:
        """Note that nothing is left of earlier objects of these ids."""
        self.anew.difference_update(ids)

    def views_of(self, frame: int) -> FrameViews:
        """Return what the encoder sees of a frame, of the session; those of the last few frames are kept."""
        self.check_open()
        propagating, encoder = self._propagating(), self.engine().encoder
        return self._views.get(frame, lambda: FrameViews(encoder, *propagating.embedded(frame)))

    def is_prepared(self, frame: int) -> bool:
        """Tell whether the embedding of a frame is at hand."""
        return frame in self._views or (self.cache is not None and frame in self.cache)

    def close(self) -> None:
        """Let go of the video, and remove what is temporary; a second call does nothing."""
        self._is_open = False
        self._opened.close()

    def check_open(self) -> None:
        """Raise ``NotStartedError`` after ``close``."""
        if not self._is_open:
            raise NotStartedError("the session is closed; open the video again")

    def _propagating(self) -> PropagatedVideo:
        with self._loading:
            if self._propagated is None:
                engine, video = self.engine(), self.video
                identity = cache_identity(video.files, *encoder_facts(engine), video.info.height, video.info.width)
                self.cache = EmbeddingCache(self._folder(), identity, max_bytes=self.cache_limit, device=engine.device)
                self._propagated = PropagatedVideo(engine, video, self.cache, self.store, self.frames, soft=True)
            return self._propagated

    def _folder(self) -> Path:
        if not self.video.files:
            # Frames of arrays have no file by which they would be known again.
            return Path(self._opened.enter_context(tempfile.TemporaryDirectory(prefix="persam-vos-")))
        return cache_dir() / "embeddings" if self._cache_folder is None else Path(self._cache_folder)
