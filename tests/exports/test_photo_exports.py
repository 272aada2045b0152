from __future__ import annotations

import errno
import json
import os
import re
import signal
import subprocess
import sys
import time
import tracemalloc
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from skimage import data

from persam_vos.errors import MaskSizeError, OutputError, SettingsError
from persam_vos.exports.draw import draw_overlay
from persam_vos.exports.palettes import davis_palette
from persam_vos.exports.photo_exports import PHOTO_EXPORTS
from persam_vos.exports.photo_names import output_names
from persam_vos.exports.photos import PhotoWriter
from persam_vos.exports.results_jsonl import PhotoResult, read_results
from persam_vos.results import ObjectResult

KINDS = {"masks": ".png", "overlays": ".jpg", "cutouts": ".png"}


@cache
def cat() -> np.ndarray:
    return np.asarray(Image.fromarray(data.chelsea()).resize((90, 60)))


@cache
def labels() -> np.ndarray:
    """The cat's eyes, as objects 1 and 9."""
    label_map = np.zeros((60, 90), np.uint8)
    cv2.circle(label_map, (35, 22), 6, 1, -1)
    cv2.circle(label_map, (57, 25), 6, 9, -1)
    return label_map


def result_of(name: str, **changes) -> PhotoResult:
    found = {
        "id": 1,
        "present": True,
        "score": 0.75,
        "similarity": 0.5,
        "area": 113,
        "box": (29, 16, 41, 28),
    }
    return PhotoResult(Path("photos") / f"{name}.jpg", name, labels(), (ObjectResult(**{**found, **changes}),))


def write(output: Path, *names: str, **options) -> None:
    with PhotoWriter(output, **options) as writer:
        for name in names:
            writer.write(result_of(name), cat())


def lines(output: Path) -> list[dict]:
    text = (output / "results.jsonl").read_text(encoding="utf-8")
    assert text.endswith("\n")
    return [json.loads(line) for line in text.splitlines()]


def tree(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, with its content."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def files_of(*names: str) -> set[str]:
    return {f"{kind}/{name}{suffix}" for name in names for kind, suffix in KINDS.items()}


class TestFiles:
    def test_the_files_of_a_photo(self, tmp_path):
        write(tmp_path / "out", "a", "beach/IMG_01")
        assert set(tree(tmp_path / "out")) == files_of("a", "beach/IMG_01") | {"results.jsonl"}

    def test_masks_are_palette_pictures(self, tmp_path):
        write(tmp_path, "a")
        with Image.open(tmp_path / "masks" / "a.png") as image:
            assert image.mode == "P"
            assert image.getpalette() == davis_palette().ravel().tolist()
            assert np.array_equal(np.asarray(image), labels())

    def test_overlays_are_jpeg(self, tmp_path):
        write(tmp_path, "a")
        with Image.open(tmp_path / "overlays" / "a.jpg") as image:
            assert image.format == "JPEG"
            drawn = np.asarray(image).astype(int)
        assert np.abs(drawn - draw_overlay(cat(), labels())).mean() < 5
        assert np.abs(drawn - cat()).mean() > 5

    def test_cutouts_are_the_photo_where_the_objects_are(self, tmp_path):
        write(tmp_path, "a")
        with Image.open(tmp_path / "cutouts" / "a.png") as image:
            assert image.mode == "RGBA"
            rgba = np.asarray(image)
        objects = labels() > 0
        assert np.array_equal(rgba[..., 3], np.where(objects, 255, 0))
        assert np.array_equal(rgba[objects][:, :3], cat()[objects])
        assert not rgba[~objects].any()  # nobody gets the background back

    def test_an_empty_label_map(self, tmp_path):
        with PhotoWriter(tmp_path) as writer:
            writer.write(PhotoResult(Path("a.jpg"), "a", np.zeros((60, 90), np.uint8), ()), cat())
        with Image.open(tmp_path / "cutouts" / "a.png") as image:
            assert not np.asarray(image).any()
        assert lines(tmp_path)[0]["objects"] == []

    @pytest.mark.parametrize("exports", [("masks",), ("cutout", "cutout"), ("overlay", "masks"), ()])
    def test_only_what_is_asked_for(self, tmp_path, exports):
        write(tmp_path, "a", exports=exports)
        assert {path.name for path in tmp_path.iterdir()} == {PHOTO_EXPORTS[name].folder for name in exports} | {
            "results.jsonl"
        }
        assert lines(tmp_path)[0]["name"] == "a"

    def test_a_panorama_longer_than_jpeg_can_be(self, tmp_path):
        rgb = np.tile(cat()[:1], (1, 800, 1))
        label_map = np.tile(labels()[22:23], (1, 800))
        with PhotoWriter(tmp_path) as writer:
            writer.write(PhotoResult(Path("a.png"), "a", label_map, ()), rgb)
        with Image.open(tmp_path / "overlays" / "a.jpg") as image:
            assert image.size == (65_500, 1)
        with Image.open(tmp_path / "masks" / "a.png") as image:
            assert image.size == (72_000, 1)

    def test_a_file_of_the_same_name_is_replaced(self, tmp_path):
        (tmp_path / "masks").mkdir()
        (tmp_path / "masks" / "a.png").write_bytes(b"of another run")
        write(tmp_path, "a", overwrite=True)
        with Image.open(tmp_path / "masks" / "a.png") as image:
            assert image.size == (90, 60)

    def test_wrong_sizes_and_names_are_refused_before_anything_is_written(self, tmp_path):
        with PhotoWriter(tmp_path / "out" / "deep") as writer:
            with pytest.raises(MaskSizeError, match=r"label map is 60 x 90, photo photos/a\.jpg is 60 x 89"):
                writer.write(result_of("a"), cat()[:, 1:])
            for name in ("../a", "/a", "a/../../b", "", ".", "a//b", "C:a", "a\\b", "a/", "a\0b"):
                with pytest.raises(OutputError, match="no name for files in"):
                    writer.write(replace(result_of("a"), name=name), cat())
        assert tree(tmp_path) == {}


class TestLines:
    def test_keys(self, tmp_path):
        objects = (
            ObjectResult(1, True, 0.123456789, -0.000000123, 113, (29, 16, 41, 28)),
            ObjectResult(9, False, 0.0, None, 0, None),
        )
        with PhotoWriter(tmp_path) as writer:
            writer.write(PhotoResult(Path("photos/a.jpg"), "a", labels(), objects), cat())
        assert (tmp_path / "results.jsonl").read_text() == (
            '{"photo": "photos/a.jpg", "sha256": null, "name": "a", "width": 90, "height": 60, "objects": ['
            '{"object": 1, "present": true, "score": 0.123457, "similarity": -0.0, "area": 113, '
            '"box_xyxy": [29, 16, 41, 28]}, '
            '{"object": 9, "present": false, "score": 0.0, "similarity": null, "area": 0, "box_xyxy": null}]}\n'
        )

    @pytest.mark.parametrize("value", [float("nan"), float("inf"), np.float32("nan")])
    def test_what_is_not_finite_is_null(self, tmp_path, value):
        with PhotoWriter(tmp_path) as writer:
            writer.write(result_of("a", score=value, similarity=value), cat())
        found = lines(tmp_path)[0]["objects"][0]
        assert (found["score"], found["similarity"]) == (None, None)

    def test_numpy_numbers_are_numbers(self, tmp_path):
        box = tuple(np.int64([1, 2, 3, 4]))
        with PhotoWriter(tmp_path) as writer:
            writer.write(result_of("a", score=np.float32(0.5), area=np.int64(70_000), box=box), cat())
        found = lines(tmp_path)[0]["objects"][0]
        assert (found["score"], found["area"], found["box_xyxy"]) == (0.5, 70_000, [1, 2, 3, 4])

    def test_photos_that_failed(self, tmp_path):
        with PhotoWriter(tmp_path) as writer:
            writer.skip(Path("photos/b.jpg"), 'not an image: "b"\nor so')
            writer.write(result_of("a"), cat())
        assert lines(tmp_path)[0] == {"photo": "photos/b.jpg", "error": 'not an image: "b"\nor so'}
        assert lines(tmp_path)[1]["photo"] == str(Path("photos/a.jpg"))

    @pytest.mark.skipif(os.name == "nt", reason="names are bytes on POSIX only")
    def test_names_that_are_no_text(self, tmp_path):
        photo = Path(os.fsdecode(b"photos/caf\xe9 \xf0.jpg"))
        (name,) = output_names([photo])
        with PhotoWriter(tmp_path) as writer:
            writer.write(PhotoResult(photo, name, labels(), ()), cat())
        assert os.fsencode(lines(tmp_path)[0]["photo"]) == b"photos/caf\xe9 \xf0.jpg"
        assert set(tree(tmp_path)) == files_of("caf_ _") | {"results.jsonl"}
        with PhotoWriter(tmp_path, resume=True) as writer:
            assert writer.done == {name}

    def test_each_line_is_there_at_once(self, tmp_path):
        with PhotoWriter(tmp_path) as writer:
            for count, name in enumerate("abc", start=1):
                writer.write(result_of(name), cat())
                assert len(lines(tmp_path)) == count

    def test_read_back(self, tmp_path):
        write(tmp_path, "a", "b")
        with (tmp_path / "results.jsonl").open("a") as file:
            file.write('{"photo": "photos/c.jp')
        results = list(read_results(tmp_path / "results.jsonl"))
        assert [record["name"] for record, _ in results] == ["a", "b"]
        assert results[-1][1] == len((tmp_path / "results.jsonl").read_bytes()) - len('{"photo": "photos/c.jp')

    def test_an_empty_list_is_not_left(self, tmp_path):
        writer = PhotoWriter(tmp_path / "out")
        assert (tmp_path / "out" / "results.jsonl").exists()
        writer.close()
        writer.close()
        assert tree(tmp_path) == {}
        write(tmp_path / "out", "a")


class TestResume:
    def test_done_is_what_is_whole(self, tmp_path):
        write(tmp_path, "a", "b", "c/d", "e")
        with PhotoWriter(tmp_path, resume=True) as writer:
            writer.skip(Path("photos/f.jpg"), "broken")
            assert writer.done == {"a", "b", "c/d", "e"}
        (tmp_path / "masks" / "a.png").unlink()
        (tmp_path / "overlays" / "b.jpg").unlink()
        (tmp_path / "cutouts" / "c" / "d.png").unlink()
        before = tree(tmp_path)
        with PhotoWriter(tmp_path, resume=True) as writer:
            assert writer.done == {"e"}
            assert isinstance(writer.done, frozenset)
        with PhotoWriter(tmp_path, resume=True, exports=["masks"]) as writer:
            assert writer.done == {"b", "c/d", "e"}
        assert tree(tmp_path) == before

    def test_more_exports_than_before_are_not_done(self, tmp_path):
        write(tmp_path, "a", exports=["masks"])
        with PhotoWriter(tmp_path, resume=True) as writer:
            assert writer.done == set()
            writer.write(result_of("a"), cat())
        with PhotoWriter(tmp_path, resume=True) as writer:
            assert writer.done == {"a"}

    def test_nothing_to_resume(self, tmp_path):
        with PhotoWriter(tmp_path / "out", resume=True) as writer:
            assert writer.done == frozenset()
            writer.write(result_of("a"), cat())
        assert set(tree(tmp_path / "out")) == files_of("a") | {"results.jsonl"}

    def test_killed_at_any_byte_of_the_last_line(self, tmp_path):
        write(tmp_path, "a", "b", "c")
        path, expected = tmp_path / "results.jsonl", tree(tmp_path)
        whole = path.read_bytes()
        last = whole[:-1].rindex(b"\n") + 1
        for end in range(last, len(whole)):
            for rest in (b"", b"\0" * 40):
                path.write_bytes(whole[:end] + rest)
                with PhotoWriter(tmp_path, resume=True) as writer:
                    assert writer.done == {"a", "b"}
                    assert path.read_bytes() == whole[:last]
                    writer.write(result_of("c"), cat())
                assert tree(tmp_path) == expected

    def test_killed_at_any_byte_of_the_only_line(self, tmp_path):
        write(tmp_path, "a")
        path = tmp_path / "results.jsonl"
        whole = path.read_bytes()
        for end in range(len(whole)):
            path.write_bytes(whole[:end])
            with PhotoWriter(tmp_path, resume=True) as writer:
                assert writer.done == set()
            assert not path.exists()  # it lists nothing

    @pytest.mark.parametrize("failing", range(3))
    def test_no_line_without_all_its_files(self, tmp_path, monkeypatch, failing):
        """Stopped between the files, by what nothing here catches."""
        replaced, original = [], Path.replace

        def stopped(path: Path, target: Path) -> Path:
            if len(replaced) == failing:
                raise KeyboardInterrupt
            replaced.append(target)
            return original(path, target)

        writer = PhotoWriter(tmp_path)
        monkeypatch.setattr(Path, "replace", stopped)
        with pytest.raises(KeyboardInterrupt):
            writer.write(result_of("a"), cat())
        monkeypatch.undo()
        assert set(tree(tmp_path)) == {path.relative_to(tmp_path).as_posix() for path in replaced} | {"results.jsonl"}
        assert (tmp_path / "results.jsonl").read_bytes() == b""
        writer.close()
        write(tmp_path, "a", resume=True)
        assert set(tree(tmp_path)) == files_of("a") | {"results.jsonl"}

    def test_killed_for_good(self, tmp_path):
        script = (
            "import itertools, sys; from pathlib import Path; from test_photo_exports import *\n"
            "with PhotoWriter(Path(sys.argv[1])) as writer:\n"
            "    for n in itertools.count(): writer.write(result_of(f'{n % 3}/{n}'), cat())\n"
        )
        roots = [str(Path(__file__).parent), str(Path(__file__).parents[1]), str(Path(__file__).parents[2])]
        child = subprocess.Popen(
            [sys.executable, "-c", script, str(tmp_path)], env={**os.environ, "PYTHONPATH": os.pathsep.join(roots)}
        )
        path, patience = tmp_path / "results.jsonl", time.monotonic() + 120
        while child.poll() is None and time.monotonic() < patience:
            if path.exists() and path.read_bytes().count(b"\n") > 20:
                break
            time.sleep(0.01)
        child.kill()
        assert child.wait() == -signal.SIGKILL if os.name != "nt" else child.wait()
        with PhotoWriter(tmp_path, resume=True) as writer:
            listed = [record["name"] for record in lines(tmp_path)]
            assert len(listed) > 20
            assert writer.done == set(listed) == {f"{n % 3}/{n}" for n in range(len(listed))}
            for name in files_of(*listed):
                with Image.open(tmp_path / name) as image:
                    image.load()
            writer.write(result_of(f"{len(listed) % 3}/{len(listed)}"), cat())
        left = set(tree(tmp_path)) - files_of(*listed, f"{len(listed) % 3}/{len(listed)}") - {"results.jsonl"}
        assert left == set()  # the photo that was being written has taken the place of what was left of it

    def photos(self, folder, **contents) -> dict[str, Path]:
        """Files of a content each, by name; ``_`` is a folder's end."""
        found = {}
        for name, content in contents.items():
            found[name] = folder / f"{name.replace('_', '/')}.bmp"
            found[name].parent.mkdir(parents=True, exist_ok=True)
            found[name].write_text(content)
        return found

    def test_a_photo_keeps_the_name_that_an_earlier_run_gave_it(self, tmp_path):
        at = self.photos(tmp_path, beach_1="sea", alps_2="snow", alps_1="ice")
        with PhotoWriter(tmp_path / "out") as writer:
            assert writer.names_of([at["beach_1"]]) == ["1"]
            writer.write(PhotoResult(at["beach_1"], "1", labels(), ()), cat())
        with PhotoWriter(tmp_path / "out", resume=True) as writer:
            assert writer.names_of([at["alps_2"], at["beach_1"]]) == ["alps/2", "1"]
            assert writer.names_of([at["alps_1"], at["alps_2"]]) == ["1_bmp", "2"]

    def test_a_photo_is_known_by_what_it_holds(self, tmp_path, monkeypatch):
        """Not by its path as it was typed, nor by its size: started in another folder, 1.bmp is another photo."""
        at = self.photos(tmp_path, monday_1="one", tuesday_1="two")
        monkeypatch.chdir(at["monday_1"].parent)
        with PhotoWriter(tmp_path / "out") as writer:
            writer.write(PhotoResult(Path("1.bmp"), "1", labels(), ()), cat())
        monkeypatch.chdir(at["tuesday_1"].parent)
        moved = at["monday_1"].rename(tmp_path / "moved.bmp")
        with PhotoWriter(tmp_path / "out", resume=True) as writer:
            assert writer.names_of([Path("1.bmp")]) == ["1_bmp"]
        with PhotoWriter(tmp_path / "out", resume=True) as writer:
            assert writer.names_of([Path("1.bmp"), moved]) == ["tuesday/1", "1"]

    def test_of_copies_each_has_a_name(self, tmp_path):
        at = self.photos(tmp_path, a="same", b="same", c="same")
        with PhotoWriter(tmp_path / "out") as writer:
            for name in "ab":
                writer.write(PhotoResult(at[name], name, labels(), ()), cat())
        with PhotoWriter(tmp_path / "out", resume=True) as writer:
            for _ in range(2):
                assert writer.names_of([at["c"], at["b"], at["a"]]) == ["c", "b", "a"]

    def test_the_error_of_a_photo_that_was_read_in_between_is_listed_again(self, tmp_path):
        photo = Path("photos/a.jpg")
        for turn in range(3):
            with PhotoWriter(tmp_path, resume=True) as writer:
                if turn == 1:
                    writer.write(result_of("a"), cat())
                else:
                    writer.skip(photo, "broken")
        assert ["error" in line for line in lines(tmp_path)] == [True, False, True]

    def test_what_a_run_learns_from_is_not_removed(self, tmp_path):
        write(tmp_path, "a", "b")
        PhotoWriter(tmp_path, overwrite=True, keep=[tmp_path / "masks" / "a.png"]).close()
        assert set(tree(tmp_path)) == {"masks/a.png"}

    def test_a_photo_that_fails_again_has_one_line(self, tmp_path):
        for reason in ("broken", "broken", "gone"):
            with PhotoWriter(tmp_path, resume=True) as writer:
                writer.skip(Path("a.jpg"), reason)
        assert [line["error"] for line in lines(tmp_path)] == ["broken", "gone"]


class TestEarlier:
    def test_masks_that_no_run_of_ours_lists_are_not_resumed(self, tmp_path):
        """Drawn by hand, for the very photos that are searched."""
        (tmp_path / "masks").mkdir()
        (tmp_path / "masks" / "a.png").write_text("mine")
        for resume in (False, True):
            with pytest.raises(OutputError, match=r"holds masks, which no results\.jsonl lists; give another --output"):
                PhotoWriter(tmp_path, resume=resume)
        assert (tmp_path / "masks" / "a.png").read_text() == "mine"

    def test_a_video_keeps_its_record(self, tmp_path):
        (tmp_path / "tracks.jsonl").write_text("{}")
        with pytest.raises(OutputError, match="holds the results of a video; give another --output"):
            PhotoWriter(tmp_path)
        PhotoWriter(tmp_path, overwrite=True).close()
        assert (tmp_path / "tracks.jsonl").exists()

    @pytest.mark.parametrize("held", ["results.jsonl", "masks/1.png", "overlays/a/2.jpg", "cutouts/3.txt"])
    def test_results_are_neither_mixed_nor_lost_unasked(self, tmp_path, held):
        (tmp_path / held).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / held).write_bytes(b"")
        listed = r"holds results already \(results\.jsonl\); pass --resume .* --over"
        unlisted = rf"holds {held.split('/')[0]}, which no results\.jsonl lists; .* --over"
        with pytest.raises(OutputError, match=listed if held == "results.jsonl" else unlisted):
            PhotoWriter(tmp_path)
        assert tree(tmp_path) == {held: b""}

    def test_other_things_may_lie_there(self, tmp_path):
        (tmp_path / "masks").mkdir()
        (tmp_path / "masks" / ".DS_Store").write_bytes(b"")
        (tmp_path / "letter.txt").write_text("keep me")
        write(tmp_path, "a")
        assert set(tree(tmp_path)) == files_of("a") | {"results.jsonl", "letter.txt", "masks/.DS_Store"}

    @pytest.mark.parametrize("record", ['{"davis": "DAVIS", "sequences": {}}', '{"perseg": "PerSeg"}', "7", "no JSON"])
    @pytest.mark.parametrize("resume", [False, True])
    def test_results_of_another_command_are_kept(self, tmp_path, record, resume):
        (tmp_path / "run.json").write_text(record)
        with pytest.raises(OutputError, match=r"holds the results of another command \(run\.json\); .* --overwrite"):
            PhotoWriter(tmp_path, resume=resume)
        PhotoWriter(tmp_path, overwrite=True).close()

    def test_a_run_that_ended_before_its_first_result_is_begun_anew(self, tmp_path):
        (tmp_path / "run.json").write_text('{"references": [], "complete": false}')
        write(tmp_path, "a")
        assert set(tree(tmp_path)) == files_of("a") | {"results.jsonl", "run.json"}

    def test_overwrite_removes_what_is_listed_and_no_more(self, tmp_path):
        write(tmp_path, "a", "b/c", "b/d")
        (tmp_path / "masks" / "mine.png").write_bytes(b"precious")
        (tmp_path / "b").mkdir()
        (tmp_path / "b" / "c.png").write_bytes(b"precious")
        (tmp_path / "overlays" / "b" / "d.jpg").unlink()
        (tmp_path / "results.jsonl").write_bytes((tmp_path / "results.jsonl").read_bytes() + b'{"pho')
        write(tmp_path, "e", overwrite=True)
        assert set(tree(tmp_path)) == files_of("e") | {"masks/mine.png", "b/c.png", "results.jsonl"}
        assert [record["name"] for record in lines(tmp_path)] == ["e"]
        assert {path.name for path in tmp_path.iterdir()} == {"b", "results.jsonl", *KINDS}
        assert not (tmp_path / "masks" / "b").exists()

    def test_overwrite_of_nothing(self, tmp_path):
        write(tmp_path / "out", "a", overwrite=True)
        assert set(tree(tmp_path / "out")) == files_of("a") | {"results.jsonl"}

    @pytest.mark.parametrize(
        "name",
        [
            "../../precious",
            "../precious",
            "/{tmp}/precious",
            "a/../../../precious",
            "..",
            "",
            None,
            7,
            ["a"],
            "a\\b",
            "\ud800",
        ],
    )
    @pytest.mark.parametrize("mode", ["overwrite", "resume"])
    def test_hostile_names_are_not_followed(self, tmp_path, name, mode):
        if isinstance(name, str):
            name = name.replace("/{tmp}", str(tmp_path))
        write(tmp_path / "out", "a")
        for folder in (tmp_path, tmp_path / "out"):
            for suffix in (".png", ".jpg"):
                (folder / f"precious{suffix}").write_bytes(b"precious")
        with (tmp_path / "out" / "results.jsonl").open("a") as file:
            file.write(json.dumps({"photo": "x.jpg", "name": name, "objects": []}) + "\n")
        before = tree(tmp_path)
        with pytest.raises(OutputError, match=r"results\.jsonl: line 2 is not a result of a photo"):
            PhotoWriter(tmp_path / "out", **{mode: True})
        assert tree(tmp_path) == before

    def test_links_are_not_followed(self, tmp_path):
        write(tmp_path / "out", "a", "b/c", "d")
        photos = tmp_path / "out" / "photos"
        photos.mkdir()
        for name in ("c.png", "c.jpg", "d.png"):
            (photos / name).write_bytes(b"precious")
        for kind, suffix in KINDS.items():
            (tmp_path / "out" / kind / "b" / f"c{suffix}").unlink()
            (tmp_path / "out" / kind / "b").rmdir()
            (tmp_path / "out" / kind / "b").symlink_to(photos)
        (tmp_path / "out" / "masks" / "d.png").unlink()
        (tmp_path / "out" / "masks" / "d.png").symlink_to(photos / "d.png")
        PhotoWriter(tmp_path / "out", overwrite=True).close()
        assert set(tree(photos)) == {"c.png", "c.jpg", "d.png"}
        assert not (tmp_path / "out" / "masks" / "d.png").is_symlink()

    def test_an_output_that_is_a_link_is_itself(self, tmp_path):
        (tmp_path / "disk").mkdir()
        (tmp_path / "out").symlink_to(tmp_path / "disk")
        write(tmp_path / "out", "a/b")
        write(tmp_path / "out", "c", overwrite=True)
        assert set(tree(tmp_path / "disk")) == files_of("c") | {"results.jsonl"}

    @pytest.mark.parametrize(
        "content",
        [
            b"hello",
            b"hello\n",
            b"[]\n",
            b'{"a": 1}\n',
            b'{"photo": 1, "error": "x"}\n',
            b'{"photo": "a"}\n',
            b'{"photo": "a", "error": 1}\n',
            b'{"photo": "a", "error": "x", "name": "../a"}\n',
            b'{"photo": "a", "error": "x"}\n\n',
            b'{"photo": "a", "error": "x"}\n{"photographer": ',
            b"[" * 100_000 + b"\n",
            b"\xff\xfe\n",
            b'\n{"photo": "a", "error": "x"}\n',
        ],
    )
    @pytest.mark.parametrize("mode", ["overwrite", "resume"])
    def test_a_list_that_is_not_ours_is_left_alone(self, tmp_path, content, mode):
        (tmp_path / "results.jsonl").write_bytes(content)
        with pytest.raises(OutputError, match=r"results\.jsonl: line [12] is not a result of a photo.*move it away"):
            PhotoWriter(tmp_path, **{mode: True})
        assert tree(tmp_path) == {"results.jsonl": content}


class TestFaults:
    def test_settings(self, tmp_path):
        with pytest.raises(SettingsError, match="export is 'video'; allowed: masks, overlay, cutout"):
            PhotoWriter(tmp_path, exports=["masks", "video"])
        with pytest.raises(SettingsError, match="both --overwrite and --resume"):
            PhotoWriter(tmp_path, overwrite=True, resume=True)

    def test_what_stands_in_the_way(self, tmp_path):
        (tmp_path / "file").touch()
        with pytest.raises(OutputError, match="is a file; the output must be a folder"):
            PhotoWriter(tmp_path / "file")
        (tmp_path / "a" / "results.jsonl").mkdir(parents=True)
        with pytest.raises(OutputError, match=r"results\.jsonl: is a folder"):
            PhotoWriter(tmp_path / "a")
        with PhotoWriter(tmp_path / "b") as writer:
            (tmp_path / "b" / "masks").touch()
            with pytest.raises(OutputError, match=r"a\.png: cannot be written"):
                writer.write(result_of("a"), cat())

    def test_a_folder_that_is_not_ours_to_write(self, tmp_path, without_privileges):
        for each in (tmp_path, *tmp_path.parents[:2]):
            each.chmod(0o755)
        output = tmp_path / "out"
        output.mkdir()
        output.chmod(0o555)
        with without_privileges(), pytest.raises(OutputError, match=r"out: cannot be written \(Permission denied\)"):
            PhotoWriter(output)
        with without_privileges(), pytest.raises(OutputError, match="cannot be written"):
            PhotoWriter(output / "deeper")

    def test_a_full_disk(self, tmp_path):
        writer = PhotoWriter(tmp_path)
        writer.write(result_of("a"), cat())
        before = tree(tmp_path)
        with no_file_above(50), pytest.raises(OutputError, match=r"masks/b\.png: cannot be written \(File too large\)"):
            writer.write(result_of("b"), cat())
        assert tree(tmp_path) == before
        writer.write(result_of("b"), cat())
        writer.close()
        assert set(tree(tmp_path)) == files_of("a", "b") | {"results.jsonl"}

    def test_a_disk_that_is_full_in_the_middle_of_a_line(self, tmp_path):
        writer = PhotoWriter(tmp_path, exports=[])
        writer.write(result_of("a"), cat())
        before = (tmp_path / "results.jsonl").read_bytes()
        for more in (1, 20, len(before) - 1):
            with no_file_above(len(before) + more), pytest.raises(OutputError, match=r"results\.jsonl: cannot be wr"):
                writer.write(result_of("b"), cat())
            assert (tmp_path / "results.jsonl").read_bytes() == before
        writer.write(result_of("b"), cat())
        writer.close()
        assert [record["name"] for record in lines(tmp_path)] == ["a", "b"]

    def test_memory_does_not_grow(self, tmp_path):
        with PhotoWriter(tmp_path) as writer:
            for n in range(10):
                writer.write(result_of(f"{n}"), cat())
            tracemalloc.start()
            try:
                for n in range(10, 60):
                    writer.write(result_of(f"{n}"), cat())
                    writer.skip(Path(f"{n}.jpg"), "broken" * 20)
                grown, _ = tracemalloc.get_traced_memory()
            finally:
                tracemalloc.stop()
        assert grown < 20_000


@contextmanager
def no_file_above(size: int) -> Iterator[None]:
    """The system refuses to let files grow beyond so many bytes, as a full disk does."""
    resource = pytest.importorskip("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_the_limit_of_these_tests_is_one(tmp_path):
    with no_file_above(10), pytest.raises(OSError, match="large") as caught:
        (tmp_path / "a").write_bytes(bytes(11))
    assert caught.value.errno == errno.EFBIG


class TestNames:
    @staticmethod
    def names(*paths: str) -> list[str]:
        return output_names([Path(path) for path in paths])

    def test_below_the_folder_that_all_share(self):
        assert self.names("/p/2024/beach/1.jpg", "/p/2024/alps/2.jpg", "/p/2024/3.jpg") == ["beach/1", "alps/2", "3"]
        assert self.names("p/a/1.jpg", "p/a/2.jpg") == ["1", "2"]
        assert self.names("/p/1.jpg") == ["1"]
        assert self.names("/ab/1.jpg", "/ac/1.jpg") == ["ab/1", "ac/1"]
        assert self.names() == []

    def test_however_they_are_spelled(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        spelled = ["a/1.jpg", "./b/../a/2.jpg", str(tmp_path / "3.jpg"), "../x.jpg"]
        assert self.names(*spelled) == [f"{tmp_path.name}/a/1", f"{tmp_path.name}/a/2", f"{tmp_path.name}/3", "x"]

    def test_photos_that_differ_by_suffix(self):
        assert self.names("a.jpg", "a.png", "b.jpg") == ["a_jpg", "a_png", "b"]
        assert self.names("a.jpg", "a.png", "a_png.gif") == ["a_jpg", "a_png_2", "a_png"]
        assert self.names("a", "a.jpg", "a.b.jpg") == ["a", "a_jpg", "a.b"]

    def test_where_case_or_composition_does_not_count(self):
        assert self.names("A.jpg", "a.jpg", "a.JPG") == ["A_jpg", "a_jpg_3", "a_JPG_2"]
        composed, apart = "caf\u00e9.jpg", "cafe\u0301.jpg"
        first, second = self.names(composed, apart)
        assert unicodedata.normalize("NFC", first) != unicodedata.normalize("NFC", second)

    def test_a_folder_that_is_called_like_a_file(self):
        assert self.names("a.png/b.jpg", "a.jpg", "c.JPG/d.jpg") == ["a_png/b", "a", "c_JPG/d"]

    def test_the_same_twice(self):
        assert self.names("a.jpg", "a.jpg", "a.jpg") == ["a_jpg", "a_jpg_2", "a_jpg_3"]

    @pytest.mark.skipif(os.name == "nt", reason="such names cannot be on Windows")
    def test_what_some_systems_forbid(self):
        assert self.names("a:b?.jpg", "c\\d.jpg", "...jpg", "tail. /e.jpg") == ["a_b_", "c_d", "_", "tail/e"]
        long = "\u00e9" * 120 + "1.jpg", "\u00e9" * 120 + "2.jpg"
        assert self.names(*long) == ["\u00e9" * 100 + "_jpg", "\u00e9" * 100 + "_jpg_2"]

    def test_a_photo_that_joins_does_not_rename_the_others(self):
        before = self.names("a.jpg", "b.jpg", "c/d.jpg")
        assert self.names("a.jpg", "b.jpg", "c/d.jpg", "c/e.jpg", "f.png")[:3] == before

    def test_many_that_are_cut_to_the_same(self):
        names = output_names([Path("x" * 240 + f"{n}.jpg") for n in range(3000)])
        assert len(set(names)) == 3000

    PARTS = st.sampled_from(
        ["a", "A", "a_png", "a.png", "a_jpg", "..", ".", "b", "a_png_2", ".a", "...", "\u00e9", "e\u0301", "\ud800",
         "x" * 250, "x" * 249 + "y", "a:b", "a?b", "a ", "ß", "SS"]
    )  # fmt: skip
    SUFFIXES = st.sampled_from(["", ".jpg", ".JPG", ".png", ".gif", ".", ".a b", ".png.jpg"])
    PATHS = st.builds(
        lambda root, folders, stem, suffix: Path(root + "/".join([*folders, stem + suffix])),
        st.sampled_from(["", "/", "//", "../", "/a/"]),
        st.lists(PARTS, max_size=3),
        PARTS,
        SUFFIXES,
    )

    @given(st.lists(PATHS, max_size=8, unique_by=os.path.abspath), st.randoms())
    def test_unique_inside_and_the_same_in_any_order(self, paths, random):
        names = output_names(paths)

        def alike(text: str) -> str:
            return unicodedata.normalize("NFC", text.casefold())

        files = {alike(f"{name}{suffix}") for name in names for suffix in (".png", ".jpg")}
        assert len(files) == 2 * len(paths)
        for name in names:
            parts = name.split("/")
            assert not {"", ".", ".."} & set(parts)
            assert not re.search(r'[<>:"\\|?*\x00-\x1f]', name)
            assert all(len(part.encode()) <= 240 for part in parts)
            folders = {alike("/".join(parts[:length])) for length in range(1, len(parts))}
            assert not folders & files
        order = list(range(len(paths)))
        random.shuffle(order)
        assert output_names([paths[i] for i in order]) == [names[i] for i in order]

    @given(st.lists(PATHS, min_size=1, max_size=4, unique_by=os.path.abspath))
    def test_every_name_can_be_written_and_resumed(self, tmp_path_factory, paths):
        output = tmp_path_factory.mktemp("named") / "out"
        names = output_names(paths)
        with PhotoWriter(output, exports=["masks"]) as writer:
            for path, name in zip(paths, names, strict=True):
                writer.write(PhotoResult(path, name, labels(), ()), cat())
        assert len(tree(output)) == len(paths) + 1
        assert [path.name for path in output.parent.iterdir()] == ["out"]
        with PhotoWriter(output, exports=["masks"], resume=True) as writer:
            assert writer.done == set(names)
