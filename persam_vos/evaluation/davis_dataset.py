"""A DAVIS folder -> the sequences of a split, their frames and their annotations."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np

from persam_vos.errors import DatasetError, SettingsError, reason
from persam_vos.evaluation.label_png import read_png_label_map
from persam_vos.files import PLAIN_NAME, brief_list, list_files
from persam_vos.masks import VOID, LabelMap
from persam_vos.text_files import read_text

Year = Literal[2016, 2017]
_FRAME_LINE = re.compile(r"/JPEGImages/[^/\s]+/([^/\s]+)/\S+(\s+\S+)*")


class DavisDataset:
    """A split of DAVIS on disk, in the official layout.

    Under ``root`` lie ``ImageSets/<year>/<split>.txt`` (one sequence per line),
    ``Annotations/<resolution>/<sequence>/*.png`` and, for tracking, ``JPEGImages/<resolution>/<sequence>/*.jpg``.

    Args:
        root: The folder of the dataset.
        year: 2016 (one object: every non-zero pixel) or 2017 (objects 1..n; 255 is void, a pixel that the annotators
            assigned to no object).
        split: Name of the list of sequences, without ``.txt``.
        resolution: Name of the folder below ``Annotations``: ``480p`` or ``Full-Resolution``.
        sequences: Use these sequences of the split only; None for all.

    Attributes:
        sequences: Names of the sequences, in the order of the list or of the argument.

    Raises:
        SettingsError: If ``year``, ``split`` or ``resolution`` is not allowed.
        DatasetError: If the list or an annotation folder is missing, or a name is not in the list or not plain.
    """

    def __init__(
        self,
        root: Path,
        year: Year = 2017,
        split: str = "val",
        *,
        resolution: str = "480p",
        sequences: Sequence[str] | None = None,
    ) -> None:
        if year not in (2016, 2017):
            raise SettingsError(f"year is {year}; allowed: 2016, 2017")
        for what, name in (("split", split), ("resolution", resolution)):
            if not PLAIN_NAME.fullmatch(name):
                raise SettingsError(f"{what} is {name!r}; it must be a plain name without folders")
        self.root, self.year, self.split, self.resolution = Path(root), year, split, resolution
        self.sequences = self._select(sequences)
        for sequence in self.sequences:
            self.annotations(sequence)

    def frames(self, sequence: str) -> list[Path]:
        """Return the JPEG files of a sequence in the order of time; ``DatasetError`` if there is none."""
        return self._files("JPEGImages", sequence, ".jpg")

    def annotations(self, sequence: str) -> list[Path]:
        """Return the PNG files of a sequence in the order of time; ``DatasetError`` if there is none."""
        return self._files("Annotations", sequence, ".png")

    def label_map(self, path: Path) -> LabelMap:
        """Read an annotation or result by the rules of this year.

        Returns:
            uint8, H x W; 0 is background, n is object n, for 2017 255 is void.

        Raises:
            DatasetError: If the file cannot be read as a PNG of ids.
        """
        labels = read_png_label_map(path)
        return (labels != 0).view(np.uint8) if self.year == 2016 else labels

    def first_label_map(self, sequence: str) -> LabelMap:
        """Return the objects of the first annotation, from which a tracker starts.

        Returns:
            uint8, H x W; 0 is background and void, n is object n; at least one object.

        Raises:
            DatasetError: If the sequence is unknown, or the file cannot be read or holds no object.
        """
        path = self.annotations(sequence)[0]
        labels = self.label_map(path)
        labels = np.where(labels == VOID, np.uint8(0), labels)
        if not labels.any():
            raise DatasetError(f"{path} holds no object; the first annotation of a sequence must")
        return labels

    def _select(self, wanted: Sequence[str] | None) -> tuple[str, ...]:
        path = self.root / "ImageSets" / str(self.year) / f"{self.split}.txt"
        if self.year == 2016 and not path.exists():  # the first edition of the dataset has it elsewhere
            path = path.parents[1] / self.resolution / path.name
        names = _read_names(path)
        if not names or (wanted is not None and not wanted):
            raise DatasetError(f"{path}: no sequence is {'asked for' if names else 'listed'}; give at least one")
        if unknown := [name for name in wanted or () if name not in names]:
            raise DatasetError(f"no sequence {brief_list(unknown)} in {path}; allowed: {', '.join(names)}")
        return tuple(names if wanted is None else dict.fromkeys(wanted))

    def _files(self, kind: str, sequence: str, suffix: str) -> list[Path]:
        if sequence not in self.sequences:
            raise DatasetError(f"no sequence {sequence!r} in use; allowed: {', '.join(self.sequences)}")
        folder = self.root / kind / self.resolution / sequence
        files = list_files(folder, suffix)
        if not files:
            raise DatasetError(f"{folder} holds no {suffix} file")
        return files


def _read_names(path: Path) -> list[str]:
    """Read a list of sequences: one a line or, as in the first edition, the files of one frame a line."""
    try:
        lines = read_text(path, encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DatasetError(f"{path}: the list of sequences cannot be read ({reason(error)})") from error
    names: list[str] = []
    for line in filter(None, map(str.strip, lines)):
        frame = _FRAME_LINE.fullmatch(line)
        name = frame[1] if frame else line
        if not PLAIN_NAME.fullmatch(name):
            raise DatasetError(f"{path} lists {name!r}; a sequence must be a plain name without folders")
        if name in names and not frame:
            raise DatasetError(f"{path} lists {name!r} more than once")
        if name not in names:
            names.append(name)
    return names
