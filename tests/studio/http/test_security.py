"""Attacks on the studio, each tried: from other sites, with foreign names, without the token, with paths."""

from __future__ import annotations

import http.client
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from sessions import saved_film
from starlette.requests import Request
from starlette.responses import Response
from studios import Served, served

from persam_vos.studio.http import security
from persam_vos.studio.http.security import Door, Guard

POST = "/api/objects"


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """One studio for all attacks: none of them may change it."""
    folder = tmp_path_factory.mktemp("studio")
    with served(saved_film(folder / "frames"), folder / "session") as found:
        yield found
        assert found.get("/api/state")["revision"] <= 1


@contextmanager
def browser(studio: Served) -> Iterator[httpx.Client]:
    """A browser that has opened the printed address, and holds the cookie."""
    own = {"sec-fetch-site": "same-origin"}
    with httpx.Client(base_url=studio.origin, headers=own, timeout=60) as client:
        client.get("/", params={"token": studio.door.token})
        yield client


def count(studio: Served) -> int:
    return len(studio.get("/api/state")["objects"])


@pytest.mark.parametrize("host", ["evil.example", "evil.example:{port}", "127.0.0.1.evil.example:{port}", "", "[::1"])
def test_a_foreign_name_that_leads_here_is_refused(studio: Served, host: str) -> None:
    # DNS rebinding: evil.example first is its own server, then 127.0.0.1, and its page may read the answers.
    answer = studio.script.get("/api/state", headers={"host": host.format(port=studio.door.port)})

    assert answer.status_code in (400, 421)
    assert "objects" not in answer.text


def test_two_host_headers_are_refused(studio: Served) -> None:
    with socket.create_connection(("127.0.0.1", studio.door.port)) as raw:
        raw.sendall(
            f"GET /api/state HTTP/1.1\r\nHost: 127.0.0.1\r\nHost: evil.example\r\n"
            f"Authorization: Bearer {studio.door.token}\r\nConnection: close\r\n\r\n".encode()
        )
        status = raw.recv(1000).split()[1]

    assert status in (b"400", b"421")


@pytest.mark.parametrize("host", ["127.0.0.1:{port}", "localhost:{port}", "localhost:9000", "LOCALHOST:{port}"])
def test_names_of_this_machine_are_let_in_through_any_tunnel(studio: Served, host: str) -> None:
    assert studio.script.get("/api/state", headers={"host": host.format(port=studio.door.port)}).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example"},
        {"origin": "http://evil.example", "sec-fetch-site": "cross-site"},
        {"origin": "null"},
        {"origin": "http://127.0.0.1:1"},
        {"origin": "https://127.0.0.1:{port}"},
        {"origin": "http://localhost:{port}"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ],
    ids=str,
)
@pytest.mark.parametrize("path", [POST, "/api/undo", "/api/export", "/api/propagate"])
def test_a_post_from_another_site_is_refused_even_with_the_cookie(
    studio: Served, headers: dict[str, str], path: str
) -> None:
    filled = {name: value.format(port=studio.door.port) for name, value in headers.items()}
    before = count(studio)
    with browser(studio) as client:
        del client.headers["sec-fetch-site"]
        answer = client.post(path, json={}, headers=filled)

    assert answer.status_code == 403
    assert "another site" in answer.json()["error"]
    assert count(studio) == before


@pytest.mark.parametrize("path", ["/api/state", "/api/frames/0.jpg", "/page/main.js"])
def test_another_site_reads_nothing_and_embeds_nothing(studio: Served, path: str) -> None:
    # A page of another port of this machine is the same site for browsers, which send it the cookie.
    with browser(studio) as client:
        assert client.get(path, headers={"sec-fetch-site": "same-site"}).status_code == 403
        assert client.get(path, headers={"sec-fetch-site": "cross-site"}).status_code == 403
        assert client.get(path, headers={"sec-fetch-site": "same-origin"}).status_code == 200


def test_nobody_is_told_that_other_sites_may_read(studio: Served) -> None:
    asked = {"origin": "https://evil.example", "access-control-request-method": "POST"}

    answer = studio.script.options(POST, headers=asked)

    assert answer.status_code == 403
    assert not [name for name in answer.headers if name.startswith("access-control")]


def test_the_page_itself_may_ask(studio: Served) -> None:
    with browser(studio) as client:
        own = {"origin": studio.origin, "sec-fetch-site": "same-origin"}
        assert client.post(POST, json={"name": "dog"}, headers=own).status_code == 201


@pytest.mark.parametrize(
    "given", [{}, {"authorization": "Bearer x"}, {"authorization": "Basic x"}, {"cookie": "{c}=x"}]
)
@pytest.mark.parametrize("path", ["/", "/page/main.js", "/api/video", "/api/state", "/api/frames/0.jpg", "/api/events"])
def test_without_the_token_nothing_is_shown(studio: Served, path: str, given: dict[str, str]) -> None:
    headers = {name: value.format(c=studio.door.cookie) for name, value in given.items()}
    with httpx.Client(base_url=studio.origin) as stranger:
        answer = stranger.get(path, headers=headers)

    assert answer.status_code == 401
    assert studio.door.token not in answer.text


def test_a_wrong_token_in_the_address_gets_no_cookie(studio: Served) -> None:
    with httpx.Client(base_url=studio.origin) as stranger:
        for token in ("", "x", studio.door.token[:-1], studio.door.token + "x", "é"):
            answer = stranger.get("/", params={"token": token})
            assert answer.status_code == 403
            assert "set-cookie" not in answer.headers


def test_the_right_token_gets_a_cookie_that_scripts_and_other_sites_do_not_see(studio: Served) -> None:
    with httpx.Client(base_url=studio.origin) as client:
        answer = client.get("/", params={"token": studio.door.token})

    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    name, *rules = answer.headers["set-cookie"].lower().split("; ")
    assert name.startswith(f"persam_vos_{studio.door.port}=")
    assert {"httponly", "samesite=strict", "path=/"} <= set(rules)


def test_the_cookie_is_not_the_token_and_of_no_use_to_a_script(studio: Served) -> None:
    # Browsers show it to every port of this machine, and somebody else may listen there.
    with browser(studio) as client:
        cookie = client.cookies[studio.door.cookie]
        assert client.get("/api/state").status_code == 200
    given = {"cookie": f"{studio.door.cookie}={cookie}"}

    assert cookie != studio.door.token
    with httpx.Client(base_url=studio.origin) as stranger:
        assert stranger.get("/api/state", headers={"authorization": f"Bearer {cookie}"}).status_code == 401
        assert stranger.get("/", params={"token": cookie}).status_code == 403
        assert stranger.get("/api/state", headers=given).status_code == 401
        assert stranger.get("/", headers={**given, "sec-fetch-site": "same-site"}).status_code == 401
        assert stranger.get("/", headers={**given, "sec-fetch-site": "none"}).status_code == 200
        assert stranger.get("/api/state", headers={**given, "origin": studio.origin}).status_code == 200


def test_a_browser_on_another_machine_names_no_site_and_is_let_in() -> None:
    door = Door.new(8765, "192.168.1.5")
    headers = [(b"host", b"192.168.1.5:8765"), (b"cookie", f"{door.cookie}={door.cookie_value}".encode())]
    scope = {"type": "http", "method": "GET", "path": "/api/state", "query_string": b"", "headers": headers}

    assert Guard(Response(), door)._refusal(Request(scope)) is None


def test_a_ticket_opens_the_studio_once(studio: Served) -> None:
    address = studio.door.new_ticket()
    assert studio.door.token not in address

    with httpx.Client() as client, httpx.Client() as other:
        assert client.head(address).status_code == 401
        entered = client.get(address)
        assert (entered.status_code, entered.headers["location"]) == (303, "/")
        assert client.get(f"{studio.origin}/", headers={"sec-fetch-site": "none"}).status_code == 200
        refused = other.get(address)
        assert (refused.status_code, "set-cookie" in refused.headers) == (403, False)


@pytest.mark.parametrize(("host", "is_told"), [("0.0.0.0", True), ("::", True), ("127.0.0.1", False), ("host", False)])
def test_other_machines_are_given_an_address_that_leads_here(
    monkeypatch: pytest.MonkeyPatch, host: str, is_told: bool
) -> None:
    monkeypatch.setattr(security, "_own_ip", lambda: "192.168.1.5")
    door = Door("secret", 8765, host)

    assert door.address_for_others == ("http://192.168.1.5:8765/?token=secret" if is_told else None)
    if is_told:
        assert door.is_named("192.168.1.5:8765")
        monkeypatch.setattr(security, "_own_ip", lambda: None)
        assert door.address_for_others is None


def test_tokens_are_long_and_new_each_time() -> None:
    tokens = {Door.new(1, "127.0.0.1").token for _ in range(100)}

    assert len(tokens) == 100
    assert min(map(len, tokens)) >= 40


PATHS = [
    "/page/../reading.py",
    "/page/..%2freading.py",
    "/page/%2e%2e%2freading.py",
    "/page/..%5creading.py",
    "/page//etc/passwd",
    "/page/%2fetc%2fpasswd",
    "/page/index.html%00.js",
    "/page/",
    "/api/frames/..%2f..%2fetc%2fpasswd.jpg",
    "/api/frames/0.jpg/../../../etc/passwd",
    "/api/masks/..%2fstudio.json.png",
    "/api/frames/-1.jpg",
    "/api/frames/1e3.jpg",
    "/api/frames/%D9%A3.jpg",  # an Arabic digit
    "/api/frames/" + "9" * 5000 + ".jpg",
    "/../../etc/passwd",
]


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path[:40])
def test_a_path_leads_to_no_file_but_the_page_s_own(studio: Served, path: str) -> None:
    # Clients tidy up paths before they send them; an attacker's does not.
    connection = http.client.HTTPConnection("127.0.0.1", studio.door.port)
    connection.putrequest("GET", path, skip_host=True)
    connection.putheader("Host", f"127.0.0.1:{studio.door.port}")
    connection.putheader("Authorization", f"Bearer {studio.door.token}")
    connection.endheaders()
    answer = connection.getresponse()
    text = answer.read()
    connection.close()

    assert answer.status == 404, text
    assert b"error" in text


@pytest.mark.parametrize("body", [{"exports": ["../masks"]}, {"exports": ["masks"], "options": {"background": "FILE"}}])
def test_an_export_names_no_file(studio: Served, body: dict[str, object], tmp_path: Path) -> None:
    secret = tmp_path / "secret.png"
    secret.write_bytes(b"secret")
    text = str(body).replace("FILE", str(secret)).replace("'", '"')

    answer = studio.script.post("/api/export", content=text, headers={"content-type": "application/json"})

    assert answer.status_code == 422
    assert "allowed" in answer.json()["error"] or "must be a colour" in answer.json()["error"]


@pytest.mark.parametrize("path", ["/", "/page/style.css", "/api/state", "/api/frames/0.jpg", "/api/none", "/api/undo"])
@pytest.mark.parametrize("with_token", [True, False])
def test_every_answer_tells_browsers_to_keep_others_out(studio: Served, path: str, with_token: bool) -> None:
    with httpx.Client(base_url=studio.origin) as stranger:
        headers = (studio.script if with_token else stranger).get(path).headers
    policy = headers["content-security-policy"]

    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cross-origin-resource-policy"] == "same-origin"
    if path.startswith("/api/") and not path.endswith(".jpg"):
        assert headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    ("bound", "asked", "let_in"),
    [
        ("127.0.0.1", "192.168.1.5", False),
        ("192.168.1.5", "192.168.1.5", True),
        ("192.168.1.5", "evil.example", False),
        ("studio.example", "studio.example", True),
        ("0.0.0.0", "192.168.1.5:8765", True),
        ("0.0.0.0", "[fe80::1]:8765", True),
        ("0.0.0.0", socket.gethostname(), True),
        ("0.0.0.0", "evil.example", False),
        ("::", "evil.example", False),
    ],
)
def test_with_host_other_machines_ask_by_address_and_never_by_a_foreign_name(
    bound: str, asked: str, let_in: bool
) -> None:
    assert Door("token", 8765, bound).is_named(asked) == let_in
