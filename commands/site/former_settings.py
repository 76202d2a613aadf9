"""Taking over from the former service: its settings become events."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import Column, MetaData, Table, select

from commands.site.actors import SYSTEM
from ledger.append.backend import Tables
from ledger.append.database import open_engine
from ledger.append.ledger import Context, Draft, Ledger
from ledger.errors import ConcurrencyConflict
from ledger.events.scheduling import SettingsCreated
from ledger.vocabulary import BackupFrequency, schedule_stream

if TYPE_CHECKING:
    from sqlalchemy import Connection
    from sqlalchemy.engine import URL

_FORMER_SETTINGS = Table(
    "backup_settings",
    MetaData(),
    *(
        Column(name)
        for name in (
            "id",
            "user_id",
            "enabled",
            "frequency",
            "backup_time",
            "keep_count",
            "next_backup_at",
        )
    ),
)


def has_former_settings(application_url: URL) -> bool:
    """Whether the former service's table is there, and was not taken over yet."""
    engine = open_engine(application_url)
    try:
        with engine.connect() as connection:
            return _is_former(connection)
    finally:
        engine.dispose()


def _is_former(connection: Connection) -> bool:
    tables = Tables(connection)
    if not tables.has("backup_settings"):
        return False
    columns = tables.columns("backup_settings")
    return "stream_version" not in columns and set(_FORMER_SETTINGS.columns.keys()) <= columns


def import_former_settings(ledger: Ledger, application_url: URL) -> int:
    """Record the rows of a former `backup_settings` table; how many.

    A user whom the ledger knows already keeps what the ledger says. A row that our rules
    refuse is left out: it never led to a usable schedule.
    """
    engine = open_engine(application_url)
    try:
        with engine.connect() as connection:
            if not _is_former(connection):
                return 0
            rows = connection.execute(
                select(_FORMER_SETTINGS).order_by(_FORMER_SETTINGS.c.id)
            ).mappings()
            drafts = [draft for row in rows if (draft := _draft(row)) is not None]
    finally:
        engine.dispose()
    fresh = [draft for draft in drafts if not ledger.stream_version(draft.stream)]
    try:
        ledger.append(Context(actor=SYSTEM, now=ledger.clock.now()), *fresh)
    except ConcurrencyConflict:
        return 0  # another process imported them just now
    return len(fresh)


def _draft(row: Any) -> Draft | None:
    user_id, enabled = row["user_id"], bool(row["enabled"])
    try:
        details = SettingsCreated(
            enabled=enabled,
            frequency=BackupFrequency(row["frequency"]).value,
            backup_time=row["backup_time"],
            keep_count=row["keep_count"],
            timezone="UTC",
            keep_within_days=0,
            keep_daily=0,
            keep_weekly=0,
            keep_monthly=0,
            keep_yearly=0,
            cron=None,
            next_backup_at=_moment(row["next_backup_at"]) if enabled else None,
            next_slot=None,
            anchor_day=None,
        )
        is_valid = user_id >= 1
    except (ValueError, TypeError):
        return None
    if not is_valid:
        return None
    return Draft(schedule_stream(user_id), details, owner=user_id, expected_version=0)


def _moment(stored: Any) -> datetime | None:
    """A time as the former service kept it: UTC without a zone, as text or datetime."""
    if stored is None:
        return None
    moment = stored if isinstance(stored, datetime) else datetime.fromisoformat(str(stored))
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
