"""Masks that exist already go in, with their video; what a run writes of its own masks comes out, without a network."""

from persam_vos.rendering.call import render
from persam_vos.rendering.render import render_video

__all__ = ["render", "render_video"]
