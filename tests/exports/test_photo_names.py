from __future__ import annotations

import os
import re
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from photo_results import cat, labels, tree

from persam_vos.exports.photo_names import output_names
from persam_vos.exports.photos import PhotoWriter
from persam_vos.exports.results_jsonl import PhotoResult


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
