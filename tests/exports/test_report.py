"""The report of a run: its pictures, its numbers, and the page made of them."""

from __future__ import annotations

import json
import re
import shlex
from fractions import Fraction
from html import unescape
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from persam_vos.cli.app import main
from persam_vos.errors import OutputError
from persam_vos.exports.base import ExportSettings
from persam_vos.exports.report import Look, ReportWriter, frames_to_look_at, read_series, write_report
from persam_vos.exports.report.charts import charts_of
from persam_vos.exports.report.pictures import Picture, Pictures, pictures_file
from persam_vos.exports.styles import ObjectStyles
from persam_vos.exports.tracks import TracksWriter
from persam_vos.media import Frame, FramesDone, StreamInfo
from persam_vos.prompts import NamedObject
from persam_vos.results import FrameResult, ObjectResult

FRAMES = 60
ABSENT = range(20, 30)
UNSURE = range(40, 46)


def info() -> StreamInfo:
    return StreamInfo(Path("clip.mp4"), 64, 48, Fraction(25), Fraction(1, 25), FRAMES, False)


def frame_of(index: int) -> Frame:
    return Frame(index, index, Fraction(1, 25), np.full((48, 64, 3), 90, np.uint8))


def result_of(index: int) -> FrameResult:
    label_map = np.zeros((48, 64), np.uint8)
    if index in ABSENT:
        found = ObjectResult(1, False, 0.0, None, 0, None)
    else:
        label_map[8:24, 10:26] = 1
        score = 0.3 if index in UNSURE else 0.95
        found = ObjectResult(1, True, score, 0.9, 256, (10, 8, 25, 23), keyframe=index == 0)
    return FrameResult(index, index, Fraction(1, 25), label_map, (found,))


def record(**changes: Any) -> dict[str, Any]:
    return {
        "source": "clip.mp4",
        "frame_size": [48, 64],
        "frame_rate": "25",
        "frames": FRAMES,
        "complete": True,
        "warnings": [],
        "settings": {"method": "memory", "model": "mobile_sam"},
        "backend": "torch",
        "precision": "float32",
        "frames_per_second": 1.5,
        "seconds": 40.0,
        "seconds_per_stage": {"encode": 30.0},
        "peak_memory_mib": 900.0,
        "machine": {"device": "cpu", "cpus": 2, "system": "Linux"},
        "versions": {"persam-vos": "0"},
        **changes,
    }


def written(folder: Path, name: str = "", looks: tuple[Look, ...] = (), every: int = 1, **changes: Any) -> str:
    """Write a run's pictures, of every so many-th frame, and its tracks, make its report, and return the text."""
    styles = ObjectStyles([NamedObject(1, name)])
    settings = ExportSettings(folder, info(), styles=styles)
    pictures, tracks = ReportWriter(settings), TracksWriter(settings)
    for index in range(FRAMES):
        tracks.write(frame_of(index), result_of(index))
        if index % every == 0:
            pictures.write(frame_of(index), result_of(index))
    for writer in (pictures, tracks):
        writer.close()
    series = read_series(folder / "tracks.jsonl")
    return write_report(folder, record(**changes), series, looks, styles).read_text(encoding="utf-8")


def picture(frame: int, doubt: float = 0.0) -> Picture:
    return Picture(frame, frame / 25, doubt, b"jpeg")


class TestPictures:
    @given(st.lists(st.floats(0, 1), max_size=600))
    def test_are_spaced_evenly_and_hold_the_least_sure_frames(self, doubts):
        pictures = Pictures()
        for frame, doubt in enumerate(doubts):
            if pictures.wants(doubt):
                pictures.add(picture(frame, doubt))
            else:
                pictures.skip()
        spaced = [each.frame for each in pictures.spaced]
        assert len(spaced) <= 48
        assert len(pictures.all) <= 96
        assert len({b - a for a, b in pairwise(spaced)}) <= 1
        assert len(doubts) <= 48 or len(spaced) > 24
        if doubts:
            assert max(each.doubt for each in pictures.all) == max(doubts)

    def test_come_back_from_text(self):
        pictures = Pictures()
        for frame in range(101):
            pictures.add(picture(frame, frame / 101))
        again = Pictures.from_json(pictures.to_json())
        assert again.to_json() == pictures.to_json()
        assert again.count == 101

    @pytest.mark.parametrize(
        "text", ["", "[]", "{}", '{"count": 1, "step": 0, "present": null, "stretches": []}', '{"count": 1}']
    )
    def test_of_another_text(self, text):
        with pytest.raises(ValueError, match=r".*"):
            Pictures.from_json(text)


class TestWriter:
    def test_goes_on_after_a_checkpoint(self, tmp_path):
        settings = ExportSettings(tmp_path, info())
        whole, first = ReportWriter(settings), ReportWriter(settings)
        for index in range(30):
            first.write(frame_of(index), result_of(index))
            if index == 19:
                first.checkpoint()
        second = ReportWriter(settings)
        second.resume(FramesDone(count=20, first_index=0, first_pts=0, last_index=19, last_pts=19))
        for index in range(20, FRAMES):
            second.write(frame_of(index), result_of(index))
        for index in range(FRAMES):
            whole.write(frame_of(index), result_of(index))
        second.close()
        resumed = Pictures.from_json(pictures_file(tmp_path).partial.read_text())
        whole.close()
        assert [each.frame for each in resumed.spaced] == list(range(0, FRAMES, 2))
        assert resumed.count == FRAMES
        assert not second.warnings

    def test_an_object_that_goes_right_after_a_checkpoint_is_seen_to_go(self, tmp_path):
        settings = ExportSettings(tmp_path, info())
        first = ReportWriter(settings)
        for index in range(ABSENT.start):
            first.write(frame_of(index), result_of(index))
        first.checkpoint()
        second = ReportWriter(settings)
        last = ABSENT.start - 1
        second.resume(FramesDone(count=ABSENT.start, first_index=0, first_pts=0, last_index=last, last_pts=last))
        second.write(frame_of(ABSENT.start), result_of(ABSENT.start))
        second.close()
        assert Pictures.from_json(pictures_file(tmp_path).partial.read_text()).all[-1].doubt == pytest.approx(0.2)

    def test_lost_pictures_are_said(self, tmp_path):
        writer = ReportWriter(ExportSettings(tmp_path, info()))
        writer.resume(FramesDone(count=20, first_index=0, first_pts=0, last_index=19, last_pts=19))
        writer.write(frame_of(20), result_of(20))
        assert "19" in writer.warnings[0]

    def test_pictures_show_the_object(self, tmp_path):
        writer = ReportWriter(ExportSettings(tmp_path, info()))
        writer.write(frame_of(0), result_of(0))
        writer.close()
        [first] = Pictures.from_json(pictures_file(tmp_path).partial.read_text()).all
        shown = cv2.imdecode(np.frombuffer(first.jpeg, np.uint8), cv2.IMREAD_COLOR)
        assert shown.shape == (48, 64, 3)
        assert np.abs(shown[40, 60].astype(int) - 90).max() < 12
        assert np.abs(shown[16, 18].astype(int) - 90).max() > 30


class TestPage:
    def test_what_goes_and_comes_is_looked_at_without_any_score(self, tmp_path):
        written(tmp_path)
        [series] = read_series(tmp_path / "tracks.jsonl")
        for place in range(FRAMES):
            series.scores[place] = 1.0 if series.scores[place] == series.scores[place] else float("nan")
        reasons = {look.frame: look.reason for look in frames_to_look_at([series])}
        assert reasons == {ABSENT.start: "it is lost", ABSENT.stop: "it comes back"}

    def test_needs_nothing_else(self, tmp_path):
        text = written(tmp_path)
        assert "http:" not in text
        assert "https:" not in text
        assert "<script" not in text
        assert text.count("<img") == 24
        assert text.count("data:image/jpeg;base64,") == 24

    def test_names_are_text(self, tmp_path):
        text = written(tmp_path, name="<b>dog", source="<i>.mp4", warnings=["<u>"])
        for tag in ("<b>", "<i>", "<u>"):
            assert tag not in text
        assert "&lt;b&gt;dog" in text

    def test_places_with_the_commands_that_mend_them(self, tmp_path):
        source = tmp_path / "my clip.mp4"
        source.touch()
        (tmp_path / "prompts.json").touch()
        looks = (Look(42, 1, "its mask is probably wrong"), Look(44, 1, "its mask is probably wrong"))
        text = written(tmp_path, looks=looks, source=str(source))
        assert text.count('class="place"') == 1, "the second one lies in the stretch of the first"
        assert "frames 40 to 45 are alike" in text
        assert '--frame 42 --id 1 <span class="where">--point X,Y</span>' in text
        assert "persam-vos studio" in text
        assert "--resume" in text
        assert "my clip.mp4&#39;" in text

    def test_commands_as_they_stand_change_nothing(self, tmp_path, capsys):
        source = tmp_path / "clip.mp4"
        source.touch()
        (tmp_path / "prompts.json").touch()
        text = written(tmp_path, looks=(Look(42, 1, "it jumps"),), source=str(source))
        commands = [unescape(re.sub("<[^>]*>", "", each)) for each in re.findall("<pre>(.*?)</pre>", text)]
        [mask] = [each for each in commands if each.startswith("persam-vos mask")]
        assert main(shlex.split(mask)[1:]) == 2
        assert "point is 'X,Y'" in capsys.readouterr().err
        assert not list(tmp_path.glob("*.png"))

    @pytest.mark.parametrize(("every", "shown", "mended"), [(8, 40, 40), (30, 30, 42)])
    def test_the_frame_that_is_pointed_at_is_the_one_that_is_shown(self, tmp_path, every, shown, mended):
        source = tmp_path / "clip.mp4"
        source.touch()
        (tmp_path / "prompts.json").touch()
        text = written(tmp_path, looks=(Look(42, 1, "it jumps"),), every=every, source=str(source))
        assert f"frame {shown}, the nearest one kept" in text
        assert f"--frame {mended} --id 1" in text
        assert ('class="aim"' in text) == (shown == mended)

    def test_masks_that_were_not_tracked_have_no_commands(self, tmp_path):
        source = tmp_path / "clip.mp4"
        source.touch()
        text = written(tmp_path, looks=(Look(42, 1, "it jumps"),), source=str(source))
        assert "It jumps" in text
        assert "persam-vos mask" not in text

    def test_frames_that_no_file_holds_have_no_commands(self, tmp_path):
        text = written(tmp_path, looks=(Look(42, 1, "it jumps"),), source="frames")
        assert "It jumps" in text
        assert "persam-vos mask" not in text

    def test_an_absence_is_a_gap(self, tmp_path):
        written(tmp_path)
        [series] = read_series(tmp_path / "tracks.jsonl")
        score = charts_of(series, 48 * 64)[0]
        assert len(score.lines) == 2
        assert series.box(25) is None
        assert series.box(0) == (10, 8, 25, 23)

    def test_many_frames_are_few_points(self, tmp_path):
        written(tmp_path)
        line = (tmp_path / "tracks.jsonl").read_text().splitlines()[1]
        lines = [json.dumps({**json.loads(line), "frame": index}) for index in range(5000)]
        (tmp_path / "long.jsonl").write_text("\n".join(lines))
        [series] = read_series(tmp_path / "long.jsonl")
        assert all(len(chart.lines[0].split()) <= 500 for chart in charts_of(series, 48 * 64))

    @pytest.mark.parametrize("text", ["{}", "nothing", '{"object": 1}'])
    def test_other_tracks(self, tmp_path, text):
        (tmp_path / "tracks.jsonl").write_text(text)
        with pytest.raises(OutputError, match=r"tracks\.jsonl"):
            read_series(tmp_path / "tracks.jsonl")

    def test_without_pictures(self, tmp_path):
        with pytest.raises(OutputError, match="pictures"):
            write_report(tmp_path, record(), [], (), ObjectStyles())
