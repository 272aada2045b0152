"""What people give to the program, each kind with the program's own reader of it."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from itertools import islice
from pathlib import Path
from typing import Any

from fuzzing import films_and_pictures as pictures
from fuzzing import seeds
from fuzzing.films_and_pictures import HEIGHT, WIDTH
from fuzzing.kinds import Kind, each_of
from persam_vos.batch.manifest import read_manifest
from persam_vos.evaluation.davis import score_davis
from persam_vos.evaluation.perseg import score_perseg
from persam_vos.media.masks.files import read_mask
from persam_vos.media.photo_files import photo_size, read_photo
from persam_vos.media.readers import open_random_access, open_video
from persam_vos.prompts.prompts_json import read_prompts
from persam_vos.sam.checkpoints.state_dict import guess_model, load_state_dict
from persam_vos.settings import load_photo_settings, load_settings
from persam_vos.studio.pictures import mask_of_png

_MOST_FRAMES = 12
_MASK_OPTIONS: tuple[dict[str, Any], ...] = (
    {"height": HEIGHT, "width": WIDTH},
    {},
    {"threshold": 127},
    {"height": 90, "width": 160, "resize": True},
)


def read_film(path: Path) -> None:
    """Read a film from first to last, in any order, and a part of it."""
    each_of(partial(_read_in_order, path), partial(_read_in_any_order, path), partial(_read_part, path))


def _read_in_order(path: Path) -> None:
    with open_video(path) as reader:
        list(islice(reader, _MOST_FRAMES))


def _read_in_any_order(path: Path) -> None:
    with open_random_access(path) as video:
        for index in {0, len(video) - 1, len(video) // 2}:
            video.frame(index)
        list(islice(video.frames(len(video) - 1, None, -1), 3))
        video.end()


def _read_part(path: Path) -> None:
    with open_video(path, start="0.08s", stride=2) as reader:
        list(islice(reader, 2))


def _read_photo(path: Path) -> None:
    each_of(lambda: photo_size(path), lambda: read_photo(path))


def _read_mask(path: Path) -> None:
    each_of(*(partial(read_mask, path, **options) for options in _MASK_OPTIONS))


def _read_settings(path: Path) -> None:
    each_of(lambda: load_settings(path, {}), lambda: load_photo_settings(path, {}))


def _read_manifest(path: Path) -> None:
    read_manifest(path, config=None, flags={})


def _score_davis(_path: Path) -> None:
    score_davis(Path("results"), Path("davis"))


def _score_perseg(_path: Path) -> None:
    score_perseg(Path("results"), Path("perseg"))


def _davis() -> None:
    for folder in (Path("results/alpha"), Path("davis/Annotations/480p/alpha")):
        folder.mkdir(parents=True)
        for index in range(4):
            (folder / f"{index:05d}.png").write_bytes(_label_png())
    lists = Path("davis/ImageSets/2017")
    lists.mkdir(parents=True)
    (lists / "val.txt").write_text("alpha\n")


def _perseg() -> None:
    for folder in map(Path, ("results/cat", "perseg/Annotations/cat", "perseg/Images/cat")):
        folder.mkdir(parents=True)
        for name in ("00", "01"):
            (folder / f"{name}.png").write_bytes(_label_png())


@cache
def _label_png() -> bytes:
    return pictures.label_pngs()[0][0]


_upload: Callable[[Path], object] = lambda path: mask_of_png(path.read_bytes(), HEIGHT, WIDTH)  # noqa: E731

READERS = (
    Kind("films", "film.mp4", pictures.films, read_film, share=4),
    Kind("photos", "photo.jpg", pictures.photos, _read_photo, share=4),
    Kind("masks, pictures", "mask.png", pictures.mask_pictures, _read_mask, share=3),
    Kind("masks, JSON", "mask.json", seeds.mask_files_of_json, _read_mask, share=3),
    Kind("masks, uploaded", "mask.png", pictures.mask_pictures, _upload),
    Kind("weights", "weights.pt", seeds.checkpoints, lambda path: guess_model(load_state_dict(path)), share=3),
    Kind("settings, YAML", "settings.yaml", seeds.configs, _read_settings, share=3),
    Kind("prompts.json", "prompts.json", seeds.prompts, read_prompts, share=3),
    Kind("manifests, JSONL", "clips.jsonl", seeds.manifests, _read_manifest, share=2),
    Kind("manifests, CSV", "clips.csv", seeds.tables, _read_manifest),
    Kind("scored results", "results/alpha/00001.png", pictures.label_pngs, _score_davis, _davis),
    Kind("scored photos", "results/cat/01.png", pictures.label_pngs, _score_perseg, _perseg),
    Kind("lists of sequences", "davis/ImageSets/2017/val.txt", seeds.lists_of_names, _score_davis, _davis),
)
