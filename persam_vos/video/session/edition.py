"""What a person has said of a video in a session, and how it was before."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from persam_vos.errors import PromptError
from persam_vos.masks import ArrayRecord
from persam_vos.prompts import MAX_ID, NamedObject, ObjectPrompt
from persam_vos.video.prompting.keyframes import Keyframe, Keyframes, Place, cut_apart
from persam_vos.video.prompting.prompting import void_doubts


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Edition(ArrayRecord):
    """What a person has said so far; each change makes a new one.

    Attributes:
        objects: In rising order of id.
        keyframes: By frame and object, as they were given, the latest last.
        said: What a keyframe was made of, where that is no mask.
        placed: The keyframes in rising order of frame and object, and cut: no two on one frame share a pixel, the
            latest is in front.

    Raises:
        PromptError: If others cover all of a keyframe.
    """

    objects: tuple[NamedObject, ...] = ()
    keyframes: Mapping[Place, Keyframe] = field(default_factory=lambda: MappingProxyType({}))
    said: Mapping[Place, ObjectPrompt] = field(default_factory=lambda: MappingProxyType({}))
    placed: Mapping[Place, Keyframe] = field(init=False, repr=False)
    _shared: tuple[str, ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        placed, shared = cut_apart(self.keyframes.values())
        object.__setattr__(self, "placed", MappingProxyType(placed))
        object.__setattr__(self, "_shared", shared)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What makes it doubtful that this was meant, one line each."""
        doubts = (doubt for each in self.placed.values() for doubt in each.doubts)
        return (*self._shared, *doubts, *void_doubts([each.id for each in self.objects]))

    @property
    def as_keyframes(self) -> Keyframes:
        """The keyframes as a run knows them."""
        # What is left of a mask is no longer what a box or points stand for.
        said = {place: says for place in self.said if (says := self.says(*place)) is not None}
        return Keyframes(tuple(self.placed.values()), self.warnings, said=said)

    def named(self, object_id: int) -> NamedObject:
        """Return name and colour of an object.

        Raises:
            PromptError: If there is no such object.
        """
        for each in self.objects:
            if each.id == object_id:
                return each
        ids = ", ".join(str(each.id) for each in self.objects) or "none"
        raise PromptError(f"there is no object {object_id}; the ids are {ids}")

    def check_objects(self) -> None:
        """Raise ``PromptError`` if there is no object."""
        if not self.objects:
            raise PromptError("there is no object yet; add one, with a mask, a box or points on a frame")

    def says(self, frame: int, object_id: int) -> ObjectPrompt | None:
        """Return the box and points that a keyframe was made of; None for a mask, a part of one, or no keyframe."""
        place = frame, object_id
        whole = place in self.said and self.placed[place] is self.keyframes[place]
        return self.said[place] if whole else None

    def of(self, object_id: int) -> dict[int, Keyframe]:
        """Return the keyframes of an object as they are placed, by frame, rising."""
        return {frame: each for (frame, number), each in self.placed.items() if number == object_id}

    def free_id(self, wanted: int | None, used: Collection[int] = ()) -> int:
        """Return the id of a new object.

        Args:
            wanted: The id; None for the one after the highest that was used, or beyond 255 for the lowest that is free.
            used: Ids of objects that were removed.

        Raises:
            PromptError: If it is taken, or none is free.
        """
        taken = {each.id for each in self.objects}
        number = max([*taken, *used], default=0) + 1 if wanted is None else wanted
        if wanted is None and number > MAX_ID:
            number = next((n for n in range(1, MAX_ID + 1) if n not in taken), 0)
        if number == 0 and wanted is None:
            raise PromptError(f"there are {MAX_ID} objects already, which is the most; remove one")
        if not isinstance(number, int) or isinstance(number, bool):
            raise PromptError(f"id is {number!r}; it must be a whole number from 1 to {MAX_ID}")
        if number in taken:
            raise PromptError(f"object {number} is there already; correct it, or give another id from 1 to {MAX_ID}")
        return number

    def with_object(self, new: NamedObject) -> Edition:
        """Add an object, or replace its name and colour."""
        others = (each for each in self.objects if each.id != new.id)
        return replace(self, objects=tuple(sorted((*others, new), key=lambda each: each.id)))

    def without_object(self, object_id: int) -> Edition:
        """Forget an object, and all that was said of it.

        Raises:
            PromptError: If there is no such object.
        """
        self.named(object_id)
        return Edition(
            tuple(each for each in self.objects if each.id != object_id),
            {place: each for place, each in self.keyframes.items() if place[1] != object_id},
            {place: each for place, each in self.said.items() if place[1] != object_id},
        )

    def with_keyframe(self, new: Keyframe, says: ObjectPrompt | None = None) -> Edition:
        """Add a keyframe, or replace one; it is in front of the others on its frame.

        Args:
            new: The keyframe.
            says: What it was made of; None for a mask.

        Raises:
            PromptError: If it leaves no pixel of another object's keyframe on that frame, or no keyframe that shows
                its own object.
        """
        own = {**self.of(new.object_id), new.frame: new}
        if all(each.absent for each in own.values()):
            raise PromptError(
                f"object {new.object_id} would be absent wherever it is mentioned; say on one frame where it is"
            )
        others = {place: each for place, each in self.keyframes.items() if place != new.place}
        said = {place: each for place, each in self.said.items() if place != new.place}
        if says is not None:
            said[new.place] = says
        return Edition(self.objects, {**others, new.place: new}, said)

    def without_keyframe(self, object_id: int, frame: int) -> Edition:
        """Take back what was said of an object on a frame.

        Raises:
            PromptError: If nothing was, or it is the only keyframe that shows the object.
        """
        self.named(object_id)
        own, place = self.of(object_id), (frame, object_id)
        if frame not in own:
            raise PromptError(
                f"object {object_id} has no keyframe on frame {frame}; it has: {', '.join(map(str, own))}"
            )
        if all(each.absent for index, each in own.items() if index != frame):
            raise PromptError(f"frame {frame} is the only one that shows object {object_id}; remove the object instead")
        return Edition(
            self.objects,
            {key: each for key, each in self.keyframes.items() if key != place},
            {key: each for key, each in self.said.items() if key != place},
        )


class History:
    """The edition of now, those before, and those that were taken back.

    Attributes:
        now: The edition of now.
        used: The ids of all objects that there ever were.
    """

    def __init__(self, first: Edition, used: Iterable[int] = (), *, keeps: int | None = None) -> None:
        """Begin with an edition.

        Args:
            first: The edition.
            used: Ids of objects that are gone.
            keeps: How many changes can be taken back; None for all.
        """
        self.now = first
        self.used = {*used, *(each.id for each in first.objects)}
        self._keeps = keeps
        self._earlier: deque[Edition] = deque(maxlen=keeps)
        self._taken_back: deque[Edition] = deque(maxlen=keeps)

    def begin(self, first: Edition, used: Iterable[int] = ()) -> History:
        """Return a history like this one that begins with another edition."""
        return History(first, used, keeps=self._keeps)

    def change(self, edition: Edition) -> None:
        """Go on with another edition; what was taken back is gone."""
        self._earlier.append(self.now)
        self._taken_back.clear()
        self.now = edition
        self.used.update(each.id for each in edition.objects)

    @property
    def can_undo(self) -> bool:
        """Whether there was a change."""
        return bool(self._earlier)

    @property
    def can_redo(self) -> bool:
        """Whether a change was taken back."""
        return bool(self._taken_back)

    def undo(self) -> bool:
        """Go back by one change; return False if there is none."""
        return self._move(self._earlier, self._taken_back)

    def redo(self) -> bool:
        """Go on by one change that was taken back; return False if there is none."""
        return self._move(self._taken_back, self._earlier)

    def _move(self, source: deque[Edition], target: deque[Edition]) -> bool:
        if source:
            target.append(self.now)
            self.now = source.pop()
            return True
        return False
