"""prompts.json: what is written is read again, and what is wrong is told with its line."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from persam_vos import PromptError
from persam_vos.prompts import Box, NamedObject, ObjectPrompt, Point, Prompt, Span, VideoPrompts, hex_colour
from persam_vos.prompts.prompts_json import read_prompts, write_prompts

TEXT = """{"version": 1, "video": "clip.mp4", "range": [0, 240],
 "objects": [{"id": 1, "name": "dog", "color": "#e6194b"}],
 "prompts": [{"frame": 0, "object": 1, "box": [120, 80, 300, 260]},
             {"frame": 57, "object": 1, "points": [[40, 50, 1], [90, 60.5, 0]]},
             {"frame": 91, "object": 1, "mask": "prompts/00091_1.png"},
             {"frame": 91, "object": 7, "mask": "m.png", "points": [[4, 5, 0]]},
             {"frame": 140, "object": 1, "absent": true}]}
"""

numbers = st.floats(-500, 500) | st.integers(-500, 500).map(float)
points = st.builds(Point, numbers, numbers, st.booleans())
boxes = st.tuples(numbers, numbers, st.integers(1, 99), st.integers(1, 99)).map(
    lambda box: Box(box[0], box[1], box[0] + box[2], box[1] + box[3])
)
names = st.text(st.characters(exclude_categories=["Cs"]), max_size=9)
said = (
    st.builds(ObjectPrompt, box=boxes, points=st.lists(points, max_size=3).map(tuple))
    | st.builds(ObjectPrompt, points=st.lists(points, max_size=2).map(lambda found: (Point(1, 2), *found)))
    | st.just(ObjectPrompt(absent=True))
    | st.integers(0, 9).map(lambda number: ObjectPrompt(mask=Path(f"/data/a b/{number}.png")))
)
colours = st.just("") | st.integers(0, 0xFFFFFF).map(lambda number: f"#{number:06x}")
ranges = st.none() | st.builds(Span, st.integers(0, 9), st.none() | st.integers(10, 20), st.integers(1, 5))


@st.composite
def video_prompts(draw: st.DrawFn) -> VideoPrompts:
    places = draw(st.sets(st.tuples(st.integers(0, 10**6), st.integers(1, 255)), min_size=1, max_size=6))
    prompts = [Prompt(frame, number, draw(said)) for frame, number in sorted(places)]
    seen = sorted({number for _, number in places})
    # An object must be seen somewhere.
    prompts += [Prompt(10**6 + 1, number, ObjectPrompt(points=(Point(3, 4),))) for number in seen]
    objects = [NamedObject(number, draw(names), draw(colours)) for number in seen if draw(st.booleans())]
    video = draw(st.none() | st.just(Path("/data/clip.mp4")))
    return VideoPrompts(tuple(prompts), tuple(objects), video, draw(ranges))


@given(video_prompts())
def test_what_is_written_is_read_again(tmp_path_factory: pytest.TempPathFactory, prompts: VideoPrompts) -> None:
    path = tmp_path_factory.getbasetemp() / "prompts.json"
    write_prompts(path, prompts)

    assert read_prompts(path) == prompts


def test_paths_are_relative_to_the_file(tmp_path: Path) -> None:
    (tmp_path / "prompts.json").write_text(TEXT)
    found = read_prompts(tmp_path / "prompts.json")

    assert found.video == tmp_path / "clip.mp4"
    assert found.prompts[2].says.mask == tmp_path / "prompts" / "00091_1.png"
    assert found.range == Span(0, 240)
    assert found.objects == (NamedObject(1, "dog", "#e6194b"),)
    assert found.ids == (1, 7)
    assert found.prompts[1].says == ObjectPrompt(points=(Point(40, 50), Point(90, 60.5, positive=False)))
    write_prompts(tmp_path / "sub" / "prompts.json", found)
    assert '"mask": "../prompts/00091_1.png"' in (tmp_path / "sub" / "prompts.json").read_text()
    assert read_prompts(tmp_path / "sub" / "prompts.json") == found


@pytest.mark.parametrize(
    ("old", "new", "line", "part"),
    [
        ('"version": 1', '"version": 2', 1, "version is 2; this program reads 1"),
        ('"version": 1, ', "", 1, "version is missing"),
        ('"version": 1', '"version": "1"', 1, 'version is "1"'),
        ('"box"', '"bx"', 3, "unknown key 'bx'; allowed: frame, object, box, points, mask, absent"),
        ('"name"', '"nme"', 2, "unknown key 'nme'; allowed: id, name, color"),
        ('"video"', '"vdeo"', 1, "unknown key 'vdeo'; allowed: version, video"),
        ('"id": 1', '"id": "1"', 2, 'id is "1"; allowed: a whole number from 1 to 255'),
        ('"object": 7', '"object": 256', 6, "object is 256"),
        ("[40, 50, 1]", "[40, 50]", 4, "points holds [40, 50]"),
        ("[40, 50, 1]", "[40, 50, 2]", 4, "point is [40.0, 50.0, 2.0]"),
        ("[40, 50, 1], ", "", 4, "object 1: every point lies beside the object"),
        ("[120, 80, 300, 260]", "[300, 80, 300, 260]", 3, "object 1: box 300,80,300,260 is empty"),
        ("[120, 80, 300, 260]", "[300, 80, 300]", 3, "box is [300, 80, 300]"),
        ('"frame": 57', '"frame": -1', 4, "frame is -1"),
        ('"frame": 57', '"frame": 5.5', 4, "frame is 5.5"),
        ('"frame": 57', '"frame": 0', 4, "object 1 has two prompts on frame 0"),
        ('"absent": true', '"absent": false', 7, "absent is false; allowed: true"),
        ('"absent": true', '"absent": true, "points": [[1, 2, 1]]', 7, "object 1: an object is absent, and"),
        ('"box": [120, 80, 300, 260]', '"box": [120, 80, 300, 260], "mask": "m.png"', 3, "a box and a mask"),
        (', "box": [120, 80, 300, 260]', "", 3, "object 1: a prompt says nothing"),
        ('"mask": "m.png", "points": [[4, 5, 0]]', '"absent": true', 6, "object 7 is absent wherever it is mentioned"),
        ('"id": 1', '"id": 2', 2, "object 2 has no prompt"),
        ('"objects": [', '"objects": [{"id": 1},', 2, "object 1 is listed twice"),
        ('"#e6194b"', '"redd"', 2, "color is 'redd'"),
        ("[0, 240]", "[240, 0]", 1, "range is [240, 0]"),
        ("[0, 240]", "[0, 240, 0]", 1, "range is [0, 240, 0]"),
        ("240]", "240", 2, "not JSON"),
        ('"prompts": [', '"prompts": [3, ', 3, "prompts holds 3"),
        ('\n "objects"', '\n\t"objects": [],\n "objects"', None, "'objects' is given twice"),
        ("300, 260", "300, NaN", 3, "box holds NaN"),
    ],
)
def test_what_is_wrong_is_told_with_its_line(tmp_path: Path, old: str, new: str, line: int | None, part: str) -> None:
    assert old in TEXT
    path = tmp_path / "prompts.json"
    path.write_text(TEXT.replace(old, new, 1))

    with pytest.raises(PromptError) as caught:
        read_prompts(path)

    message = str(caught.value)
    assert message.startswith(f"{path}, line {line}: " if line else f"{path}: ")
    assert part in message
    assert "\n" not in message


def test_lines_are_found_behind_tabs(tmp_path: Path) -> None:
    path = tmp_path / "prompts.json"
    path.write_text('{\n\t"version": 1,\n\t"prompts": [\n\t\t{"frame": 0,\t"object": 0}]\n}')

    with pytest.raises(PromptError, match="line 4: object is 0"):
        read_prompts(path)


@pytest.mark.parametrize("content", [b"[]", b"3", b"", b"\xff\xfe", b'{"version": 1, "prompts": []}', b"[" * 9999])
def test_other_files_are_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "prompts.json"
    path.write_bytes(content)

    with pytest.raises(PromptError, match=r"prompts\.json"):
        read_prompts(path)
    with pytest.raises(PromptError, match=r"none\.json: cannot be read"):
        read_prompts(tmp_path / "none.json")


def test_prompts_of_the_first_frame_get_its_index() -> None:
    prompts = VideoPrompts((Prompt(None, 3, ObjectPrompt(mask=Path("m.png"))), Prompt(9, 3, ObjectPrompt(absent=True))))

    assert [each.frame for each in prompts.beginning_at(5).prompts] == [5, 9]
    with pytest.raises(PromptError, match="object 3 has two prompts on frame 9"):
        prompts.beginning_at(9)


def test_colours_are_names_or_codes() -> None:
    assert (hex_colour("lime"), hex_colour("#0F0"), hex_colour("nothing")) == ("#00ff00", "#00ff00", None)
    assert NamedObject(1, color="#e6194b").rgb == (0xE6, 0x19, 0x4B)
    assert NamedObject(1).rgb is None
    for wrong in (lambda: NamedObject(0), lambda: NamedObject(256), lambda: NamedObject(1, color="red")):
        with pytest.raises(PromptError):
            wrong()
