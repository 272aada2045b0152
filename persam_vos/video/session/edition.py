"""What a person has said of a video in a session, and how it was before."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from persam_vos.errors import PromptError
from persam_vos.masks import ArrayRecord
from persam_vos.prompts import MAX_ID, NamedObject, ObjectPrompt
from persam_vos.video.prompting.keyframes import Keyframe, Place


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Edition(ArrayRecord):
    """What a person has said so far; each change makes a new one.

    Attributes:
        objects: In rising order of id.
        keyframes: By frame and object; no two on one frame share a pixel.
        said: What a keyframe was made of, where that is no mask.
    """

    objects: tuple[NamedObject, ...] = ()
    keyframes: Mapping[Place, Keyframe] = field(default_factory=lambda: MappingProxyType({}))
    said: Mapping[Place, ObjectPrompt] = field(default_factory=lambda: MappingProxyType({}))

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

    def of(self, object_id: int) -> dict[int, Keyframe]:
        """Return the keyframes of an object, by frame, rising."""
        return {frame: each for (frame, number), each in sorted(self.keyframes.items()) if number == object_id}

    def free_id(self, wanted: int | None) -> int:
        """Return the id of a new object: the one that is wanted, or the lowest that is free.

        Raises:
            PromptError: If it is taken, or none is free.
        """
        taken = {each.id for each in self.objects}
        number = next((n for n in range(1, MAX_ID + 1) if n not in taken), None) if wanted is None else wanted
        if number is None:
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
        """Add a keyframe, or replace one; pixels that others on that frame had go to it.

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
        keyframes = {}
        for place, each in self.keyframes.items():
            shared = place[0] == new.frame and place != new.place and bool((each.mask & new.mask).any())
            keyframes[place] = Keyframe(*place, each.mask & ~new.mask) if shared else each
            if shared and keyframes[place].absent:
                raise PromptError(
                    f"object {new.object_id} covers all of object {place[1]} on frame {new.frame}; a pixel belongs to"
                    " one object: draw both beside each other"
                )
        keyframes[new.place] = new
        # A mask that lost pixels is no longer what a box or points stand for.
        said = {place: each for place, each in self.said.items() if keyframes[place] is self.keyframes[place]}
        if says is not None:
            said[new.place] = says
        return Edition(self.objects, keyframes, said)

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
    """

    def __init__(self, first: Edition) -> None:
        self.now = first
        self._earlier: list[Edition] = []
        self._taken_back: list[Edition] = []

    def change(self, edition: Edition) -> None:
        """Go on with another edition; what was taken back is gone."""
        self._earlier.append(self.now)
        self._taken_back.clear()
        self.now = edition

    def undo(self) -> bool:
        """Go back by one change; return False if there is none."""
        return self._move(self._earlier, self._taken_back)

    def redo(self) -> bool:
        """Go on by one change that was taken back; return False if there is none."""
        return self._move(self._taken_back, self._earlier)

    def _move(self, source: list[Edition], target: list[Edition]) -> bool:
        if source:
            target.append(self.now)
            self.now = source.pop()
            return True
        return False
