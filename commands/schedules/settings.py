"""A user's settings: create, change, pause, resume. A rejected change is recorded, too."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from commands.errors import (
    InvalidArgument,
    InvalidSettings,
    SettingsChanged,
    SettingsNotFound,
    UnknownUser,
    message_of,
)
from commands.schedules.cron import checked_cron, nearest_frequency
from commands.schedules.local_time import parse_backup_time, zone
from commands.schedules.rhythm import counted_from_now
from commands.site.texts import checked_text
from ledger.append.ledger import Draft
from ledger.canonical_json import MAX_INTEGER
from ledger.errors import ConcurrencyConflict
from ledger.events.scheduling import (
    SchedulePaused,
    ScheduleResumed,
    SettingsCreated,
    SettingsRejected,
    SettingsUpdated,
)
from ledger.records.record import cut_text
from ledger.vocabulary import (
    KEEP_COUNT_MAX,
    KEEP_COUNT_MIN,
    MAX_USER_ID,
    BackupFrequency,
    schedule_stream,
)
from projections.folds.schedule import (
    KEEP_FIELDS,
    SCHEDULE_FORM,
    SETTINGS_FIELDS,
    Schedule,
    evolve_schedule,
)
from projections.queries.schedules import schedule_of, user_exists

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from commands.site.configuration import Configuration
    from commands.site.site import Site
    from ledger.append.ledger import Context, RecordedEvent

DEFAULTS: dict[str, Any] = {
    "enabled": True,
    "frequency": "daily",
    "backup_time": "03:00",
    "keep_count": 7,
    "timezone": "UTC",
    **dict.fromkeys(KEEP_FIELDS, 0),
    "cron": None,
}
TIMING_FIELDS = {"enabled", "frequency", "backup_time", "timezone", "cron"}
MAX_ATTEMPTED_BYTES = 256
KEEP_DAYS_MAX = 36_500
KEEP_PERIODS_MAX = 1_000
CONFLICT_ATTEMPTS = 5
"""A run of the same user may get in between; more often than this is not an accident."""


def configure(
    site: Site,
    context: Context,
    user_id: int,
    changes: Mapping[str, Any],
    *,
    if_version: int | None = None,
) -> Schedule:
    """Create or change a user's settings; fields that are None stay as they are.

    `if_version`: only where the schedule's stream is still at this version.

    Raises:
        InvalidArgument: the user id is not a positive integer; nothing can be recorded.
        InvalidSettings: a value is out of range; recorded, nothing was changed.
        UnknownUser: the application does not know the user; recorded.
        SettingsChanged: it is at another version than `if_version`; nothing was changed.
    """
    require_user_id(user_id)
    wanted = {name: value for name, value in changes.items() if value is not None}
    try:
        checked = checked_settings(wanted)
        require_known_user(site, user_id)
        recorded = _append_settled(site, context, user_id, checked, if_version)
    except SettingsChanged:
        raise
    except Exception as error:
        _record_rejection(site, context, user_id, wanted, error)
        raise
    if recorded:
        site.notify(recorded)
    return settings_of(site, user_id)


def pause(site: Site, context: Context, user_id: int, note: str | None = None) -> Schedule:
    """Suspend a user's runs until `resume`.

    Raises:
        SettingsNotFound: the user has no settings.
    """
    return _pause_or_resume(site, context, user_id, note, paused=True)


def resume(site: Site, context: Context, user_id: int, note: str | None = None) -> Schedule:
    """Take a user's runs up again, from now on.

    Raises:
        SettingsNotFound: the user has no settings.
    """
    return _pause_or_resume(site, context, user_id, note, paused=False)


def find_settings(site: Site, user_id: int) -> Schedule | None:
    """A user's settings, or None."""
    require_user_id(user_id)
    with site.read_models.reading() as connection:
        return schedule_of(connection, user_id)


def settings_of(site: Site, user_id: int) -> Schedule:
    """A user's settings.

    Raises:
        SettingsNotFound: there are none.
    """
    found = find_settings(site, user_id)
    if found is None:
        raise SettingsNotFound(
            f"user {user_id} has no backup settings; "
            f"make some: backup-ledger settings set {user_id}"
        )
    return found


def with_changes(
    configuration: Configuration, before: Schedule, changed: Mapping[str, Any], now: datetime
) -> Schedule:
    """What a schedule would be after a change: a field that decides times moves the next run."""
    after = replace(before, **changed)
    if not changed.keys() & TIMING_FIELDS:
        return after
    due = counted_from_now(configuration, after, now)
    return replace(
        after, next_backup_at=due.at, next_slot=due.slot, anchor_day=due.anchor_day, next_attempt=1
    )


def fresh_schedule(user_id: int, now: datetime) -> Schedule:
    """What a user has who says nothing more; not counted yet."""
    return Schedule(user_id=user_id, created_at=now, updated_at=now, **DEFAULTS)


def require_user_id(user_id: Any) -> int:
    """The same id, if it is one.

    Raises:
        InvalidArgument: it is not a positive integer.
    """
    if type(user_id) is not int or not 1 <= user_id <= MAX_USER_ID:
        raise InvalidArgument(f"{user_id!r} is not a user id; give a positive integer such as 1")
    return user_id


def checked_settings(wanted: Mapping[str, Any]) -> dict[str, Any]:
    """The values as they are stored.

    A cron expression brings the frequency nearest to it; frequency or backup_time end one.

    Raises:
        InvalidSettings: names the field, the value, and what would be right.
    """
    checked: dict[str, Any] = {}
    for name, value in wanted.items():
        try:
            checked[name] = _CHECKS[name](value)
        except KeyError:
            fields = ", ".join(SETTINGS_FIELDS)
            raise InvalidSettings(f"there is no setting {name!r}; there are {fields}") from None
        except (ValueError, TypeError, AttributeError) as error:
            raise InvalidSettings(f"{name}: {error}") from error
    by_time = checked.keys() & {"frequency", "backup_time"}
    if by_time and "cron" in checked:
        raise InvalidSettings("cron: give either a cron expression, or frequency and backup_time")
    if by_time:
        checked["cron"] = None
    if checked.get("cron") is not None:
        checked["frequency"] = nearest_frequency(checked["cron"]).value
    return checked


def _append_settled(
    site: Site, context: Context, user_id: int, checked: dict[str, Any], if_version: int | None
) -> list[RecordedEvent]:
    """Decide on the newest version of the stream; again where a run got in between."""
    for attempt in range(1, CONFLICT_ATTEMPTS + 1):
        before = site.ledger.load(schedule_stream(user_id), evolve_schedule, SCHEDULE_FORM)
        if if_version is not None and if_version != (before.stream_version if before else 0):
            raise SettingsChanged(f"the settings of user {user_id} were changed; read them again")
        draft = _draft(site, context, user_id, before, checked)
        if draft is None:
            return []
        try:
            return site.ledger.append(context, draft)
        except ConcurrencyConflict:
            if attempt == CONFLICT_ATTEMPTS:
                raise
    raise AssertionError("unreachable")


def _draft(
    site: Site, context: Context, user_id: int, before: Schedule | None, checked: dict[str, Any]
) -> Draft | None:
    stream = schedule_stream(user_id)
    if before is None:
        values = DEFAULTS | checked
        fresh = replace(fresh_schedule(user_id, context.now), **values)
        due = counted_from_now(site.configuration, fresh, context.now)
        created = SettingsCreated(
            **values, next_backup_at=due.at, next_slot=due.slot, anchor_day=due.anchor_day
        )
        version = site.ledger.stream_version(stream)
        return Draft(stream, created, user_id, expected_version=version)
    changed = {name: value for name, value in checked.items() if getattr(before, name) != value}
    if not changed:
        return None
    after = with_changes(site.configuration, before, changed, context.now)
    details = SettingsUpdated(
        before={name: getattr(before, name) for name in changed},
        after=changed,
        next_backup_at=after.next_backup_at,
        next_slot=after.next_slot,
        anchor_day=after.anchor_day,
    )
    return Draft(stream, details, user_id, expected_version=before.stream_version)


def _pause_or_resume(
    site: Site, context: Context, user_id: int, note: str | None, *, paused: bool
) -> Schedule:
    require_user_id(user_id)
    stream = schedule_stream(user_id)
    text = None if note is None else checked_text(note, "note")
    before = site.ledger.load(stream, evolve_schedule, SCHEDULE_FORM)
    if before is None:
        return settings_of(site, user_id)  # says that there are none
    if before.paused == paused:
        return before
    kind = SchedulePaused if paused else ScheduleResumed
    due = counted_from_now(site.configuration, replace(before, paused=paused), context.now)
    draft = Draft(
        stream,
        kind(note=text, next_backup_at=due.at, next_slot=due.slot, anchor_day=due.anchor_day),
        user_id,
        expected_version=before.stream_version,
    )
    site.notify(site.ledger.append(context, draft))
    return settings_of(site, user_id)


def require_known_user(site: Site, user_id: int) -> None:
    """Make sure that the application knows a user, where it keeps its users beside our tables.

    Raises:
        UnknownUser: it does not.
    """
    with site.read_models.engine.connect() as connection:
        if not user_exists(connection, user_id):
            raise UnknownUser(
                f"there is no user {user_id} in the application's database; check the id"
            )


def _record_rejection(
    site: Site, context: Context, user_id: int, wanted: Mapping[str, Any], error: Exception
) -> None:
    attempted = {
        name if name in SETTINGS_FIELDS else "unknown": _recordable(value)
        for name, value in wanted.items()
    }
    details = SettingsRejected(attempted=attempted, error_type=type(error).__name__)
    message = message_of(error)
    draft = Draft(schedule_stream(user_id), details, user_id, error_message=message)
    site.notify(site.ledger.append(context, draft))


def _recordable(value: Any) -> str | int | bool | None:
    """Anything that somebody tried to set, as a value that a record can hold."""
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, int) and abs(value) <= MAX_INTEGER:
        return int(value)
    if isinstance(value, int | float) and not math.isfinite(value):
        return str(value)
    return cut_text(str(value), MAX_ATTEMPTED_BYTES)


def _enabled(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"{value!r} is neither true nor false")
    return value


def _frequency(value: Any) -> str:
    if value not in tuple(BackupFrequency):
        raise ValueError(f"{value!r} is not a valid frequency; use daily, weekly or monthly")
    return str(BackupFrequency(value).value)


def _backup_time(value: Any) -> str:
    parse_backup_time(value)
    return str(value)


def _keep_count(value: Any) -> int:
    if type(value) is not int or not KEEP_COUNT_MIN <= value <= KEEP_COUNT_MAX:
        raise ValueError(f"{value!r} is out of range; use {KEEP_COUNT_MIN} to {KEEP_COUNT_MAX}")
    return value


def _timezone(value: Any) -> str:
    return zone(value).key


def _keep_days(value: Any) -> int:
    return _number(value, KEEP_DAYS_MAX)


def _keep_periods(value: Any) -> int:
    return _number(value, KEEP_PERIODS_MAX)


def _number(value: Any, greatest: int) -> int:
    if type(value) is not int or not 0 <= value <= greatest:
        raise ValueError(f"{value!r} is out of range; use 0 (none) to {greatest}")
    return value


_CHECKS = {
    "enabled": _enabled,
    "frequency": _frequency,
    "backup_time": _backup_time,
    "keep_count": _keep_count,
    "timezone": _timezone,
    "keep_within_days": _keep_days,
    **dict.fromkeys(KEEP_FIELDS[1:], _keep_periods),
    "cron": checked_cron,
}
