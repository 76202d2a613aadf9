"""Checking that a backup still is what was recorded; each check is a recorded fact."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from commands.backup_content import content_problem
from commands.durable_files import sha256_of
from commands.sqlite_errors import SQLiteFileError
from ledger.application import Draft
from ledger.events.catalog import BackupCorrupt, BackupMissing, BackupVerified
from ledger.record import cut_text
from ledger.vocabulary import LEVELS, BackupStatus, Level, Trigger, backup_stream
from projections.catalog_queries import backups_sharing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from commands.durable_files import Progress
    from commands.site import Site
    from ledger.application import Context
    from projections.backup import Backup


@dataclass(frozen=True, slots=True)
class Verification:
    """What a check found; `problem` is None where all is well."""

    backup: Backup
    level: Level
    found_sha256: str | None
    problem: str | None
    is_gone: bool = False

    @property
    def is_good(self) -> bool:
        return self.problem is None


def verify_backup(
    site: Site,
    context: Context,
    backup: Backup,
    level: Level,
    *,
    trigger: Trigger = "command",
    on_progress: Progress | None = None,
) -> Verification:
    """Check a backup and record what was found, for every entry on the same file."""
    found = look_closely(site, backup, level, on_progress)
    with site.read_models.reading() as connection:
        sharing = backups_sharing(connection, backup.shared_with or backup.backup_id)
    concerned = _on_the_same_file(site, backup, sharing) if not found.is_good else [backup]
    record_verification(site, context, concerned, found, trigger)
    return found


def record_verification(
    site: Site,
    context: Context,
    concerned: Sequence[Backup],
    found: Verification,
    trigger: Trigger,
) -> None:
    """Record what a check found, for every entry that it concerns."""
    drafts = [draft for each in concerned for draft in _drafts(each, found, trigger)]
    site.announce(site.ledger.append(context, *drafts))


def look_closely(
    site: Site, backup: Backup, level: Level, on_progress: Progress | None = None
) -> Verification:
    """Check a backup without recording it."""
    path = site.store.path(backup.filename)
    seen = site.store.look_at(backup.filename)
    if seen is None:
        gone = "the file is gone, or is no regular file"
        return Verification(backup, level, None, gone, is_gone=True)
    rank = LEVELS.index(level)
    if seen.size != backup.size:
        grown = f"the file has {seen.size} bytes, recorded were {backup.size}"
        return Verification(backup, level, None, grown)
    if rank == 0:
        return Verification(backup, level, None, None)
    try:
        digest = sha256_of(path, on_progress)
        if digest != backup.sha256:
            return Verification(
                backup, level, digest, "the file's content is not what was recorded"
            )
        is_deep = rank >= LEVELS.index("integrity")
        problem = content_problem(path) if is_deep else None
        return Verification(backup, level, digest, problem)
    except (SQLiteFileError, OSError) as error:
        return Verification(backup, level, None, str(error))


def _on_the_same_file(site: Site, backup: Backup, sharing: Sequence[Backup]) -> list[Backup]:
    """A shared inode that is corrupt is corrupt for every entry on it."""
    own = site.store.look_at(backup.filename)
    if own is None:
        return [backup]
    same = [backup]
    for other in sharing:
        seen = site.store.look_at(other.filename) if other.is_present else None
        if seen is None or other.backup_id == backup.backup_id:
            continue
        if (seen.device, seen.inode) == (own.device, own.inode):
            same.append(other)
    return same


def _drafts(backup: Backup, found: Verification, trigger: Trigger) -> list[Draft]:
    stream = backup_stream(backup.backup_id)
    kind = BackupVerified if found.is_good else BackupCorrupt
    problem = None if found.problem is None else cut_text(found.problem, 2_000)
    details = kind(
        level=found.level,
        expected_sha256=backup.sha256,
        found_sha256=found.found_sha256,
        problem=problem,
        trigger=trigger,
    )
    drafts = [Draft(stream, details, backup.user_id, error_message=problem)]
    if found.is_gone and backup.status != BackupStatus.MISSING:
        missing = BackupMissing(store=backup.store, filename=backup.filename)
        drafts.append(Draft(stream, missing, backup.user_id, error_message=problem))
    return drafts
