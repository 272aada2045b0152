"""The parts of segment-anything that are used.

Its package imports a predictor, and that torchvision and a compiler: a second before the first frame. The networks need
none of it, and are imported without.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from types import ModuleType
from typing import Final

_PACKAGE: Final = "segment_anything"


def _modeling() -> ModuleType:
    """Import the networks alone; whoever imports the package later gets all of it, as if nothing had been here."""
    if _PACKAGE in sys.modules:
        return importlib.import_module(f"{_PACKAGE}.modeling")
    spec = importlib.util.find_spec(_PACKAGE)
    if spec is None:
        raise ModuleNotFoundError(f"No module named '{_PACKAGE}'", name=_PACKAGE)
    sys.modules[_PACKAGE] = importlib.util.module_from_spec(spec)
    try:
        return importlib.import_module(f"{_PACKAGE}.modeling")
    finally:
        for name in [each for each in sys.modules if each.split(".")[0] == _PACKAGE]:
            del sys.modules[name]


_networks = _modeling()
ImageEncoderViT = _networks.ImageEncoderViT
MaskDecoder = _networks.MaskDecoder
PromptEncoder = _networks.PromptEncoder
TwoWayTransformer = _networks.TwoWayTransformer
LayerNorm2d = _networks.mask_decoder.LayerNorm2d
