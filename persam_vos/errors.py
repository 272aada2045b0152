"""The exception tree: everything that persam-vos raises on purpose.

Each class is also the builtin error that people catch for such a fault. A message says what was given, what is allowed
and what to do. The command line prints it as one line and exits with status 2.
"""

from __future__ import annotations


class PersamVosError(Exception):
    """Base of every error that persam-vos raises on purpose."""


class SettingsError(PersamVosError, ValueError):
    """A setting, flag or configuration file is not allowed."""


class VideoError(PersamVosError, OSError):
    """A video, image folder or image cannot be read."""


class FrameIndexError(PersamVosError, IndexError):
    """A frame, or a range of frames, is not in the video."""


class PhotoError(PersamVosError, OSError):
    """A photo cannot be read."""


class MaskError(PersamVosError, ValueError):
    """A mask or label map is not usable."""


class MaskSizeError(MaskError):
    """A mask has another height or width than its frame or photo."""


class EmptyMaskError(MaskError):
    """A mask has no pixel of an object."""


class PromptError(PersamVosError, ValueError):
    """A box or a point is not usable, or says too little."""


class ManifestError(PersamVosError, ValueError):
    """Lines of a manifest are not usable.

    Attributes:
        faults: What is wrong, a line each, in the order of the manifest.
    """

    def __init__(self, message: str, faults: tuple[str, ...] = ()) -> None:
        super().__init__(message, faults)
        self.faults = faults

    def __str__(self) -> str:
        """Return the message alone."""
        return str(self.args[0])


class NotStartedError(PersamVosError, RuntimeError):
    """A ``Tracker`` or ``PhotoFinder`` knows no object yet: ``start`` or ``learn`` comes first."""


class CheckpointError(PersamVosError, ValueError):
    """A checkpoint is missing, damaged, hostile or belongs to another model."""


class DatasetError(PersamVosError, ValueError):
    """A folder does not hold the expected dataset or results."""


class OutputError(PersamVosError, OSError):
    """Results cannot be written."""


class MissingDependencyError(PersamVosError, ImportError):
    """An optional package is needed but not installed."""


# What libraries say where memory is short: PyTorch, C++, OpenCV, and Python of a thread and of the loader.
_SHORT_OF_MEMORY = (
    "allocate memory", "bad_alloc", "bad allocation", "insufficient memory", "out of memory", "start new thread",
    "failed to map segment", "cannot allocate",
)  # fmt: skip


def is_short_of_memory(error: BaseException) -> bool:
    """Tell whether an error, or one that it comes from, is of too little memory, whichever library says so."""
    each: BaseException | None = error
    while each is not None:
        if isinstance(each, MemoryError) or any(words in str(each).lower() for words in _SHORT_OF_MEMORY):
            return True
        each = each.__cause__ or each.__context__
    return False


def reason(error: Exception) -> str:
    """Return the reason for an error in the words of the system or the library."""
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
