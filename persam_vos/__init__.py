"""Track a masked object through a video with a frozen Segment Anything model, without training."""

__version__ = "0.1.0"
