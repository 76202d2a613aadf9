"""Schedules, runs and schedulers: does somebody take what is due?"""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, func, select

from commands.health.finding import Finding, named
from commands.health.roster import holds, schedulers_of, unserved_labels
from commands.reporting.humanize import count
from projections.queries.schedules import orphaned_users
from projections.tables.columns import backup_runs as runs
from projections.tables.columns import backup_settings as settings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from sqlalchemy import Connection

    from commands.health.finding import Look
    from commands.site.site import Site

OVERDUE = timedelta(minutes=10)
"""A run that is due for longer than this has no scheduler that would take it."""

MAX_OVERDUE = 100
_TROUBLE = {
    "stuck": ("is connected, but stuck; others take over its runs", "look at its machine"),
    "not ready": (
        "claims nothing: its database or folder is not there",
        "see: backup-ledger audit log --type backup_scheduler.check_error",
    ),
}


def schedule_facts(connection: Connection, now: datetime) -> dict[str, Any]:
    """Counts of schedules, the next time, whose runs wait and which are open."""
    return {
        "schedules": _counts(connection, now),
        "next_backup_at": _next_backup_at(connection),
        "open_runs": _open_runs(connection),
        "overdue": _overdue(connection, now),
    }


def scheduler_facts(site: Site) -> dict[str, Any]:
    return {
        "schedulers": [asdict(each) for each in schedulers_of(site)],
        "unserved_labels": unserved_labels(site),
    }


def add_holds(site: Site, open_runs: list[dict[str, Any]]) -> None:
    """Who works on each open run, and whether its lease ran out."""
    held = holds(site) if open_runs else {}
    for run in open_runs:
        hold = held.get(run["run_id"])
        run["scheduler"] = hold.scheduler if hold else None
        run["lease_is_over"] = hold is None or hold.is_over


def schedule_findings(look: Look) -> Iterator[Finding]:
    schedules = look.facts["schedules"]
    if not schedules["enabled"]:
        is_empty = not schedules["total"]
        text = "there is no schedule" if is_empty else "every schedule is disabled"
        advice = "set one: backup-ledger settings set USER --time 03:00"
        yield Finding("schedules", f"{text}: nothing is backed up by itself", advice)
    elif look.facts["next_backup_at"] is None:
        text = "every schedule is paused: nothing is backed up by itself"
        yield Finding("schedules", text, "go on: backup-ledger settings resume USER")
    if schedules["overdue"]:
        text = f"{are(schedules['overdue'], 'scheduled backup')} overdue: does the scheduler run?"
        yield Finding("overdue", text, "start it: backup-ledger run")
    if schedules["failing"]:
        text = f"the last scheduled backup of {count(schedules['failing'], 'user')} failed"
        yield Finding("failing", text, "see: backup-ledger audit log --failed", is_bad=True)
    if schedules["orphans"]:
        text = f"{are(schedules['orphans'], 'user')} gone from the application, and not backed up"
        yield Finding("orphans", text, "see: backup-ledger settings list")


def scheduler_findings(look: Look) -> Iterator[Finding]:
    for each in look.facts["schedulers"]:
        if each["state"] in _TROUBLE:
            what, advice = _TROUBLE[each["state"]]
            yield Finding("scheduler", f"the scheduler {each['instance']} {what}", advice)
    yield from _gone(look.facts["schedulers"])
    for label in look.facts["unserved_labels"]:
        whom = f"the label {label}: its users wait" if label else "users without a label: they wait"
        text = f"no scheduler is there for {whom}"
        yield Finding("scheduler", text, "see label_users, and start one: backup-ledger run")


def are(number: int, thing: str) -> str:
    """`1 backup is`, `2 backups are`."""
    return f"{count(number, thing)} {'is' if number == 1 else 'are'}"


def _gone(schedulers: list[dict[str, Any]]) -> Iterator[Finding]:
    """Those that ended without a word, one finding a host."""
    gone = [each for each in schedulers if each["state"] == "gone"]
    alive = {each["host"] for each in schedulers if each["state"] != "gone"}
    for host, number in Counter(each["host"] for each in gone).items():
        names = [each["instance"] for each in gone if each["host"] == host]
        text = f"{count(number, 'scheduler')} ended without a word{named(names)}"
        if host in alive:
            advice = "a newer one runs there; look into the log of its machine for why"
        else:
            advice = "start another one: backup-ledger run"
        yield Finding("scheduler", text, advice)


def _counts(connection: Connection, now: datetime) -> dict[str, int]:
    active = and_(settings.c.enabled.is_(True), settings.c.paused.is_(False))
    waiting = and_(active, settings.c.open_run_id.is_(None))
    wanted = {
        "enabled": settings.c.enabled.is_(True),
        "due": and_(waiting, settings.c.next_backup_at <= now),
        "overdue": and_(waiting, settings.c.next_backup_at <= now - OVERDUE),
        "failing": and_(settings.c.enabled.is_(True), settings.c.failures > 0),
        "paused": settings.c.paused.is_(True),
    }
    counts = [func.count().filter(condition) for condition in wanted.values()]
    row = connection.execute(select(func.count(), *counts).select_from(settings)).one()
    found = {"total": row[0]} | dict(zip(wanted, row[1:], strict=True))
    return found | {"orphans": len(orphaned_users(connection))}


def _next_backup_at(connection: Connection) -> datetime | None:
    upcoming = select(func.min(settings.c.next_backup_at)).where(
        settings.c.enabled.is_(True), settings.c.paused.is_(False)
    )
    found: datetime | None = connection.execute(upcoming).scalar_one()
    return found


def _open_runs(connection: Connection) -> list[dict[str, Any]]:
    rows = connection.execute(
        select(runs.c.run_id, runs.c.user_id, runs.c.slot, runs.c.attempt, runs.c.started_at)
        .where(runs.c.outcome == "running")
        .order_by(runs.c.position)
    )
    return [dict(row) for row in rows.mappings()]


def _overdue(connection: Connection, now: datetime) -> list[dict[str, Any]]:
    """Whose runs wait for longest, the longest first."""
    waiting = select(settings.c.user_id, settings.c.next_backup_at.label("due_at")).where(
        settings.c.enabled.is_(True),
        settings.c.paused.is_(False),
        settings.c.open_run_id.is_(None),
        settings.c.next_backup_at <= now - OVERDUE,
    )
    rows = connection.execute(waiting.order_by(settings.c.next_backup_at).limit(MAX_OVERDUE))
    return [
        {**row, "seconds_late": int((now - row["due_at"]).total_seconds())}
        for row in rows.mappings()
    ]
