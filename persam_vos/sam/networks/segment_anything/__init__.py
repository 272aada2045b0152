"""The network modules of the installed segment-anything, imported as submodules of this package.

The package ``segment_anything`` itself imports a predictor and with it torchvision and PyTorch's compiler, which cost a
second at every start. Its folder ``modeling`` needs neither; it becomes the path of this package, so that each file in
it is a submodule here.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

from persam_vos.errors import MissingDependencyError


def _modeling_folders() -> list[str]:
    # A top-level package is found without being imported.
    spec = importlib.util.find_spec("segment_anything")
    if spec is None or not spec.submodule_search_locations:
        raise MissingDependencyError("segment-anything is not installed, and no SAM runs without it; pip install it")
    return [str(Path(folder) / "modeling") for folder in spec.submodule_search_locations]


__path__ = _modeling_folders()

from persam_vos.sam.networks.segment_anything.common import LayerNorm2d  # noqa: E402
from persam_vos.sam.networks.segment_anything.image_encoder import ImageEncoderViT  # noqa: E402
from persam_vos.sam.networks.segment_anything.mask_decoder import MaskDecoder  # noqa: E402
from persam_vos.sam.networks.segment_anything.prompt_encoder import PromptEncoder  # noqa: E402
from persam_vos.sam.networks.segment_anything.transformer import TwoWayTransformer  # noqa: E402

__all__ = ["ImageEncoderViT", "LayerNorm2d", "MaskDecoder", "PromptEncoder", "TwoWayTransformer"]
