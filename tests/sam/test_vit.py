"""The ViT encoder gives segment-anything's numbers."""

from __future__ import annotations

from functools import partial

import pytest
import torch
from torch import nn

from persam_vos.sam.networks.segment_anything import ImageEncoderViT
from persam_vos.sam.networks.vit import VitImageEncoder


@pytest.mark.parametrize("global_layers", [(1,), ()])
def test_the_encoder_gives_segment_anythings_numbers(global_layers: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    arguments = {
        "img_size": 320,  # 20 x 20 cells: windows of 14 are padded
        "patch_size": 16,
        "embed_dim": 48,
        "depth": 3,
        "num_heads": 3,
        "qkv_bias": True,
        "use_rel_pos": True,
        "global_attn_indexes": global_layers,
        "window_size": 14,
        "out_chans": 32,
        "norm_layer": partial(nn.LayerNorm, eps=1e-6),
    }
    theirs = ImageEncoderViT(**arguments).eval()
    for name, each in theirs.named_parameters():
        if "pos" in name:  # which start as zeros
            nn.init.normal_(each)
    ours = VitImageEncoder(**arguments).eval()
    ours.load_state_dict(theirs.state_dict())
    pictures = torch.randn(2, 3, 320, 320)

    with torch.inference_mode():
        neck, last = ours(pictures)
        again = ours.neck(last)
        expected = theirs(pictures)

    torch.testing.assert_close(neck, expected, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(again, neck)
