"""All threads take memory from one arena, where the C library has more, and what they free goes back."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

COUNT = """
import ctypes, os, sys, tempfile, threading
{first}
barrier = threading.Barrier(4)
def work():
    blocks = [bytearray(5000) for _ in range(100)]
    barrier.wait()
threads = [threading.Thread(target=work) for _ in range(4)]
[thread.start() for thread in threads]; [thread.join() for thread in threads]
library = ctypes.CDLL(None)
library.fopen.restype = ctypes.c_void_p
with tempfile.NamedTemporaryFile() as file:
    stream = ctypes.c_void_p(library.fopen(file.name.encode(), b"w"))
    library.malloc_info(0, stream)
    library.fclose(stream)
    print(file.read().decode().count("<heap nr="))
"""


def arenas(first: str) -> int:
    found = subprocess.run(
        [sys.executable, "-c", COUNT.format(first=first)], check=True, capture_output=True, text=True
    )
    return int(found.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc has arenas")
def test_threads_share_one_arena() -> None:
    assert arenas("") > 1
    assert arenas("from persam_vos.pipeline.malloc import share_one_arena; share_one_arena()") == 1


HOLES = """
from persam_vos.pipeline.malloc import give_back_freed
import resource
resident = lambda: int(open("/proc/self/statm").read().split()[1]) * resource.getpagesize() / 2**20
blocks = [bytearray(100_000) for _ in range(2000)]
last = blocks.pop()
full = resident()
del blocks
kept = resident()
give_back_freed()
print(full - kept, kept - resident())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc keeps them")
def test_what_lies_free_below_a_block_in_use_goes_back() -> None:
    found = subprocess.run([sys.executable, "-c", HOLES], check=True, capture_output=True, text=True)
    at_once, when_asked = map(float, found.stdout.split())

    assert at_once < 10
    assert when_asked > 150
