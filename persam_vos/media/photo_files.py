"""Photos become pixels: which files are meant, in what order, and each one upright, in RGB, as it is seen."""

from __future__ import annotations

import glob
import re
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
from persam_vos.masks import Rgb
from persam_vos.quiet import quiet_warnings

MAX_PIXELS = 100_000_000
PHOTO_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif"})
# By their first bytes, since suffixes lie. Not with Image.open: its limit on the size is one for the whole process and
# speaks through warnings, and it would hand a hostile file to decoders that start other programs.
_KINDS: tuple[tuple[bytes, type[ImageFile.ImageFile]], ...] = (
    (b"\xff\xd8\xff", JpegImagePlugin.JpegImageFile),
    (b"\x89PNG", PngImagePlugin.PngImageFile),
    (b"RIFF", WebPImagePlugin.WebPImageFile),
    (b"BM", BmpImagePlugin.BmpImageFile),
    (b"II", TiffImagePlugin.TiffImageFile),
    (b"MM", TiffImagePlugin.TiffImageFile),
    (b"GIF8", GifImagePlugin.GifImageFile),
)
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_SWAPS_AXES = range(5, 9)


def find_photos(sources: Sequence[str | Path]) -> list[Path]:
    """Find the photos that files, folders and globs name.

    Args:
        sources: Each a file, taken whatever its suffix; a folder, of which the photos directly in it are taken; or a
            glob, in which ``**`` stands for any folders. A path that exists is taken as it is, even where it holds
            ``*``, ``?`` or ``[``. In folders and globs, files of other suffixes and hidden ones are passed over.

    Returns:
        The photos, spelled as they were found: sources in the order given, those of one source in natural order (2
        before 10), each file where it is met first and only there.

    Raises:
        PhotoError: If a source is missing or holds no photo.
    """
    found: dict[Path, Path] = {}
    for source in sources:
        try:
            for path in _photos_of(source):
                found.setdefault(path.resolve(), path)
        except PhotoError:
            raise
        except (OSError, RuntimeError) as error:  # RuntimeError: a loop of links, before Python 3.13
            raise PhotoError(f"{source}: cannot be looked for ({reason(error)})") from error
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
    """Tell whether a source that does not exist as it is spelled is to be taken as a glob."""
    return any(character in str(source) for character in "*?[") and not Path(source).exists()


def list_images(source: str | Path, *, suffixes: frozenset[str], noun: str) -> list[Path]:
    """List the images directly in a folder, or those that a glob matches, in natural order and without hidden files.

    Args:
        source: A folder that exists, or a glob.
        suffixes: Which files are images: in lower case, with the dot.
        noun: What such an image is called in messages.

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
    return sorted(images, key=_natural_key)


def _natural_key(path: Path) -> tuple[list[str | int], str]:
    """Order by the numbers in the name: 2 before 10."""
    parts = re.split(r"([0-9]+)", str(path))
    return [int(part) if position % 2 else part.casefold() for position, part in enumerate(parts)], str(path)


def read_photo(path: str | Path, *, max_pixels: int = MAX_PIXELS) -> Rgb:
    """Read one photo as it is seen: EXIF orientation applied, what is transparent over white.

    JPEG, PNG, WebP, BMP, TIFF and GIF are read, by content and not by suffix; of an animation or of several pages, the
    first. Grey, palette and CMYK pictures become RGB, 16 bits are scaled to 8, colour profiles are ignored. Any number
    of threads may read at once.

    Args:
        path: The file.
        max_pixels: Refuse a photo of more pixels than that, by its header, before it is decoded. Of WebP and TIFF,
            Pillow itself may take no more than twice ``PIL.Image.MAX_IMAGE_PIXELS``.

    Returns:
        uint8, H x W x 3.

    Raises:
        PhotoError: If the file is missing, no such photo, damaged, too large, or grey of 32 bits, of which nobody can
            say what is white.
    """
    with _opened(Path(path)) as image:
        refuse_larger(path, image.size, max_pixels)
        # A TIFF's tags are read again, with the same complaints, while it is decoded.
        with quiet_warnings() if isinstance(image, TiffImagePlugin.TiffImageFile) else nullcontext():
            image.load()
        rgb, turn = _to_rgb(image), _TURNS.get(_orientation(image))
        return np.array(rgb if turn is None else rgb.transpose(turn))


def refuse_larger(path: str | Path, size: tuple[int, int], max_pixels: int) -> None:
    """Raise ``PhotoError`` if a photo of a size, (width, height), has more pixels than that."""
    if size[0] * size[1] > max_pixels:
        raise PhotoError(
            f"{path}: {size[0]} x {size[1]} pixels, more than the limit of {max_pixels / 1e6:g} megapixels; pass "
            "--max-megapixels to raise it"
        )


def photo_size(path: str | Path) -> tuple[int, int]:
    """Read the size of a photo from its header, whatever that size is.

    Args:
        path: The file; see ``read_photo``.

    Returns:
        (width, height) in pixels, EXIF orientation applied. Of a PNG whose EXIF comes after the picture, not applied:
        it could only be found by decoding the whole.

    Raises:
        PhotoError: If the file is missing, no such photo, or damaged.
    """
    with _opened(Path(path)) as image:
        if isinstance(image, PngImagePlugin.PngImageFile) and "exif" not in image.info:
            return image.size
        width, height = image.size
        if isinstance(image, TiffImagePlugin.TiffImageFile):  # whose size some versions of Pillow turn, others do not
            width, height = (int(image.tag_v2[tag]) for tag in (ExifTags.Base.ImageWidth, ExifTags.Base.ImageLength))
        return (height, width) if _orientation(image) in _SWAPS_AXES else (width, height)


@contextmanager
def _opened(path: Path) -> Iterator[ImageFile.ImageFile]:
    """Open an image without decoding it, and name the file in whatever goes wrong with it."""
    try:
        with path.open("rb") as file:
            yield _open(path, file)
    except PhotoError:
        raise
    except Exception as error:  # Pillow's decoders raise nearly anything on damaged files
        raise PhotoError(f"{path}: the image cannot be read ({reason(error)})") from error


def _open(path: Path, file: BinaryIO) -> ImageFile.ImageFile:
    head = file.read(16)
    file.seek(0)
    for magic, kind in _KINDS:
        if head.startswith(magic):
            with quiet_warnings():
                return kind(file)
    if not head:
        raise PhotoError(f"{path}: the file is empty")
    raise PhotoError(f"{path}: not an image that can be read: JPEG, PNG, WebP, BMP, TIFF or GIF; convert it to one")


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
        raise ValueError("grey of 32 bits, of which nobody can say what is white; save it with 8 or 16 bits")
    if image.has_transparency_data:
        seen, white = image.convert("RGBA"), Image.new("RGB", image.size, "white")
        white.paste(seen, mask=seen)
        return white
    return image if image.mode == "RGB" else image.convert("RGB")


def _orientation(image: ImageFile.ImageFile) -> int:
    """Return the EXIF orientation, 1 to 8; 1, upright, also where the EXIF is damaged."""
    try:
        with quiet_warnings():
            return int(image.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:  # as many kinds as there are ways to damage it
        return 1
