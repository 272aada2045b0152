"""Fetch one file over HTTPS, verified by its SHA-256 before it gets its name."""

from __future__ import annotations

import contextlib
import sys
import urllib.parse
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from persam_vos.errors import CheckpointError, OutputError
from persam_vos.files import file_sha256, whole_file

# pooch and requests are imported where they are used, so that commands that download nothing start at once.
if TYPE_CHECKING:
    import requests

# Is given the bytes that have arrived, and those of the whole file, None if the server does not say.
Progress = Callable[[int, "int | None"], None]
TIMEOUT_SECONDS: Final = 30.0
BLOCK_BYTES: Final = 1 << 18
_BY_HAND: Final = "or download it by hand and pass --checkpoint FILE"


def download(url: str, destination: Path, *, sha256: str, progress: bool | Progress = True) -> Path:
    """Download a file; an older one of its name is replaced once the new one is verified.

    An interrupted download leaves nothing behind and begins anew the next time.

    Args:
        url: Address of the file: ``https``, or plain ``http`` to this very machine.
        destination: The file to write; its folder is made.
        sha256: Expected digest, 64 hexadecimal digits.
        progress: True for a progress bar on standard error, False for silence, or a function of (bytes, total bytes).

    Returns:
        ``destination``.

    Raises:
        CheckpointError: If the address is not secure or not reachable, the folder is not writable, or the file that
            arrives has another digest.
    """
    _require_secure(url)
    try:
        with whole_file(destination, shared=True) as partial, _reporter(progress, destination.name) as report:
            _transfer(url, partial, report)
            found = file_sha256(partial)
            if found != sha256:
                raise CheckpointError(
                    f"{destination.name} from {url} is damaged or another file: expected SHA-256 {sha256}, found "
                    f"{found} (deleted); try again, {_BY_HAND}"
                )
    except OutputError as error:
        raise CheckpointError(
            f"{error}; free some space, or set PERSAM_VOS_CACHE to a folder that can be written, {_BY_HAND} ({url})"
        ) from error
    return destination


def _transfer(url: str, destination: Path, report: Progress) -> None:
    import requests
    from pooch import HTTPDownloader

    downloader = HTTPDownloader(
        progressbar=_PoochProgress(report),
        chunk_size=BLOCK_BYTES,
        timeout=TIMEOUT_SECONDS,
        # What the server compresses on the way would be written compressed or counted wrongly.
        headers={"User-Agent": "persam-vos", "Accept-Encoding": "identity"},
        hooks={"response": _refuse_insecure_redirect},
    )
    try:
        downloader(url, str(destination), None)
    except requests.HTTPError as error:
        status = f"HTTP {error.response.status_code} {error.response.reason}"
        raise CheckpointError(f"cannot download {url}: {status}; {_BY_HAND}") from error
    except requests.RequestException as error:
        # urllib3 tells of a server that is not reached in three hundred characters of nested errors.
        unreached = "Max retries exceeded" in str(error) and not isinstance(error, requests.Timeout)
        told = "no connection to the server" if unreached else str(error)
        raise CheckpointError(f"cannot download {url}: {told}; {_BY_HAND}") from error


class _PoochProgress:
    """The progress bar that pooch drives, as a function of (bytes, total bytes)."""

    def __init__(self, report: Progress) -> None:
        self.total = 0
        self._done = 0
        self._report = report

    def update(self, count: int) -> None:
        # pooch adds a whole block for the last one too, which is shorter.
        self._done = min(self._done + count, self.total) if self.total else self._done + count
        self._report(self._done, self.total or None)

    def reset(self) -> None:
        """Do nothing: at the end, pooch counts all bytes once more from 0."""

    def close(self) -> None:
        """Do nothing: the bar is closed by whoever made it."""


def _refuse_insecure_redirect(response: requests.Response, **_: Any) -> None:
    if response.is_redirect:
        _require_secure(urllib.parse.urljoin(response.url, response.headers["location"]))


def _require_secure(url: str) -> None:
    parts = urllib.parse.urlsplit(url)
    local = parts.scheme == "http" and parts.hostname in ("127.0.0.1", "::1", "localhost")
    if parts.scheme != "https" and not local:
        raise CheckpointError(f"{url} is not a secure address: checkpoints are downloaded over https only")


@contextlib.contextmanager
def _reporter(progress: bool | Progress, name: str) -> Iterator[Progress]:
    if not isinstance(progress, bool):
        yield progress
    elif not progress:
        yield lambda _done, _total: None
    else:
        from tqdm import tqdm

        interval_seconds = 0.1 if sys.stderr.isatty() else 10.0  # a log file wants few lines
        with tqdm(desc=name, unit="B", unit_scale=True, unit_divisor=1024, mininterval=interval_seconds) as bar:

            def report(done: int, total: int | None) -> None:
                bar.total = total
                bar.update(done - bar.n)

            yield report
