"""Fixtures for all tests: the shipped network, loaded once, real data, and a user without privileges."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

# Processes that share this computer's cores take a part of them each, as do the programs that they start. What
# computes reads this when it is loaded, which the imports below do.
if workers := int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "0")):
    os.environ.setdefault("OMP_NUM_THREADS", str(max((os.cpu_count() or 1) // workers, 1)))

import torch
from fakes import RememberingEncoder
from hypothesis import settings
from shared import shared_networks

from persam_vos.pipeline.interrupt import PROCESS_INTERRUPTS
from persam_vos.sam import Decoder, SamEncoder
from persam_vos.sam.backends import open_backend
from persam_vos.sam.checkpoints import resolve_checkpoint
from persam_vos.sam.checkpoints.loading import load_sam
from persam_vos.sam.networks import Sam

# No deadline, and the same examples in every run: a slow or lucky machine changes no verdict.
settings.register_profile("persam-vos", deadline=None, derandomize=True)
settings.load_profile("persam-vos")

# Where the shipped network lies: "cpu", or "cuda" for the tests marked so: PERSAM_VOS_TEST_DEVICE=cuda pytest -m cuda
DEVICE = torch.device(os.environ.get("PERSAM_VOS_TEST_DEVICE", "cpu"))
if DEVICE.type == "cpu":
    # A GPU of this machine changes nothing for commands and settings that choose the device themselves.
    os.environ["CUDA_VISIBLE_DEVICES"] = ""


@pytest.fixture(autouse=True)
def _no_interrupt_before(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a test's interrupt not count as the repetition of an earlier test's."""
    monkeypatch.setattr(PROCESS_INTERRUPTS, "_last", None)


@pytest.fixture(autouse=True)
def _signals_are_heard() -> Iterator[None]:
    """Let a test, and the programs it starts, hear what a shell in the background and ``nohup`` have ignored."""
    usual = {"SIGINT": signal.default_int_handler, "SIGHUP": signal.SIG_DFL}
    ignored = [
        (getattr(signal, name), handler)
        for name, handler in usual.items()
        if hasattr(signal, name) and signal.getsignal(getattr(signal, name)) is signal.SIG_IGN
    ]
    for number, handler in ignored:
        signal.signal(number, handler)
    yield
    for number, _ in ignored:
        signal.signal(number, signal.SIG_IGN)


@pytest.fixture(scope="session")
def sam() -> Sam:
    return load_sam("mobile_sam", resolve_checkpoint("mobile_sam"), DEVICE)


@pytest.fixture(scope="session")
def encoder(sam: Sam) -> SamEncoder:
    """The shipped encoder on the fastest backend, in float32; encodes each picture once a session."""
    backend = open_backend("auto", sam, DEVICE, "float32", max_batch_size=1)
    return RememberingEncoder(sam, backend, square=True)


@pytest.fixture(scope="session")
def decoder(sam: Sam) -> Decoder:
    return Decoder(sam)


@pytest.fixture
def networks_are_shared() -> Iterator[None]:
    """Lets the test's engines load each network, and encode each picture, only once in this process."""
    with shared_networks():
        yield


@pytest.fixture
def gpu() -> torch.device:
    """The CUDA device; skips the test unless the tests were asked to run on it."""
    if DEVICE.type != "cuda":
        pytest.skip("needs a CUDA device and PERSAM_VOS_TEST_DEVICE=cuda")
    return DEVICE


@pytest.fixture(scope="session")
def shared_data() -> Callable[[str], Path]:
    """Finds a folder of real data in shared/data beside or above the repository; skips the test if there is none."""

    def find(name: str) -> Path:
        above = [folder / "shared" / "data" for folder in Path(__file__).resolve().parents]
        places = [Path(os.environ["PERSAM_VOS_DATA"])] if "PERSAM_VOS_DATA" in os.environ else above
        for place in places:
            if (place / name).is_dir():
                return place / name
        pytest.skip(f"no {name} in shared/data beside or above the repository, nor in PERSAM_VOS_DATA")

    return find


@pytest.fixture
def without_privileges() -> Callable[[], AbstractContextManager[None]]:
    """Makes a block in which the permissions of files hold, even if root runs the tests."""
    if not hasattr(os, "geteuid"):
        pytest.skip("this system has no POSIX permissions")

    @contextmanager
    def step_down() -> Iterator[None]:
        me = os.geteuid()
        os.seteuid(me or 65534)
        try:
            yield
        finally:
            os.seteuid(me)

    return step_down


@pytest.fixture
def no_thread_is_left() -> Iterator[None]:
    """Makes sure that a test ends every thread it starts."""
    before = threading.active_count()
    yield
    assert threading.active_count() == before
