"""Words, numbers and prompts.json come in; what a person says of objects on frames goes out, checked. No torch.

``prompts_json`` reads and writes the file; it is not imported here, since pydantic takes time that ``--help`` has not.
"""

from persam_vos.prompts.object_prompt import ObjectPrompt, object_prompts, prompts_of
from persam_vos.prompts.points import Box, Point, parse_box, parse_point
from persam_vos.prompts.video_prompts import (
    MAX_ID,
    NamedObject,
    Prompt,
    Span,
    VideoPrompts,
    hex_colour,
    named_object,
    span_of,
)

__all__ = [
    "MAX_ID",
    "Box",
    "NamedObject",
    "ObjectPrompt",
    "Point",
    "Prompt",
    "Span",
    "VideoPrompts",
    "hex_colour",
    "named_object",
    "object_prompts",
    "parse_box",
    "parse_point",
    "prompts_of",
    "span_of",
]
