"""A proxy on loopback that stands before an S3 server and spoils what a test asks it to spoil.

Each fault looks at a request and says how it is spoiled, or None. What goes through is counted.
"""

from __future__ import annotations

import http.client
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from urllib.parse import urlsplit

SLOW_PIECE_BYTES = 64
METHODS = ("GET", "PUT", "HEAD", "POST", "DELETE")
HOP_HEADERS = ("connection", "transfer-encoding", "content-length", "keep-alive")


@dataclass(frozen=True, slots=True)
class Request:
    """One request, as it came. `conditions`: headers that make it depend on what is there."""

    method: str
    path: str
    body: bytes
    conditions: tuple[str, ...] = ()

    @property
    def is_listing(self) -> bool:
        return self.method == "GET" and "list-type" in self.path

    @property
    def is_delete(self) -> bool:
        return self.method == "DELETE" or (self.method == "POST" and "delete" in self.path)

    def is_of(self, method: str, part: str) -> bool:
        return self.method == method and part in self.path and not self.is_listing


@dataclass(frozen=True, slots=True)
class Spoiled:
    """What becomes of a request. `forward`: it reaches the server all the same.

    `status`: answered in its place; None where the line is cut. `body`: made of the server's.
    `send`: how many bytes of the answer are sent before the line is cut; None for all of them.
    """

    forward: bool = False
    status: int | None = None
    text: bytes = b"<Error><Code>Spoiled</Code></Error>"
    body: Callable[[bytes], bytes] | None = None
    send: Callable[[int], int] | None = None


Fault = Callable[[Request], Spoiled | None]
Matches = Callable[[Request], bool]


@dataclass
class Proxy:
    """The proxy. `faults` are asked in turn; `bytes_per_second` of bodies both ways, 0 for all."""

    upstream: str
    faults: list[Fault] = field(default_factory=list)
    bytes_per_second: int = 0
    seen: list[Request] = field(default_factory=list)
    url: str = ""

    def sent_bytes(self, part: str = "") -> int:
        """Bytes of the objects that were written through it and reached the server."""
        return sum(len(each.body) for each in self.seen if each.is_of("PUT", part))

    def count(self, matches: Matches) -> int:
        return sum(matches(each) for each in self.seen)


def times(number: int, matches: Matches, spoiled: Spoiled) -> Fault:
    """Spoil the first so many requests of a kind."""
    left = [number]

    def fault(request: Request) -> Spoiled | None:
        if left[0] <= 0 or not matches(request):
            return None
        left[0] -= 1
        return spoiled

    return fault


def always(matches: Matches, spoiled: Spoiled) -> Fault:
    return lambda request: spoiled if matches(request) else None


def without_keys(part: str, share: int = 1) -> Callable[[bytes], bytes]:
    """A listing that lacks keys: every `share`-th of those with this part in their name."""

    def shortened(body: bytes) -> bytes:
        entries = re.findall(rb"<Contents>.*?</Contents>", body, re.DOTALL)
        found = [each for each in entries if part.encode() in each]
        for entry in found[::share]:
            body = body.replace(entry, b"")
        return body

    return shortened


def flipped(body: bytes) -> bytes:
    """Other bytes of the same length."""
    middle = len(body) // 2
    return body[:middle] + bytes([body[middle] ^ 1]) + body[middle + 1 :] if body else body


class _Handler(BaseHTTPRequestHandler):
    """Forwards one request at a time; `proxy` is set by `faulty_proxy`."""

    protocol_version = "HTTP/1.1"
    proxy: Proxy

    def answer(self) -> None:
        length = int(self.headers.get("content-length", 0))
        conditions = tuple(name for name in self.headers if name.lower().startswith("if-"))
        request = Request(self.command, self.path, self._read(length), conditions)
        spoiled = next((found for each in self.proxy.faults if (found := each(request))), None)
        if spoiled is not None and not spoiled.forward:
            if spoiled.status is None:
                self.close_connection = True
                return
            self._answer(spoiled.status, [], spoiled.text, None)
            return
        self.proxy.seen.append(request)
        status, headers, body = self._forwarded(request)
        if spoiled is not None and spoiled.status is None and spoiled.send is None:
            if spoiled.body is None:
                self.close_connection = True  # the server has it, and nobody is told
                return
            body = spoiled.body(body)
        self._answer(status, headers, body, None if spoiled is None else spoiled.send)

    def _read(self, length: int) -> bytes:
        if not self.proxy.bytes_per_second:
            return self.rfile.read(length)
        found = b""
        while len(found) < length:
            found += self.rfile.read(min(SLOW_PIECE_BYTES, length - len(found)))
            time.sleep(SLOW_PIECE_BYTES / self.proxy.bytes_per_second)
        return found

    def _forwarded(self, request: Request) -> tuple[int, list[tuple[str, str]], bytes]:
        place = urlsplit(self.proxy.upstream)
        connection = http.client.HTTPConnection(str(place.hostname), place.port, timeout=30)
        try:
            # The name that was asked for stays: it is part of what is signed.
            headers = dict(self.headers.items())
            connection.request(request.method, request.path, request.body or None, headers)
            answer = connection.getresponse()
            body = answer.read()
            return answer.status, answer.getheaders(), body
        finally:
            connection.close()

    def _answer(
        self,
        status: int,
        headers: list[tuple[str, str]],
        body: bytes,
        send: Callable[[int], int] | None,
    ) -> None:
        self.send_response_only(status)
        length = len(body)
        for name, value in headers:
            if name.lower() == "content-length" and self.command == "HEAD":
                length = int(value)
            if name.lower() not in HOP_HEADERS:
                self.send_header(name, value)
        self.send_header("content-length", str(length))
        self.end_headers()
        if self.command == "HEAD":
            return
        if send is not None:
            body, self.close_connection = body[: send(len(body))], True
        if not self.proxy.bytes_per_second:
            self.wfile.write(body)
            return
        for start in range(0, len(body), SLOW_PIECE_BYTES):
            self.wfile.write(body[start : start + SLOW_PIECE_BYTES])
            time.sleep(SLOW_PIECE_BYTES / self.proxy.bytes_per_second)

    def handle(self) -> None:
        try:
            super().handle()
        except (ConnectionError, ValueError):
            self.close_connection = True  # whoever asked went away

    def log_message(self, *_arguments: object) -> None:
        """Nothing."""


@contextmanager
def faulty_proxy(upstream: str) -> Iterator[Proxy]:
    """A proxy before a server, without faults at first."""
    proxy = Proxy(upstream)
    answers = {f"do_{method}": _Handler.answer for method in METHODS}
    handler = type("Handler", (_Handler,), {"proxy": proxy} | answers)
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    proxy.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield proxy
    finally:
        server.shutdown()
        server.server_close()
