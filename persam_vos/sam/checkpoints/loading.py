"""From a model's name and a checkpoint to a network that is ready to run."""

from __future__ import annotations

from pathlib import Path

import torch

from persam_vos.errors import SettingsError
from persam_vos.sam.checkpoints.mobile_sam import fold_official_state
from persam_vos.sam.checkpoints.state_dict import check_state_dict, load_state_dict
from persam_vos.sam.networks.sam import ModelName, Sam


def choose_device(device: str) -> torch.device:
    """Turn ``auto``, ``cpu`` or ``cuda`` into a device.

    Raises:
        SettingsError: If ``cuda`` is asked for and PyTorch sees no CUDA device.
    """
    available = torch.cuda.is_available()
    if device == "cuda" and not available:
        raise SettingsError("--device is 'cuda', but PyTorch finds no CUDA device here; use --device cpu or auto")
    return torch.device("cuda" if available and device != "cpu" else "cpu")


def load_sam(model: ModelName, checkpoint: Path, device: torch.device) -> Sam:
    """Build a network and fill it from its checkpoint.

    Args:
        model: Name of the model.
        checkpoint: File of its weights, official or of this package; see ``resolve_checkpoint``.
        device: Where it will run.

    Raises:
        CheckpointError: If the file is missing, damaged, hostile or of another network.
    """
    found = load_state_dict(checkpoint)
    if model == "mobile_sam":
        found = fold_official_state(found)
    sam = Sam(model)
    expected = sam.state_dict()
    check_state_dict(found, expected, path=checkpoint, model=model)
    sam.load_state_dict({name: found[name].float() for name in expected})
    return sam.eval().requires_grad_(False).to(device)
