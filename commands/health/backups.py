"""The backups: which one is the last, are all there, and is any in doubt?"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import Integer, Text, cast, func, select, type_coerce

from commands.backups.judge import story_of_source
from commands.health.finding import Finding, named
from commands.health.schedules import are
from commands.reporting.humanize import count, minute
from ledger.events.catalog import BackupNotCreated
from ledger.vocabulary import EVERYTHING, BackupKind, BackupStatus
from projections.queries.audit import AuditFilter, newest_matching
from projections.queries.catalog import PRESENT, backup_with_id, in_store
from projections.tables.columns import backup_catalog as catalog

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from sqlalchemy import Connection

    from commands.health.finding import Look
    from commands.site.site import Site
    from projections.folds.backup import Backup

MAX_NAMES = 100
MAX_DRILL_DAYS = 36_500
FAILURES_LOOKED_AT = 20
_MISTAKES = ("BackupNameTaken", "InvalidBackupName")
"""Errors of who typed a name; the database was not at fault, and nobody waits for that backup."""

_HINTS = (
    ("missing", "gone from the folder", "see: backup-ledger backup list --all"),
    ("corrupt", "damaged", "see: backup-ledger backup list"),
    ("deleting", "still to be deleted", "finish it: backup-ledger backup reconcile"),
)
_NOT_DELETED = tuple(status for status in BackupStatus if status != BackupStatus.DELETED)
_OF_THE_DATABASE = catalog.c.kind != BackupKind.PRE_RESTORE
"""A copy that a restore kept of what it replaced is not a backup of what the database holds."""


def backup_facts(connection: Connection, now: datetime, drill_days: int) -> dict[str, Any]:
    return {
        "last_backup": _last_backup(connection, now),
        "backups": _backups(connection),
        "verification": _verification(connection, now, drill_days),
    }


def bytes_on_disk(site: Site) -> int | None:
    """A file that several backups share counts once; None where the folder is not there."""
    try:
        return site.store.bytes_on_disk() if site.has_store else None
    except OSError:
        return None


def status_findings(look: Look) -> Iterator[Finding]:
    """What is lost, damaged or half deleted; none that is good; none verified in time."""
    by_status = look.facts["backups"]["by_status"]
    verification = look.facts["verification"]
    for status, what, advice in _HINTS:
        number = by_status[status]["count"]
        if number:
            names = named(verification.get(status, []), number)
            is_bad = status != "deleting"
            yield Finding(status, f"{are(number, 'backup')} {what}{names}", advice, is_bad=is_bad)
    if look.facts["last_backup"] is None:
        advice = "make one: backup-ledger backup create"
        ahead = " that is not dated after now" if look.facts["clock"]["dated_ahead"] else ""
        yield Finding("no_backup", f"there is no good backup{ahead}", advice, is_bad=True)
    late = verification["not_verified_in_time"]
    if late and verification["drill_days"]:
        days = count(verification["drill_days"], "day")
        text = f"{count(late, 'backup')} not verified for more than {days}: does the scheduler run?"
        yield Finding("unverified", text, "verify what is due: backup-ledger backup verify --due")


def folder_findings(look: Look) -> Iterator[Finding]:
    """What the folder holds and the catalog does not, and the other way round."""
    site = look.site
    if not site.has_store:
        return
    try:
        names, _unreadable = site.store.list_names()
        staged = {each.name for each in site.store.staged_files()}
    except OSError as error:
        text = f"the backups folder {site.store.folder} cannot be read: {error.strerror}"
        advice = "check its permissions, and that it is mounted"
        yield Finding("store", text, advice, is_bad=True)
        return
    there = set(names)
    known = select(catalog.c.filename, catalog.c.backup_id, catalog.c.status).where(
        in_store(site.store.store_id), catalog.c.status.in_(_NOT_DELETED)
    )
    rows = look.connection.execute(known).all()
    gone = [
        row.filename
        for row in rows
        if row.status in PRESENT and row.filename not in there and row.backup_id not in staged
    ]
    if gone:
        text = f"{count(len(gone), 'file')} of backups not in the folder{named(sorted(gone))}"
        yield Finding("gone", text, "record it: backup-ledger backup reconcile", is_bad=True)
    others = sorted(there - {row.filename for row in rows} - _source_name(site))
    unknown = [each for each in others if site.store.look_at(each) is not None]
    if unknown:
        text = f"{count(len(unknown), 'file')} in the folder not in the ledger{named(unknown)}"
        yield Finding(
            "unknown_files", text, "adopt what is a backup: backup-ledger backup reconcile"
        )


def failure_findings(look: Look) -> Iterator[Finding]:
    """A `backup create` that failed, with no good backup since."""
    newest_good = select(func.max(catalog.c.position)).where(
        catalog.c.status == BackupStatus.OK, _OF_THE_DATABASE
    )
    since = look.connection.execute(newest_good).scalar_one() or 0
    failed = AuditFilter(event_type=BackupNotCreated.event_type)
    for position in reversed(newest_matching(look.connection, failed, FAILURES_LOOKED_AT)):
        if position <= since:
            return
        for recorded in look.site.ledger.recorded(after=position - 1, up_to=position):
            details, when = recorded.event.details, minute(recorded.event.timestamp)
            if isinstance(details, BackupNotCreated) and details.error_type not in _MISTAKES:
                text = f"the last backup create failed ({when}): {recorded.event.error_message}"
                yield Finding("failed", text, "try again: backup-ledger backup create", is_bad=True)
                return


def open_collapse(look: Look) -> tuple[Backup, Backup | None] | None:
    """The newest backup where it holds much less, and the one before; None if that was meant."""
    source = look.site.known_source_id() if look.site.has_store else None
    if source is None:
        return None
    story = story_of_source(look.site, look.connection, source)
    if story.newest is None or story.whole_until is None:
        return None
    return story.newest, backup_with_id(look.connection, str(story.newest.collapsed_from))


def collapse_findings(look: Look) -> Iterator[Finding]:
    """The database holds much less than it did, and nobody has said that this was meant."""
    collapse = open_collapse(look)
    if collapse is None:
        return
    newest, before = collapse
    name = "the last good backup" if before is None else before.filename
    said = "; ".join(newest.warnings) or "it holds much less"
    text = f"the newest backup {newest.filename} holds much less than {name}: {said}"
    if EVERYTHING in newest.unchecked:
        text = f"the newest backup {newest.filename} is not comparable with {name}: {said}"
    advice = (
        f"if it was meant: backup-ledger backup accept {newest.filename}; "
        f"if not: backup-ledger backup restore {name}"
    )
    yield Finding("collapse", text, advice, is_bad=True)


def warning_findings(look: Look) -> Iterator[Finding]:
    """What the newest backup of each owner warned of when it was made, unless it was accepted."""
    place = func.row_number().over(
        partition_by=catalog.c.user_id, order_by=catalog.c.position.desc()
    )
    newest = (
        select(
            catalog.c.filename,
            catalog.c.warnings,
            cast(catalog.c.warnings, Text).label("raw"),
            catalog.c.position,
            catalog.c.accepted_at,
            catalog.c.collapsed_from,
            place.label("place"),
        )
        .where(catalog.c.status == BackupStatus.OK, _OF_THE_DATABASE)
        .subquery()
    )
    warned_of = (
        select(newest.c.filename, newest.c.warnings)
        .where(
            newest.c.place == 1,
            newest.c.raw != "[]",
            newest.c.accepted_at.is_(None),
            newest.c.collapsed_from.is_(None),
        )
        .order_by(newest.c.position.desc())
    )
    rows = look.connection.execute(warned_of).all()
    warned = [f"{row.filename}: {'; '.join(row.warnings)}" for row in rows]
    if warned:
        text = f"{count(len(warned), 'newest backup')} with a warning{named(warned)}"
        yield Finding("warnings", text, "see: backup-ledger backup show NAME")


def _source_name(site: Site) -> set[str]:
    """The database itself is not a backup, where it stands in the folder."""
    database = site.configuration.database
    is_inside = database is not None and database.absolute().parent == site.store.folder
    return {database.name} if database is not None and is_inside else set()


def _last_backup(connection: Connection, now: datetime) -> dict[str, Any] | None:
    """The newest that can be used of the database's content; a date after now is nobody's last.

    `condition`: a flawed one is the last one too, and is called that.
    """
    columns = ("filename", "created_at", "size", "user_id", "condition")
    row = connection.execute(
        select(*(catalog.c[name] for name in columns))
        .where(
            catalog.c.status == BackupStatus.OK,
            _OF_THE_DATABASE,
            catalog.c.created_at <= now,
        )
        .order_by(catalog.c.created_at.desc(), catalog.c.position.desc())
        .limit(1)
    ).mappings()
    found = row.one_or_none()
    return None if found is None else dict(found)


def _backups(connection: Connection) -> dict[str, Any]:
    size = type_coerce(func.coalesce(func.sum(catalog.c.size), 0), Integer)
    rows = connection.execute(
        select(catalog.c.status, func.count(), size).group_by(catalog.c.status)
    )
    by_status = {str(status): {"count": 0, "bytes": 0} for status in BackupStatus}
    for status, number, total in rows:
        by_status[status] = {"count": number, "bytes": int(total)}
    present = [by_status["ok"], by_status["corrupt"]]
    return {
        "count": sum(each["count"] for each in present),
        "bytes": sum(each["bytes"] for each in present),
        "by_status": by_status,
    }


def _verification(connection: Connection, now: datetime, drill_days: int) -> dict[str, Any]:
    """What is damaged or lost, by name, and what nobody has looked at for too long."""
    unseen = select(func.count()).where(
        catalog.c.status == BackupStatus.OK,
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
