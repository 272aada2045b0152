"""A clip of a batch: which video, what is said of its objects, and with which settings."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from pathlib import Path

from persam_vos.prompts import ObjectPrompt, Span, span_of
from persam_vos.settings.video import Settings

MAX_ID_BYTES = 200
"""Longest id in bytes of UTF-8: with the endings of temporary names, it is still a name for all file systems."""
PARTIAL = ".partial"
"""Ending of the folder of a clip that is not whole."""

# Categories of characters that no id has: control and format characters, halves of pairs, ends of lines and paragraphs.
_NO_TEXT = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
_SEPARATORS = frozenset("/\\")
# Of other systems, which may read the folder too.
_NOT_ON_WINDOWS = frozenset('<>:"|?*')
# Files of the batch itself.
_OWN = ("index", "batch")


@dataclass(frozen=True, slots=True)
class Said:
    """What is said of the objects of a clip, in one way.

    Attributes:
        mask: Mask of its first frame; None for none.
        prompts: A prompts.json; None for none.
        shown: A box, or points, for each object of its first frame; empty for none.
    """

    mask: Path | None = None
    prompts: Path | None = None
    shown: tuple[ObjectPrompt, ...] = ()


@dataclass(frozen=True, slots=True)
class BatchClip:
    """One video of a batch.

    Attributes:
        id: Name of the folder of its results, and of nothing else in the batch.
        place: Where it is said, for messages, such as ``clips.jsonl, line 7``.
        video: Video file, folder of images, or glob.
        said: Where its objects are.
        settings: Of its run.
        start: The first frame that is tracked; see ``Span``.
        end: The first one that is left out; see ``Span``.
        stride: Every so many-th frame; None where nothing is said of it.
        backward: Whether objects are looked for before their first keyframes.
    """

    id: str
    place: str
    video: str
    said: Said
    settings: Settings
    start: int | str | None = None
    end: int | str | None = None
    stride: int | None = None
    backward: bool = True

    def span(self, other: Span | None) -> Span:
        """Return the frames that are tracked; those of a prompts.json count where nothing is said."""
        return span_of(self.start, self.end, self.stride, other)


def fault_of_id(name: str) -> str:
    """Say why a text is no id; nothing if it is one.

    >>> fault_of_id("dog 1"), fault_of_id("../dog")
    ('', 'holds a separator of folders')
    """
    if not name:
        return "is empty"
    if any(unicodedata.category(letter) in _NO_TEXT for letter in name):
        return "holds a control character"
    if not _SEPARATORS.isdisjoint(name):
        return "holds a separator of folders"
    if not _NOT_ON_WINDOWS.isdisjoint(name):
        return f"holds one of {' '.join(sorted(_NOT_ON_WINDOWS))}, which are in no file name on Windows"
    if len(name.encode()) > MAX_ID_BYTES:
        return f"has {len(name.encode())} bytes of UTF-8; at most {MAX_ID_BYTES} are allowed"
    if name.startswith(".") or name.endswith(".") or name != name.strip():
        return "begins or ends with a dot or a space"
    lower = name.casefold()
    if lower.endswith(PARTIAL):
        return f"ends in {PARTIAL}, as what is not whole"
    if lower.partition(".")[0] in _OWN and lower.endswith((".json", ".jsonl")):
        return "is a file of the batch itself"
    return ""


def same_name(name: str) -> str:
    """Return what two ids have in common that some file systems take for one."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())
