"""A video and what a person says of it, bit by bit, go in; out come its masks in any order, and the frames to look at.

``session`` is the public door; ``edition`` is what was said so far, ``doubt`` names the frames.
"""
