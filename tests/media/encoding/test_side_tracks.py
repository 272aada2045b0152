"""What a film has beside its video: several audio tracks with their languages, chapters, subtitles."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from clips import moving_square

from persam_vos.media.encoding import subtitles
from persam_vos.media.encoding.video_formats import PRORES_4444, VP9_ALPHA
from persam_vos.media.encoding.video_writer import VideoWriter
from persam_vos.media.readers import open_video

RATE = 48000
FORMATS = {".mp4": [], ".webm": [VP9_ALPHA], ".mov": [PRORES_4444]}


def film(path: Path, languages: tuple[str, ...], *, chapters: bool = False) -> Path:
    """Write a second of film with a tone per language, and two chapters of half a second."""
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=25)
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        sounds = [container.add_stream("aac", rate=RATE, layout="mono") for _ in languages]
        for sound, language in zip(sounds, languages, strict=True):
            sound.metadata["language"] = language
        if chapters:
            half = [(0, 500, "One"), (500, 1000, "Two")]
            container.set_chapters(
                [
                    {"id": n, "start": a, "end": b, "time_base": Fraction(1, 1000), "metadata": {"title": title}}
                    for n, (a, b, title) in enumerate(half, 1)
                ]
            )
        for rgb in moving_square(25):
            container.mux(video.encode(av.VideoFrame.from_ndarray(rgb, format="rgb24")))
        container.mux(video.encode(None))
        for pitch, sound in enumerate(sounds, 1):
            for start in range(0, RATE, 1024):
                tone = np.sin(np.arange(start, start + 1024) * pitch * 0.05).astype(np.float32)[None]
                frame = av.AudioFrame.from_ndarray(tone, format="fltp", layout="mono")
                frame.sample_rate, frame.pts = RATE, start
                container.mux(sound.encode(frame))
            container.mux(sound.encode(None))
    return path


def written(source: Path, target: Path, **part: object) -> list[str]:
    """Write the pictures of a video, or of a part, into another one; return the warnings."""
    with open_video(source, **part) as reader:  # type: ignore[arg-type]
        writer = VideoWriter(target, reader.info, *FORMATS[target.suffix])
        for frame in reader:
            picture = frame.rgb if target.suffix == ".mp4" else np.dstack([frame.rgb, frame.rgb[..., 0]])
            writer.write(frame, picture)
        writer.close()
    return writer.warnings


@pytest.mark.parametrize("name", ["b.mp4", "b.webm"])
def test_all_audio_tracks_are_kept_with_their_languages(tmp_path: Path, name: str) -> None:
    source = film(tmp_path / "a.mp4", ("eng", "deu", "jpn"))

    assert written(source, tmp_path / name) == []

    with av.open(str(tmp_path / name)) as container:
        assert [stream.metadata["language"] for stream in container.streams.audio] == ["eng", "deu", "jpn"]
        seconds = [sum(frame.samples for frame in container.decode(audio=0)) / RATE]
    assert 0.9 < seconds[0] < 1.1


def test_each_track_has_its_own_sound(tmp_path: Path) -> None:
    written(film(tmp_path / "a.mp4", ("eng", "deu")), tmp_path / "b.mp4")

    crossings = []
    for number in (0, 1):
        with av.open(str(tmp_path / "b.mp4")) as container:
            sound = np.concatenate([frame.to_ndarray()[0] for frame in container.decode(audio=number)])
        crossings.append(int((np.diff(np.sign(sound[4096:36864])) != 0).sum()))
    assert crossings[1] == pytest.approx(2 * crossings[0], rel=0.05)


def test_chapters_are_kept_and_cut_to_a_part(tmp_path: Path) -> None:
    source = film(tmp_path / "a.mp4", (), chapters=True)

    assert written(source, tmp_path / "whole.mp4") == []
    assert written(source, tmp_path / "part.mp4", start=10, end=20) == []

    def seconds(path: Path) -> list[tuple[str, float, float]]:
        with av.open(str(path)) as container:
            return [
                (each["metadata"]["title"], *(float(each[key] * each["time_base"]) for key in ("start", "end")))
                for each in container.chapters()
            ]

    assert seconds(tmp_path / "whole.mp4") == [("One", 0, 0.5), ("Two", 0.5, 1)]
    assert seconds(tmp_path / "part.mp4") == [("One", 0, pytest.approx(0.1)), ("Two", pytest.approx(0.1), 0.4)]


SRT = """1
00:00:00,100 --> 00:00:00,600
<i>Bonjour</i>, {\\an8}toi
à deux

2
00:00:00,700 --> 00:00:05,000
fin
"""
VTT = """WEBVTT

00:00.100 --> 00:00.600
<b>Hello</b> &amp; you
"""


def with_subtitles(folder: Path, **texts: str) -> Path:
    """Write a second of film with a subtitle track of each language, whose texts are in a file of that suffix."""
    source = folder / "a.mkv"
    for name, text in texts.items():
        (folder / name.replace("_", ".")).write_text(text, encoding="utf-8")
    with av.open(str(source), "w") as container, av.open(str(film(folder / "a.mp4", ()))) as moving:
        given = [av.open(str(folder / name.replace("_", "."))) for name in texts]
        streams = [container.add_stream_from_template(each.streams[0]) for each in (moving, *given)]
        for name, stream in zip(texts, streams[1:], strict=True):
            stream.metadata["language"] = name.partition("_")[0]
        for each, stream in zip((moving, *given), streams, strict=True):
            for packet in each.demux(each.streams[0]):
                if packet.dts is not None:
                    packet.stream = stream
                    container.mux(packet)
    return source


def texts_of(path: Path) -> dict[str, list[tuple[float, float, str]]]:
    """The subtitles of a file by language: seconds from and to which each text is shown."""
    found: dict[str, list[tuple[float, float, str]]] = {}
    with av.open(str(path)) as container:
        for number, stream in enumerate(container.streams.subtitles):
            lines = found[stream.metadata["language"]] = []
            container.seek(0)
            for packet in container.demux(subtitles=number):
                for shown in packet.decode() if packet.pts is not None else ():
                    begins, seconds = (float(each * packet.time_base) for each in (packet.pts, packet.duration))
                    lines.append((begins, round(begins + seconds, 3), shown.dialogue.decode()))
    return found


@pytest.mark.parametrize("name", ["b.mp4", "b.mov"])
def test_subtitles_of_text_are_kept_with_their_languages(tmp_path: Path, name: str) -> None:
    source = with_subtitles(tmp_path, fra_srt=SRT, eng_vtt=VTT)

    assert written(source, tmp_path / name) == []

    assert texts_of(tmp_path / name) == {
        "fra": [(0.1, 0.6, "Bonjour, toi\nà deux"), (0.7, 1.0, "fin")],
        "eng": [(0.1, 0.6, "Hello & you")],
    }


def test_subtitles_of_a_film_that_is_written_are_kept_again(tmp_path: Path) -> None:
    source = with_subtitles(tmp_path, fra_srt=SRT)
    written(source, tmp_path / "b.mp4")

    assert written(tmp_path / "b.mp4", tmp_path / "c.mp4") == []

    assert texts_of(tmp_path / "c.mp4") == texts_of(tmp_path / "b.mp4")


def test_subtitles_are_cut_to_a_part(tmp_path: Path) -> None:
    source = with_subtitles(tmp_path, fra_srt=SRT)

    assert written(source, tmp_path / "b.mp4", start=10, end=20) == []

    assert texts_of(tmp_path / "b.mp4") == {"fra": [(0, 0.2, "Bonjour, toi\nà deux"), (0.3, 0.4, "fin")]}


def test_subtitles_that_a_file_cannot_hold_are_told_to_be_left_out(tmp_path: Path) -> None:
    source = with_subtitles(tmp_path, fra_srt=SRT)

    (warning,) = written(source, tmp_path / "b.webm")

    assert warning.endswith(f"subtitles of {source} are left out: fra")


def test_subtitles_that_cannot_be_read_cost_the_film_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = with_subtitles(tmp_path, fra_srt=SRT)

    def damaged(packet: object) -> bytes:
        raise ValueError("damaged")

    monkeypatch.setattr(subtitles, "_text_of", damaged)

    (warning,) = written(source, tmp_path / "b.mp4")

    assert warning.endswith(f"subtitles of {source} are left out or cut short (damaged)")
    with open_video(tmp_path / "b.mp4") as reader:
        assert len(list(reader)) == 25
