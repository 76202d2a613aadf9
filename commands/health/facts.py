"""What `status` knows: where everything stands, and what a person should look at."""

from __future__ import annotations

from dataclasses import asdict
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import Integer, and_, func, select, type_coerce

from commands.errors import StoreUnknown
from commands.health.clocks import clock_facts, clock_warnings
from commands.health.read_models import read_model_facts
from commands.health.roster import holds, schedulers_of, unserved_labels
from commands.reporting.humanize import count
from ledger.append.database import place_of
from projections.queries.schedules import orphaned_users
from projections.tables.columns import backup_catalog as catalog
from projections.tables.columns import backup_runs as runs
from projections.tables.columns import backup_settings as settings

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Connection

    from commands.site.site import Site

OVERDUE = timedelta(minutes=10)
"""A run that is due for longer than this has no scheduler that would take it."""

MAX_NAMES = 100
MAX_NAMES_SHOWN = 3
MAX_DRILL_DAYS = 36_500

STATUSES = ("ok", "corrupt", "missing", "deleting", "deleted")
_TROUBLE = {
    "stuck": "is there, but stands still; others take its runs over. Look at its machine",
    "not ready": (
        "claims nothing: its database or folder is not there; "
        "see: backup-ledger audit log --type backup_scheduler.check_error"
    ),
    "gone": "ended without a word; start another one: backup-ledger run",
}
_HINTS = (
    ("missing", "gone from the folder", "backup-ledger backup list --all"),
    ("corrupt", "damaged", "backup-ledger backup list"),
    ("deleting", "still to be deleted", "backup-ledger backup reconcile"),
)


def status_facts(site: Site, now: datetime) -> dict[str, Any]:
    """Everything that `status --json` says."""
    with site.read_models.reading() as connection:
        facts: dict[str, Any] = {
            "ledger": _ledger(site),
            "store": _store(site),
            "database": _database(site),
            "schedules": _schedules(connection, now),
            "last_backup": _last_backup(connection),
            "next_backup_at": _next_backup_at(connection),
            "backups": _backups(connection) | {"bytes_on_disk": _bytes_on_disk(site)},
            "clock": clock_facts(connection, now),
            "verification": _verification(connection, now, site.configuration.drill_days),
            "open_runs": _open_runs(connection),
            "overdue": _overdue(connection, now),
        }
    facts["schedulers"] = _schedulers(site)
    facts["unserved_labels"] = unserved_labels(site)
    _add_holds(site, facts["open_runs"])
    facts["projections"] = read_model_facts(site)
    facts["warnings"] = _warnings(facts)
    return facts


def _ledger(site: Site) -> dict[str, Any]:
    head = site.ledger.log_recorder.head()
    return {
        "id": site.ledger.meta.ledger_id,
        "size": head.size,
        "root": head.frontier.root().hex(),
        "path": place_of(site.configuration.ledger_url),
    }


def _store(site: Site) -> dict[str, Any]:
    if not site.configuration.names_a_folder:
        return {"id": None, "path": None}
    path = str(site.configuration.backups_folder)
    try:
        return {"id": site.store.store_id, "path": path}
    except StoreUnknown:
        return {"id": None, "path": path}


def _database(site: Site) -> dict[str, Any] | None:
    if site.configuration.database is None:
        return None
    try:
        size = site.database.stat().st_size
    except OSError:
        return {"path": str(site.database), "exists": False, "size": None}
    return {"path": str(site.database), "exists": True, "size": size}


def _schedules(connection: Connection, now: datetime) -> dict[str, int]:
    waiting = and_(
        settings.c.enabled.is_(True), settings.c.paused.is_(False), settings.c.open_run_id.is_(None)
    )
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


def _last_backup(connection: Connection) -> dict[str, Any] | None:
    row = connection.execute(
        select(catalog.c.filename, catalog.c.created_at, catalog.c.size, catalog.c.user_id)
        .where(catalog.c.status == "ok")
        .order_by(catalog.c.created_at.desc(), catalog.c.position.desc())
        .limit(1)
    ).mappings()
    found = row.one_or_none()
    return None if found is None else dict(found)


def _next_backup_at(connection: Connection) -> datetime | None:
    upcoming = select(func.min(settings.c.next_backup_at)).where(
        settings.c.enabled.is_(True), settings.c.paused.is_(False)
    )
    found: datetime | None = connection.execute(upcoming).scalar_one()
    return found


def _backups(connection: Connection) -> dict[str, Any]:
    size = type_coerce(func.coalesce(func.sum(catalog.c.size), 0), Integer)
    rows = connection.execute(
        select(catalog.c.status, func.count(), size).group_by(catalog.c.status)
    )
    by_status = {status: {"count": 0, "bytes": 0} for status in STATUSES}
    for status, number, total in rows:
        by_status[status] = {"count": number, "bytes": int(total)}
    present = [by_status["ok"], by_status["corrupt"]]
    return {
        "count": sum(each["count"] for each in present),
        "bytes": sum(each["bytes"] for each in present),
        "by_status": by_status,
    }


def _bytes_on_disk(site: Site) -> int | None:
    """A file that several backups share counts once; None where the folder is not there."""
    try:
        return site.store.bytes_on_disk() if site.has_store else None
    except OSError:
        return None


def _verification(connection: Connection, now: datetime, drill_days: int) -> dict[str, Any]:
    """What is damaged or lost, by name, and what nobody has looked at for too long."""
    unseen = select(func.count()).where(
        catalog.c.status == "ok",
        func.coalesce(catalog.c.verified_at, catalog.c.created_at)
        < now - timedelta(days=drill_days or MAX_DRILL_DAYS),
    )
    return {
        **{status: _names(connection, status) for status in ("corrupt", "missing")},
        "drill_days": drill_days,
        "not_verified_in_time": connection.execute(unseen).scalar_one(),
    }


def _names(connection: Connection, status: str) -> list[str]:
    newest_first = (catalog.c.created_at.desc(), catalog.c.position.desc())
    rows = connection.execute(
        select(catalog.c.filename)
        .where(catalog.c.status == status)
        .order_by(*newest_first)
        .limit(MAX_NAMES)
    )
    return list(rows.scalars())


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
    rows = connection.execute(waiting.order_by(settings.c.next_backup_at).limit(MAX_NAMES))
    return [
        {**row, "seconds_late": int((now - row["due_at"]).total_seconds())}
        for row in rows.mappings()
    ]


def _schedulers(site: Site) -> list[dict[str, Any]]:
    return [asdict(each) for each in schedulers_of(site)]


def _add_holds(site: Site, open_runs: list[dict[str, Any]]) -> None:
    """Who works on each, and whether its lease ran out."""
    held = holds(site)
    for run in open_runs:
        hold = held.get(run["run_id"])
        run["scheduler"] = hold.scheduler if hold else None
        run["lease_is_over"] = hold is None or hold.is_over


def _warnings(facts: dict[str, Any]) -> list[str]:
    """What is not all right, each with what to do about it."""
    return [
        *_place_warnings(facts),
        *clock_warnings(facts["clock"]),
        *_schedule_warnings(facts),
        *_backup_warnings(facts),
    ]


def _place_warnings(facts: dict[str, Any]) -> list[str]:
    warnings = []
    if facts["store"]["id"] is None and facts["store"]["path"] is not None:
        warnings.append(
            f"{facts['store']['path']} has no .store file: is it mounted? If it is the right "
            "folder: backup-ledger ledger init --new"
        )
    database = facts["database"]
    if database is not None and not database["exists"]:
        warnings.append(
            f"the database {database['path']} is missing; check --database, or restore a backup"
        )
    return [*warnings, *_projection_warnings(facts["projections"])]


def _projection_warnings(projections: list[dict[str, Any]]) -> list[str]:
    warnings = [
        f"building {each['name']} stopped: {each['problem']}; the older rows go on to serve"
        for each in projections
        if each["problem"]
    ]
    serving = [each["lag"] for each in projections if each["state"] == "serving"]
    behind = max(serving, default=0)
    if behind:
        warnings.append(
            f"the read models are {count(behind, 'event')} behind: their database is locked or "
            "read-only"
        )
    return warnings


def _schedule_warnings(facts: dict[str, Any]) -> list[str]:
    schedules, warnings = facts["schedules"], _scheduler_warnings(facts["schedulers"])
    warnings += [_unserved(label) for label in facts["unserved_labels"]]
    if schedules["overdue"]:
        warnings.append(
            f"{_are(schedules['overdue'], 'scheduled backup')} overdue: does the scheduler run? "
            "backup-ledger run"
        )
    if schedules["failing"]:
        warnings.append(
            f"the last scheduled backup of {count(schedules['failing'], 'user')} failed; see: "
            "backup-ledger audit log --failed"
        )
    if schedules["orphans"]:
        warnings.append(
            f"{_are(schedules['orphans'], 'user')} gone from the application, and not backed up; "
            "see: backup-ledger settings list"
        )
    return warnings


def _unserved(label: str) -> str:
    whom = f"the label {label}: its users wait" if label else "users without a label: they wait"
    return f"no scheduler is there for {whom}; see label_users, and start one"


def _scheduler_warnings(schedulers: list[dict[str, Any]]) -> list[str]:
    return [
        f"the scheduler {each['instance']} {_TROUBLE[each['state']]}"
        for each in schedulers
        if each["state"] in _TROUBLE
    ]


def _backup_warnings(facts: dict[str, Any]) -> list[str]:
    by_status, verification = facts["backups"]["by_status"], facts["verification"]
    warnings = [
        f"{_are(by_status[status]['count'], 'backup')} {what}"
        f"{_named(verification.get(status, []), by_status[status]['count'])}; see: {command}"
        for status, what, command in _HINTS
        if by_status[status]["count"]
    ]
    if not by_status["ok"]["count"]:
        warnings.append("there is no good backup; make one: backup-ledger backup create")
    if verification["not_verified_in_time"] and verification["drill_days"]:
        warnings.append(
            f"{count(verification['not_verified_in_time'], 'backup')} not verified for more than "
            f"{count(verification['drill_days'], 'day')}: does the scheduler run? "
            "backup-ledger backup verify --due"
        )
    return warnings


def _named(names: list[str], number: int) -> str:
    """The first few names; the rest is in the list."""
    shown = ", ".join(names[:MAX_NAMES_SHOWN])
    return f": {shown}{' and more' if number > MAX_NAMES_SHOWN else ''}" if names else ""


def _are(number: int, thing: str) -> str:
    return f"{count(number, thing)} {'is' if number == 1 else 'are'}"
