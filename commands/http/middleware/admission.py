"""Which requests get as far as the application: one address takes no more than its share.

`/health` is answered outside of all that, so that whoever watches the service hears from it
however busy it is. A request whose body was not read to its end closes its connection, and so
does one that gives its length in two ways (RFC 9112, section 6.3: a proxy before us may have
understood it otherwise).
"""

from __future__ import annotations

from collections import Counter
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from commands.http.middleware.connections import address_group
from commands.http.problems import problem

MAX_REQUESTS = 150
MAX_OF_ADDRESS = 75
HEALTH = "/health"
CLOSE = {"Connection": "close"}


class Admission:
    """ASGI middleware.

    `trusted_proxies`: addresses and networks whose `X-Forwarded-For` and `X-Forwarded-Proto` are
    believed; of everybody else they are ignored.
    """

    def __init__(self, app: ASGIApp, trusted_proxies: tuple[str, ...] = ()) -> None:
        self._app = app
        self._trusted = [ip_network(each) for each in trusted_proxies]
        self._running: Counter[str] = Counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        if "content-length" in headers and "transfer-encoding" in headers:
            refused = problem(400, "give the body's length in one way only", CLOSE)
            await refused(scope, receive, send)
            return
        believe_proxy(scope, self._trusted)
        body = _Body(headers, receive)
        if scope["path"] == HEALTH:
            await self._app(scope, body.receive, body.closing(send))
            return
        await self._admit(scope, body, send)

    async def _admit(self, scope: Scope, body: _Body, send: Send) -> None:
        client = _client_of(scope)
        share = MAX_REQUESTS if is_among(client, self._trusted) else MAX_OF_ADDRESS
        address = address_group(client)
        if self._running.total() >= MAX_REQUESTS or self._running[address] >= share:
            refused = problem(
                503, "too many requests are running; try again", CLOSE | {"Retry-After": "1"}
            )
            await refused(scope, body.receive, send)
            return
        self._running[address] += 1
        try:
            await self._app(scope, body.receive, body.closing(send))
        finally:
            self._running[address] -= 1
            if not self._running[address]:
                del self._running[address]


class _Body:
    """A request's body, and whether it was read to its end."""

    def __init__(self, headers: Headers, receive: Receive) -> None:
        self._receive = receive
        self._is_over = (
            headers.get("content-length", "0") == "0" and "transfer-encoding" not in headers
        )

    async def receive(self) -> Message:
        message = await self._receive()
        if not message.get("more_body", False):
            self._is_over = True
        return message

    def closing(self, send: Send) -> Send:
        """Sends that end the connection where the rest of a body would still come."""

        async def closing(message: Message) -> None:
            if message["type"] == "http.response.start" and not self._is_over:
                MutableHeaders(scope=message)["Connection"] = "close"
            await send(message)

        return closing


def believe_proxy(scope: Scope, trusted: list[IPv4Network | IPv6Network]) -> None:
    """Take client and scheme from the headers of a proxy that is trusted.

    The client is the last address of `X-Forwarded-For` that is not a trusted proxy's: what stands
    before it anybody can have written.
    """
    if not is_among(_client_of(scope), trusted):
        return
    headers = Headers(scope=scope)
    hops = [each.strip() for each in ",".join(headers.getlist("x-forwarded-for")).split(",")]
    client = next((each for each in reversed(hops) if each and not is_among(each, trusted)), None)
    if client is not None and _is_address(client):
        scope["client"] = (client, 0)
    if headers.getlist("x-forwarded-proto") == ["https"]:
        scope["scheme"] = "https"


def is_among(address: str, networks: list[IPv4Network | IPv6Network]) -> bool:
    """Whether an address is in one of the networks; text that is not an address is in none."""
    if not networks or not _is_address(address):
        return False
    parsed = ip_address(address)
    mapped = getattr(parsed, "ipv4_mapped", None)
    return any((mapped or parsed) in each for each in networks)


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def _client_of(scope: Scope) -> str:
    client = scope.get("client")
    return str(client[0]) if client else ""
