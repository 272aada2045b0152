from __future__ import annotations

import json

import pytest
from photo_results import KINDS, files_of, lines, tree, write

from persam_vos.errors import OutputError
from persam_vos.exports.photos import PhotoWriter


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
