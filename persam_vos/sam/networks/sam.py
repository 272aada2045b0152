"""One Segment Anything model (Kirillov et al., arXiv 2304.02643): image encoder, prompt encoder, mask decoder."""

from __future__ import annotations

from functools import partial
from typing import Final, Literal

import torch
from torch import nn

from persam_vos.sam.networks.segment_anything import MaskDecoder, PromptEncoder, TwoWayTransformer
from persam_vos.sam.networks.sizes import CELL_SIDE_PIXELS, EMBEDDING_CHANNELS, GRID_SIDE_CELLS, INPUT_SIDE_PIXELS
from persam_vos.sam.networks.tiny_vit import TinyVitImageEncoder, encoded_length
from persam_vos.sam.networks.vit import VitImageEncoder

ModelName = Literal["mobile_sam", "vit_b", "vit_l", "vit_h"]
# width, depth, heads, layers with global attention
_VIT: Final = {
    "vit_b": (768, 12, 12, (2, 5, 8, 11)),
    "vit_l": (1024, 24, 16, (5, 11, 17, 23)),
    "vit_h": (1280, 32, 16, (7, 15, 23, 31)),
}


class Sam(nn.Module):
    """The three networks of one SAM, with the state names of the official checkpoints.

    Attributes:
        image_encoder: float N x 3 x 1024 x 1024 normalised RGB -> N x 256 x 64 x 64, and the stages before the neck.
        prompt_encoder: Points, boxes and masks -> sparse and dense embeddings.
        mask_decoder: The two-way transformer, its output tokens and heads.
    """

    # ImageNet's mean and standard deviation of RGB in 0..255.
    pixel_mean: torch.Tensor
    pixel_std: torch.Tensor

    def __init__(self, name: ModelName) -> None:
        super().__init__()
        self.name = name
        self.image_encoder = TinyVitImageEncoder() if name == "mobile_sam" else _build_vit(name)
        self.prompt_encoder = PromptEncoder(
            embed_dim=EMBEDDING_CHANNELS,
            image_embedding_size=(GRID_SIDE_CELLS, GRID_SIDE_CELLS),
            input_image_size=(INPUT_SIDE_PIXELS, INPUT_SIDE_PIXELS),
            mask_in_chans=16,
        )
        self.mask_decoder = MaskDecoder(
            num_multimask_outputs=3,
            transformer=TwoWayTransformer(depth=2, embedding_dim=EMBEDDING_CHANNELS, mlp_dim=2048, num_heads=8),
            transformer_dim=EMBEDDING_CHANNELS,
            iou_head_depth=3,
            iou_head_hidden_dim=256,
        )
        self.register_buffer("pixel_mean", torch.tensor([123.675, 116.28, 103.53]).view(3, 1, 1), persistent=False)
        self.register_buffer("pixel_std", torch.tensor([58.395, 57.12, 57.375]).view(3, 1, 1), persistent=False)

    def encoded_length(self, length: int) -> int:
        """Return the length to encode along one side, in pixels, for a picture of ``length`` pixels, 1..1024.

        ViT needs the whole square: its global attention was trained with the padding.
        """
        return encoded_length(length) if self.name == "mobile_sam" else INPUT_SIDE_PIXELS


def _build_vit(name: ModelName) -> nn.Module:
    width, depth, heads, global_layers = _VIT[name]
    return VitImageEncoder(
        img_size=INPUT_SIDE_PIXELS,
        patch_size=CELL_SIDE_PIXELS,
        embed_dim=width,
        depth=depth,
        num_heads=heads,
        mlp_ratio=4,
        qkv_bias=True,
        use_rel_pos=True,
        global_attn_indexes=global_layers,
        window_size=14,
        out_chans=EMBEDDING_CHANNELS,
        norm_layer=partial(nn.LayerNorm, eps=1e-6),
    )
