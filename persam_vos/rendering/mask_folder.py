"""A folder of masks becomes a label map for each frame: label maps, or a folder of pictures for each object."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import Protocol

import numpy as np

from persam_vos.errors import DatasetError, EmptyMaskError, MaskError, MaskSizeError
from persam_vos.evaluation.label_png import read_png_label_map
from persam_vos.files import is_clutter, list_files
from persam_vos.masks import VOID, LabelMap, Mask
from persam_vos.media import StreamInfo
from persam_vos.media.masks.reading import AS_IT_IS, MaskReading
from persam_vos.prompts import MAX_ID, NamedObject
from persam_vos.rendering.earlier_run import EarlierRun
from persam_vos.rendering.frame_numbers import IndexOf, check_frames, index_by_name, index_by_record

_SUFFIXES = (".png", ".PNG", ".bmp", ".tif", ".tiff")
_OBJECT_FOLDER = re.compile(r"(?P<id>[0-9]{1,3})(_(?P<name>.+))?")
_SAV_FOLDER = re.compile(r"[0-9]{3}")


@dataclass(frozen=True, slots=True)
class Reading:
    """How mask files are read.

    Attributes:
        height: Of a frame, in pixels.
        width: Of a frame, in pixels.
        how: What is said of the files. Of its ``ids``, some may be absent in a file, or all.
    """

    height: int
    width: int
    how: MaskReading = AS_IT_IS

    def label_map(self, path: Path) -> LabelMap:
        """Read a label map of the frame's size; it may be empty, and holds 255 where that is beside other values.

        Raises:
            MaskError: If it is no label map, or of another size.
        """
        values, ids = self.all_objects(path), self.how.ids
        if ids is None:
            return values
        chosen = np.isin(values, ids)
        return (~chosen).view(np.uint8) if self.how.invert else np.asarray(np.where(chosen, values, 0), np.uint8)

    def all_objects(self, path: Path) -> LabelMap:
        """Read a label map before objects are chosen by ``ids``; see ``label_map``."""
        if self.how.ids is None:
            return self._read(path, self.how)
        try:
            return self._read(path, replace(self.how, ids=None, invert=False))
        except MaskSizeError:
            raise
        except MaskError:
            # Objects that surround others as rims are read only where ids are given.
            return self._read(path, replace(self.how, invert=False))

    def of_all_ids(self) -> Reading:
        """Return a reading that chooses no objects."""
        return replace(self, how=replace(self.how, ids=None))

    def _read(self, path: Path, how: MaskReading) -> LabelMap:
        if how == AS_IT_IS and path.suffix.lower() == ".png":
            try:
                values = read_png_label_map(path)
            except DatasetError:
                pass  # Of colours, or of another kind: read_mask says what is wrong.
            else:
                if values.shape == (self.height, self.width):
                    return values
        try:
            return how.read(path, height=self.height, width=self.width)
        except EmptyMaskError:
            return np.zeros((self.height, self.width), np.uint8)


class MaskSource(Protocol):
    """Masks of the frames of a video.

    Attributes:
        ids: Of all objects, in rising order.
        objects: Those that have names or colours.
        indices: Frames that have masks, in rising order.
        warnings: What is doubtful, one line each.
    """

    ids: tuple[int, ...]
    objects: tuple[NamedObject, ...]
    indices: tuple[int, ...]
    warnings: list[str]

    def label_map(self, index: int) -> LabelMap:
        """Return the masks of a frame, uint8, H x W; empty where there is none.

        Raises:
            MaskError: If a file cannot be used.
        """
        ...


@dataclass
class LabelMaps:
    """Masks of which each file holds all objects; see ``MaskSource``."""

    files: Mapping[int, Path]
    reading: Reading
    ids: tuple[int, ...] = ()
    objects: tuple[NamedObject, ...] = ()
    warnings: list[str] = field(default_factory=list)
    only_white: bool = False

    def __post_init__(self) -> None:
        self.indices = tuple(sorted(self.files))
        if not self.ids:
            self._look_through()

    def label_map(self, index: int) -> LabelMap:
        """Return the masks of a frame; see ``MaskSource``."""
        if index not in self.files:
            return np.zeros((self.reading.height, self.reading.width), np.uint8)
        values = self.reading.label_map(self.files[index])
        if self.only_white:
            return np.asarray(values == VOID, np.uint8)
        return values if VOID in self.ids else np.asarray(np.where(values == VOID, 0, values), np.uint8)

    def _look_through(self) -> None:
        """Find all objects; white alone is one object, and beside others it is void."""
        seen = np.zeros(VOID + 1, np.bool_)
        for path in self.files.values():
            seen[np.unique(self.reading.all_objects(path))] = True
        found, how, folder = (
            set((np.flatnonzero(seen[1:]) + 1).tolist()),
            self.reading.how,
            next(iter(self.files.values())).parent,
        )
        if found == {VOID}:
            self.ids = _chosen({1}, how, folder)
            self.reading, self.only_white = self.reading.of_all_ids(), not how.invert
            return
        self.ids = _chosen(found - {VOID}, how, folder)
        if VOID in found:
            self.warnings.append(f"white, {VOID}, is void beside other values: its pixels belong to no object")


@dataclass
class ObjectFolders:
    """Masks of which each file holds one object; see ``MaskSource``. Smaller objects lie over larger ones."""

    files: Mapping[int, Mapping[int, Path]]  # by object, then by frame
    reading: Reading
    objects: tuple[NamedObject, ...] = ()
    warnings: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.ids = tuple(sorted(self.files))
        self.indices = tuple(sorted({index for files in self.files.values() for index in files}))
        self._overlaps = False

    def label_map(self, index: int) -> LabelMap:
        """Return the masks of a frame; see ``MaskSource``."""
        masks = {each: self._mask(files[index]) for each, files in self.files.items() if index in files}
        label_map = np.zeros((self.reading.height, self.reading.width), np.uint8)
        for object_id, mask in sorted(masks.items(), key=lambda item: -int(item[1].sum())):
            self._tell_overlap(index, label_map, mask)
            label_map[mask] = object_id
        return label_map

    def _mask(self, path: Path) -> Mask:
        values = self.reading.label_map(path)
        found = np.setdiff1d(values, (0, VOID))
        if found.size > 1:
            raise MaskError(
                f"{path}: holds {found.size} values besides black and white, and the folder is taken for one object;"
                f" give {path.parent} if these are objects, or pass --mask-threshold 127 if they are soft edges"
            )
        return values == found[0] if found.size else values > 0

    def _tell_overlap(self, index: int, label_map: LabelMap, mask: Mask) -> None:
        if not self._overlaps and label_map[mask].any():
            self._overlaps = True
            self.warnings.append(f"objects overlap, in frame {index} first: there, the smaller one gets the pixels")


def find_masks(folder: Path, info: StreamInfo, run: EarlierRun | None, reading: Reading) -> MaskSource:
    """Find the masks of a video.

    Args:
        folder: Of label maps, or of folders of one object each.
        info: The video.
        run: That wrote them; None where that is unknown.
        reading: How files are read.

    Raises:
        MaskError: If there are none, or their names do not tell frames or objects.
        MaskSizeError: If one of them, of those looked at, has another size.
    """
    if not folder.is_dir():
        raise MaskError(f"{folder}: is no folder; give a folder of masks, or the folder of a run")
    pictures, warnings = list_files(folder, *_SUFFIXES), list[str]()
    by_folder = {} if pictures else {each.name: list_files(each, *_SUFFIXES) for each in _folders(folder)}
    stems = {path.stem for path in pictures} | {path.stem for paths in by_folder.values() for path in paths}
    if not stems:
        raise MaskError(f"{folder}: holds no masks; give a folder of PNG files, or of folders of them for each object")
    if run is None:
        index_of = index_by_name(stems, info, str(folder), warnings)
    else:
        index_of = index_by_record(info, run.settings, run.start, run.stride)
    check_frames(stems, index_of, info, str(folder), warnings)
    if pictures:
        ids = _chosen(set(run.ids), reading.how, folder) if run else ()
        return LabelMaps(
            _by_frame(pictures, index_of), reading, ids, _of_ids(run.objects, ids) if run else (), warnings
        )
    objects = _objects_of([name for name, paths in by_folder.items() if paths], str(folder))
    ids = _chosen({each.id for each in objects.values()}, replace(reading.how, invert=False), folder)
    files_of = {each.id: _by_frame(by_folder[name], index_of) for name, each in objects.items() if each.id in ids}
    named = run.objects if run else tuple(each for each in objects.values() if each.name)
    return ObjectFolders(files_of, reading.of_all_ids(), _of_ids(named, ids), warnings)


def _chosen(found: Collection[int], how: MaskReading, folder: Path) -> tuple[int, ...]:
    """Return the objects that are read, of those that masks hold, in rising order."""
    ids = sorted(found) if how.ids is None else sorted(set(how.ids))
    if missing := [each for each in ids if each not in found]:
        listed = ", ".join(str(each) for each in sorted(found)) or "none"
        raise MaskError(f"{folder}: has no object {missing[0]}; its ids are {listed}; give --mask-ids some of these")
    if how.invert and len(ids) > 1:
        raise MaskError(f"{folder}: holds {len(ids)} objects, and only masks of one object can be inverted")
    return (1,) if how.invert else tuple(int(each) for each in ids)


def _of_ids(objects: Iterable[NamedObject], ids: Collection[int]) -> tuple[NamedObject, ...]:
    return tuple(each for each in objects if each.id in ids)


def _folders(folder: Path) -> list[Path]:
    return sorted(each for each in folder.iterdir() if each.is_dir() and not is_clutter(each.name))


def _by_frame(paths: Iterable[Path], index_of: IndexOf) -> dict[int, Path]:
    return {index: path for path in paths if (index := index_of(path.stem)) is not None}


def _objects_of(names: list[str], folder: str) -> dict[str, NamedObject]:
    """Return the object of each folder: ``2_dog`` is object 2; of ``000`` and ``001``, the first is object 1."""
    found = {name: _OBJECT_FOLDER.fullmatch(name) for name in names}
    from_zero = all(_SAV_FOLDER.fullmatch(name) for name in names) and "000" in names
    if all(found.values()):
        parts = {name: match for name, match in found.items() if match is not None}
        objects = {name: (int(match["id"]) + from_zero, match["name"] or "") for name, match in parts.items()}
    else:
        objects = {name: (number, name) for number, name in enumerate(names, 1)}
    ids = [number for number, _ in objects.values()]
    if len(set(ids)) < len(ids) or not all(1 <= each <= MAX_ID for each in ids):
        raise MaskError(f"{folder}: call its folders by the numbers of objects, 1 to {MAX_ID}, such as 2 or 2_dog")
    return {name: NamedObject(number, label) for name, (number, label) in objects.items()}


def span_of_masks(indices: tuple[int, ...]) -> tuple[int, int, int]:
    """Return the range (start, stop, stride) of the frames that have masks; some frames in it may have none.

    >>> span_of_masks((10, 15, 25))
    (10, 26, 5)
    """
    stride = math.gcd(*(after - before for before, after in pairwise(indices))) if len(indices) > 1 else 1
    return indices[0], indices[-1] + 1, stride
