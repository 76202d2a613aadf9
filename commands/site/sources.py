"""Whose folder it is: a backups folder belongs to one database.

Its source is registered when the folder's store is made. A folder of 0.1.0 belongs to the source
of its newest `backup_created`: there two databases could share one.
"""

from __future__ import annotations

import os
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from threading import RLock
from typing import TYPE_CHECKING, cast
from uuid import uuid4

from commands.errors import FolderOfAnother
from commands.sqlite.connections import missing_database, open_immutable, open_live
from commands.sqlite.errors import SourceMissing, SQLiteFileError, shown
from commands.sqlite.inspection import table_names
from ledger.append.ledger import Draft
from ledger.errors import ConcurrencyConflict, LedgerBusy
from ledger.events.catalog import BackupCreated
from ledger.events.housekeeping import SourceMoved, SourceRegistered
from ledger.vocabulary import LEDGER_STREAM, BackupStatus, backup_stream
from projections.queries.catalog import backups_of_store, newest_source_of_store

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from sqlalchemy import Connection

    from commands.site.store import Store
    from commands.sqlite.cipher.keys import Keys
    from ledger.append.ledger import Context, Ledger, RecordedEvent
    from ledger.records.record import Event
    from projections.folds.backup import Backup

ATTEMPTS = 10
LOOK_SECONDS = 2.0
"""How long a database that may have moved is waited for, to look at its tables."""


@dataclass(frozen=True, slots=True)
class Source:
    """One backed-up database: its id, the store it was registered in, and its latest path."""

    source_id: str
    store: str
    path: str


class SourceBook:
    """Every source that a ledger knows; reads only what is new each time.

    `version`: of the ledger's own stream, up to which it has read.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self.version = 0
        self._sources: dict[str, Source] = {}
        self._lock = RLock()

    def all(self) -> list[Source]:
        """In the order in which they were registered."""
        with self._lock:
            for each in self._ledger.events.get(LEDGER_STREAM, gt=self.version):
                event = cast("Event", each)
                self.version = event.stream_version
                self._fold(event)
            return list(self._sources.values())

    def path_of(self, source_id: str | None) -> str | None:
        """Where a source is, or was last; None where the id is not known."""
        return next((each.path for each in self.all() if each.source_id == source_id), None)

    def _fold(self, event: Event) -> None:
        seen = event.details
        if isinstance(seen, SourceRegistered):
            self._sources[seen.source] = Source(seen.source, seen.store, seen.path)
        elif isinstance(seen, SourceMoved) and seen.source in self._sources:
            self._sources[seen.source] = replace(self._sources[seen.source], path=seen.path)


class FolderSource:
    """The source that a backups folder belongs to, compared with the database given.

    `database`: None where none was given. `reading`: opens the read models at the head.
    """

    def __init__(
        self,
        ledger: Ledger,
        store: Store,
        database: Path | None,
        reading: Callable[[], AbstractContextManager[Connection]],
        keys: Keys | None = None,
    ) -> None:
        self.book = SourceBook(ledger)
        self._ledger = ledger
        self._store = store
        self._database = database
        self._reading = reading
        self._keys = keys

    def owner(self) -> Source | None:
        """The folder's source; None where no database was ever registered in it."""
        found = [each for each in self.book.all() if each.store == self._store.store_id]
        if len(found) < 2:  # noqa: PLR2004  (more than one: databases that 0.1.0 mixed)
            return found[0] if found else None
        with self._reading() as connection:
            newest = newest_source_of_store(connection, self._store.store_id)
        return next((each for each in found if each.source_id == newest), found[0])

    def others(self, *, with_backups: bool = False) -> list[Source]:
        """Sources that 0.1.0 registered in this folder besides its owner.

        `with_backups`: those of which there is still a backup.
        """
        owner = self.owner()
        found = [each for each in self.book.all() if each.store == self._store.store_id]
        others = [each for each in found if each != owner]
        if not (others and with_backups):
            return others
        with self._reading() as connection:
            present = backups_of_store(connection, self._store.store_id)
        sources = {each.source for each in present}
        return [each for each in others if each.source_id in sources]

    def known_id(self) -> str | None:
        """The source id of the database given; None where the folder is not its own (yet)."""
        owner = self.owner()
        if owner is None or self._database is None:
            return None
        is_own = is_at(owner.path, self._database) or self._is_gone_or_moved(owner, self._database)
        return owner.source_id if is_own else None

    def require_own(self, context: Context) -> list[RecordedEvent]:
        """See that the database given is the folder's; what had to be recorded for that.

        Nothing is asked where no database was given, or where it is missing and so is the
        folder's own: then nothing could be mixed up, and a restore may bring it back.

        Raises:
            SourceMissing: the database given is not there.
            FolderOfAnother: the folder belongs to another database.
        """
        if self._database is None:
            return []
        for _attempt in range(ATTEMPTS):
            draft = self._wanting(self._database)
            if draft is None:
                return []
            with suppress(ConcurrencyConflict):  # somebody recorded something: look again
                return self._ledger.append(context, draft)
        raise LedgerBusy("other processes record all the time; try again")

    def _wanting(self, database: Path) -> Draft | None:
        """What has to be recorded before a command may act on the database."""
        owner, version = self.owner(), self.book.version
        if owner is not None and is_at(owner.path, database):
            return None
        if not database.exists():
            if owner is not None and _is_gone(owner.path):
                return None
            raise SourceMissing(_missing(database, owner))
        path = path_text(database)
        if owner is None:
            made = SourceRegistered(source=str(uuid4()), store=self._store.store_id, path=path)
            return Draft(LEDGER_STREAM, made, expected_version=version)
        if not self._is_gone_or_moved(owner, database):
            raise FolderOfAnother(self._refusal(owner, database))
        moved = SourceMoved(source=owner.source_id, path_before=owner.path, path=path)
        return Draft(LEDGER_STREAM, moved, expected_version=version)

    def _is_gone_or_moved(self, owner: Source, database: Path) -> bool:
        """Whether the database given takes the place of one that is gone.

        It is the same one, moved, where it shares a table with the last good backup; or it is
        missing as well, and a restore brings it back.
        """
        if not _is_gone(owner.path):
            return False
        return not database.exists() or self._shares_a_table(owner, database)

    def _shares_a_table(self, owner: Source, database: Path) -> bool:
        with self._reading() as connection:
            good = backups_of_store(connection, self._store.store_id, (BackupStatus.OK,))
        last = next((each for each in good if each.source in (owner.source_id, None)), None)
        if last is None:
            return False
        try:
            with closing(open_live(database, LOOK_SECONDS, "ro", self._keys)) as connection:
                return bool(self._tables_of(last) & table_names(connection))
        except SQLiteFileError:
            return False

    def _tables_of(self, backup: Backup) -> set[str]:
        """The tables in a backup: as its event names them, or by a look where it is adopted."""
        made = self._ledger.stream(backup_stream(backup.backup_id))[0].details
        if isinstance(made, BackupCreated) and made.tables:
            return {table.name.lower() for table in made.tables}
        path = self._store.path(backup.filename)
        with closing(open_immutable(path, self._keys)) as connection:
            return table_names(connection)

    def _refusal(self, owner: Source, database: Path) -> str:
        given, folder = shown(database), shown(self._store.folder)
        others = [each.path for each in self.others()]
        said = (
            f"{folder} holds the backups of {shown(owner.path)}, not of {given}; nothing was done. "
            f"Give {given} a folder of its own: --backups DIR"
        )
        if any(is_at(path, database) for path in others):
            return f"{said}. Its older backups are in here: backup-ledger ledger split"
        if _is_gone(owner.path):
            return (
                f"{said}. ({shown(owner.path)} is gone, but {given} shares no table with its last "
                "good backup, so it is not the same database moved)"
            )
        return said


def path_text(path: Path) -> str:
    """The real path of a database as events hold it."""
    return _as_text(os.path.realpath(path))


def is_at(recorded: str, path: Path) -> bool:
    """Whether a recorded path is this file's: the same path, links followed or not, or inode."""
    if recorded in (path_text(path), _as_text(os.path.abspath(path))):
        return True
    try:
        return os.path.samefile(recorded, path)
    except (OSError, ValueError):
        return False


def _is_gone(recorded: str) -> bool:
    """Whether nothing is there; what cannot be looked at may well be there."""
    try:
        os.lstat(recorded)
    except (FileNotFoundError, NotADirectoryError):
        return True
    except (OSError, ValueError):
        return False
    return False


def _as_text(path: str) -> str:
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def _missing(database: Path, owner: Source | None) -> str:
    said = missing_database(database)
    if owner is None:
        return said
    return f"{said} (this backups folder is that of {shown(owner.path)})"
