"""What became of one backup: its story in sentences, what a check found, and where it ended."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from fastapi import Request, Response

from commands.audit.log import stream_records
from commands.http.console.page import page
from commands.http.console.watching.event_lines import Line, lines_of, shown_to_caller
from ledger.events.catalog import BackupCorrupt, BackupMissing, BackupVerified, DeletionStarted
from ledger.vocabulary import BackupStatus, backup_stream
from projections.queries.catalog import backups_named, last_good_backup_of_user

if TYPE_CHECKING:
    from datetime import datetime

    from commands.http.callers import Caller
    from commands.http.served_site import ServedSite
    from projections.folds.backup import Backup

STORY = 100
"""Events of a backup that are told: the newest."""
FORMER = 20
"""Deleted backups of one name whose stories are told: the newest."""
REASONS = {
    "retention": "retention had no more use for it",
    "cleanup_empty": "it was empty, and the empty ones were cleaned up",
    "cleanup_old_protected": "it was protected and old, and such ones were cleaned up",
    "person": "on request",
}


class Damage(NamedTuple):
    """What is wrong with a backup: since when it is known, and what the check found.

    `good_until`: when it was last found good. `instead`: the newest good backup of the same owner.
    """

    text: str
    found_at: datetime
    who: str
    position: int
    expected: str | None
    found: str | None
    good_until: datetime | None
    instead: Backup | None


def damage_of(served: ServedSite, caller: Caller, backup: Backup) -> Damage | None:
    """None where it is not known to be damaged or missing."""
    if backup.status not in (BackupStatus.CORRUPT, BackupStatus.MISSING):
        return None
    first, good_until = None, None if backup.was_adopted else backup.created_at
    for line in _told(served, backup):
        details = None if line.event is None else line.event.details
        if isinstance(details, BackupVerified):
            first, good_until = None, line.event.timestamp if line.event else None
        elif isinstance(details, BackupCorrupt | BackupMissing) and first is None:
            first = line
    if first is None or first.event is None:
        return None
    details = first.event.details
    corrupt = details if isinstance(details, BackupCorrupt) else None
    text = "its file is not in the folder any more"
    if corrupt is not None:
        text = corrupt.problem or "its bytes are not the ones that were recorded"
        text = served.shown_to(caller, text)
    source, instead = backup.source or served.site.known_source_id(), None
    if source is not None:
        with served.site.read_models.reading(at_head=False) as connection:
            instead = last_good_backup_of_user(connection, backup.store, source, backup.user_id)
    return Damage(
        text,
        first.event.timestamp,
        first.who,
        first.position,
        None if corrupt is None else corrupt.expected_sha256,
        None if corrupt is None else corrupt.found_sha256,
        good_until,
        instead,
    )


class Ended(NamedTuple):
    """A deleted backup. `who` and `why`: None where the record of it was erased."""

    backup: Backup
    who: str | None
    why: str | None
    lines: list[Line]


def deleted_page(
    request: Request, caller: Caller, served: ServedSite, filename: str
) -> Response | None:
    """The page of a name that only deleted backups had; None where there is none of the caller's.

    A name may have been given again and again: the newest of them comes first.
    """
    ended = former_backups(served, caller, filename)
    if not ended:
        return None
    return page(request, caller, "deleted.html", filename=filename, ended=ended)


def former_backups(served: ServedSite, caller: Caller, filename: str) -> list[Ended]:
    """The caller's deleted backups of a name with their stories: the newest few, newest first."""
    site = served.site
    with site.read_models.reading() as connection:
        named = [
            each
            for each in backups_named(connection, filename)
            if each.store == site.store.store_id
            and each.status == BackupStatus.DELETED
            and caller.owns(each.user_id)
        ]
    named.sort(key=lambda each: each.position, reverse=True)
    return [_ended(served, caller, each) for each in named[:FORMER]]


def _ended(served: ServedSite, caller: Caller, backup: Backup) -> Ended:
    lines = _told(served, backup)
    lines = [shown_to_caller(served, caller, line) for line in lines]
    for line in reversed(lines):
        if line.event is not None and isinstance(line.event.details, DeletionStarted):
            details = line.event.details
            why = REASONS.get(details.reason, details.reason)
            return Ended(backup, line.who, why, lines)
    return Ended(backup, None, None, lines)


def _told(served: ServedSite, backup: Backup) -> list[Line]:
    records = stream_records(served.site, backup_stream(backup.backup_id), STORY)
    return lines_of(served, records)
