"""The time machine: settings and catalog as they stood at a position, and what changed since."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

from fastapi import APIRouter, HTTPException, Query, Request, Response

from commands.http.callers import Reader
from commands.http.console.page import BASE, page, reader_zone
from commands.http.console.route import ConsoleRoute
from commands.http.console.schedules import Digits, number_of
from commands.http.served_site import Served
from commands.reporting.humanize import parse_moment_end, size
from ledger.clock import format_instant
from ledger.vocabulary import MAX_USER_ID, BackupStatus
from projections.past.as_of import AsOf, as_of, moment_of
from projections.past.changes import changes_between
from projections.queries.catalog import backups_with_ids

if TYPE_CHECKING:
    from projections.past.changes import Change

router = APIRouter(route_class=ConsoleRoute)
PLACE = f"{BASE}/time-machine"
STEP = 50
"""What changed since: so many positions before, where nothing else is asked for."""
AT_ONCE = 15
"""Rows of each table that are open at first; the others fold out."""
SHOWN = 100
MAX_FOR_ALL = 50_000
"""Events that are folded for everybody while somebody waits; beyond them, for one user."""
MAX_BETWEEN = 5_000
Position = Annotated[int, Query(ge=0, le=MAX_USER_ID)]
UNTOLD = (
    *("stream_version", "next_slot", "next_attempt", "updated_at", "position", "id"),
    *("open_run_id", "verified_at"),
)
"""Fields that say nothing to a person which the others do not say."""


class Difference(NamedTuple):
    """One thing that is not as it was, in words."""

    name: str
    is_new: bool
    pairs: list[tuple[str, str, str]]


@router.get(PLACE)
def show(
    request: Request,
    caller: Reader,
    served: Served,
    position: Position | None = None,
    at: Annotated[str, Query(max_length=40)] = "",
    since: Position | None = None,
    user: Digits = "",
) -> Response:
    ledger = served.site.ledger
    head = ledger.log_recorder.head().size
    asked: int | datetime = head if position is None else position
    if at:
        try:
            asked = parse_moment_end(at, reader_zone(request, caller))
        except ValueError as error:
            raise HTTPException(422, str(error)) from None
    there = moment_of(ledger, asked).position
    owner = number_of(user)
    is_too_long = owner is None and there > MAX_FOR_ALL
    found = None if is_too_long else as_of(ledger, there, owner)
    before = max(0, there - STEP) if since is None else since
    first, last = sorted((before, there))
    is_too_far = last - first > MAX_BETWEEN
    changes = () if is_too_far else changes_between(ledger, first, last)
    ids = [each.stream.partition("/")[2] for each in changes if each.stream.startswith("backup/")]
    with served.site.read_models.reading() as connection:
        names = {
            each.backup_id: each.filename for each in backups_with_ids(connection, ids).values()
        }
    differences = _differences(changes, owner, names)
    return page(
        request,
        caller,
        "time_machine.html",
        head=head,
        position=there,
        since=before,
        first=first,
        last=last,
        user=user,
        moment=moment_of(ledger, there),
        found=None if found is None else _shown(found),
        counts=None if found is None else (len(found.schedules), _number_there(found)),
        gone=0 if found is None else len(found.backups) - _number_there(found),
        max_for_all=MAX_FOR_ALL,
        max_between=MAX_BETWEEN,
        is_too_far=is_too_far,
        at_once=AT_ONCE,
        differences=differences[:SHOWN],
        changed=len(differences),
    )


def _shown(found: AsOf) -> AsOf:
    """What was there, and no more than fits on a page."""
    there = tuple(each for each in found.backups if each.status != BackupStatus.DELETED)
    return AsOf(found.moment, found.schedules[:SHOWN], there[:SHOWN], found.due[:SHOWN])


def _number_there(found: AsOf) -> int:
    return sum(each.status != BackupStatus.DELETED for each in found.backups)


def _differences(
    changes: tuple[Change, ...], owner: int | None, names: dict[str, str]
) -> list[Difference]:
    """What a person would see, with names for ids."""
    told = [_told(each) for each in changes if owner is None or each.user_id == owner]
    return [each._replace(name=names.get(each.name, each.name)) for each in told if each.pairs]


def _told(change: Change) -> Difference:
    kind, _slash, thing = change.stream.partition("/")
    after = {name: pair[1] for name, pair in change.fields.items()}
    if change.is_new and kind == "backup":
        owner = f", of user {change.user_id}" if change.user_id else ""
        told = f"{after['kind'].replace('_', '-')}, {size(after['size'])}{owner}"
        return Difference(str(after["filename"]), True, [("made", "", told)])
    if change.is_new:
        rhythm = after.get("cron") or f"{after['frequency']}, {after['backup_time']}"
        told = f"{rhythm}, keep {after['keep_count']}"
        return Difference(f"User {thing}", True, [("schedule", "", told)])
    pairs = [
        (field.replace("_", " "), _text(field, old), _text(field, new))
        for field, (old, new) in change.fields.items()
        if field not in UNTOLD
    ]
    return Difference(f"User {thing}" if kind == "schedule" else thing, False, pairs)


def _text(field: str, value: Any) -> str:
    if value is None or value == []:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, datetime):
        return format_instant(value)[:19].replace("T", " ")
    if isinstance(value, list):
        return "; ".join(str(each.get("reason", each)) for each in value)
    return size(value) if field == "size" else str(value)
