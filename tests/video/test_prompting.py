"""What is said of a video becomes keyframes, or is refused before a model is loaded."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import save
from fakes import FakeEngine

from persam_vos.errors import MaskError, MaskSizeError, PromptError
from persam_vos.media.array_reader import ArrayReader
from persam_vos.media.frame import Frame, untimed_frame
from persam_vos.media.masks.reading import MaskReading
from persam_vos.media.stream import Clip
from persam_vos.prompts import Box, NamedObject, ObjectPrompt, Point, Prompt, VideoPrompts
from persam_vos.video.prompting.given_prompts import GivenPrompts
from persam_vos.video.prompting.keyframes import Keyframe, Keyframes, joined
from persam_vos.video.prompting.label_maps import AnnotationFile
from persam_vos.video.prompting.prompting import Prompting, PromptSource

HEIGHT, WIDTH = 36, 64
LEFT = ObjectPrompt(points=(Point(3, 4),))
ABSENT = ObjectPrompt(absent=True)


def reader() -> ArrayReader:
    return ArrayReader(np.zeros((9, HEIGHT, WIDTH, 3), np.uint8), frame_rate=Fraction(25))


def frame_of(index: int) -> Frame:
    return untimed_frame(np.zeros((HEIGHT, WIDTH, 3), np.uint8), index)


def given(*prompts: Prompt, **reading: Any) -> GivenPrompts:
    return GivenPrompts(VideoPrompts(prompts), MaskReading(**reading))


def labels(top: int, value: int = 1) -> np.ndarray:
    found = np.zeros((HEIGHT, WIDTH), np.uint8)
    found[top : top + 8, 4:12] = value
    return found


def found(*sources: PromptSource, objects: Sequence[NamedObject] = ()) -> Keyframes:
    prompting = Prompting(sources, tuple(objects))
    prompting.check(reader())
    return prompting.find(FakeEngine(), frame_of)


def test_masks_points_and_absence_on_several_frames(tmp_path: Path) -> None:
    path = save(tmp_path / "m.png", labels(20, 255))
    keyframes = found(
        given(
            Prompt(None, 2, ObjectPrompt(mask=path)),
            Prompt(0, 7, LEFT),
            Prompt(5, 2, ABSENT),
            Prompt(5, 7, ObjectPrompt(Box(0, 0, 31, 35))),
        )
    )

    assert [each.place for each in keyframes.keyframes] == [(0, 2), (0, 7), (5, 2), (5, 7)]
    assert [each.absent for each in keyframes.keyframes] == [False, False, True, False]
    assert (keyframes.ids, keyframes.frames) == ((2, 7), (0, 5))
    # The fake decoder finds the left half, in which the mask lies: what a person drew is in front.
    assert (keyframes.label_map(0) == 2).sum() == 64
    assert (keyframes.label_map(5) == 7).sum() == HEIGHT * WIDTH / 2
    assert any("share 64 pixels of frame 0; they go to object 2" in warning for warning in keyframes.warnings)
    assert set(keyframes.said) == {(5, 7)}
    assert keyframes.record["object_masks"] == [{"frame": 0, "object": 2, "mask": str(path)}]
    assert [(each["frame"], each["object"]) for each in keyframes.record["prompts"]] == [(0, 7), (5, 7)]


def test_ids_are_kept_with_gaps_up_to_255(tmp_path: Path) -> None:
    several = labels(2, 9) + labels(20, 254)
    label_map = save(tmp_path / "labels.png", several)
    one = save(tmp_path / "one.png", labels(12, 255))
    keyframes = found(AnnotationFile(label_map), given(Prompt(None, 255, ObjectPrompt(mask=one))))

    assert keyframes.ids == (9, 254, 255)
    assert np.array_equal(keyframes.label_map(0), several + labels(12, 255))
    assert any(warning.startswith("object 255: many programs") for warning in keyframes.warnings)


def test_an_object_mask_may_be_a_label_map_that_holds_it(tmp_path: Path) -> None:
    path = save(tmp_path / "m.png", labels(2, 3) + labels(20, 4))

    assert np.array_equal(found(given(Prompt(0, 4, ObjectPrompt(mask=path)))).keyframes[0].mask, labels(20) == 1)
    with pytest.raises(MaskError, match=r"m\.png: shows the objects 3, 4, and not 5"):
        found(given(Prompt(0, 5, ObjectPrompt(mask=path))))


def test_two_masks_of_one_object_on_one_frame_are_refused(tmp_path: Path) -> None:
    path = save(tmp_path / "m.png", labels(2))
    with pytest.raises(PromptError, match="object 1 has two masks on frame 0"):
        found(AnnotationFile(path), given(Prompt(0, 1, LEFT)))
    with pytest.raises(PromptError, match="object 1 has two masks on frame 4"):
        found(AnnotationFile(path, 4), AnnotationFile(path, 4))


def test_what_does_not_fit_names_its_object_and_frame(tmp_path: Path) -> None:
    small = save(tmp_path / "small.png", np.ones((4, 5), np.uint8))
    with pytest.raises(PromptError, match="object 2 on frame 3: point 99,0 lies outside the video"):
        found(given(Prompt(3, 2, ObjectPrompt(points=(Point(99, 0),)))))
    with pytest.raises(MaskSizeError, match=r"small\.png: mask is 4 x 5, video is 36 x 64 .*--resize-mask"):
        found(given(Prompt(3, 2, ObjectPrompt(mask=small))))
    assert found(given(Prompt(3, 2, ObjectPrompt(mask=small)), resize=True)).keyframes[0].mask.all()


def test_names_are_of_objects_that_are_prompted() -> None:
    with pytest.raises(PromptError, match="object 3 has a name or a color, and no prompt; the objects are 1"):
        found(given(Prompt(0, 1, LEFT)), objects=[NamedObject(3, "cat")])
    prompting = Prompting((given(Prompt(0, 1, LEFT)),), (NamedObject(1, "dog"),))
    assert prompting.named([4, 1]) == (NamedObject(1, "dog"), NamedObject(4))


@pytest.mark.parametrize(
    ("frame", "clip", "part"),
    [
        (9, None, "frame 9 lies outside the video, which has 9 frames, 0 to 8"),
        (8, Clip(0, 8), "frame 8 lies outside the range, 0 to 7; give another --start or --end"),
        (3, Clip(4, None), "frame 3 lies outside the range, 4 to 8"),
        (7, Clip(2, 9, 3), "frame 7 is left out by --stride 3; give frame 5, or another --start or --stride"),
    ],
)
def test_frames_that_are_not_tracked_are_refused(frame: int, clip: Clip | None, part: str) -> None:
    prompting = Prompting((given(Prompt(None, 1, LEFT), Prompt(frame, 2, LEFT)),))
    prompting.check(reader())

    assert prompting.later == (frame,)
    with pytest.raises(PromptError, match=part):
        prompting.check_frames(clip, 9)


def test_an_object_that_others_cover_altogether_is_an_error() -> None:
    mask = np.ones((2, 2), bool)
    later = Keyframes((Keyframe(0, 2, mask), Keyframe(9, 1, mask)))

    with pytest.raises(PromptError, match="object 2 covers all of object 1 on frame 0"):
        joined([Keyframes((Keyframe(0, 1, mask),)), later])
    with pytest.raises(PromptError, match="object 2 covers all of object 1 on frame 0"):
        found(given(Prompt(0, 1, LEFT)), given(Prompt(0, 2, LEFT)))


def test_two_masks_of_one_object_are_refused_when_they_are_found() -> None:
    """Which objects a photo shows in the first frame is not known before the model has looked."""
    one, other = np.eye(4, dtype=bool), np.ones((4, 4), bool)

    with pytest.raises(PromptError, match="object 1 has two masks on frame 0"):
        joined([Keyframes((Keyframe(0, 1, one),)), Keyframes((Keyframe(0, 1, other),))])


def test_what_is_left_of_a_mask_that_is_cut_may_be_too_little() -> None:
    low = np.zeros((256, 256), bool)
    low[:32] = True
    corner = low.copy()
    corner[0, 0] = False
    both = joined([Keyframes((Keyframe(0, 1, low),)), Keyframes((Keyframe(0, 2, corner),))])

    assert both.keyframes[0].doubts == ("object 1 has 1 of frame 0's 65536 pixels: too few to recognise it by",)


def test_prompts_of_another_video_are_warned_of() -> None:
    prompts = VideoPrompts((Prompt(0, 1, LEFT),), video=Path("other.mp4"))

    assert found(GivenPrompts(prompts)).warnings[0] == "the prompts are of other.mp4, and are used with arrays"
