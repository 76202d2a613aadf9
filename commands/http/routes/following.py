"""Following what happens, as server-sent events: the audit log, and a job's progress."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Header, Query
from starlette.concurrency import run_in_threadpool
from starlette.responses import StreamingResponse

from commands.audit.log import audit_page
from commands.http.callers import Anybody, Caller, Reader
from commands.http.ledger_route import LedgerRoute
from commands.http.problems import not_found
from commands.http.routes.audit import Wanted
from commands.http.served_site import Served, ServedSite
from ledger.append.reading import StoredRecord
from ledger.vocabulary import MAX_USER_ID
from projections.queries.audit import AuditFilter

router = APIRouter(route_class=LedgerRoute, tags=["following"])

LOOK_EVERY_SECONDS = 0.5
SIGN_OF_LIFE_SECONDS = 15.0
PAGE = 200


class EventStream(StreamingResponse):
    media_type = "text/event-stream"


class FollowQuery(Wanted):
    """`after`: from this position on; by default from now on. `limit`: end after so many."""

    after: Annotated[int, Query(ge=0, le=MAX_USER_ID)] | None = None
    limit: Annotated[int, Query(ge=1, le=1_000_000)] | None = None


@router.get(
    "/audit/follow",
    operation_id="follow_audit_log",
    response_class=EventStream,
    summary="New events as they are recorded (server-sent events)",
)
async def follow(
    caller: Reader,
    served: Served,
    query: Annotated[FollowQuery, Query()],
    last_event_id: Annotated[str | None, Header(max_length=20)] = None,
) -> StreamingResponse:
    """`id` is the position: who comes back with Last-Event-ID misses nothing."""
    after = query.after
    if last_event_id is not None and last_event_id.isascii() and last_event_id.isdigit():
        after = min(int(last_event_id), MAX_USER_ID)
    if after is None:
        head = await run_in_threadpool(served.site.ledger.log_recorder.head)
        after = head.size
    return _stream(_events(caller, served, query.filter(), after, query.limit))


@router.get(
    "/jobs/{job_id}/events",
    operation_id="follow_job",
    response_class=EventStream,
    summary="A job's progress (server-sent events)",
)
async def progress(caller: Anybody, served: Served, job_id: str) -> StreamingResponse:
    job = served.jobs.find(job_id, caller)
    if job is None:
        raise not_found(f"there is no job {job_id[:100]!r}")

    async def shapes() -> AsyncIterator[str]:
        before = None
        while True:
            is_over, now = job.is_over, json.dumps(job.shape())
            if now != before:
                yield f"event: {'end' if is_over else 'progress'}\ndata: {now}\n\n"
                before = now
            if is_over or served.stopping.is_set():
                return
            await asyncio.sleep(LOOK_EVERY_SECONDS / 5)

    return _stream(shapes())


async def _events(
    caller: Caller, served: ServedSite, wanted: AuditFilter, after: int, limit: int | None
) -> AsyncIterator[str]:
    sent, quiet = 0, 0.0
    yield "retry: 1000\n\n"

    def look() -> list[StoredRecord] | None:
        """None where whoever follows is no longer let in."""
        nonlocal after
        if not caller.is_let_in():
            return None
        head = served.site.ledger.log_recorder.head().size
        if head <= after:
            return []
        page = audit_page(served.site, wanted, cursor=after, newest_first=False, limit=PAGE)
        # Where no more matches, all up to the head that was seen has been looked at.
        seen = max((each.position for each in page.records), default=0)
        after = page.next_cursor or max(head, seen)
        return list(page.records)

    while not served.stopping.is_set():
        found = await run_in_threadpool(look)
        if found is None:
            return
        for row in found:
            kind = "erased" if row.is_erased else "record"
            yield f"id: {row.position}\nevent: {kind}\ndata: {row.record.decode()}\n\n"
            sent += 1
            if limit is not None and sent >= limit:
                return
        if found:
            quiet = 0.0
            continue
        await asyncio.sleep(LOOK_EVERY_SECONDS)
        quiet += LOOK_EVERY_SECONDS
        if quiet >= SIGN_OF_LIFE_SECONDS:
            yield ": nothing new\n\n"
            quiet = 0.0


def _stream(events: AsyncIterator[str]) -> StreamingResponse:
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return EventStream(events, headers=headers)
