"""Tensors in, tensors out: SAM's networks, with the parameter names of the official checkpoints.

What depends on files, frames or inference engines lies outside this package.
"""

from persam_vos.sam.networks.sam import ModelName, Sam

__all__ = ["ModelName", "Sam"]
