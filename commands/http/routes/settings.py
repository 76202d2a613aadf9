"""Schedules: the caller's own, as the former service had them, and everybody's."""

from __future__ import annotations

import re
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Header, HTTPException, Path, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from commands.http.callers import Anybody, Caller, Reader, Writer
from commands.http.ledger_route import FORMER, Command, LedgerRoute, NoBody
from commands.http.problems import not_found
from commands.http.schema import also
from commands.http.served_site import Served, ServedSite
from commands.http.shapes import answer
from commands.schedules.rhythm import upcoming
from commands.schedules.settings import (
    configure,
    find_settings,
    pause,
    resume,
    settings_of,
)
from commands.shapes.settings import BackupSettings, ListedSettings, PreviewShape, SettingsPage
from ledger.vocabulary import MAX_USER_ID
from projections.queries.schedules import orphaned_users, schedules_page

if TYPE_CHECKING:
    from projections.folds.schedule import Schedule

router = APIRouter(route_class=LedgerRoute, tags=["settings"])

UserId = Annotated[int, Path(ge=1, le=MAX_USER_ID)]
OwnUser = Annotated[
    int | None,
    Query(ge=1, le=MAX_USER_ID, description="Whose; needed by a caller who is not a user."),
]


class SettingsInput(BaseModel):
    """What is to change; what is not given stays as it is."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "example": {"frequency": "daily", "backup_time": "03:00", "keep_count": 7}
        },
    )

    enabled: bool | None = None
    frequency: Annotated[str, Field(max_length=100)] | None = None
    backup_time: Annotated[str, Field(max_length=100)] | None = None
    keep_count: int | None = None
    timezone: Annotated[str, Field(max_length=100)] | None = None
    cron: Annotated[str, Field(max_length=100)] | None = None
    keep_within_days: int | None = None
    keep_daily: int | None = None
    keep_weekly: int | None = None
    keep_monthly: int | None = None
    keep_yearly: int | None = None


class Note(BaseModel):
    """Why, for the ledger."""

    model_config = ConfigDict(extra="forbid")

    note: Annotated[str, Field(max_length=4096)] | None = None


@router.post(
    "/backup/schedule",
    operation_id="set_own_schedule",
    response_model=BackupSettings,
    responses=also(404),
    summary="Create or change the caller's settings",
    openapi_extra=FORMER,
)
def set_own(
    caller: Writer, context: Command, served: Served, body: SettingsInput, user_id: OwnUser = None
) -> Response:
    user = _own(caller, user_id)
    if user is None:
        raise HTTPException(422, "whose settings? give ?user_id=N, or use a token of role user")
    changed = configure(served.site, context, user, body.model_dump())
    return answer(BackupSettings.of(changed))


@router.get(
    "/backup/schedule",
    operation_id="get_own_schedule",
    response_model=BackupSettings,
    responses=also(404),
    summary="The caller's settings",
    openapi_extra=FORMER,
)
def own(caller: Anybody, served: Served, user_id: OwnUser = None) -> Response:
    user = _own(caller, user_id)
    found = None if user is None else find_settings(served.site, user)
    if found is None:
        raise not_found("there are no backup settings of the caller; make some, or give ?user_id=N")
    return answer(BackupSettings.of(found))


@router.delete(
    "/backup/schedule",
    operation_id="disable_own_schedule",
    responses=also(404),
    status_code=204,
    summary="Disable the caller's settings",
    openapi_extra=FORMER,
)
def disable_own(
    caller: Writer, context: Command, served: Served, user_id: OwnUser = None
) -> Response:
    user = _own(caller, user_id)
    if user is None or find_settings(served.site, user) is None:
        raise not_found("there are no backup settings of the caller; nothing to disable")
    configure(served.site, context, user, {"enabled": False})
    return Response(status_code=204)


@router.get(
    "/settings",
    operation_id="list_settings",
    response_model=SettingsPage,
    summary="Everybody's settings, by user, in pages",
)
def all_users(
    _caller: Reader,
    served: Served,
    cursor: Annotated[int, Query(ge=0, le=MAX_USER_ID)] = 0,
    after: Annotated[int, Query(ge=0, le=MAX_USER_ID, deprecated=True)] = 0,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> Response:
    with served.site.read_models.reading() as connection:
        found = schedules_page(connection, max(cursor, after), limit)
        orphans = orphaned_users(connection)
    shown = [ListedSettings.among(each, orphans) for each in found]
    last = found[-1].user_id if len(found) == limit else None
    return answer(SettingsPage(settings=shown, next=last, next_cursor=last))


@router.get(
    "/settings/{user_id}",
    operation_id="get_settings",
    response_model=BackupSettings,
    summary="A user's settings",
)
def show(caller: Anybody, served: Served, user_id: UserId) -> Response:
    """The ETag says which version it is; `If-Match` of a PUT takes it."""
    _require_own(caller, user_id)
    return _tagged(settings_of(served.site, user_id))


@router.put(
    "/settings/{user_id}",
    operation_id="change_settings",
    response_model=BackupSettings,
    responses=also(412),
    summary="Create or change a user's settings",
)
def change(
    caller: Writer,
    context: Command,
    served: Served,
    user_id: UserId,
    body: SettingsInput,
    if_match: Annotated[str | None, Header(description="The ETag that GET gave.")] = None,
) -> Response:
    """With `If-Match`: 412 where somebody, or a run, changed them since."""
    _require_own(caller, user_id)
    version = None if if_match in (None, "*") else _version(if_match or "")
    if if_match == "*":
        settings_of(served.site, user_id)
    wanted = body.model_dump()
    return _tagged(configure(served.site, context, user_id, wanted, if_version=version))


@router.post(
    "/settings/{user_id}/pause",
    operation_id="pause_settings",
    response_model=BackupSettings,
    summary="Suspend a user's runs",
)
def suspend(
    caller: Writer, context: Command, served: Served, user_id: UserId, body: Note | NoBody = None
) -> Response:
    _require_own(caller, user_id)
    note = body.note if body else None
    return answer(BackupSettings.of(pause(served.site, context, user_id, note)))


@router.post(
    "/settings/{user_id}/resume",
    operation_id="resume_settings",
    response_model=BackupSettings,
    summary="Take a user's runs up again",
)
def take_up(
    caller: Writer, context: Command, served: Served, user_id: UserId, body: Note | NoBody = None
) -> Response:
    _require_own(caller, user_id)
    note = body.note if body else None
    return answer(BackupSettings.of(resume(served.site, context, user_id, note)))


@router.get(
    "/settings/{user_id}/preview",
    operation_id="preview_settings",
    response_model=PreviewShape,
    summary="A user's next runs, if each is on time",
)
def next_runs(
    caller: Anybody,
    served: Served,
    user_id: UserId,
    count: Annotated[int, Query(ge=1, le=100)] = 10,
) -> Response:
    _require_own(caller, user_id)
    return answer(PreviewShape(user_id=user_id, runs=runs_ahead(served, user_id, count)))


def runs_ahead(served: ServedSite, user_id: int, count: int) -> list[datetime]:
    """Empty where the settings are disabled or paused."""
    schedule, site = settings_of(served.site, user_id), served.site
    return upcoming(site.configuration, schedule, site.clock.now(), count)


def _tagged(schedule: Schedule) -> Response:
    headers = {"ETag": f'"{schedule.stream_version}"'}
    return answer(BackupSettings.of(schedule), headers=headers)


def _version(tag: str) -> int:
    """The version behind an ETag of ours; one that is none matches nothing."""
    match = re.fullmatch(r'"([1-9][0-9]{0,17})"', tag.strip())
    return int(match[1]) if match else -1


def _own(caller: Caller, user_id: int | None) -> int | None:
    if caller.user_id is None:
        return user_id
    _require_own(caller, user_id or caller.user_id)
    return caller.user_id


def _require_own(caller: Caller, user_id: int) -> None:
    if not caller.owns(user_id):
        raise not_found(f"user {user_id} has no backup settings")
