"""Finds photos on disk and reads them: upright, in RGB, as they are seen."""

from __future__ import annotations

import fnmatch
import glob
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import (
    BmpImagePlugin,
    ExifTags,
    GifImagePlugin,
    Image,
    ImageFile,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

from persam_vos.errors import PhotoError, reason
from persam_vos.files import PHOTO_SUFFIXES, PathLike, natural_order, real_path
from persam_vos.masks import Rgb
from persam_vos.quiet import quiet_warnings

MAX_PIXELS = 100_000_000
# A progressive JPEG has some ten scans, and each takes a second for so many pixels.
_MAX_SCANNED, _START_OF_SCAN = 20 * MAX_PIXELS, b"\xff\xda"
# Formats by their first bytes, because suffixes may be wrong. Image.open is not used: it has one size limit for the
# whole process, told by warnings, and it would pass a hostile file to decoders that start other programs.
_FORMATS: tuple[tuple[bytes, type[ImageFile.ImageFile]], ...] = (
    (b"\xff\xd8\xff", JpegImagePlugin.JpegImageFile),
    (b"\x89PNG", PngImagePlugin.PngImageFile),
    (b"RIFF", WebPImagePlugin.WebPImageFile),
    (b"BM", BmpImagePlugin.BmpImageFile),
    (b"II", TiffImagePlugin.TiffImageFile),
    (b"MM", TiffImagePlugin.TiffImageFile),
    (b"GIF8", GifImagePlugin.GifImageFile),
)
_TRANSPOSE_OF_ORIENTATION = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_ORIENTATIONS_THAT_SWAP_AXES = range(5, 9)


def find_photos(sources: Sequence[PathLike]) -> list[Path]:
    """Find the photos that files, folders and globs name.

    Args:
        sources: Files of any suffix; folders, whose photos are taken, but not those of their subfolders; and globs, in
            which ``**`` matches any folders. A path that exists is taken literally, even if it contains ``*``, ``?`` or
            ``[``. In folders and globs, hidden files and other suffixes are left out.

    Returns:
        The photos, spelled as they were found, in the order of the sources, and in natural order (2 before 10) within
        one source. A file that is found twice counts once, at its first place.

    Raises:
        PhotoError: If a source is missing or holds no photo.
    """
    found: dict[Path, Path] = {}
    for source in [os.fspath(each) for each in sources]:
        try:
            for path in _photos_of(source):
                found.setdefault(real_path(path), path)
        except PhotoError:
            raise
        except (OSError, RuntimeError) as error:  # a loop of links is a RuntimeError before Python 3.13
            raise PhotoError(f"{source}: cannot be searched ({reason(error)})") from error
    return list(found.values())


def _photos_of(source: str | Path) -> list[Path]:
    path = Path(source)
    if not str(source):
        fault = "'' is no path"
    elif path.is_file():
        return [path]
    elif path.is_dir() or is_glob(source):
        return list_images(source, suffixes=PHOTO_SUFFIXES, noun="photo")
    else:
        fault = f"{source}: {'neither a file nor a folder' if path.exists() else 'no such file or folder'}"
    raise PhotoError(f"{fault}; give a photo, a folder of photos or a glob of them")


def is_glob(source: str | Path) -> bool:
    """Tell whether a source is a glob: it contains ``*``, ``?`` or ``[``, and no file or folder has that name."""
    return any(character in str(source) for character in "*?[") and not Path(source).exists()


def glob_holds(pattern: PathLike, path: PathLike) -> bool:
    """Tell whether a path, which need not exist, would be one of those of a glob.

    >>> glob_holds("film/**/*.png", "film/a/1.png"), glob_holds("film/*.png", "film/a/1.png")
    (True, False)
    """
    return _matches(Path(pattern).absolute().parts, Path(path).absolute().parts)


def _matches(pattern: Sequence[str], path: Sequence[str]) -> bool:
    if not pattern or not path:
        return not pattern and not path
    if pattern[0] == "**":
        return any(_matches(pattern[1:], path[start:]) for start in range(len(path)))
    return fnmatch.fnmatchcase(path[0], pattern[0]) and _matches(pattern[1:], path[1:])


def list_images(source: str | Path, *, suffixes: frozenset[str], noun: str) -> list[Path]:
    """List the images in a folder, or those that a glob matches, in natural order and without hidden files.

    Args:
        source: A folder that exists, or a glob.
        suffixes: Suffixes of images, in lower case, with the dot.
        noun: The word for such an image in messages.

    Returns:
        At least one path.

    Raises:
        PhotoError: If the folder cannot be listed or there is no such image.
    """
    wanted = ", ".join(f"*{suffix}" for suffix in sorted(suffixes))
    if is_glob(source):
        paths = [Path(path) for path in glob.glob(str(source), recursive=True)]  # noqa: PTH207 (Path.glob: no absolute ones)
        matched = f"matches {len(paths)} path(s), none of them a {noun}" if paths else "matches nothing"
        nothing = f"{source}: {matched}; a glob must match files ({wanted})"
    else:
        try:
            paths = list(Path(source).iterdir())
        except OSError as error:
            raise PhotoError(f"{source}: cannot be listed ({reason(error)})") from error
        nothing = f"{source}: holds no {noun} ({wanted})"
    images = [
        path for path in paths if path.suffix.lower() in suffixes and not path.name.startswith(".") and path.is_file()
    ]
    if not images:
        raise PhotoError(nothing)
    return sorted(images, key=natural_order)


def read_photo(path: PathLike, *, max_pixels: int = MAX_PIXELS) -> Rgb:
    """Read one photo as it is seen: EXIF orientation applied, transparent parts over white.

    JPEG, PNG, WebP, BMP, TIFF and GIF are read, recognised by content and not by suffix. Of an animation or of several
    pages, the first is read. Grey, palette and CMYK pictures become RGB, 16 bits are scaled to 8, colour profiles are
    ignored. Any number of threads may read at once.

    Args:
        path: The file.
        max_pixels: Refuse a photo with more pixels in its header, before it is decoded. Pillow also refuses WebP and
            TIFF of more than twice ``PIL.Image.MAX_IMAGE_PIXELS``.

    Returns:
        uint8, H x W x 3.

    Raises:
        PhotoError: If the file is missing, not such a photo, damaged, too large, or grey of 32 bits, which have no
            value for white.
    """
    path = Path(path)
    with _opened(path) as image:
        refuse_larger(path, image.size, max_pixels)
        refuse_many_scans(path, image)
        # Decoding a TIFF reads its tags again, with the same warnings.
        with quiet_warnings() if isinstance(image, TiffImagePlugin.TiffImageFile) else nullcontext():
            image.load()
        rgb, turn = _to_rgb(image), _TRANSPOSE_OF_ORIENTATION.get(_orientation(image))
        return np.array(rgb if turn is None else rgb.transpose(turn))


def refuse_larger(path: Path, size: tuple[int, int], max_pixels: int) -> None:
    """Raise ``PhotoError`` if a photo of this size, (width, height), has more than ``max_pixels`` pixels."""
    if size[0] * size[1] > max_pixels:
        raise PhotoError(
            f"{path}: {size[0]} x {size[1]} pixels, more than the limit of {max_pixels / 1e6:g} megapixels; scale it "
            "down (image and perseg also take --max-megapixels)"
        )


def refuse_many_scans(path: Path, image: Image.Image) -> None:
    """Raise ``PhotoError`` for a JPEG that goes over its pixels again and again, a thousand times if it likes."""
    if not isinstance(image, JpegImagePlugin.JpegImageFile):
        return
    scans = path.read_bytes().count(_START_OF_SCAN)
    if scans * image.width * image.height > _MAX_SCANNED:
        raise PhotoError(f"{path}: goes over its {image.width} x {image.height} pixels in {scans} scans; save it anew")


def photo_size(path: PathLike) -> tuple[int, int]:
    """Read the size of a photo from its header, without a limit.

    Args:
        path: The file; see ``read_photo``.

    Returns:
        (width, height) in pixels, EXIF orientation applied, unless a PNG has its EXIF after the pixels: only decoding
        would find it.

    Raises:
        PhotoError: If the file is missing, not such a photo, or damaged.
    """
    with _opened(Path(path)) as image:
        if isinstance(image, PngImagePlugin.PngImageFile) and "exif" not in image.info:
            return image.size
        width, height = image.size
        if isinstance(image, TiffImagePlugin.TiffImageFile):  # some versions of Pillow turn its size, others do not
            width, height = (int(image.tag_v2[tag]) for tag in (ExifTags.Base.ImageWidth, ExifTags.Base.ImageLength))
        return (height, width) if _orientation(image) in _ORIENTATIONS_THAT_SWAP_AXES else (width, height)


@contextmanager
def _opened(path: Path) -> Iterator[ImageFile.ImageFile]:
    """Open an image without decoding it; turn every error into a ``PhotoError`` that names the file."""
    try:
        if path.exists() and not path.is_file() and not path.is_dir():
            raise PhotoError(f"{path}: is a pipe or a device, and no file; give a photo")
        with path.open("rb") as file:
            yield _open(path, file)
    except PhotoError:
        raise
    except Exception as error:  # Pillow's decoders raise errors of nearly any type on damaged files
        raise PhotoError(f"{path}: the image cannot be read ({reason(error)})") from error


def _open(path: Path, file: BinaryIO) -> ImageFile.ImageFile:
    head = file.read(16)
    file.seek(0)
    for magic, kind in _FORMATS:
        if head.startswith(magic):
            with quiet_warnings():
                return kind(file)
    if not head:
        raise PhotoError(f"{path}: the file is empty")
    raise PhotoError(f"{path}: not an image that can be read; convert it to JPEG, PNG, WebP, BMP, TIFF or GIF")


def _to_rgb(image: ImageFile.ImageFile) -> Image.Image:
    """Return a decoded image in mode RGB."""
    # Older Pillow makes "I" of a PNG of 16 bits.
    if image.mode.startswith("I;16") or (image.mode == "I" and isinstance(image, PngImagePlugin.PngImageFile)):
        values = np.asarray(image).astype(np.uint32)
        grey = ((values + 128) // 257).astype(np.uint8)  # Pillow's own conversion clips at 255
        if "transparency" in image.info:
            grey[values == image.info["transparency"]] = 255
        return Image.fromarray(grey).convert("RGB")
    if image.mode in ("I", "F"):
        raise ValueError("grey of 32 bits has no value for white; save it with 8 or 16 bits")
    if image.has_transparency_data:
        return _on_white(image.convert("RGBA"))
    return image if image.mode == "RGB" else image.convert("RGB")


def rgb_of_image(image: ImageFile.ImageFile) -> Rgb:
    """Return a decoded image, not turned, as it is seen: uint8, H x W x 3."""
    return np.array(_to_rgb(image))


def over_white(rgba: Rgb) -> Rgb:
    """Return a picture, uint8, H x W x 4 with straight alpha, as it is seen over white: uint8, H x W x 3."""
    if rgba[..., 3].min() == 255:
        return np.ascontiguousarray(rgba[..., :3])
    return np.array(_on_white(Image.fromarray(rgba)))


def _on_white(rgba: Image.Image) -> Image.Image:
    white = Image.new("RGB", rgba.size, "white")
    white.paste(rgba, mask=rgba)
    return white


def _orientation(image: ImageFile.ImageFile) -> int:
    """Return the EXIF orientation, 1 to 8; 1 (upright) if the EXIF is missing or damaged."""
    try:
        with quiet_warnings():
            return int(image.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:  # damaged EXIF raises errors of many types
        return 1
