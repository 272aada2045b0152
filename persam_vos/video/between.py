"""Frames go in, of which every n-th is encoded; all are found: by the tracker, or from the two around them.

``encode_every`` is the longest gap. A gap in which the two sides disagree is halved: the frame in its middle is encoded
and tracked after all, until the sides agree or no frame is left between them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from persam_vos.masks import LabelMap
from persam_vos.media.frame import Frame
from persam_vos.methods.between import Between, Tracked
from persam_vos.pipeline.stages import Found
from persam_vos.results import FrameResult, ObjectResult
from persam_vos.sam.encoder import Encoder, ImageEmbedding
from persam_vos.settings.video import TrackerSettings
from persam_vos.video.tracker import Tracker, TrackerKnowledge


@dataclass(frozen=True, slots=True)
class GapKnowledge:
    """All that a ``GapTracker`` knows between two gaps.

    Attributes:
        of_tracker: What its tracker knows.
        last: The last frame, and what was found in it.
        reach: Frames that the next gap may have.
        encoded: Frames encoded so far.
    """

    of_tracker: TrackerKnowledge
    last: Tracked
    reach: int
    encoded: int


class GapTracker:
    """Tracks a video of which most frames are not encoded; results come in order, a gap at a time.

    It holds the frames of one gap. A call that fails leaves everything as it was and can be repeated.

    Attributes:
        encoded: Frames encoded so far, those that came encoded included.
    """

    def __init__(self, tracker: Tracker, label_map: LabelMap, encoder: Encoder, settings: TrackerSettings) -> None:
        """Start with a tracker that has not been started.

        Args:
            tracker: Tracks the frames that are encoded.
            label_map: uint8, H x W: the annotation of the first frame; 255 is an object as well.
            encoder: For frames that turn out to be needed.
            settings: The longest gap, and how well its sides must agree.
        """
        self.encoded = 0
        self._tracker, self._label_map, self._encoder = tracker, label_map, encoder
        self._agreement = settings.flow_agreement
        self._between = Between(settings)
        self._waiting: tuple[Frame, ...] = ()
        self._last: Tracked | None = None
        self._longest = settings.encode_every
        # The next gap is at most twice as long as the last one in which the sides agreed.
        self._reach = settings.encode_every

    def push(self, frame: Frame, embedding: ImageEmbedding | None) -> Found:
        """Take the next frame; return what is found by now.

        Args:
            frame: The next frame.
            embedding: Its embedding; None for a frame between. The first frame has one.
        """
        if embedding is None:
            self._waiting += (frame,)
            return ()
        if self._last is None:
            found: Found = [(frame, self._tracker.start(frame, self._label_map, embedding, void=None))]
            return self._settled(self._tracker, found, self._reach, 1)
        return self._close_gap((*self._waiting, frame), embedding)

    def finish(self) -> Found:
        """Return the results of the last frames, which no encoded frame follows."""
        return self._close_gap(self._waiting, self._encode(self._waiting[-1])) if self._waiting else ()

    @property
    def longest(self) -> int:
        """The most frames that are found together; see ``Resumable``."""
        return self._longest

    @property
    def settled(self) -> int | None:
        """Index of the last frame that is found; see ``Resumable``."""
        return None if self._last is None else self._last.frame.index

    @property
    def knowledge(self) -> GapKnowledge:
        """What ``resume`` needs after the frames that are found; see ``Resumable``."""
        assert self._last is not None, "nothing is found yet"
        return GapKnowledge(self._tracker.knowledge, self._last, self._reach, self.encoded)

    @property
    def records(self) -> tuple[type, ...]:
        """The classes of the records in ``knowledge``; see ``Resumable``."""
        return (GapKnowledge, Tracked, Frame, FrameResult, ObjectResult, *self._tracker.records)

    def resume(self, knowledge: GapKnowledge) -> None:
        """Go on from what another one knew, with the frame after its last one; see ``Resumable``."""
        self._tracker.resume(knowledge.of_tracker)
        self._last, self._reach, self.encoded = knowledge.last, knowledge.reach, knowledge.encoded

    def _encode(self, frame: Frame) -> ImageEmbedding:
        return self._encoder.encode([frame])[0]

    def _close_gap(self, frames: Sequence[Frame], embedding: ImageEmbedding) -> Found:
        assert self._last is not None
        gap = _Gap(self._tracker, self._between, self._encode, self._agreement, self._reach)
        found = gap.fill(self._last, frames, embedding)
        return self._settled(gap.tracker, found, min(gap.reach, self._longest), gap.encoded)

    def _settled(self, tracker: Tracker, found: Found, reach: int, encoded: int) -> Found:
        """Replace all state at once."""
        frame, result = found[-1]
        if self._longest > 1:
            # Masks are carried from a copy: whoever gets the frame and its result may draw on them.
            alpha = None if result.alpha is None else result.alpha.copy()
            frame = replace(frame, rgb=frame.rgb.copy())
            result = replace(result, label_map=result.label_map.copy(), alpha=alpha)
        self._tracker, self._last, self._reach = tracker, Tracked(frame, result), reach
        self._waiting, self.encoded = (), self.encoded + encoded
        return found


class _Gap:
    """The frames from one that was tracked to the next one that is encoded, while they are filled in.

    Attributes:
        tracker: The tracker after the last frame that was tracked.
        reach: Frames that the next gap may have.
        encoded: Frames encoded in this gap, the last one included.
    """

    def __init__(
        self,
        tracker: Tracker,
        between: Between,
        encode: Callable[[Frame], ImageEmbedding],
        agreement: float,
        reach: int,
    ) -> None:
        self.tracker, self.reach, self.encoded = tracker, reach, 1
        self._between, self._encode, self._agreement = between, encode, agreement

    def fill(self, before: Tracked, frames: Sequence[Frame], embedding: ImageEmbedding) -> Found:
        """Find the objects in frames that follow one another.

        Args:
            before: The frame before them, tracked last.
            frames: At least one.
            embedding: Of the last one.
        """
        if len(frames) == 1 or len(frames) <= self.reach:
            found = self._leap(before, frames, embedding)
            self.reach = len(frames) * 2 if found else len(frames) // 2
            if found:
                return found
        middle = len(frames) // 2
        first = self.fill(before, frames[:middle], self._encode(frames[middle - 1]))
        self.encoded += 1
        return (*first, *self.fill(Tracked(*first[-1]), frames[middle:], embedding))

    def _leap(self, before: Tracked, frames: Sequence[Frame], embedding: ImageEmbedding) -> Found:
        """Track the last frame right after ``before``, and join the others; nothing is found where sides disagree."""
        tracker = self.tracker.copy()
        after = Tracked(frames[-1], tracker.step(frames[-1], embedding))
        joined = {}
        # The middle first: the sides are most likely to disagree there.
        for i in sorted(range(len(frames) - 1), key=lambda i: abs(2 * i + 2 - len(frames))):
            joined[i], agreement = self._between.join(frames[i], before, after)
            if agreement < self._agreement:
                return ()
        self.tracker = tracker
        return (*((frames[i], joined[i]) for i in range(len(frames) - 1)), (frames[-1], after.result))
