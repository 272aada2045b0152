"""Fetch one file over HTTPS: resumed where it stopped, verified by SHA-256, moved into place whole."""

from __future__ import annotations

import contextlib
import http.client
import logging
import os
import sys
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from email.message import Message
from pathlib import Path
from typing import IO

from persam_vos.errors import CheckpointError
from persam_vos.files import file_sha256

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl


# Is given the bytes on disk so far and those of the whole file, None where the server does not say.
Progress = Callable[[int, "int | None"], None]
TIMEOUT_SECONDS = 30.0
ATTEMPTS = 5
BLOCK_BYTES = 1 << 18
_LOG = logging.getLogger(__name__)
# The file lock tells processes apart; on some network file systems it does not tell threads of one process apart.
_THREADS = threading.Lock()


class _InterruptedTransferError(Exception):
    """The connection ended before the body did; the bytes on disk are good for a resume."""


def download(
    url: str, destination: Path, *, sha256: str, size_bytes: int | None = None, progress: bool | Progress = True
) -> Path:
    """Download a file once, whichever process or thread asks first.

    The bytes collect in ``<destination>.partial``, which survives an interruption and is continued by the next call.

    Args:
        url: Address of the file: ``https``, or plain ``http`` to this very machine.
        destination: Where the file shall lie; its folder is made.
        sha256: Expected digest, 64 hexadecimal digits.
        size_bytes: Expected size, where known: lets a finished partial be used without asking the server.
        progress: True for a progress bar on standard error, False for silence, or a function of (bytes, total bytes).

    Returns:
        ``destination``, complete and verified.

    Raises:
        CheckpointError: If the address is not secure or not reachable, the folder is not writable, or the file that
            arrives has another digest.
    """
    _require_secure(url)
    partial = destination.with_name(destination.name + ".partial")
    try:
        destination.parent.mkdir(parents=True, exist_ok=True)
        with _THREADS, _file_lock(destination.with_name(destination.name + ".lock")):
            # Whoever held the lock until now may have finished the very same file.
            if destination.is_file() and file_sha256(destination) == sha256:
                return destination
            with _reporter(progress, destination.name) as report:
                _fetch_verified(url, partial, sha256, size_bytes, report)
            partial.replace(destination)
            _validator_path(partial).unlink(missing_ok=True)
    except OSError as error:
        raise CheckpointError(
            f"cannot store {destination}: {error.strerror or error}; free some space, or set PERSAM_VOS_CACHE to a "
            f"folder that can be written, or download {url} by hand and pass --checkpoint FILE"
        ) from error
    return destination


def _fetch_verified(url: str, partial: Path, sha256: str, size_bytes: int | None, report: Progress) -> None:
    if size_bytes is not None and _size(partial) >= size_bytes:
        # Stopped between the last byte and the move into place, or something else altogether.
        if file_sha256(partial) == sha256:
            return
        _discard(partial)
    continued = _size(partial) > 0
    _fetch(url, partial, report)
    found = file_sha256(partial)
    if found != sha256 and continued:
        # The fault may lie in the bytes of an earlier day; only a download in one piece tells.
        _discard(partial)
        _fetch(url, partial, report)
        found = file_sha256(partial)
    if found != sha256:
        _discard(partial)
        raise CheckpointError(
            f"{partial.with_suffix('').name} from {url} is damaged or another file: expected SHA-256 {sha256}, found "
            f"{found} (deleted); try again, or download it by hand and pass --checkpoint FILE"
        )


def _fetch(url: str, partial: Path, report: Progress) -> None:
    """Complete ``partial``, asking again as long as each connection brings it further."""
    for attempt in range(1, ATTEMPTS + 1):
        before = _size(partial)
        try:
            _transfer(url, partial, report)
            break
        except _InterruptedTransferError as error:
            if _size(partial) <= before or attempt == ATTEMPTS:
                raise _unreachable(url, f"{error}; {_size(partial)} bytes are kept, run again to resume") from error


def _transfer(url: str, partial: Path, report: Progress) -> None:
    response = _request(url, partial)
    if response is None:
        _discard(partial)
        response = _request(url, partial)
    if response is None:
        raise _unreachable(url, "the server sends a part of the file that was not asked for")
    with contextlib.closing(response):
        start, total = _extent(response)
        if start == 0:
            _discard(partial)
            _remember_validator(partial, response.headers)
        with partial.open("ab") as file:
            report(start, total)
            for block in _blocks(response):
                file.write(block)
                report(file.tell(), total)
            file.flush()
            os.fsync(file.fileno())
            done = file.tell()
    if total is not None and done != total:
        raise _InterruptedTransferError(f"the connection ended after {done} of {total} bytes")


def _request(url: str, partial: Path) -> http.client.HTTPResponse | None:
    """Ask for what ``partial`` lacks; None if the server cannot continue it."""
    offset = _size(partial)
    headers = {"User-Agent": "persam-vos", "Accept-Encoding": "identity"}
    if offset:
        headers["Range"] = f"bytes={offset}-"
        if validator := _recall_validator(partial):
            headers["If-Range"] = validator
    request = urllib.request.Request(url, headers=headers)
    response: http.client.HTTPResponse
    try:
        response = urllib.request.build_opener(_SecureRedirects).open(request, timeout=TIMEOUT_SECONDS)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == 416 and offset:
            return None
        raise _unreachable(url, f"HTTP {error.code} {error.reason}") from error
    except (OSError, http.client.HTTPException) as error:
        raise _unreachable(url, str(getattr(error, "reason", error)) or type(error).__name__) from error
    if response.status == 200 or (response.status == 206 and offset and _extent(response)[0] == offset):
        return response
    response.close()
    if response.status == 206:
        return None
    raise _unreachable(url, f"HTTP {response.status} where 200 was expected")


def _extent(response: http.client.HTTPResponse) -> tuple[int, int | None]:
    """Return the offset of a body in the whole file, -1 if it cannot be told, and the size of the whole file."""
    if response.status == 206:
        unit, _, span = response.headers.get("Content-Range", "").partition(" ")
        first, _, rest = span.partition("-")
        total = rest.partition("/")[2]
        start = int(first) if unit == "bytes" and first.isdecimal() else -1
        return start, int(total) if total.isdecimal() else None
    length = response.headers.get("Content-Length", "")
    return 0, int(length) if length.isdecimal() else None


def _blocks(response: http.client.HTTPResponse) -> Iterator[bytes]:
    # A generator, so that only the faults of the network are caught here and not those of the disk.
    try:
        while block := response.read(BLOCK_BYTES):
            yield block
    except (OSError, http.client.HTTPException) as error:
        raise _InterruptedTransferError(str(error) or type(error).__name__) from error


class _SecureRedirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects, but never from a secure address to an insecure one."""

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: Message, newurl: str
    ) -> urllib.request.Request | None:
        if not _is_secure(newurl):
            fp.close()
        _require_secure(newurl)
        return super().redirect_request(req, fp, code, msg, headers, newurl)  # type: ignore[arg-type]


def _is_secure(url: str) -> bool:
    parts = urllib.parse.urlsplit(url)
    return parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in ("127.0.0.1", "::1", "localhost"))


def _require_secure(url: str) -> None:
    if not _is_secure(url):
        raise CheckpointError(f"{url} is not a secure address: checkpoints are downloaded over https only")


def _unreachable(url: str, reason: str) -> CheckpointError:
    return CheckpointError(f"cannot download {url}: {reason}; or download it by hand and pass --checkpoint FILE")


def _size(partial: Path) -> int:
    return partial.stat().st_size if partial.is_file() else 0


def _discard(partial: Path) -> None:
    # The validator first: left behind without its bytes, it would vouch for those of another version.
    _validator_path(partial).unlink(missing_ok=True)
    partial.unlink(missing_ok=True)


def _validator_path(partial: Path) -> Path:
    return partial.with_name(partial.name + ".etag")


def _remember_validator(partial: Path, headers: Message) -> None:
    etag = headers.get("ETag", "")
    # HTTP allows only strong validators for resuming.
    validator = headers.get("Last-Modified", "") if not etag or etag.startswith("W/") else etag
    if validator:
        _validator_path(partial).write_text(validator, encoding="utf-8")


def _recall_validator(partial: Path) -> str:
    path = _validator_path(partial)
    validator = path.read_text(encoding="utf-8", errors="replace").strip() if path.is_file() else ""
    return validator if validator.isascii() and validator.isprintable() else ""


@contextlib.contextmanager
def _file_lock(path: Path) -> Iterator[None]:
    """Hold a lock that the operating system frees when the process ends, however it ends."""
    with path.open("ab") as file:
        if not _try_lock(file.fileno()):
            _LOG.warning("waiting for another process, which is downloading %s", path.with_suffix(""))
            while not _try_lock(file.fileno()):
                time.sleep(0.1)
        # The file stays: deleting it would let two processes hold locks on two files of one name.
        yield


def _try_lock(descriptor: int) -> bool:
    try:
        if sys.platform == "win32":
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        else:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    return True


@contextlib.contextmanager
def _reporter(progress: bool | Progress, name: str) -> Iterator[Progress]:
    if not isinstance(progress, bool):
        yield progress
    elif not progress:
        yield lambda _done, _total: None
    else:
        from tqdm import tqdm

        interval = 0.1 if sys.stderr.isatty() else 10.0  # a log file wants few lines
        with tqdm(desc=name, unit="B", unit_scale=True, unit_divisor=1024, mininterval=interval) as bar:

            def report(done: int, total: int | None) -> None:
                bar.total = total
                if bar.n == 0:
                    bar.initial = done  # bytes of an earlier call must not count as speed
                bar.update(done - bar.n)

            yield report
