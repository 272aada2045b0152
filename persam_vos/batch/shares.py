"""The share of this machine's cores that each of several processes has."""

from __future__ import annotations

import os
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Share:
    """What one process computes with.

    Attributes:
        threads: Threads of PyTorch, OpenVINO, ONNX Runtime and OpenCV.
        cores: Numbers of the cores that it keeps to, by which decoders and encoders of video choose their threads;
            empty where the system cannot tell them apart.
    """

    threads: int
    cores: tuple[int, ...] = ()

    def take(self) -> None:
        """Keep this process to its share; before PyTorch is imported, which reads the number of threads once."""
        if self.cores and hasattr(os, "sched_setaffinity"):
            os.sched_setaffinity(0, self.cores)
        os.environ["OMP_NUM_THREADS"] = str(self.threads)
        import cv2
        import torch

        torch.set_num_threads(self.threads)
        cv2.setNumThreads(self.threads)


def shares(count: int, threads: int | None = None) -> tuple[Share, ...]:
    """Return the shares of so many processes; where there are fewer cores, several processes have the same one.

    Args:
        count: Of the processes.
        threads: Of each process, which then keeps to no cores; None for the cores shared out, but no more than
            ``OMP_NUM_THREADS``.
    """
    if threads is not None:
        return (Share(threads),) * count
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    total = len(cores) or os.cpu_count() or 1
    told = os.environ.get("OMP_NUM_THREADS", "")
    most = int(told) if told.isdecimal() and int(told) else total
    found = []
    for number in range(count):
        begin, end = number * total // count, (number + 1) * total // count
        own = tuple(cores[begin:end] or cores[begin : begin + 1])
        found.append(Share(min(max(end - begin, 1), most), own))
    return tuple(found)
