"""Names the files of results after their photos."""

from __future__ import annotations

import os
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from persam_vos.files import file_sha256

_MAX_NAME_BYTES = 200  # of a file or folder; most systems allow 255, and suffixes are added
_NOT_IN_NAMES = re.compile(
    r'[<>:"/\\|?*\x00-\x1f\ud800-\udfff]'
)  # forbidden on some system: results are copied between systems


def output_names(
    paths: Sequence[Path], known: Mapping[Path, str] | None = None, taken: Iterable[str] = ()
) -> list[str]:
    """Name the outputs of photos after the photos, relative to the deepest folder that all of them share.

    Names that collide, with case ignored, get the photo's suffix (``a.png`` becomes ``a_png``) and, if necessary, a
    number. Characters that some system forbids become ``_``. The names do not depend on the order of the paths.

    Args:
        paths: The photos.
        known: Names that some of the photos keep from an earlier run.
        taken: Names that no other photo may get.

    Returns:
        One name per photo: unique, relative, with ``/``, without ``..``.

    >>> output_names([Path("trip/a.jpg"), Path("trip/beach/b.jpg"), Path("trip/A.png")])
    ['a_jpg', 'beach/b', 'A_png']
    """
    known = known or {}
    full = [Path(os.path.abspath(path)) for path in paths]  # noqa: PTH100 (Path.absolute keeps "..")
    shared = 0
    for level in zip(*(path.parent.parts for path in full), strict=False):
        if len(set(level)) > 1:
            break
        shared += 1
    names = []
    for path in full:
        # A folder must not have the name of a file that is written.
        folders = [re.sub(r"(?i)\.(png|jpg)$", r"_\1", _clean(part)) for part in path.parent.parts[shared:]]
        names.append("/".join([*folders, _clean(path.stem)]))
    used = {_key(name) for name in (*taken, *known.values())}
    counts = Counter(used)
    counts.update(_key(name) for name, path in zip(names, paths, strict=True) if path not in known)
    used |= {key for key, count in counts.items() if count == 1}
    tries: Counter[str] = Counter()
    for i in sorted((i for i, name in enumerate(names) if counts[_key(name)] > 1), key=lambda i: str(full[i])):
        if paths[i] in known:
            continue
        base = f"{names[i]}_{_clean(full[i].suffix[1:])}" if full[i].suffix else names[i]
        names[i] = base
        while _key(names[i]) in used:
            tries[base] += 1
            names[i] = f"{base}_{tries[base] + 1}"
        used.add(_key(names[i]))
    return [known.get(path, name) for path, name in zip(paths, names, strict=True)]


def _clean(part: str) -> str:
    """Make a file's or folder's name valid on every system."""
    known = _NOT_IN_NAMES.sub("_", part).encode()[:_MAX_NAME_BYTES].decode(errors="ignore")
    return known.rstrip(" .") or "_"


def _key(name: str) -> str:
    """Return a key that is equal for names that are the same on some system."""
    return unicodedata.normalize("NFC", name.casefold())


def is_name(value: object) -> bool:
    """Tell whether a value can be a name from ``output_names``: a relative path that stays inside its folder."""
    if not isinstance(value, str):
        return False
    return all(part not in ("", ".", "..") and not _NOT_IN_NAMES.search(part) for part in value.split("/"))


class EarlierNames:
    """Names of photos in an earlier run, which may have been started elsewhere or with other photos.

    Photos are identified by their content: photos with the same content have the same masks.
    """

    def __init__(self) -> None:
        self._by_content: dict[str, dict[str, str]] = {}

    def add(self, record: Mapping[str, Any]) -> None:
        """Remember a line of a finished photo from ``read_results``."""
        if isinstance(content := record.get("sha256"), str):
            self._by_content.setdefault(content, {})[record["name"]] = Path(record["photo"]).name

    def names_of(self, photos: Sequence[Path]) -> dict[Path, str]:
        """Return the names of known photos, each given once; among copies, the one with the same file name is first."""
        if not self._by_content:
            return {}
        known = {photo: content for photo in photos if (content := content_of(photo)) in self._by_content}
        found: dict[Path, str] = {}
        claimed: set[str] = set()
        for called_the_same in (True, False):
            for photo, content in known.items():
                free = ((n, file) for n, file in self._by_content[content].items() if n not in claimed)
                match = (n for n, file in free if not called_the_same or file == photo.name)
                if photo not in found and (name := next(match, None)) is not None:
                    found[photo] = name
                    claimed.add(name)
        return found


def content_of(photo: Path) -> str | None:
    """Return the SHA-256 of a photo's file; None if it cannot be read."""
    try:
        return file_sha256(photo)
    except (OSError, ValueError):
        return None
