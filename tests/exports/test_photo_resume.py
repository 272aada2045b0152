from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from photo_results import cat, files_of, labels, lines, result_of, tree, write
from PIL import Image

from persam_vos.exports.photos import PhotoWriter
from persam_vos.exports.results_jsonl import PhotoResult


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
            # What the disk had room for may be zeros. These are tried at some bytes: every try writes files.
            for rest in (b"", b"\0" * 40) if end % 8 == 0 else (b"",):
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
            "import itertools, sys; from pathlib import Path; from photo_results import *\n"
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
