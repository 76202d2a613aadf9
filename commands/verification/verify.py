"""Checking that a backup still is what was recorded; each check is a recorded fact."""

from __future__ import annotations

import errno
import os
import stat
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from commands.backups.staging import staged_of
from commands.errors import BackupNotFound, StoreUnknown, VerificationFailed
from commands.sqlite.content import BackupUnreadable, content_problem, open_backup, read_through
from commands.sqlite.errors import SQLiteFileError, shown
from commands.verification.drill import drill
from ledger.append.ledger import Draft
from ledger.events.catalog import BackupCorrupt, BackupMissing, BackupVerified
from ledger.records.record import cut_text
from ledger.vocabulary import EVERYTHING, BackupStatus, Level, Trigger, backup_stream
from projections.queries.catalog import backups_of_store
from projections.queries.locked import backup_locked

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from commands.site.site import Site
    from commands.sqlite.files import Progress
    from ledger.append.ledger import Context
    from ledger.append.recorder import LockedHead
    from projections.folds.backup import Backup

_GONE = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP)


@dataclass(frozen=True, slots=True)
class Verification:
    """What a check found; `problem` is None where all is well.

    `failure`: why the check could not be made; then nothing is known, and nothing recorded.
    """

    backup: Backup
    level: Level
    found_sha256: str | None
    problem: str | None
    is_gone: bool = False
    failure: str | None = None

    @property
    def is_good(self) -> bool:
        return self.problem is None and self.failure is None

    @property
    def unchecked(self) -> list[str]:
        """Tables of which the level says nothing, as what they need is missing here."""
        if self.level not in ("integrity", "drill") or not self.is_good:
            return []
        # A content that nobody could open when it was copied has been opened now.
        return [each for each in self.backup.unchecked if each != EVERYTHING]


def verify_backup(
    site: Site,
    context: Context,
    backup: Backup,
    level: Level,
    *,
    trigger: Trigger = "command",
    on_progress: Progress | None = None,
) -> Verification:
    """Check a backup and record what was found; what is damaged, for every entry on its file.

    Raises:
        VerificationFailed: the check could not be made; nothing is recorded.
        BackupNotFound: it was deleted meanwhile.
        StoreUnknown: the folder is not the store any more.
    """
    found = _verify_file(site, context, [backup], level, trigger, on_progress)
    if not found:
        raise BackupNotFound(f"backup {backup.filename!r} was deleted while it was checked")
    return found[0]


def verify_backups(
    site: Site,
    context: Context,
    backups: Sequence[Backup],
    level: Level,
    *,
    trigger: Trigger = "command",
    on_progress: Progress | None = None,
) -> Iterator[Verification]:
    """Check backups, each file once, whoever shares it; recorded file by file.

    A check that cannot be made has a `failure`, and the others go on.

    Raises:
        StoreUnknown: the folder is not the store any more.
    """
    files = same_files(site, backups)
    total, before = sum(entries[0].size for entries in files), 0
    for entries in files:

        def tell(step: str, done: int, _size: int, before: int = before) -> None:
            if on_progress is not None:
                on_progress(step, before + done, total)

        try:
            yield from _verify_file(site, context, entries, level, trigger, tell)
        except VerificationFailed as error:
            for each in entries:
                yield Verification(each, level, None, None, failure=str(error))
        before += entries[0].size


def same_files(site: Site, backups: Iterable[Backup]) -> list[list[Backup]]:
    """Entries with the same recorded content on the same inode, together."""
    files: dict[object, list[Backup]] = {}
    for backup in backups:
        seen = site.store.look_at(backup.filename)
        inode = backup.backup_id if seen is None else (seen.device, seen.inode)
        files.setdefault((inode, backup.size, backup.sha256), []).append(backup)
    return list(files.values())


def record_verification(
    site: Site,
    context: Context,
    concerned: Sequence[Backup],
    found: Verification,
    trigger: Trigger,
) -> bool:
    """Record what a check found, for every entry that it concerns and that is still there.

    False where none of them is.
    """

    def decide(locked: LockedHead) -> list[Draft]:
        still = concerned if found.is_good else _still_there(site, locked, concerned, found)
        return [draft for each in still for draft in _drafts(each, found, trigger)]

    recorded = site.ledger.decide(context, decide)
    if recorded:
        site.notify(recorded)
    return bool(recorded)


def look_closely(
    site: Site, backup: Backup, level: Level, on_progress: Progress | None = None
) -> Verification:
    """Check a backup without recording it.

    Raises:
        VerificationFailed: the check could not be made.
        StoreUnknown: the folder is not the store any more.
    """
    if level == "digest" and backup.verified_level is None:
        level = "integrity"  # the digest of what was damaged when it was found proves nothing
    try:
        seen = os.lstat(site.store.path(backup.filename))
        if not stat.S_ISREG(seen.st_mode):
            return _gone(site, backup, level)
        if seen.st_size != backup.size:
            grown = f"the file has {seen.st_size} bytes, recorded were {backup.size}"
            return Verification(backup, level, None, grown)
        if level == "exists":
            return Verification(backup, level, None, None)
        source = open_backup(site.store.path(backup.filename))
        try:
            return _look_inside(site, backup, level, source, on_progress)
        finally:
            os.close(source)
    except BackupUnreadable as error:
        return Verification(backup, level, None, str(error))
    except (SQLiteFileError, OSError) as error:
        if isinstance(error, StoreUnknown):
            raise
        if not isinstance(error, SQLiteFileError) and error.errno in _GONE:
            return _gone(site, backup, level)
        why = shown(error) if isinstance(error, SQLiteFileError) else error.strerror or str(error)
        raise VerificationFailed(
            f"backup {backup.filename!r} could not be checked, which says nothing about it: {why}"
        ) from error


def _look_inside(
    site: Site, backup: Backup, level: Level, source: int, on_progress: Progress | None
) -> Verification:
    if level == "drill":
        digest, problem = drill(site, backup, source, on_progress)
        return Verification(backup, level, digest, problem)
    digest, problem = read_through(source, None, on_progress), None
    if digest != backup.sha256:
        problem = "the file's content is not what was recorded"
    elif level == "integrity":
        path = site.store.path(backup.filename)
        problem = content_problem(path, backup.findings, site.keys_for(backup.cipher))
        if not os.path.samestat(os.lstat(path), os.fstat(source)):
            raise VerificationFailed(f"{shown(path)} was replaced while it was checked; try again")
    return Verification(backup, level, digest, problem)


def _gone(site: Site, backup: Backup, level: Level) -> Verification:
    """Nothing is gone from a folder that is not there."""
    site.store.require_there()
    gone = "the file is gone, or is not a regular file"
    return Verification(backup, level, None, gone, is_gone=True)


def _verify_file(
    site: Site,
    context: Context,
    entries: Sequence[Backup],
    level: Level,
    trigger: Trigger,
    on_progress: Progress | None,
) -> list[Verification]:
    """Check entries that are on one file; what is damaged concerns all others there as well.

    Nothing comes back of what was deleted meanwhile.
    """
    found = look_closely(site, entries[0], level, on_progress)
    if found.is_gone and len(entries) > 1:  # one name is gone, not the file
        each_alone = (
            _verify_file(site, context, [each], level, trigger, on_progress) for each in entries
        )
        return [one for found_alone in each_alone for one in found_alone]
    concerned = list(entries)
    if not found.is_good and not found.is_gone:
        concerned += _others_on_the_file(site, entries)
    if not record_verification(site, context, concerned, found, trigger):
        return []
    return [replace(found, backup=each) for each in entries]


def _others_on_the_file(site: Site, entries: Sequence[Backup]) -> list[Backup]:
    with site.read_models.reading() as connection:
        there = backups_of_store(connection, site.store.store_id)
    known = {each.backup_id for each in entries}
    others = [each for each in there if each.backup_id not in known]
    return same_files(site, [entries[0], *others])[0][1:]


def _still_there(
    site: Site, locked: LockedHead, concerned: Sequence[Backup], found: Verification
) -> list[Backup]:
    """Those that nobody deleted or published meanwhile."""
    still = []
    for backup in concerned:
        now_found = backup_locked(locked, backup.backup_id)
        if now_found is None or now_found.status in (BackupStatus.DELETING, BackupStatus.DELETED):
            continue
        # Staged path first, then final: between the two it may be published, never lost.
        staged = staged_of(site, backup)
        if found.is_gone and (staged or site.store.look_at(backup.filename) is not None):
            continue
        still.append(now_found)
    return still


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
