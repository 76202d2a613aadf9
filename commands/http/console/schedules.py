"""Schedules: everybody's or one's own, with a form and a preview of the next ten runs."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, NamedTuple
from zoneinfo import available_timezones

from fastapi import APIRouter, HTTPException, Query, Request, Response
from pydantic import BaseModel
from starlette.responses import RedirectResponse

from commands.audit.log import stream_records
from commands.errors import InvalidSettings, UnknownUser
from commands.http.callers import Anybody, Caller, Reader, Writer
from commands.http.console.page import BASE, done, page
from commands.http.console.route import ConsoleRoute
from commands.http.console.session import Here
from commands.http.console.times.view import zone_named, zoned
from commands.http.console.watching.event_lines import Line, lines_of, shown_to_caller
from commands.http.ledger_route import Command
from commands.http.problems import not_found
from commands.http.routes.settings import UserId
from commands.http.served_site import Served, ServedSite
from commands.schedules.rhythm import remarks, upcoming
from commands.schedules.settings import (
    DEFAULTS,
    KEEP_DAYS_MAX,
    KEEP_PERIODS_MAX,
    checked_settings,
    configure,
    find_settings,
    fresh_schedule,
    pause,
    resume,
    with_changes,
)
from ledger.events.scheduling import BackupFailed, SchedulePaused, SettingsUpdated
from ledger.vocabulary import KEEP_COUNT_MAX, KEEP_COUNT_MIN, BackupFrequency, schedule_stream
from projections.folds.schedule import KEEP_FIELDS, SETTINGS_FIELDS, Schedule

router = APIRouter(route_class=ConsoleRoute)
RUNS_AHEAD = 10
LOOKED_AT = 200
"""Events of a schedule among which the reason of its state is looked for: the newest."""
PLACE = f"{BASE}/schedules"
KEEPS_LONGER = {
    "keep_within_days": ("All of the last days", KEEP_DAYS_MAX),
    "keep_daily": ("One a day, for days", KEEP_PERIODS_MAX),
    "keep_weekly": ("One a week, for weeks", KEEP_PERIODS_MAX),
    "keep_monthly": ("One a month, for months", KEEP_PERIODS_MAX),
    "keep_yearly": ("One a year, for years", KEEP_PERIODS_MAX),
}
"""What stays beside the newest ones: label and limit of each field."""
Digits = Annotated[str, Query(pattern="^[0-9]{0,18}$", description="A user's number, or nothing.")]
Text = Annotated[str, Query(max_length=100)]


class RunAhead(NamedTuple):
    """One of the next runs, and what is odd about it: a skipped hour, a short month."""

    at: datetime
    remark: str | None


class Filled(BaseModel):
    """A form as it was filled in, not checked yet."""

    frequency: Text = ""
    backup_time: Text = ""
    timezone: Text = ""
    keep_count: Text = ""
    enabled: Text = ""
    cron: Text = ""
    keep_within_days: Text = ""
    keep_daily: Text = ""
    keep_weekly: Text = ""
    keep_monthly: Text = ""
    keep_yearly: Text = ""


def number_of(digits: str) -> int | None:
    """A number that a form left empty is none."""
    return int(digits) if digits else None


@router.get(f"{PLACE}/new")
def new(_caller: Reader, user: Digits = "") -> Response:
    """On to the user's own page, which has the form."""
    if not number_of(user):
        raise HTTPException(422, "give the number of a user")
    return RedirectResponse(f"{PLACE}/{number_of(user)}", 303)


@router.get(f"{PLACE}/{{user_id}}")
def show(request: Request, caller: Anybody, served: Served, user_id: UserId) -> Response:
    _require_own(caller, user_id)
    return _edit_page(request, caller, served, user_id)


@router.get(f"{PLACE}/{{user_id}}/preview")
def next_runs(
    request: Request,
    caller: Anybody,
    served: Served,
    user_id: UserId,
    form: Annotated[Filled, Query()],
) -> Response:
    """The same page with values that are not saved; a script takes the runs out of it."""
    _require_own(caller, user_id)
    return _edit_page(request, caller, served, user_id, form.model_dump())


@router.post(f"{PLACE}/{{user_id}}")
def change(
    request: Request,
    caller: Writer,
    context: Command,
    served: Served,
    user_id: UserId,
    visit: Here,
) -> Response:
    _require_own(caller, user_id)
    try:
        configure(served.site, context, user_id, _wanted(visit.form))
    except (InvalidSettings, UnknownUser, ValueError) as error:
        return _edit_page(request, caller, served, user_id, visit.form, str(error), status=422)
    return done(request, f"{PLACE}/{user_id}", "The schedule was saved.")


@router.post(f"{PLACE}/{{user_id}}/pause")
def suspend(
    request: Request,
    caller: Writer,
    context: Command,
    served: Served,
    user_id: UserId,
    visit: Here,
) -> Response:
    _require_own(caller, user_id)
    pause(served.site, context, user_id, visit.form.get("note") or None)
    return done(request, f"{PLACE}/{user_id}", "Paused: nothing runs until it is resumed.")


@router.post(f"{PLACE}/{{user_id}}/resume")
def take_up(
    request: Request,
    caller: Writer,
    context: Command,
    served: Served,
    user_id: UserId,
    visit: Here,
) -> Response:
    _require_own(caller, user_id)
    resume(served.site, context, user_id, visit.form.get("note") or None)
    return done(request, f"{PLACE}/{user_id}", "Resumed.")


def _edit_page(
    request: Request,
    caller: Caller,
    served: ServedSite,
    user_id: int,
    form: dict[str, str] | None = None,
    problem: str | None = None,
    status: int = 200,
) -> Response:
    """What is set, or what the form says where it was filled in."""
    schedule = find_settings(served.site, user_id)
    values = {name: getattr(schedule, name, DEFAULTS[name]) for name in SETTINGS_FIELDS}
    if form is not None:
        values |= {name: form.get(name, "") for name in SETTINGS_FIELDS}
        values["enabled"] = bool(form.get("enabled"))
    runs, why_none = _runs_ahead(served, user_id, values, schedule)
    where = zone_named(values["timezone"])
    return page(
        request,
        caller,
        "schedule.html",
        status,
        user_id=user_id,
        schedule=schedule,
        values=values,
        problem=problem,
        runs=runs,
        why_none=why_none,
        reason=_reason(served, caller, schedule),
        where=where,
        clock=zoned(served.site.clock.now(), where, "%H:%M"),
        by_days=_is_by_days(served, values),
        frequencies=list(BackupFrequency),
        zones=sorted(available_timezones()),
        keep_range=(KEEP_COUNT_MIN, KEEP_COUNT_MAX),
        keeps_longer=KEEPS_LONGER,
        keeps_any=any(values[name] not in (0, "", "0") for name in KEEPS_LONGER),
        may_change=caller.role != "auditor",
    )


def _reason(served: ServedSite, caller: Caller, schedule: Schedule | None) -> Line | None:
    """The event since which it stands still, or fails; None where it does neither."""
    if schedule is None:
        return None
    if not schedule.enabled:
        is_reason = _disables
    elif schedule.paused:
        is_reason = _pauses
    elif schedule.failures:
        is_reason = _fails
    else:
        return None
    records = stream_records(served.site, schedule_stream(schedule.user_id), LOOKED_AT)
    lines = [each for each in lines_of(served, records) if is_reason(each)]
    return shown_to_caller(served, caller, lines[-1]) if lines else None


def _disables(line: Line) -> bool:
    details = None if line.event is None else line.event.details
    return isinstance(details, SettingsUpdated) and details.after.get("enabled") is False


def _pauses(line: Line) -> bool:
    return line.event is not None and isinstance(line.event.details, SchedulePaused)


def _fails(line: Line) -> bool:
    return line.event is not None and isinstance(line.event.details, BackupFailed)


def _is_by_days(served: ServedSite, values: dict[str, Any]) -> bool:
    """Whether its months are of 30 days, which moves the day of the month."""
    is_monthly = values["frequency"] == "monthly" and not values["cron"]
    return is_monthly and not served.site.configuration.calendar_months


def _runs_ahead(
    served: ServedSite, user_id: int, values: dict[str, Any], schedule: Schedule | None
) -> tuple[list[RunAhead], str]:
    """The next runs by values that may not be saved yet, or why there are none."""
    if not values["enabled"]:
        return [], "Nothing runs while the schedule is disabled."
    if schedule is not None and schedule.paused:
        return [], "Nothing runs while the schedule is paused."
    try:
        given = {name: value for name, value in _wanted(values).items() if value is not None}
        checked = checked_settings(given)
    except (InvalidSettings, ValueError) as error:
        return [], str(error)
    site, now = served.site, served.site.clock.now()
    known = schedule or fresh_schedule(user_id, now)
    changed = {name: value for name, value in checked.items() if getattr(known, name) != value}
    if schedule is None:
        changed = checked
    after = with_changes(site.configuration, known, changed, now)
    runs = upcoming(site.configuration, after, now, RUNS_AHEAD)
    odd = remarks(site.configuration, after, runs)
    return [RunAhead(at, remark) for at, remark in zip(runs, odd, strict=True)], ""


def _wanted(form: dict[str, Any]) -> dict[str, Any]:
    """A form's values as settings; a box that is not ticked is not sent."""
    numbers = {name: _number(form.get(name, "")) for name in ("keep_count", *KEEP_FIELDS)}
    cron = form.get("cron") or None  # where it is filled in, it takes the place of the two
    return {
        "cron": cron,
        "frequency": None if cron else form.get("frequency") or None,
        "backup_time": None if cron else form.get("backup_time") or None,
        "timezone": form.get("timezone") or None,
        "enabled": bool(form.get("enabled")),
        **numbers,
    }


def _number(value: Any) -> Any:
    """A number where it is one; anything else is left to be refused, and nothing is nothing."""
    is_number = isinstance(value, str) and value.isascii() and value.isdigit()
    return int(value[:9]) if is_number else None if value == "" else value


def _require_own(caller: Caller, user_id: int) -> None:
    if not caller.owns(user_id):
        raise not_found(f"user {user_id} has no backup settings")
