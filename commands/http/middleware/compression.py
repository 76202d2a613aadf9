"""gzip for answers of text that are worth it.

Never for files, which are read as they are, and never for the pages of somebody who is logged in:
they hold a secret of the session beside what others can have put there (BREACH).
"""

from __future__ import annotations

import gzip
import zlib
from typing import TYPE_CHECKING

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers, MutableHeaders

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

MIN_BYTES = 1_000
LEVEL = 5
LARGE_BYTES = 64 * 1024
"""From here on it takes long enough to be done on another thread."""
PAGES = "text/html"
KINDS = {
    "application/json",
    "application/problem+json",
    "text/csv",
    "text/css",
    "text/javascript",
    "text/plain",
    "image/svg+xml",
    PAGES,
}


class Compression:
    """ASGI middleware."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not _takes_gzip(Headers(scope=scope)):
            await self._app(scope, receive, send)
            return
        await self._app(scope, receive, _Answer(send, Headers(scope=scope)).send)


class _Answer:
    """One answer: its head waits until it is known how long the body is."""

    def __init__(self, send: Send, request: Headers) -> None:
        self._send = send
        self._has_session = "cookie" in request
        self._head: Message | None = None
        self._packer: zlib._Compress | None = None

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start" and self._may_be_packed(message):
            self._head = message
            return
        if message["type"] != "http.response.body" or (self._head is None and not self._packer):
            await self._send(message)
            return
        body, has_more = message.get("body", b""), message.get("more_body", False)
        if self._head is not None:
            head, self._head = self._head, None
            if not has_more:
                await self._send_whole(head, body)
                return
            self._packer = zlib.compressobj(LEVEL, zlib.DEFLATED, zlib.MAX_WBITS | 16)
            headers = MutableHeaders(scope=head)
            headers["Content-Encoding"] = "gzip"
            del headers["Content-Length"]
            await self._send(head)
        assert self._packer is not None
        packed = self._packer.compress(body) + (b"" if has_more else self._packer.flush())
        await self._send({**message, "body": packed})

    async def _send_whole(self, head: Message, body: bytes) -> None:
        if len(body) >= MIN_BYTES:
            if len(body) >= LARGE_BYTES:
                body = await run_in_threadpool(gzip.compress, body, LEVEL, mtime=0)
            else:
                body = gzip.compress(body, LEVEL, mtime=0)
            headers = MutableHeaders(scope=head)
            headers["Content-Encoding"] = "gzip"
            headers["Content-Length"] = str(len(body))
        await self._send(head)
        await self._send({"type": "http.response.body", "body": body})

    def _may_be_packed(self, message: Message) -> bool:
        headers = MutableHeaders(scope=message)
        kind = headers.get("content-type", "").partition(";")[0]
        if kind not in KINDS or (kind == PAGES and self._has_session):
            return False
        headers.add_vary_header("Accept-Encoding")
        # A tag names the bytes of a record, which are hashed as they are.
        return not {"content-encoding", "etag", "content-range"} & set(headers)


def _takes_gzip(request: Headers) -> bool:
    for each in request.get("accept-encoding", "").split(","):
        name, _, weight = each.strip().partition(";")
        if name in ("gzip", "*"):
            return weight.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    return False
