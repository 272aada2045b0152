"""The encoder's trunk is TinyViT: timm's, with the last stage's stride taken away as MobileSAM does."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional

from persam_vos.sam.networks.tiny_vit import TinyVitImageEncoder


def timms_trunk() -> Any:
    """timm's TinyViT with random weights and statistics, its normalisations folded into the convolutions."""
    from timm.models.tiny_vit import ConvNorm, TinyVit

    trunk = TinyVit(
        embed_dims=(64, 128, 160, 320),
        depths=(2, 2, 6, 2),
        num_heads=(2, 4, 5, 10),
        window_sizes=(7, 7, 14, 7),
        num_classes=0,
    )
    trunk.stages[3].downsample.conv2.conv.stride = (1, 1)

    def fold(module: nn.Module) -> None:
        for name, child in module.named_children():
            if isinstance(child, ConvNorm):
                nn.init.uniform_(child.bn.weight, 0.5, 1.5)
                nn.init.normal_(child.bn.bias, std=0.1)
                nn.init.normal_(child.bn.running_mean, std=0.1)
                nn.init.uniform_(child.bn.running_var, 0.5, 2.0)
                setattr(module, name, child.fuse())
            else:
                fold(child)

    fold(trunk)
    for block in trunk.stages[1:]:
        for each in block.blocks:
            nn.init.normal_(each.attn.attention_biases)
    return trunk.eval()


@pytest.mark.parametrize("size", [(224, 224), (96, 144), (720, 64)])
def test_the_trunk_is_timms(size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    theirs, ours = timms_trunk(), TinyVitImageEncoder().eval()
    state = {name: each for name, each in theirs.state_dict().items() if not name.startswith(("head", "norm_head"))}
    ours.trunk.load_state_dict(state)
    pictures = torch.randn(2, 3, *size)

    with torch.inference_mode():
        found = ours(pictures)
        outputs = [theirs.stages[0](theirs.patch_embed(pictures))]
        for stage in theirs.stages[1:]:
            outputs.append(stage(outputs[-1]))

    # Cells of half the side come as means of four.
    expected = [functional.avg_pool2d(outputs[1], 2), *outputs[2:]]
    for one, other in zip(found[1:], expected, strict=True):
        torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-4)
    assert found[0].shape == (2, 256, size[0] // 16, size[1] // 16)
