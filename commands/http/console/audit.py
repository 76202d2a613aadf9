"""The audit log in plain words: filtered, in pages, and the story of one thing."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple
from urllib.parse import urlencode

from fastapi import APIRouter, HTTPException, Query, Request, Response
from pydantic import BaseModel, ValidationError
from starlette.responses import RedirectResponse

from commands.audit.log import audit_page, stream_records
from commands.audit.log_cells import COLUMNS, record_cells
from commands.http.callers import Reader
from commands.http.console.job import job_page
from commands.http.console.lists.csv import ROWS_AT_ONCE, csv_answer
from commands.http.console.page import BASE, page
from commands.http.console.route import ConsoleRoute
from commands.http.console.schedules import number_of
from commands.http.console.session import Here
from commands.http.ledger_route import Command
from commands.http.problems import not_found
from commands.http.routes.audit import MAX_TEXT, ExportInput, export_work, verify_work
from commands.http.served_site import Served, ServedSite
from commands.reporting.humanize import parse_moment
from commands.reporting.sentences import backups_mentioned, told_with_subject, who
from ledger.errors import RecordError
from ledger.events import REGISTRY
from ledger.records.record import decode_event
from ledger.vocabulary import MAX_USER_ID
from projections.queries.audit import AuditFilter
from projections.queries.catalog import backups_with_ids

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ledger.append.reading import StoredRecord
    from ledger.records.record import Event

router = APIRouter(route_class=ConsoleRoute)
PLACE = f"{BASE}/audit"
PAGE = 100
STORY = 500
GROUPS = {
    "Everything of": sorted({f"{each.partition('.')[0]}." for each in REGISTRY}),
    "One type": sorted(REGISTRY),
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

    def filter(self) -> AuditFilter:
        """The same as the ledger is asked.

        Raises:
            HTTPException: 422, a time or a user is none.
        """
        return AuditFilter(
            since=_moment(self.since),
            until=_moment(self.until),
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


class Line(NamedTuple):
    """One event in words. `event`: None where the record cannot be read."""

    position: int
    event: Event | None
    told: str
    who: str


@router.get(PLACE)
def newest(
    request: Request, caller: Reader, served: Served, asked: Annotated[Asked, Query()]
) -> Response:
    kept, problem = asked.kept(), None
    try:
        wanted = asked.filter()
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
        wanted = asked.filter()
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
def export(caller: Reader, context: Command, served: Served, visit: Here) -> Response:
    choice = _export_input(visit.form).choice()
    job = served.jobs.start("export", caller, export_work(served, context, choice))
    return RedirectResponse(job_page(job), 303)


def lines_of(served: ServedSite, records: Sequence[StoredRecord]) -> list[Line]:
    """Records in words; a backup is called by its file's name."""
    events = [_decoded(each) for each in records]
    mentioned = {name for event in events if event is not None for name in backups_mentioned(event)}
    with served.site.read_models.reading(at_head=False) as connection:
        found = backups_with_ids(connection, mentioned)
    names = {name: each.filename for name, each in found.items()}
    return [_line(record, event, names) for record, event in zip(records, events, strict=True)]


def _line(record: StoredRecord, event: Event | None, names: dict[str, str]) -> Line:
    if event is None:
        return Line(record.position, None, "This record cannot be read.", "—")
    return Line(record.position, event, told_with_subject(event, names), who(event))


def _decoded(record: StoredRecord) -> Event | None:
    try:
        return decode_event(record.record)
    except RecordError:
        return None


def _user(text: str) -> int | None:
    if text and not (text.isascii() and text.isdigit()):
        raise HTTPException(422, f"{text[:40]!r} is not the number of a user")
    return number_of(text[:18])


def _moment(text: str) -> datetime | None:
    if not text:
        return None
    try:
        return parse_moment(text)
    except ValueError as error:
        raise HTTPException(422, str(error)) from None


def _export_input(form: dict[str, str]) -> ExportInput:
    wanted: dict[str, Any] = {name: form[name] for name in _NUMBERS if form.get(name)}
    wanted |= {name: _moment(form[name]) for name in ("since", "until") if form.get(name)}
    try:
        return ExportInput.model_validate(wanted)
    except ValidationError as error:
        first = error.errors()[0]
        raise HTTPException(422, f"{first['loc'][0]}: {first['msg']}") from None


_NUMBERS = ("first_position", "last_position", "user")
