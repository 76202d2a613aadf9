"""What reaches the application: shares of addresses, proxies that are believed, bodies' ends."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import pytest
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from commands.errors import InvalidArgument
from commands.http import create_app
from commands.http.middleware.admission import (
    MAX_OF_ADDRESS,
    MAX_REQUESTS,
    Admission,
    believe_proxy,
    ip_network,
)
from commands.site.configuration import load_configuration
from tests.http.conftest import Place
from tests.http.in_process import client_of
from tests.http.test_server import listening

UNENDING = (
    b"POST /database/restore HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    b"Content-Length: 60000\r\n\r\n{"
)


class Busy:
    """An application whose answers wait until they are let go."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.app = Admission(self._wait, ("10.0.0.0/8",))
        self.running: list[asyncio.Task[int]] = []

    async def _wait(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] != "/health":
            await self.gate.wait()
        await Response("done")(scope, receive, send)

    async def ask(self, address: str, path: str = "/x") -> int:
        scope = {
            "type": "http",
            "method": "GET",
            "path": path,
            "query_string": b"",
            "headers": [(b"host", b"localhost")],
            "client": (address, 1),
            "scheme": "http",
        }
        found: list[int] = []

        async def send(message: Message) -> None:
            if message["type"] == "http.response.start":
                found.append(message["status"])

        async def receive() -> Message:
            return {"type": "http.request", "body": b"", "more_body": False}

        await self.app(scope, receive, send)
        return found[0]

    async def begin(self, address: str, number: int) -> None:
        self.running += [asyncio.create_task(self.ask(address)) for _ in range(number)]
        await asyncio.sleep(0)

    async def end(self) -> set[int]:
        self.gate.set()
        return set(await asyncio.gather(*self.running))


@pytest.mark.parametrize(
    ("crowd", "stranger", "status"),
    [
        ("192.0.2.1", "192.0.2.1", 503),
        ("192.0.2.1", "192.0.2.2", 200),
        ("2001:db8::1", "2001:db8::ffff:1", 503),
        ("2001:db8::1", "2001:db8:0:1::1", 200),
        ("::ffff:192.0.2.1", "192.0.2.1", 503),
        ("10.1.1.1", "10.1.1.1", 200),
    ],
)
def test_one_address_takes_no_more_than_its_share(crowd: str, stranger: str, status: int) -> None:
    """A proxy that is trusted is many people; a /64 network is one; health always answers."""

    async def story() -> None:
        busy = Busy()
        await busy.begin(crowd, MAX_OF_ADDRESS)
        assert await busy.ask(crowd, "/health") == 200
        asked = asyncio.create_task(busy.ask(stranger))
        await asyncio.sleep(0)
        assert asked.done() == (status == 503)
        assert await busy.end() == {200}
        assert await asked == status
        assert await busy.ask(stranger) == 200

    asyncio.run(story())


def test_all_addresses_together_have_a_limit_too() -> None:
    """Also a trusted proxy's guests; health is outside of it."""

    async def story() -> None:
        busy = Busy()
        await busy.begin("10.1.1.1", MAX_REQUESTS)
        assert await busy.ask("192.0.2.9") == 503
        assert await busy.ask("192.0.2.9", "/health") == 200
        assert await busy.end() == {200}
        assert await busy.ask("192.0.2.9") == 200

    asyncio.run(story())


@pytest.mark.parametrize(
    ("peer", "headers", "client", "scheme"),
    [
        ("10.0.0.1", {"x-forwarded-for": "192.0.2.7"}, "192.0.2.7", "http"),
        ("10.0.0.1", {"x-forwarded-for": "1.1.1.1, 192.0.2.7, 10.9.9.9"}, "192.0.2.7", "http"),
        ("10.0.0.1", {"x-forwarded-for": "not an address"}, "10.0.0.1", "http"),
        ("10.0.0.1", {"x-forwarded-for": ""}, "10.0.0.1", "http"),
        ("10.0.0.1", {"x-forwarded-proto": "https"}, "10.0.0.1", "https"),
        ("10.0.0.1", {"x-forwarded-proto": "https, http"}, "10.0.0.1", "http"),
        ("::ffff:10.0.0.1", {"x-forwarded-proto": "https"}, "::ffff:10.0.0.1", "https"),
        ("192.0.2.1", {"x-forwarded-for": "10.0.0.1"}, "192.0.2.1", "http"),
        ("192.0.2.1", {"x-forwarded-proto": "https"}, "192.0.2.1", "http"),
    ],
)
def test_only_a_trusted_proxy_is_believed(
    peer: str, headers: dict[str, str], client: str, scheme: str
) -> None:
    """The last address that is not a proxy's; what stands before it anybody can have written."""
    scope: dict[str, Any] = {
        "type": "http",
        "client": (peer, 1),
        "scheme": "http",
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
    }
    believe_proxy(scope, [ip_network("10.0.0.0/8")])
    assert (scope["client"][0], scope["scheme"]) == (client, scheme)


def test_the_sessions_cookie_is_secure_behind_a_proxy_with_tls(place: Place) -> None:
    """And only there: over plain HTTP a browser would not send it back."""
    app = create_app(place.app.state.served, trusted_proxies=("127.0.0.1",))
    token = {"token": place.token("operator")}
    for proto, is_secure in (("https", True), ("http", False)):
        answer = client_of(app).post(
            "/console/login", data=token, headers={"X-Forwarded-Proto": proto}
        )
        assert answer.status_code == 303
        assert ("secure" in answer.headers["set-cookie"].lower()) == is_secure
    stranger = client_of(app, address="192.0.2.1")
    answer = stranger.post("/console/login", data=token, headers={"X-Forwarded-Proto": "https"})
    assert "secure" not in answer.headers["set-cookie"].lower()


def test_a_proxy_that_is_none_is_refused_when_the_setting_is_read() -> None:
    """With what may be written."""
    with pytest.raises(InvalidArgument, match=r"'proxy' is not an address or a network"):
        load_configuration(http_trusted_proxies=("proxy",))


def test_nothing_of_a_body_is_waited_for_before_the_token(place: Place) -> None:
    """401 at once, and the connection ends; a body that drips costs nobody a place."""
    with listening(place) as (host, port):
        for _ in range(3):
            with socket.create_connection((host, port), timeout=20) as slow:
                slow.sendall(UNENDING)
                assert _all_of(slow).startswith(b"HTTP/1.1 401 ")


@pytest.mark.parametrize("path", [b"/nowhere", b"/health", b"/console/api/restore"])
def test_an_answer_before_the_bodys_end_ends_the_connection(place: Place, path: bytes) -> None:
    """Also where there is no such place, or the method is not allowed."""
    with (
        listening(place) as address,
        socket.create_connection(address, timeout=20) as slow,
    ):
        slow.sendall(UNENDING.replace(b"/database/restore", path))
        answer = _all_of(slow)
        assert answer.split(b" ")[1] in (b"401", b"405")
        assert b"connection: close" in answer.lower()


def test_a_length_in_two_ways_is_refused_and_ends_the_connection(place: Place) -> None:
    """What follows could be another request for a proxy, and a body for us."""
    with (
        listening(place) as address,
        socket.create_connection(address, timeout=20) as odd,
    ):
        odd.sendall(
            b"POST /database/backup HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /health HTTP/1.1\r\nHost: a\r\n\r\n"
        )
        answer = _all_of(odd)
        assert answer.startswith(b"HTTP/1.1 400 ")
        assert answer.count(b"HTTP/1.1 ") == 1


def test_a_body_that_keeps_coming_slowly_ends_after_its_time(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The limit is on the whole, not on each piece: here with a token that is good."""
    monkeypatch.setattr("commands.http.ledger_route.BODY_SECONDS", 0.5)
    token = f"\r\nAuthorization: Bearer {place.token('operator')}\r\n\r\n"
    head = UNENDING.replace(b"\r\n\r\n", token.encode())
    with (
        listening(place) as address,
        socket.create_connection(address, timeout=20) as slow,
    ):
        slow.sendall(head)
        slow.settimeout(0.1)
        for _ in range(100):
            try:
                slow.sendall(b" ")
                answer = slow.recv(4096)
                break
            except TimeoutError:
                continue
        assert answer.startswith(b"HTTP/1.1 408 ")


def _all_of(connection: socket.socket) -> bytes:
    """Everything up to the connection's end."""
    found = b""
    while True:
        try:
            data = connection.recv(65536)
        except ConnectionResetError:
            return found
        if not data:
            return found
        found += data
