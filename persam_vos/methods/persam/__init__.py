"""The target feature of an annotated object goes in; masks come out by location prior and three decoder passes.

PerSAM and PerSAM-F of arXiv 2305.03048: ``concept``, ``similarity``, ``cascade`` (``choice``, ``mask_weights``) and
``presence``.
"""

from persam_vos.methods.persam.photos import PersamPhotos
from persam_vos.methods.persam.video import PersamVideo

__all__ = ["PersamPhotos", "PersamVideo"]
