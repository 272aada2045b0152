"""Frames and masks go into a memory of keys and values; it gives a prior, which SAM's decoder turns into masks.

Walk: ``first_mask``, ``memory`` (``ridge``), ``prior`` (``matching``, ``gate``), ``closer_look`` (``crop``),
``decoding`` (``mask_token``, and ``colour_model`` of the room above), ``evidence``.
"""

from persam_vos.methods.memory.mask_token import MASK_TOKEN_IMPORTS
from persam_vos.methods.memory.photos import MemoryPhotos
from persam_vos.methods.memory.video import MemoryVideo

__all__ = ["MASK_TOKEN_IMPORTS", "MemoryPhotos", "MemoryVideo"]
