"""The published weights of each model: their addresses, their places on disk, their digests."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Literal

from persam_vos.errors import CheckpointError
from persam_vos.files import cache_dir, file_sha256
from persam_vos.sam.checkpoints.download import Progress, download

BUNDLED_SHA256: Final = "a0032a437c9df86b8746cc65e24d6e1f93e2853ade541af860c74699591ebc92"
WEIGHTS_DIR: Final = Path(__file__).parent / "weights"
_META: Final = "https://dl.fbaipublicfiles.com/segment_anything/"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """One published file of weights.

    Attributes:
        model: Name of the model.
        filename: Name of the file, in the package or in the cache.
        url: Official address; None for a file that exists only in this package.
        sha256: Digest of the whole file.
        size_bytes: Size of the whole file; None if it is never downloaded.
        bundled: Whether the file comes with this package.
    """

    model: str
    filename: str
    url: str | None
    sha256: str
    size_bytes: int | None
    bundled: bool = False


# The digits in Meta's file names are the start of the MD5, not of the SHA-256.
CHECKPOINTS: Final[Mapping[str, Checkpoint]] = {
    entry.model: entry
    for entry in (
        Checkpoint("mobile_sam", "mobile_sam.safetensors", None, BUNDLED_SHA256, None, bundled=True),
        Checkpoint(
            "vit_b",
            "sam_vit_b_01ec64.pth",
            _META + "sam_vit_b_01ec64.pth",
            "ec2df62732614e57411cdcf32a23ffdf28910380d03139ee0f4fcbe91eb8c912",
            375_042_383,
        ),
        Checkpoint(
            "vit_l",
            "sam_vit_l_0b3195.pth",
            _META + "sam_vit_l_0b3195.pth",
            "3adcc4315b642a4d2101128f611684e8734c41232a17c648ed1693702a49a622",
            1_249_524_607,
        ),
        Checkpoint(
            "vit_h",
            "sam_vit_h_4b8939.pth",
            _META + "sam_vit_h_4b8939.pth",
            "a7bf3b02f3ebf1267aba913ff637d9a2d5c33d3173bb679e46d9f338c26f262e",
            2_564_550_879,
        ),
    )
}
# Recognised by ``verify_checkpoint``, but never downloaded, because the same weights are bundled.
OFFICIAL_MOBILE_SAM: Final = Checkpoint(
    "mobile_sam",
    "mobile_sam.pt",
    "https://github.com/ChaoningZhang/MobileSAM/raw/master/weights/mobile_sam.pt",
    "6dbb90523a35330fedd7f1d3dfc66f995213d81b29a5ca8108dbcdd4e37d6c2f",
    40_728_226,
)


@dataclass(frozen=True, slots=True)
class CheckpointStatus:
    """One checkpoint on this machine.

    Attributes:
        model: Name of the model; None for a file that is not a published one.
        path: Where the file lies, or would lie.
        state: ``file`` for a file that was given by its path.
        size_bytes: Size on disk, or of the download if there is no file; None if neither is known.
        intact: Whether the bytes are the published ones; None if that is unknown.
        sha256: The digest found; None if it was not computed.
    """

    model: str | None
    path: Path
    state: Literal["bundled", "cached", "not downloaded", "missing", "file"]
    size_bytes: int | None
    intact: bool | None = None
    sha256: str | None = None

    def line(self) -> str:
        """Return model, state, size and path in columns."""
        size = "" if self.size_bytes is None else f"{self.size_bytes / 1e6:.0f} MB"
        intact = {True: "intact", False: "DAMAGED", None: ""}[self.intact]
        return f"{self.model or 'unknown':<12}{self.state:<16}{intact:<9}{size:>9}  {self.path}"


def checkpoint_path(model: str) -> Path:
    """Return where a model's checkpoint lies, or would lie once downloaded.

    Raises:
        CheckpointError: If there is no such model.
    """
    checkpoint = _registered(model)
    return (WEIGHTS_DIR if checkpoint.bundled else cache_dir()) / checkpoint.filename


def resolve_checkpoint(model: str, checkpoint: Path | None = None, *, progress: bool | Progress = True) -> Path:
    """Return the file to load a model from; download it if it is not on this machine.

    Args:
        model: Name of the model.
        checkpoint: A file that the user chose; it is taken instead of any other.
        progress: True for a progress bar on standard error, False for silence, or a function of (bytes, total bytes).

    Raises:
        CheckpointError: If there is no such model or file, or the download fails.
    """
    entry = _registered(model)
    if checkpoint is not None:
        _require_file(checkpoint)
        return checkpoint
    path = checkpoint_path(model)
    if entry.url is None:
        if not path.is_file():
            raise CheckpointError(f"{path} is missing: this installation is incomplete; reinstall persam-vos")
        return path
    # The download verified the digest; a file of another size was put there or cut short by something else.
    if not path.is_file() or path.stat().st_size != entry.size_bytes:
        download(entry.url, path, sha256=entry.sha256, progress=progress)
    return path


def list_checkpoints() -> list[CheckpointStatus]:
    """Return the status of every model's checkpoint, without reading the files: a wrong size counts as not intact."""
    return [_status(entry) for entry in CHECKPOINTS.values()]


def verify_checkpoint(model_or_path: str | Path) -> CheckpointStatus:
    """Compare a checkpoint's SHA-256 with the published one.

    Args:
        model_or_path: Name of a model, or any file. A file is recognised by its digest, else by its name.

    Returns:
        The status, with ``intact`` and ``sha256`` filled in where there is a file.

    Raises:
        CheckpointError: If there is no such model or file, or the file cannot be read.
    """
    if isinstance(model_or_path, str) and model_or_path in CHECKPOINTS:
        entry = CHECKPOINTS[model_or_path]
        status = _status(entry)
        if not status.path.is_file():
            return status
        found = _digest(status.path)
        return replace(status, intact=found == entry.sha256, sha256=found)
    path = Path(model_or_path)
    if not path.exists():
        names = ", ".join(CHECKPOINTS)
        raise CheckpointError(f"{model_or_path} is neither a model nor a file; the models are {names}")
    _require_file(path)
    found = _digest(path)
    known = (*CHECKPOINTS.values(), OFFICIAL_MOBILE_SAM)
    match = next((entry for entry in known if entry.sha256 == found), None)
    match = match or next((entry for entry in known if entry.filename == path.name), None)
    model, intact = (None, None) if match is None else (match.model, match.sha256 == found)
    return CheckpointStatus(model, path, "file", path.stat().st_size, intact, found)


def _registered(model: str) -> Checkpoint:
    if model not in CHECKPOINTS:
        raise CheckpointError(f"there is no model {model!r}; choose one of {', '.join(CHECKPOINTS)}")
    return CHECKPOINTS[model]


def _require_file(path: Path) -> None:
    if not path.is_file():
        raise CheckpointError(f"checkpoint {path} {'is a folder' if path.is_dir() else 'does not exist'}")


def _status(entry: Checkpoint) -> CheckpointStatus:
    path = checkpoint_path(entry.model)
    if not path.is_file():
        state: Literal["missing", "not downloaded"] = "missing" if entry.bundled else "not downloaded"
        return CheckpointStatus(entry.model, path, state, entry.size_bytes)
    size = path.stat().st_size
    intact = False if entry.size_bytes not in (None, size) else None
    return CheckpointStatus(entry.model, path, "bundled" if entry.bundled else "cached", size, intact)


def _digest(path: Path) -> str:
    try:
        return file_sha256(path)
    except OSError as error:
        raise CheckpointError(f"checkpoint {path} cannot be read: {error.strerror or error}") from error
