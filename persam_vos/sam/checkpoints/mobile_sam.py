"""MobileSAM's own checkpoint becomes this package's: other names, batch normalisations folded into convolutions."""

from __future__ import annotations

import re
from collections.abc import Mapping

import torch
from torch import Tensor

_DROPPED = re.compile(r"^image_encoder\.(norm_head|head)\.|attention_bias_idxs$|num_batches_tracked$")


def fold_official_state(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Turn the tensors of MobileSAM's own checkpoint into those of this package.

    Args:
        state: Tensors named as in ``mobile_sam.pt``: ``image_encoder.layers.0.blocks.0.conv1.c.weight`` and
            ``...bn.weight``. A convolution without ``bn`` counts as folded.

    Returns:
        The same network under this package's names, with each batch normalisation folded into its convolution and
        without the classifier head, which SAM does not use. Names that match no rule are kept.
    """
    kept = {name: tensor for name, tensor in state.items() if not _DROPPED.search(name)}
    folded: dict[str, Tensor] = {}
    for name, tensor in kept.items():
        if re.search(r"\.bn\.\w+$", name):
            continue
        stem = name.removesuffix(".c.weight")
        norm = [kept.get(f"{stem}.bn.{part}") for part in ("weight", "bias", "running_mean", "running_var")]
        if stem != name and all(part is not None and part.shape == tensor.shape[:1] for part in norm):
            weight, bias = _fold(tensor, *(part for part in norm if part is not None))
            folded[_rename(name)], folded[_rename(f"{stem}.c.bias")] = weight, bias
        else:
            folded[_rename(name)] = tensor
    return folded


def _fold(conv: Tensor, gamma: Tensor, beta: Tensor, mean: Tensor, var: Tensor) -> tuple[Tensor, Tensor]:
    scale = gamma / torch.sqrt(var + 1e-5)
    return conv * scale[:, None, None, None], beta - mean * scale


def _rename(name: str) -> str:
    name = name.replace("image_encoder.patch_embed.seq.0.", "image_encoder.trunk.patch_embed.conv1.")
    name = name.replace("image_encoder.patch_embed.seq.2.", "image_encoder.trunk.patch_embed.conv2.")
    name = re.sub(
        r"^image_encoder\.layers\.(\d)\.downsample\.",
        lambda found: f"image_encoder.trunk.stages.{int(found[1]) + 1}.downsample.",
        name,
    )
    name = re.sub(r"^image_encoder\.layers\.(\d)\.", r"image_encoder.trunk.stages.\1.", name)
    return re.sub(r"\.c\.(weight|bias)$", r".\1", name)
