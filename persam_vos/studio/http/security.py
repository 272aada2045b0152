"""Who may ask the studio for anything: a browser or a script on this machine that knows the token."""

from __future__ import annotations

import hmac
import ipaddress
import secrets
import socket
from collections.abc import Collection
from dataclasses import dataclass
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from persam_vos.studio.http.replies import failure

_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
_WILDCARDS = frozenset({"0.0.0.0", "::"})
_READING = frozenset({"GET", "HEAD"})
_OWN_SITE = frozenset({"same-origin", "none"})

# Scripts and styles come from the page's own files alone; nobody may show the page in a frame of theirs.
_HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self';"
        " base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
}
_NO_TOKEN = (
    '<!doctype html><html lang="en"><meta charset="utf-8"><title>persam-vos studio</title>'
    "<p>Open the address that <code>persam-vos studio</code> has printed: it holds the token of this session."
    '<p>You have opened it already? <a href="/">Go on to the studio</a>.'
)


@dataclass(frozen=True)
class Door:
    """What opens the studio.

    Attributes:
        token: What every request must bring.
        port: On which the studio is served.
        host: Where it is bound to.
    """

    token: str
    port: int
    host: str

    @classmethod
    def new(cls, port: int, host: str) -> Door:
        """Return a door with a new random token."""
        return cls(secrets.token_urlsafe(32), port, host)

    @property
    def cookie(self) -> str:
        """Name of the cookie; it holds the port, since browsers share cookies between the ports of a host."""
        return f"persam_vos_{self.port}"

    @property
    def address(self) -> str:
        """What a person opens in the browser."""
        host = "127.0.0.1" if self.host in _WILDCARDS else self.host
        return f"http://{f'[{host}]' if ':' in host else host}:{self.port}/?token={self.token}"

    def opens_with(self, given: str | None) -> bool:
        """Tell whether a token is the right one, in a time that tells nothing about it."""
        return given is not None and hmac.compare_digest(given.encode(), self.token.encode())

    def is_named(self, host: str) -> bool:
        """Tell whether a Host header names this studio.

        A foreign name may lead here by a trick of DNS; browsers then take the studio for a part of that site.
        """
        try:
            name = urlsplit(f"//{host}").hostname or ""
        except ValueError:
            return False
        if name in _LOOPBACK or name == self.host.lower():
            return True
        return self.host in _WILDCARDS and (name == socket.gethostname().lower() or _is_ip(name))


class Guard:
    """Lets requests through that name this host, come from the page itself or from no page, and bring the token.

    Args:
        app: What answers them.
        door: What opens it.
    """

    def __init__(self, app: ASGIApp, door: Door) -> None:
        self._app, self._door = app, door

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or refuse it; what is no HTTP is refused."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        elif scope["type"] == "http":
            refusal = self._refusal(Request(scope))
            await (refusal or self._app)(scope, receive, send)

    def _refusal(self, request: Request) -> Response | None:
        hosts = request.headers.getlist("host")
        if len(hosts) != 1 or not self._door.is_named(hosts[0]):
            return failure(421, f"Host is {', '.join(hosts)!r}, which is not this studio; open the address it printed")
        if not _is_from_own_page(request, hosts[0]):
            return failure(403, "the request comes from another site; only the studio's own page may ask")
        if request.url.path == "/" and request.method in _READING and "token" in request.query_params:
            return self._entered(request.query_params["token"])
        if self._door.opens_with(_token_of(request, self._door.cookie)):
            return None
        words = "the token is missing or wrong; open the address that persam-vos studio has printed"
        return HTMLResponse(_NO_TOKEN, 401) if request.url.path == "/" else failure(401, words)

    def _entered(self, token: str) -> Response:
        """Hand out the cookie, and lead to the page's address without the token."""
        if not self._door.opens_with(token):
            return HTMLResponse(_NO_TOKEN, 403)
        entered = RedirectResponse("/", 303)
        entered.set_cookie(self._door.cookie, self._door.token, httponly=True, samesite="strict", path="/")
        return entered


class SafeHeaders:
    """Adds to every answer what browsers must know to keep other sites out; nothing is stored unless it says so."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, with more headers."""

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                given: Collection[bytes] = {name.lower() for name, _ in message["headers"]}
                more = _HEADERS if b"cache-control" in given else {**_HEADERS, "cache-control": "no-store"}
                message["headers"] = [*message["headers"], *((k.encode(), v.encode()) for k, v in more.items())]
            await send(message)

        await self._app(scope, receive, with_headers)


def _is_from_own_page(request: Request, host: str) -> bool:
    """Tell whether a request was made by the studio's page, by a person, or by a program that is no browser.

    A page of another port of this host is another site here, though browsers send it the cookie.
    """
    origin, site = request.headers.get("origin"), request.headers.get("sec-fetch-site")
    if origin is not None and origin != f"http://{host}":
        return False
    is_visit = request.url.path == "/" and request.method in _READING
    return site is None or site in _OWN_SITE or is_visit


def _token_of(request: Request, cookie: str) -> str | None:
    kind, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() if kind.lower() == "bearer" else request.cookies.get(cookie)


def _is_ip(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
