"""A benchmark's folder goes in; predictions of all its videos or photos come out, and the tables of their scores.

Videos run through the pipeline of ``video``, photos through that of ``photos``; ``evaluation`` scores both.
"""

from persam_vos.benchmarks.davis import run_davis
from persam_vos.benchmarks.perseg import run_perseg

__all__ = ["run_davis", "run_perseg"]
