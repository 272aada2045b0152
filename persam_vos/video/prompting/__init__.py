"""Masks, boxes, points, photos and prompts.json go in; out come the keyframes of a video's objects.

``keyframes`` is what the other packages work with; ``said`` and ``prompting`` bring all ways of saying it together.
"""
