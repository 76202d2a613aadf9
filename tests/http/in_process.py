"""A client that calls an ASGI application directly, without a socket."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx


class InProcess(httpx.BaseTransport):
    """Each request in an event loop of its own."""

    def __init__(self, app: Any, address: str) -> None:
        self._inner = httpx.ASGITransport(app, raise_app_exceptions=False, client=(address, 50000))

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        return asyncio.run(self._answer(request))

    async def _answer(self, request: httpx.Request) -> httpx.Response:
        again = httpx.Request(
            request.method, request.url, headers=request.headers, content=request.read()
        )
        response = await self._inner.handle_async_request(again)
        content = await response.aread()
        return httpx.Response(response.status_code, headers=response.headers, content=content)


def client_of(
    app: Any, *, address: str = "127.0.0.1", base_url: str = "http://localhost"
) -> httpx.Client:
    return httpx.Client(transport=InProcess(app, address), base_url=base_url, trust_env=False)
