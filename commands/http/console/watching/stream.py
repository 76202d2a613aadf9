"""The one stream that a page follows: that something changed, and how far running work is.

What changed is not said: the page asks for itself again, with the rights of who looks at it.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, HTTPException, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import StreamingResponse

from commands.http.callers import Anybody, Caller
from commands.http.console.page import BASE
from commands.http.console.route import ConsoleRoute
from commands.http.console.watching.work import running_work
from commands.http.middleware.connections import address_group
from commands.http.served_site import Served, ServedSite
from projections.queries.audit import AuditFilter, newest_matching

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

router = APIRouter(route_class=ConsoleRoute)

LOOK_EVERY_SECONDS = 1.0
SIGN_OF_LIFE_SECONDS = 15.0
MAX_OF_ADDRESS = 16
MAX_STREAMS = 60
"""Of the 150 requests that may run at once; a page without a stream asks now and then."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What one look found. `newest`: the position of the newest event that concerns the caller."""

    newest: int
    work: str


class Places:
    """How many streams are open: of one address, and in all. Kept on the event loop alone."""

    def __init__(self) -> None:
        self._open: Counter[str] = Counter()

    def take(self, address: str) -> bool:
        """Whether there is one left; `leave` follows when the stream has ended."""
        if self._open.total() >= MAX_STREAMS or self._open[address] >= MAX_OF_ADDRESS:
            return False
        self._open[address] += 1
        return True

    def leave(self, address: str) -> None:
        self._open[address] -= 1
        if not self._open[address]:
            del self._open[address]


PLACES = Places()


class PlacedStream(StreamingResponse):
    """Server-sent events; its place is free again when it ends, however that comes."""

    media_type = "text/event-stream"

    def __init__(self, events: AsyncIterator[str], address: str) -> None:
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        super().__init__(events, headers=headers)
        self._address = address

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            PLACES.leave(self._address)


@router.get(f"{BASE}/live")
async def follow(request: Request, caller: Anybody, served: Served) -> StreamingResponse:
    address = address_group(request.client.host if request.client else "")
    if not PLACES.take(address):
        raise HTTPException(503, "too many pages are followed; close one", {"Retry-After": "30"})
    return PlacedStream(_events(caller, served), address)


async def _events(caller: Caller, served: ServedSite) -> AsyncIterator[str]:
    """`work` at once and whenever it differs, `changed` whenever something was recorded."""
    before, quiet = None, 0.0
    yield "retry: 3000\n\n"
    while not served.stopping.is_set():
        seen = await run_in_threadpool(look, caller, served)
        if seen is None:
            return
        quiet += LOOK_EVERY_SECONDS
        if before is None or seen.work != before.work:
            yield f"event: work\ndata: {seen.work}\n\n"
            quiet = 0.0
        if before is not None and seen.newest != before.newest:
            yield f"event: changed\ndata: {seen.newest}\n\n"
            quiet = 0.0
        if quiet >= SIGN_OF_LIFE_SECONDS:
            yield ": nothing new\n\n"
            quiet = 0.0
        before = seen
        await asyncio.sleep(LOOK_EVERY_SECONDS)


def look(caller: Caller, served: ServedSite) -> Seen | None:
    """None where whoever follows is no longer let in.

    A user hears of the user's own events only, and so learns nothing of what others do.
    """
    if not caller.is_let_in():
        return None
    shapes: list[dict[str, Any]] = [each.shape() for each in running_work(served, caller)]
    if caller.user_id is None:
        newest = served.site.ledger.log_recorder.head().size
    else:
        own = AuditFilter(user_id=caller.user_id)
        with served.site.read_models.reading() as connection:
            newest = max(newest_matching(connection, own, 1), default=0)
    return Seen(newest, json.dumps(shapes))
