"""From a staged file to a published backup, with the append between them as the commit point."""

from __future__ import annotations

import logging
import sqlite3
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from commands.backups.judge import created_of
from commands.site.configuration import MEGABYTE
from commands.sqlite.copy import Pace
from commands.sqlite.files import remove_database
from commands.sqlite.inspection import TableRows
from commands.sqlite.snapshot import KnownContent, Snapshot, SnapshotLimits, take_snapshot
from ledger.events.catalog import BackupCreated, BackupFound
from ledger.vocabulary import backup_stream
from projections.queries.catalog import backup_with_id, backups_with_ids
from projections.queries.source_backups import last_comparable_of_source

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from commands.site.site import Site
    from commands.sqlite.files import Progress
    from ledger.append.ledger import RecordedEvent
    from projections.folds.backup import Backup


logger = logging.getLogger("backup_ledger.staging")


def staged_of(site: Site, backup: Backup) -> list[Path]:
    """Where a backup's content is staged, whoever staged it.

    Entries on one file are staged once, under the id of one of them: any copy is everybody's.
    """
    staged = site.store.staged_files()
    if not staged:
        return []
    with site.read_models.reading(at_head=False) as connection:
        known = backups_with_ids(connection, {path.name for path in staged})
    first = backup.shared_with or backup.backup_id
    same = {name for name, each in known.items() if (each.shared_with or name) == first}
    return [path for path in staged if path.name in same | {backup.backup_id, first}]


def append_or_discard(site: Site, staged: Path, append: Callable[[], Appended]) -> Appended:
    """Append what a staged file stands for; where that fails, nothing is left of the file.

    Unless the disk failed below the commit: then nobody can say yet whether it counts.

    Raises:
        Exception: whatever `append` raises.
    """
    try:
        return append()
    except BaseException as error:
        if _is_of_the_disk(error):
            raise
        # An interrupt may come between the commit and our hearing of it: then it stays, and
        # recovery publishes it.
        with suppress(Exception):  # whatever cannot be asked or removed now is recovery's
            # Under the lock: a server may be about to commit what it was sent.
            with site.ledger.locked() as locked:
                is_recorded = locked.stream_versions([backup_stream(staged.name)])
            if not any(is_recorded.values()):
                site.store.remove_sidecars(staged.name)
                remove_database(staged)
        raise


def _is_of_the_disk(error: BaseException) -> bool:
    """Whether a commit may have failed halfway.

    SQLite takes back a transaction that it could not flush; but its frames may stand in the log,
    and whoever reads the log anew after a crash finds them committed.
    """
    cause: BaseException | None = error
    while cause is not None:
        code = getattr(getattr(cause, "orig", cause), "sqlite_errorcode", 0) & 0xFF
        if code in (sqlite3.SQLITE_IOERR, sqlite3.SQLITE_FULL):
            return True
        cause = cause.__cause__
    return False


def publish(site: Site, staged: Path, filename: str) -> None:
    """Give a recorded backup its only name, and remove the staged one.

    Raises:
        OSError: it cannot be; the staged file stays, and recovery tries again.
    """
    for error in publish_all(site, staged, [filename]).values():
        raise error


def publish_recorded(site: Site, staged: Path, recorded: Sequence[RecordedEvent]) -> Backup:
    """Give a backup its name once its event is recorded; the backup as the ledger has it.

    Raises:
        OSError: as `publish`.
    """
    made = recorded[0].event.details
    assert isinstance(made, BackupCreated | BackupFound)
    try:
        publish(site, staged, made.filename)
    finally:
        site.notify([*recorded])
    with site.read_models.reading() as connection:
        backup = backup_with_id(connection, staged.name)
    assert backup is not None
    return backup


def publish_all(site: Site, staged: Path, filenames: Iterable[str]) -> dict[str, OSError]:
    """Give a recorded backup its names; which of them it could not be given.

    The staged file stays while a name is wanting, and recovery tries again.
    """
    failed: dict[str, OSError] = {}
    named: list[str] = []
    for filename in filenames:
        try:
            moved = site.store.publish(staged, filename)
        except OSError as error:
            logger.warning("backup %r could not be published: %s", filename, error)
            failed[filename] = error
            continue
        named.append(filename)
        if moved is not None:
            logger.warning("a foreign file %r was moved to %r", filename, moved)
    try:
        site.store.flush()
    except OSError as error:
        failed |= dict.fromkeys(named, error)
    if not failed:
        site.store.discard(staged)
    return failed


Appended = TypeVar("Appended")


@dataclass(frozen=True, slots=True)
class Staged:
    """A finished snapshot that waits for its event."""

    backup_id: str
    path: Path
    snapshot: Snapshot


def stage_snapshot(site: Site, path: Path, on_progress: Progress | None = None) -> Staged:
    """Copy, check and flush the database to a path in this process's staging folder.

    Raises:
        SQLiteFileError: it cannot be; nothing is left.
    """
    settings = site.configuration
    with site.turns:
        snapshot = take_snapshot(
            site.database,
            path,
            wait_seconds=settings.snapshot_wait_seconds,
            limits=SnapshotLimits(
                free_bytes=site.free_bytes, keys=site.keys, known=_known_content(site)
            ),
            pace=Pace(settings.max_mb_per_second * MEGABYTE, settings.niceness),
            on_progress=on_progress,
            pass_fds=(site.owner.lock_descriptor,),
        )
    return Staged(path.name, path, snapshot)


def _known_content(site: Site) -> KnownContent | None:
    """What the database's last backup held, if nothing was wrong and its event lists all."""
    source = site.known_source_id()
    if source is None:
        return None
    with site.read_models.reading(at_head=False) as connection:
        last = last_comparable_of_source(connection, source)
    made = None if last is None else created_of(site, last)
    if last is None or made is None or made.condition != "ok" or made.cipher or made.warnings:
        return None
    if made.nonce is None or len(made.tables) != made.table_count:
        return None  # names were erased from it, or left out
    return KnownContent(
        where=f"backup {last.backup_id}",
        size=made.size,
        sha256=made.sha256,
        schema_fingerprint=made.schema_fingerprint,
        row_count=made.row_count,
        tables=tuple(TableRows(each.name, each.rows) for each in made.tables),
    )
