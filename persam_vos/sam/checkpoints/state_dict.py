"""The tensors of a checkpoint file, read without trust and compared with those that a model needs."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from persam_vos.errors import CheckpointError
from persam_vos.quiet import quiet_warnings

# torch and safetensors are imported where they are used, so that commands that need no network start at once.
if TYPE_CHECKING:
    import torch


_EXPECTED: Final = "expected a .safetensors file, or a PyTorch file (.pt, .pth) that holds tensors only"
_WRAPPERS: Final = ("model", "state_dict")
_MOBILE_SAM_KEYS: Final = (
    "image_encoder.patch_embed.seq.0.c.weight",  # the official file
    "image_encoder.trunk.patch_embed.conv1.weight",  # the bundled file
)
_VIT_WIDTHS: Final = {768: "vit_b", 1024: "vit_l", 1280: "vit_h"}


def load_state_dict(path: Path) -> dict[str, torch.Tensor]:
    """Read a checkpoint's tensors without ever running code from the file.

    Args:
        path: A safetensors file, or a dictionary of tensors written by ``torch.save``, which may lie under the key
            ``model`` or ``state_dict``. The content decides, not the name.

    Returns:
        The tensors by name, on the CPU, dense and finite.

    Raises:
        CheckpointError: If the file is absent, damaged or no checkpoint, would run code when loaded, or holds
            anything but dense, finite tensors.
    """
    content = _unwrap(_read(path))
    if not isinstance(content, Mapping) or not content:
        held = "no tensors" if isinstance(content, Mapping) else f"one {type(content).__name__}"
        raise CheckpointError(f"{path} holds {held}; expected a dictionary of tensors")
    for key, value in content.items():
        if fault := _fault_of_entry(key, value):
            raise CheckpointError(f"{path} is not usable: entry {key!r} {fault}")
    return {key: value.detach() for key, value in content.items()}


def check_state_dict(
    found: Mapping[str, torch.Tensor],
    expected: Mapping[str, torch.Size | torch.Tensor],
    *,
    path: Path,
    model: str,
) -> None:
    """Check that a file's tensors are those of a model, name by name and shape by shape.

    Args:
        found: The file's tensors.
        expected: What the model needs: tensors, or their shapes, by name, in the model's order.
        path: The file, for the message.
        model: Name of the model, for the message.

    Raises:
        CheckpointError: If a key is missing, unknown or has another shape. The message names the first such key, and
            the model that the file seems to belong to.
    """
    fault = _first_difference(found, expected)
    if fault is None:
        return
    guess = guess_model(found)
    hint = f"; this looks like {guess}: pass --model {guess}" if guess not in (None, model) else ""
    raise CheckpointError(f"{path} is not a checkpoint of {model}: {fault}{hint}")


def guess_model(found: Mapping[str, torch.Tensor]) -> str | None:
    """Return the name of the model that a state dict seems to belong to; None if it resembles none."""
    if any(key in found for key in _MOBILE_SAM_KEYS):
        return "mobile_sam"
    projection = found.get("image_encoder.patch_embed.proj.weight")
    return None if projection is None or projection.ndim != 4 else _VIT_WIDTHS.get(projection.shape[0])


def _first_difference(
    found: Mapping[str, torch.Tensor], expected: Mapping[str, torch.Size | torch.Tensor]
) -> str | None:
    missing = [key for key in expected if key not in found]
    for key, wanted in expected.items():
        if key not in found:
            return f"the key {key!r} is missing ({len(missing)} of {len(expected)} keys are)"
        shape, wanted_shape = _shape(found[key]), _shape(wanted)
        if shape != wanted_shape:
            return f"{key!r} has the shape {shape}, expected {wanted_shape}"
    odd = [key for key in found if key not in expected]
    return f"the key {odd[0]!r} is unknown ({len(odd)} of {len(found)} keys are)" if odd else None


def _shape(value: torch.Size | torch.Tensor) -> tuple[int, ...]:
    return tuple(getattr(value, "shape", value))


def _read(path: Path) -> Any:
    try:
        with path.open("rb") as file:
            head = file.read(9)
    except OSError as error:
        raise CheckpointError(f"checkpoint {path} cannot be read: {error.strerror or error}; {_EXPECTED}") from error
    if not head:
        raise CheckpointError(f"checkpoint {path} is empty; {_EXPECTED}")
    zipped = head.startswith(b"PK")
    if head[8:] == b"{" or path.suffix == ".safetensors":
        return _read_safetensors(path)
    if zipped or head.startswith(b"\x80"):
        return _read_torch(path, zipped)
    kind = "text, perhaps a web page or a Git LFS pointer saved in its place" if head.isascii() else "something else"
    raise CheckpointError(f"{path} is not a checkpoint but {kind}; {_EXPECTED}")


def _read_safetensors(path: Path) -> dict[str, torch.Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except (SafetensorError, OSError, ValueError, RuntimeError) as error:
        raise CheckpointError(f"{path} is cut short or damaged ({_brief(error)}); {_EXPECTED}") from error


def _read_torch(path: Path, zipped: bool) -> Any:
    import torch

    try:
        if zipped:
            _refuse_packed(path)
        # torch warns about oddities that are refused below by name.
        with quiet_warnings():
            # A mapped file saves a second copy of the weights in memory; only the zipped format can be mapped.
            return torch.load(path, map_location="cpu", weights_only=True, mmap=zipped)
    except Exception as error:  # damaged pickles raise nearly anything
        wanted = re.search(r"GLOBAL (\w+(?:\.\w+)*)(?![\w.])", str(error))
        if wanted:
            raise CheckpointError(
                f"{path} is refused: it asks for {wanted[1]}, and loading it could run code; {_EXPECTED}"
            ) from error
        raise CheckpointError(f"{path} is cut short or damaged ({_brief(error)}); {_EXPECTED}") from error


def _refuse_packed(path: Path) -> None:
    """Raise ``ValueError`` for an archive that becomes larger where it is read: PyTorch packs nothing."""
    with zipfile.ZipFile(path) as archive:
        if any(each.file_size > each.compress_size for each in archive.infolist()):
            raise ValueError("it is compressed, as PyTorch writes no file")


def _brief(error: Exception) -> str:
    first = str(error).strip().split("\n", 1)[0]
    return f"{type(error).__name__}: {first[:160]}".rstrip(": ")


def _unwrap(content: Any) -> Any:
    for _ in range(3):  # bounded, because a file can make a dictionary hold itself
        if not isinstance(content, Mapping):
            break
        inner = next((content[key] for key in _WRAPPERS if isinstance(content.get(key), Mapping)), None)
        if inner is None:
            break
        content = inner
    return content


def _fault_of_entry(key: object, value: object) -> str | None:
    import torch

    if not isinstance(key, str):
        return f"has a name of type {type(key).__name__}, expected text"
    if not isinstance(value, torch.Tensor):
        return f"is of type {type(value).__name__}, expected a tensor"
    if value.layout != torch.strided or value.device.type != "cpu" or value.is_quantized:
        return "is a sparse, quantised or empty shell of a tensor, expected a dense one"
    # With strides of 0, a few bytes on disk can claim to be a tensor of any size.
    if value.untyped_storage().nbytes() < value.numel() * value.element_size():
        return "claims more numbers than the file holds"
    if not value.is_floating_point():
        return "is complex, expected real numbers" if value.is_complex() else None
    if value.dtype not in (torch.float16, torch.bfloat16, torch.float32, torch.float64):
        return f"has the type {value.dtype}, expected float16, bfloat16, float32 or float64"
    # Minimum and maximum reveal NaN and infinity in one pass without allocations.
    if value.numel() and not all(torch.isfinite(extreme) for extreme in torch.aminmax(value.detach())):
        return "holds NaN or infinite numbers"
    return None
