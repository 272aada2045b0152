"""The name of a model, or a file, in; where its weights lie, whether they are intact, and their tensors out.

Importing this package loads no torch: ``loading`` and ``state_dict`` are imported where a network is built.
"""

from persam_vos.sam.checkpoints.registry import (
    CHECKPOINTS,
    Checkpoint,
    CheckpointStatus,
    checkpoint_path,
    list_checkpoints,
    resolve_checkpoint,
    verify_checkpoint,
)

__all__ = [
    "CHECKPOINTS",
    "Checkpoint",
    "CheckpointStatus",
    "checkpoint_path",
    "list_checkpoints",
    "resolve_checkpoint",
    "verify_checkpoint",
]
