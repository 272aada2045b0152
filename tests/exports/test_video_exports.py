from __future__ import annotations

import json
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import av
import numpy as np
import pytest
from clips import moving_square, write_clip
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from persam_vos.errors import MaskSizeError, OutputError, SettingsError
from persam_vos.exports.annotations.journal import forget_journals
from persam_vos.exports.palettes import davis_palette
from persam_vos.exports.select import EXPORTS, open_writers
from persam_vos.files import content_of_folder
from persam_vos.media.frame import Frame
from persam_vos.media.readers import open_video
from persam_vos.media.stream import StreamInfo
from persam_vos.prompts import NamedObject
from persam_vos.results import FrameResult, ObjectResult
from persam_vos.settings.output import ExportOptions

NTSC = Fraction(30000, 1001)


VIDEOS = ["overlay", "cutout"]


class Probe(NamedTuple):
    """What a video file holds, in presentation order."""

    seconds: list[Fraction]
    rate: Fraction
    size: tuple[int, int]
    tags: tuple[int, ...]
    audio: str | None
    audio_seconds: list[Fraction]
    rgb: list[np.ndarray]


def probe(path: Path) -> Probe:
    with av.open(str(path)) as container:
        video = container.streams.video[0]
        context = video.codec_context
        tags = (context.colorspace, context.color_primaries, context.color_trc, context.color_range)
        rate, size = video.average_rate, (video.width, video.height)
        sound = container.streams.audio[0] if container.streams.audio else None
        audio = sound.codec_context.codec.canonical_name if sound else None
        packets = [packet for packet in container.demux(sound) if packet.dts is not None] if sound else []
        audio_seconds = [packet.pts * packet.time_base for packet in packets]
    with open_video(path) as reader:
        frames = list(reader)
    return Probe(
        [frame.time for frame in frames], rate, size, tags, audio, audio_seconds, [frame.rgb for frame in frames]
    )


def result_of(frame: Frame, *ids: int) -> FrameResult:
    """Vertical bars, one per object, on a background at top and bottom."""
    label_map = np.zeros(frame.rgb.shape[:2], np.uint8)
    for position, number in enumerate(ids or (1,)):
        label_map[8:-8, 4 + 16 * position : 16 + 16 * position] = number
    objects = tuple(
        ObjectResult(number, True, 0.5, 0.25, int((label_map == number).sum()), (4, 8, 15, frame.height - 9))
        for number in ids or (1,)
    )
    return FrameResult(frame.index, frame.pts, frame.time_base, label_map, objects)


def export(source: Path, output: Path, *exports: str, stop: int | None = None, ids=(1,), **options) -> list[str]:
    """Run the source through writers; return their warnings."""
    with open_video(source) as reader:
        writers = open_writers(output, exports, info=reader.info, **options)
        for frame in reader:
            if frame.index == stop:
                break
            for writer in writers:
                writer.write(frame, result_of(frame, *ids))
        written = [path for writer in writers for path in writer.close()]
    assert content_of_folder(output) == sorted(path.name for path in written)
    return [warning for writer in writers for warning in writer.warnings]


def some_info(**changes) -> StreamInfo:
    second = Fraction(1, 25)
    plain = StreamInfo(Path("a.mp4"), 64, 48, 1 / second, second, frame_count=None, has_audio=False)
    return replace(plain, **changes)


def some_frame(index: int = 0, *, width: int = 64, height: int = 48) -> Frame:
    return Frame(index, index, Fraction(1, 25), moving_square(index + 1, width=width, height=height)[index])


class TestMasks:
    def test_bit_by_bit_with_the_davis_palette(self, tmp_path):
        export(write_clip(tmp_path / "a.mp4", moving_square(3)), tmp_path / "out", "masks", ids=(1, 9, 254))
        files = sorted((tmp_path / "out" / "masks").iterdir())
        assert [path.name for path in files] == ["00000.png", "00001.png", "00002.png"]
        for path in files:
            with Image.open(path) as image:
                assert image.mode == "P"
                values = np.asarray(image)
                assert image.getpalette() == davis_palette().ravel().tolist()
            expected = result_of(some_frame(), 1, 9, 254).label_map
            assert values.dtype == np.uint8
            assert np.array_equal(values, expected)

    @given(hnp.arrays(np.uint8, hnp.array_shapes(min_dims=2, max_dims=2, max_side=12), elements=st.integers(0, 254)))
    def test_any_label_map_comes_back(self, tmp_path_factory, label_map):
        output = tmp_path_factory.mktemp("masks")
        height, width = label_map.shape
        frame = Frame(0, 0, Fraction(1, 25), np.zeros((height, width, 3), np.uint8))
        writer = open_writers(output, ["masks"], info=some_info())[1]
        writer.write(frame, FrameResult(0, 0, Fraction(1, 25), label_map, ()))
        writer.close()
        with Image.open(output / "masks" / "00000.png") as image:
            assert np.array_equal(np.asarray(image), label_map)

    def test_palette_is_the_known_one(self):
        palette = davis_palette()
        assert palette.dtype == np.uint8
        assert palette[:9].tolist() == [
            [0, 0, 0], [128, 0, 0], [0, 128, 0], [128, 128, 0], [0, 0, 128],
            [128, 0, 128], [0, 128, 128], [128, 128, 128], [64, 0, 0],
        ]  # fmt: skip
        assert palette[255].tolist() == [224, 224, 192]
        assert len(np.unique(palette, axis=0)) == 256

    def test_replaces_its_own_masks_as_a_whole(self, tmp_path):
        source = write_clip(tmp_path / "a.mp4", moving_square(3))
        export(source, tmp_path / "out", "masks")
        export(source, tmp_path / "out", "masks", stop=1, overwrite=True)
        assert [path.name for path in (tmp_path / "out" / "masks").iterdir()] == ["00000.png"]

    def test_replaces_nothing_else(self, tmp_path):
        (tmp_path / "masks").mkdir()
        (tmp_path / "masks" / "mine.png").write_bytes(b"precious")
        with pytest.raises(OutputError, match=r"holds mine\.png"):
            open_writers(tmp_path, ["masks"], info=some_info(), overwrite=True)
        assert (tmp_path / "masks" / "mine.png").read_bytes() == b"precious"

    @pytest.mark.parametrize("name", EXPORTS)
    def test_another_size_than_the_frame(self, tmp_path, name):
        writer = open_writers(tmp_path, [name], info=some_info())[1]
        result = result_of(some_frame(width=32))
        with pytest.raises(MaskSizeError, match="label map is 48 x 32, frame 0 is 48 x 64"):
            writer.write(some_frame(), result)


class TestVideos:
    @pytest.mark.parametrize("suffix", ["mp4", "mkv", "avi"])
    def test_times_and_rate_are_the_source_s(self, tmp_path, suffix):
        source = write_clip(tmp_path / f"a.{suffix}", moving_square(10), rate=NTSC)
        export(source, tmp_path / "out", *VIDEOS)
        for name in VIDEOS:
            made = probe(tmp_path / "out" / f"{name}.mp4")
            assert made.seconds == probe(source).seconds
            assert made.size == (64, 48)
            if suffix == "mp4":  # Matroska rounds times to milliseconds, and the rate with them
                assert made.rate == NTSC

    def test_variable_rate(self, tmp_path):
        times = [0, 40, 55, 110, 300, 301]
        source = write_clip(tmp_path / "a.mp4", moving_square(6), pts=times, time_base=Fraction(1, 1000))
        export(source, tmp_path / "out", "overlay")
        assert probe(tmp_path / "out" / "overlay.mp4").seconds == [Fraction(time, 1000) for time in times]

    def test_a_late_start_stays_late(self, tmp_path):
        source = write_clip(tmp_path / "a.mkv", moving_square(4), pts=[13, 14, 15, 16], rate=NTSC)
        export(source, tmp_path / "out", "overlay")
        made = probe(tmp_path / "out" / "overlay.mp4")
        assert made.seconds == probe(source).seconds
        assert made.seconds[0] > Fraction(2, 5)

    def test_a_start_before_zero_is_moved_to_zero(self, tmp_path):
        writer = open_writers(tmp_path, ["overlay"], info=some_info())[1]
        for index in range(3):
            frame = Frame(index, index - 2, Fraction(1, 25), some_frame().rgb)
            writer.write(frame, result_of(frame))
        writer.close()
        assert probe(tmp_path / "overlay.mp4").seconds == [Fraction(index, 25) for index in range(3)]

    def test_a_source_without_rate(self, tmp_path):
        writer = open_writers(tmp_path, ["overlay"], info=some_info(frame_rate=None))[1]
        for index in range(3):
            writer.write(some_frame(index), result_of(some_frame(index)))
        writer.close()
        assert probe(tmp_path / "overlay.mp4").seconds == [Fraction(index, 25) for index in range(3)]

    @pytest.mark.parametrize(("width", "height"), [(65, 48), (64, 49), (65, 49), (33, 27)])
    def test_odd_sizes_repeat_the_last_line(self, tmp_path, width, height):
        writer = open_writers(tmp_path, ["cutout"], info=some_info(width=width, height=height))[1]
        frame = some_frame(width=width, height=height)
        result = FrameResult(0, 0, frame.time_base, np.ones((height, width), np.uint8), ())
        writer.write(frame, result)
        writer.close()
        made = probe(tmp_path / "cutout.mp4")
        assert made.size == (width + width % 2, height + height % 2)
        difference = np.abs(made.rgb[0][:height, :width].astype(int) - frame.rgb)
        assert np.median(difference) <= 4

    @pytest.mark.parametrize("background", [(0, 0, 0), (0, 255, 0), (200, 60, 30), (255, 255, 255)])
    def test_background_comes_back(self, tmp_path, background):
        source = write_clip(tmp_path / "a.mp4", moving_square(3))
        options = ExportOptions(background="#" + bytes(background).hex())
        export(source, tmp_path / "out", "cutout", options=options)
        made = probe(tmp_path / "out" / "cutout.mp4")
        assert made.tags == (1, 1, 1, 1)  # BT.709 thrice, limited range
        for rgb in made.rgb:
            assert np.abs(rgb[:6, 40:].astype(int) - background).max() <= 4

    def test_close_after_some_frames_gives_a_playable_file(self, tmp_path):
        source = write_clip(tmp_path / "a.mp4", moving_square(10), audio="aac", audio_seconds=0.4)
        export(source, tmp_path / "out", *VIDEOS, stop=3)
        for name in VIDEOS:
            made = probe(tmp_path / "out" / f"{name}.mp4")
            assert made.seconds == [Fraction(index, 25) for index in range(3)]
            assert max(made.audio_seconds) <= Fraction(3, 25)

    def test_frames_leave_memory_while_the_run_goes_on(self, tmp_path):
        writer = open_writers(tmp_path, ["cutout"], info=some_info())[1]
        noise = np.random.default_rng(0).integers(0, 256, (400, 48, 64, 3), dtype=np.uint8)
        for index in range(400):
            frame = Frame(index, index, Fraction(1, 25), noise[index])
            writer.write(frame, FrameResult(index, index, frame.time_base, np.ones((48, 64), np.uint8), ()))
        so_far = (tmp_path / ".cutout.mp4.parts.partial" / "unfinished.mp4").stat().st_size
        writer.close()
        assert so_far > 0.6 * (tmp_path / "cutout.mp4").stat().st_size


class TestAudio:
    @pytest.mark.parametrize(
        ("suffix", "codec", "name"),
        [("mp4", "aac", "aac"), ("mkv", "aac", "aac"), ("ts", "aac", "aac"), ("mp4", "libmp3lame", "mp3")],
    )
    @pytest.mark.parametrize("start", [0.0, 0.25])
    def test_is_copied(self, tmp_path, suffix, codec, name, start):
        source = write_clip(
            tmp_path / f"a.{suffix}", moving_square(25), audio=codec, audio_start=start, audio_seconds=1.5
        )
        assert export(source, tmp_path / "out", "overlay") == []
        made, original = probe(tmp_path / "out" / "overlay.mp4"), probe(source)
        assert made.audio == original.audio == name
        assert len(made.audio_seconds) == len(original.audio_seconds)
        for left, right in zip(made.audio_seconds, original.audio_seconds, strict=True):
            assert abs(left - right) < Fraction(1, 1000)

    @pytest.mark.parametrize(("suffix", "codec"), [("avi", "pcm_s16le"), ("mkv", "pcm_s16le"), ("ts", "mp2")])
    def test_what_mp4_cannot_hold_becomes_aac(self, tmp_path, suffix, codec):
        source = write_clip(tmp_path / f"a.{suffix}", moving_square(25), audio=codec, audio_seconds=1.5)
        assert export(source, tmp_path / "out", "overlay") == []
        made, original = probe(tmp_path / "out" / "overlay.mp4"), probe(source)
        assert made.audio == "aac"
        lasts = made.audio_seconds[-1] - original.audio_seconds[-1]
        assert abs(lasts) < Fraction(1, 20)  # a packet or two of another length
        assert abs(made.audio_seconds[0] - original.audio_seconds[0]) < Fraction(1, 20)

    def test_is_cut_with_the_video(self, tmp_path):
        source = write_clip(tmp_path / "a.mkv", moving_square(50), audio="pcm_s16le", audio_seconds=2)
        export(source, tmp_path / "out", "overlay", stop=10)
        assert Fraction(3, 10) < probe(tmp_path / "out" / "overlay.mp4").audio_seconds[-1] <= Fraction(2, 5)

    def test_without_the_source_there_is_a_warning_and_no_audio(self, tmp_path):
        info = some_info(source=tmp_path / "gone.mp4", has_audio=True)
        writer = open_writers(tmp_path / "out", ["overlay"], info=info)[1]
        writer.write(some_frame(), result_of(some_frame()))
        writer.close()
        assert probe(tmp_path / "out" / "overlay.mp4").audio is None
        begins = f"{tmp_path / 'out' / 'overlay.mp4'}: the audio of {info.source} is left out"
        assert writer.warnings[0].startswith(begins)


class TestTracks:
    def test_lines(self, tmp_path):
        frame = Frame(3, 3003, Fraction(1, 30000), some_frame().rgb)
        objects = (
            ObjectResult(1, True, np.float32(0.9), 0.123456789, 70_000, (1, 2, 30, 40)),
            ObjectResult(9, False, 0.0, None, 0, None, keyframe=True),
            ObjectResult(10, True, float("nan"), float("inf"), np.int64(5), tuple(np.arange(4))),
        )
        writer = open_writers(tmp_path, [], info=some_info(), objects=[NamedObject(9, "Löffel")])[0]
        writer.write(frame, FrameResult(3, 3003, frame.time_base, np.zeros((48, 64), np.uint8), objects))
        assert not (tmp_path / "tracks.jsonl").exists()
        assert writer.close() == (tmp_path / "tracks.jsonl",)
        assert (tmp_path / "tracks.jsonl").read_text().splitlines() == [
            '{"frame": 3, "time": 0.1001, "pts": 3003, "source": null, "object": 1, "name": null, "present": true,'
            ' "score": 0.9,'
            ' "similarity": 0.123457, "area": 70000, "box_xyxy": [1, 2, 30, 40], "keyframe": false}',
            '{"frame": 3, "time": 0.1001, "pts": 3003, "source": null, "object": 9, "name": "Löffel", "present": false,'
            ' "score": 0.0,'
            ' "similarity": null, "area": 0, "box_xyxy": null, "keyframe": true}',
            '{"frame": 3, "time": 0.1001, "pts": 3003, "source": null, "object": 10, "name": null, "present": true,'
            ' "score": null,'
            ' "similarity": null, "area": 5, "box_xyxy": [0, 1, 2, 3], "keyframe": false}',
        ]

    def test_a_line_per_frame_and_object(self, tmp_path):
        export(write_clip(tmp_path / "a.mp4", moving_square(4)), tmp_path / "out", ids=(1, 2))
        lines = [json.loads(line) for line in (tmp_path / "out" / "tracks.jsonl").read_text().splitlines()]
        assert [(line["frame"], line["object"]) for line in lines] == [(f, o) for f in range(4) for o in (1, 2)]


class TestFolder:
    def test_is_made_with_its_parents(self, tmp_path):
        open_writers(tmp_path / "a" / "b", list(EXPORTS), info=some_info())
        assert list((tmp_path / "a" / "b").iterdir()) == []

    def test_not_empty(self, tmp_path):
        (tmp_path / "letter.txt").write_text("keep me")
        with pytest.raises(OutputError, match=r"is not empty \(holds letter\.txt\); pass --overwrite"):
            open_writers(tmp_path, ["masks"], info=some_info())
        assert open_writers(tmp_path, ["masks"], info=some_info(), overwrite=True)
        assert (tmp_path / "letter.txt").read_text() == "keep me"

    def test_remains_of_a_killed_run_are_no_obstacle(self, tmp_path):
        (tmp_path / ".overlay.mp4.partial").write_bytes(b"half a file")
        (tmp_path / ".masks.partial").mkdir()
        (tmp_path / ".masks.partial" / "00099.png").write_bytes(b"")
        writers = open_writers(tmp_path, ["masks", "overlay"], info=some_info())
        for writer in writers:
            writer.write(some_frame(), result_of(some_frame()))
            writer.close()
        assert sorted(path.name for path in tmp_path.iterdir()) == ["masks", "overlay.mp4", "tracks.jsonl"]
        assert [path.name for path in (tmp_path / "masks").iterdir()] == ["00000.png"]

    @pytest.mark.parametrize("name", [".results.jsonl.partial", ".a.png.1a2b3c4d.partial", ".DS_Store", "Thumbs.db"])
    def test_leftovers_and_files_of_file_managers_are_no_content(self, tmp_path, name):
        (tmp_path / name).write_bytes(b"theirs")
        for writer in open_writers(tmp_path, ["masks"], info=some_info()):
            writer.write(some_frame(), result_of(some_frame()))
            writer.close()
        assert {path.name for path in tmp_path.iterdir()} == {name, "masks", "tracks.jsonl"}
        assert (tmp_path / name).read_bytes() == b"theirs"

    @pytest.mark.parametrize("name", [".DS_Store", "desktop.ini", "._00000.png"])
    def test_masks_beside_files_of_file_managers_are_replaced(self, tmp_path, name):
        source = write_clip(tmp_path / "a.mp4", moving_square(1))
        export(source, tmp_path / "out", "masks")
        (tmp_path / "out" / "masks" / name).write_bytes(b"")
        export(source, tmp_path / "out", "masks", overwrite=True)
        assert [path.name for path in (tmp_path / "out" / "masks").iterdir()] == ["00000.png"]

    def test_is_a_file(self, tmp_path):
        (tmp_path / "out").write_text("")
        with pytest.raises(OutputError, match="is a file; the output must be a folder"):
            open_writers(tmp_path / "out", [], info=some_info())
        with pytest.raises(OutputError, match="cannot be written"):
            open_writers(tmp_path / "out" / "below", [], info=some_info())

    def test_unwritable(self, tmp_path, monkeypatch):
        def refuse(*_args, **_options):
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr("tempfile.TemporaryFile", refuse)
        with pytest.raises(OutputError, match=r"cannot be written \(Permission denied\)"):
            open_writers(tmp_path, [], info=some_info())

    def test_masks_that_cannot_be_read(self, tmp_path, monkeypatch):
        (tmp_path / "masks").mkdir()

        def refuse(_folder):
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr("persam_vos.exports.frame_folder.content_of_folder", refuse)
        with pytest.raises(OutputError, match=r"masks: cannot be written \(Permission denied\)"):
            open_writers(tmp_path, ["masks"], info=some_info(), overwrite=True)

    def test_unknown_export(self, tmp_path):
        with pytest.raises(SettingsError, match="'gif'; allowed: masks, overlay, cutout"):
            open_writers(tmp_path, ["masks", "gif"], info=some_info())

    def test_a_name_given_twice_counts_once(self, tmp_path):
        assert len(open_writers(tmp_path, ["masks", "masks"], info=some_info())) == 2

    def test_a_further_export_plugs_in(self, tmp_path, monkeypatch):
        monkeypatch.setitem(EXPORTS, "twin", EXPORTS["overlay"])
        assert len(open_writers(tmp_path, ["twin"], info=some_info())) == 2


class TestEnd:
    def test_no_final_name_before_close(self, tmp_path):
        writers = open_writers(tmp_path, list(EXPORTS), info=some_info())
        for writer in writers:
            writer.write(some_frame(), result_of(some_frame()))
        assert all(path.name.startswith(".") for path in tmp_path.iterdir())
        for writer in writers:
            writer.abort()

    def test_abort_leaves_nothing(self, tmp_path):
        writers = open_writers(tmp_path, list(EXPORTS), info=some_info())
        for index in range(3):
            for writer in writers:
                writer.write(some_frame(index), result_of(some_frame(index)))
        for writer in writers:
            writer.abort()
            writer.abort()
        assert list(tmp_path.iterdir()) == []

    def test_abort_after_close_keeps_the_files(self, tmp_path):
        writers = open_writers(tmp_path, list(EXPORTS), info=some_info())
        for writer in writers:
            writer.write(some_frame(), result_of(some_frame()))
            writer.close()
            writer.abort()
        # The report is made of its pictures once the run has ended.
        assert len(content_of_folder(tmp_path)) == len(EXPORTS) + 1 - list(EXPORTS).count("report")

    def test_abort_keeps_the_files_of_the_run_before(self, tmp_path):
        source = write_clip(tmp_path / "a.mp4", moving_square(2))
        export(source, tmp_path / "out", *EXPORTS)
        forget_journals(tmp_path / "out")
        before = {path: path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file()}
        writers = open_writers(tmp_path / "out", list(EXPORTS), info=some_info(), overwrite=True)
        for writer in writers:
            writer.write(some_frame(), result_of(some_frame()))
            writer.abort()
        assert {path: path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file()} == before

    def test_no_frames_no_files(self, tmp_path):
        for writer in open_writers(tmp_path, list(EXPORTS), info=some_info()):
            assert writer.close() == ()
            writer.abort()
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize("name", EXPORTS)
    def test_a_full_disk_is_an_output_error(self, tmp_path, name):
        """A limit on the size of files stands in for a full disk."""
        resource = pytest.importorskip("resource")
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        writer = open_writers(tmp_path, [name], info=some_info())[1]
        noise = np.random.default_rng(0).integers(0, 256, (60, 48, 64, 3), dtype=np.uint8)

        def write(index: int) -> None:
            frame = Frame(index, index, Fraction(1, 25), noise[index])
            found = ObjectResult(1, True, 0.5, None, 1, None)
            writer.write(frame, FrameResult(index, index, frame.time_base, noise[index, ..., 0] & 1, (found,)))

        def run() -> None:
            for index in range(1, 60):
                write(index)
            writer.close()

        try:
            write(0)
            resource.setrlimit(resource.RLIMIT_FSIZE, (200, hard))
            with pytest.raises(OutputError, match=f"{name}.*cannot be written"):
                run()
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        writer.abort()
        assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["tracks.jsonl", "overlay.mp4", "cutout.mp4"])
def test_a_folder_in_the_way_is_found_before_the_run(tmp_path: Path, name: str) -> None:
    info = StreamInfo(tmp_path, 64, 48, Fraction(25), Fraction(1, 25), 1, False)
    (tmp_path / "out" / name).mkdir(parents=True)

    with pytest.raises(OutputError, match=f"{name}: is a folder"):
        open_writers(tmp_path / "out", ["overlay", "cutout"], info=info, overwrite=True)


@pytest.mark.parametrize(
    ("source", "export"), [("overlay.mp4", "overlay"), ("masks", "masks"), ("masks/*.png", "masks")]
)
def test_a_video_is_not_replaced_by_its_own_export(tmp_path: Path, source: str, export: str) -> None:
    info = StreamInfo(tmp_path / source, 64, 48, Fraction(25), Fraction(1, 25), 1, False)

    with pytest.raises(OutputError, match="give another folder"):
        open_writers(tmp_path, [export], info=info, overwrite=True)
    assert open_writers(tmp_path, ["cutout"], info=info, overwrite=True)
