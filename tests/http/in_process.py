"""A client that calls an ASGI application directly, without a socket."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx


class InProcess(httpx.BaseTransport):
    """Each request in an event loop of its own."""

    def __init__(self, app: Any, address: str) -> None:
        self._inner = httpx.ASGITransport(app, raise_app_exceptions=False, client=(address, 50000))

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        return asyncio.run(self._answer(request))

    async def _answer(self, request: httpx.Request) -> httpx.Response:
        body = request.read()
        content = _pieces(body) if "transfer-encoding" in request.headers else body
        again = httpx.Request(request.method, request.url, headers=request.headers, content=content)
        response = await self._inner.handle_async_request(again)
        content = b"".join([each async for each in response.aiter_raw()])  # as it was sent
        return httpx.Response(response.status_code, headers=response.headers, content=content)


async def _pieces(body: bytes) -> AsyncIterator[bytes]:
    """A body whose length was not given."""
    for start in range(0, len(body), 1000):
        yield body[start : start + 1000]


def client_of(
    app: Any, *, address: str = "127.0.0.1", base_url: str = "http://localhost"
) -> httpx.Client:
    return httpx.Client(transport=InProcess(app, address), base_url=base_url, trust_env=False)
