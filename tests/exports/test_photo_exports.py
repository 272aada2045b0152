from __future__ import annotations

import errno
import os
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from photo_results import cat, files_of, labels, lines, result_of, tree, write
from PIL import Image

from persam_vos.errors import MaskSizeError, OutputError, SettingsError
from persam_vos.exports.draw import draw_overlay
from persam_vos.exports.palettes import davis_palette
from persam_vos.exports.photo_exports import PHOTO_EXPORTS
from persam_vos.exports.photo_names import output_names
from persam_vos.exports.photos import PhotoWriter
from persam_vos.exports.results_jsonl import PhotoResult, read_results
from persam_vos.results import ObjectResult


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
        # pytest's own folders, of which one is the worker's where tests run in several processes
        for each in (tmp_path, *(p for p in tmp_path.parents if p.name.startswith(("pytest-", "popen-")))):
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
