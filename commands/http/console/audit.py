"""The audit log in plain words: filtered, in pages, and the story of one thing."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, HTTPException, Query, Request, Response
from pydantic import BaseModel, ValidationError
from starlette.responses import RedirectResponse

from commands.audit.log import audit_page, stream_records
from commands.audit.log_cells import COLUMNS, record_cells
from commands.http.callers import Reader
from commands.http.console.job import job_page
from commands.http.console.lists.csv import ROWS_AT_ONCE, csv_answer
from commands.http.console.page import BASE, page, reader_zone
from commands.http.console.route import ConsoleRoute
from commands.http.console.schedules import number_of
from commands.http.console.session import Here
from commands.http.console.watching.event_lines import lines_of
from commands.http.ledger_route import Command
from commands.http.problems import not_found
from commands.http.routes.audit import MAX_TEXT, ExportInput, export_work, verify_work
from commands.http.served_site import Served
from commands.reporting.humanize import MICROSECOND, parse_moment, parse_moment_end
from ledger.events import REGISTRY
from ledger.vocabulary import MAX_USER_ID
from projections.queries.audit import AuditFilter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from zoneinfo import ZoneInfo


router = APIRouter(route_class=ConsoleRoute)
PLACE = f"{BASE}/audit"
PAGE = 100
STORY = 100
GROUPS = {
    "One type": sorted(REGISTRY, key=lambda each: each.partition(".")[2]),
    "Everything of": sorted({f"{each.partition('.')[0]}." for each in REGISTRY}),
}


class Asked(BaseModel):
    """The form of filters; what is empty filters nothing."""

    since: Annotated[str, Query(max_length=40)] = ""
    until: Annotated[str, Query(max_length=40)] = ""
    type: Annotated[str, Query(max_length=MAX_TEXT)] = ""
    user: Annotated[str, Query(max_length=MAX_TEXT)] = ""
    failed: Annotated[str, Query(max_length=10)] = ""
    resource: Annotated[str, Query(max_length=MAX_TEXT)] = ""
    text: Annotated[str, Query(max_length=MAX_TEXT)] = ""
    cursor: Annotated[int | None, Query(ge=1, le=MAX_USER_ID)] = None

    def filter(self, where: ZoneInfo) -> AuditFilter:
        """The same as the ledger is asked. `where`: the zone of times that name none.

        Raises:
            HTTPException: 422, a time or a user is none.
        """
        return AuditFilter(
            since=_moment(self.since, where),
            until=_end(self.until, where),
            event_type=self.type or None,
            user_id=_user(self.user),
            failed_only=bool(self.failed),
            resource=self.resource or None,
            text=self.text or None,
        )

    def kept(self) -> dict[str, str]:
        """What a link to another page repeats."""
        values = self.model_dump(exclude={"cursor"})
        return {name: value for name, value in values.items() if value}


@router.get(PLACE)
def newest(
    request: Request, caller: Reader, served: Served, asked: Annotated[Asked, Query()]
) -> Response:
    kept, problem = asked.kept(), None
    try:
        wanted = asked.filter(reader_zone(request, caller))
    except HTTPException as error:  # the other fields stay as they were filled in
        wanted, problem = AuditFilter(), str(error.detail)
    number = 1 if problem else PAGE
    found = audit_page(served.site, wanted, cursor=asked.cursor, limit=number)
    older = None
    if found.next_cursor is not None and problem is None:
        older = f"{PLACE}?{urlencode(kept | {'cursor': found.next_cursor})}"
    return page(
        request,
        caller,
        "audit.html",
        csv=f"{PLACE}.csv?{urlencode(kept)}" if kept else f"{PLACE}.csv",
        status=422 if problem else 200,
        problem=problem,
        lines=[] if problem else lines_of(served, found.records),
        asked=asked,
        since=wanted.since,
        until=wanted.until,
        is_filtered=bool(kept),
        groups=GROUPS,
        size=served.site.ledger.log_recorder.head().size,
        newer=f"{PLACE}?{urlencode(kept)}" if asked.cursor else None,
        older=older,
        looked_at=None if older is None else found.looked_at,
        has_key=served.site.configuration.checkpoint_key is not None,
    )


@router.get(f"{PLACE}.csv")
def save(
    request: Request, caller: Reader, served: Served, asked: Annotated[Asked, Query()]
) -> Response:
    """All that matches, newest first."""
    try:
        wanted = asked.filter(reader_zone(request, caller))
    except HTTPException:
        return newest(request, caller, served, asked)

    def rows() -> Iterator[list[Sequence[Any]]]:
        cursor: int | None = None
        while True:
            found = audit_page(served.site, wanted, cursor=cursor, limit=ROWS_AT_ONCE)
            yield [record_cells(each) for each in found.records]
            cursor = found.next_cursor
            if cursor is None:
                return

    return csv_answer("audit.csv", COLUMNS, rows())


@router.get(f"{PLACE}/story/{{stream:path}}")
def story(request: Request, caller: Reader, served: Served, stream: str) -> Response:
    records = stream_records(served.site, stream, STORY) if len(stream) <= MAX_TEXT else []
    if not records:
        raise not_found(f"nothing is recorded of {stream[:100]!r}")
    return page(
        request,
        caller,
        "story.html",
        stream=stream,
        lines=lines_of(served, records),
        is_cut=len(records) == STORY,
    )


@router.post(f"{PLACE}/verify")
def verify(caller: Reader, served: Served) -> Response:
    job = served.jobs.start("verify_ledger", caller, verify_work(served))
    return RedirectResponse(job_page(job), 303)


@router.post(f"{PLACE}/export")
def export(
    request: Request, caller: Reader, context: Command, served: Served, visit: Here
) -> Response:
    choice = _export_input(visit.form, reader_zone(request, caller)).choice()
    job = served.jobs.start("export", caller, export_work(served, context, choice))
    return RedirectResponse(job_page(job), 303)


def _user(text: str) -> int | None:
    if text and not (text.isascii() and text.isdigit()):
        raise HTTPException(422, f"{text[:40]!r} is not the number of a user")
    return number_of(text[:18])


def _moment(
    text: str, where: ZoneInfo, parsed: Callable[[str, ZoneInfo], datetime] = parse_moment
) -> datetime | None:
    if not text:
        return None
    try:
        return parsed(text, where)
    except ValueError as error:
        raise HTTPException(422, str(error)) from None


def _end(text: str, where: ZoneInfo) -> datetime | None:
    """The moment before which it is asked: a date means all of its day."""
    moment = _moment(text, where, parse_moment_end)
    is_date = len(text) == len("2025-01-13")
    return moment + MICROSECOND if moment is not None and is_date else moment


def _export_input(form: dict[str, str], where: ZoneInfo) -> ExportInput:
    wanted: dict[str, Any] = {name: form[name] for name in _NUMBERS if form.get(name)}
    wanted |= {"since": _moment(form.get("since", ""), where)}
    wanted |= {"until": _end(form.get("until", ""), where)}
    try:
        return ExportInput.model_validate(wanted)
    except ValidationError as error:
        first = error.errors()[0]
        raise HTTPException(422, f"{first['loc'][0]}: {first['msg']}") from None


_NUMBERS = ("first_position", "last_position", "user")
