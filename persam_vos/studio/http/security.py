"""Who may ask the studio for anything: a browser or a script on this machine that knows the token."""

from __future__ import annotations

import hmac
import ipaddress
import secrets
import socket
from collections.abc import Collection
from dataclasses import dataclass, field
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
        token: What a script must bring, and a person once.
        port: On which the studio is served.
        host: Where it is bound to.
        cookie_value: What a browser brings afterwards. Browsers show it to every port of this machine: it is of no use
            to scripts.
    """

    token: str
    port: int
    host: str
    cookie_value: str = field(default_factory=lambda: secrets.token_urlsafe(32), repr=False)
    _tickets: set[str] = field(default_factory=set, repr=False, compare=False)

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
        return f"{self._origin}/?token={self.token}"

    @property
    def address_for_others(self) -> str | None:
        """What a person opens on another machine; None if that is the same, or this machine is in no network."""
        own = _own_ip() if self.host in _WILDCARDS else None
        return None if own is None else f"http://{own}:{self.port}/?token={self.token}"

    def new_ticket(self) -> str:
        """Return an address that opens the studio once; all users of this machine may see what a browser is told."""
        ticket = secrets.token_urlsafe(32)
        self._tickets.add(ticket)
        return f"{self._origin}/?ticket={ticket}"

    def takes(self, ticket: str) -> bool:
        """Tell whether a ticket is good; it is not any more then."""
        is_good = ticket in self._tickets
        self._tickets.discard(ticket)
        return is_good

    @property
    def _origin(self) -> str:
        host = "127.0.0.1" if self.host in _WILDCARDS else self.host
        return f"http://{f'[{host}]' if ':' in host else host}:{self.port}"

    def opens_with(self, given: str | None) -> bool:
        """Tell whether a token is the right one, in a time that tells nothing about it."""
        return hmac.compare_digest((given or "").encode(), self.token.encode())

    def knows(self, cookie: str | None) -> bool:
        """Tell whether a cookie's value is the right one, in a time that tells nothing about it."""
        return hmac.compare_digest((cookie or "").encode(), self.cookie_value.encode())

    def is_named(self, host: str) -> bool:
        """Tell whether a Host header names this studio.

        A foreign name may lead here by a trick of DNS; browsers then take the studio for a part of that site.
        """
        name = _name_of(host)
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
        given, is_visit = request.query_params, request.url.path == "/"
        if is_visit and request.method in _READING and "token" in given:
            return self._entered(self._door.opens_with(given["token"]))
        if is_visit and request.method == "GET" and "ticket" in given:
            return self._entered(self._door.takes(given["ticket"]))
        if self._may_ask(request, hosts[0]):
            return None
        words = "the token is missing or wrong; open the address that persam-vos studio has printed"
        return HTMLResponse(_NO_TOKEN, 401) if is_visit else failure(401, words)

    def _may_ask(self, request: Request, host: str) -> bool:
        kind, _, token = request.headers.get("authorization", "").partition(" ")
        if kind.lower() == "bearer":
            return self._door.opens_with(token.strip())
        return self._door.knows(request.cookies.get(self._door.cookie)) and _is_of_a_browser(request, host)

    def _entered(self, may_enter: bool) -> Response:
        """Hand out the cookie, and lead to the page's address without the token."""
        if not may_enter:
            return HTMLResponse(_NO_TOKEN, 403)
        entered = RedirectResponse("/", 303)
        entered.set_cookie(self._door.cookie, self._door.cookie_value, httponly=True, samesite="strict", path="/")
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


def _is_of_a_browser(request: Request, host: str) -> bool:
    """Tell whether a browser says of a request that the studio's page makes it, or a person.

    Browsers say so of every request to this machine; of one to another machine only if it is encrypted.
    """
    origin, site = request.headers.get("origin"), request.headers.get("sec-fetch-site")
    if site is None and origin is None:
        return _name_of(host) not in _LOOPBACK
    return site in _OWN_SITE if site is not None else origin == f"http://{host}"


def _name_of(host: str) -> str:
    """Return the name in a Host header; "" if there is none."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def _own_ip() -> str | None:
    """Return the address of this machine in its network; None if it is in none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            # Nothing is sent: the system only chooses the way, to an address that is nobody's (RFC 5737).
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return None
        return str(probe.getsockname()[0])


def _is_ip(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
