"""One database, its backups folder, its ledger and read models: wired together, here only."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from threading import RLock
from typing import TYPE_CHECKING

from commands.errors import StoreUnknown
from commands.site.actors import SYSTEM
from commands.site.owner import Owner, owner_name
from commands.site.sources import FolderSource
from commands.sqlite.errors import SourceMissing
from commands.sqlite.space import FreeBytes, free_bytes
from ledger.append.ledger import Context, Draft, Ledger
from ledger.errors import LedgerBusy
from ledger.events.housekeeping import ProjectionRebuilt
from ledger.records.record import Actor
from ledger.vocabulary import LEDGER_STREAM
from projections.errors import ProjectionError
from projections.projector.projector import count_rows, read_progress
from projections.tables.registry import projections_named

if TYPE_CHECKING:
    from collections.abc import Callable

    from commands.site.configuration import Configuration
    from commands.site.process_state import DrillDay
    from commands.site.store import Store
    from ledger.append.ledger import RecordedEvent
    from ledger.clock import Clock
    from projections.projector.read_models import ReadModels


logger = logging.getLogger("backup_ledger.site")


@dataclass
class Site:
    """What every command works on. Open one with `commands.opening.open_site`."""

    configuration: Configuration
    clock: Clock
    ledger: Ledger
    read_models: ReadModels
    _store: Store | None
    random: Random = field(default_factory=Random)
    free_bytes: FreeBytes = free_bytes
    listeners: list[Callable[[list[RecordedEvent]], None]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.instance = owner_name()
        self.active_runs: set[str] = set()
        self.checkpoint_tried_at: float | None = None
        self.drills_of: DrillDay | None = None
        self.not_ready: str | None = None
        self._owner: Owner | None = None
        self._source_id: str | None = None
        self._folder_source: FolderSource | None = None
        self._lock = RLock()

    @property
    def store(self) -> Store:
        """The backups folder.

        Raises:
            StoreUnknown: its `.store` file is missing while the ledger is there.
        """
        if self._store is None:
            raise StoreUnknown(
                f"{self.configuration.backups_folder} has no .store file: it may be the wrong or "
                "an unmounted folder; mount it, or make it a new store: "
                "backup-ledger ledger init --new"
            )
        return self._store

    @property
    def has_store(self) -> bool:
        """Whether the backups folder is there, and known; the ledger can be read without."""
        return self._store is not None

    @property
    def store_id(self) -> str | None:
        """The store that questions are about; None, all of them, where no folder was named.

        Raises:
            StoreUnknown: one was named, and has no `.store` file.
        """
        return self.store.store_id if self.configuration.names_a_folder else None

    @property
    def database(self) -> Path:
        return self.configuration.database_path

    @property
    def owner(self) -> Owner:
        """This process as one that acts: takes its lock the first time it is asked."""
        with self._lock:
            if self._owner is None:
                self._owner = Owner(self.store.staging, self.instance)
            return self._owner

    def hold_owner_lock(self) -> None:
        """Take this process's lock, and keep it until the site is closed."""
        _ = self.owner

    def context(self, actor: Actor) -> Context:
        """A new command of an actor, as of now."""
        return Context(actor=actor, now=self.clock.now())

    @property
    def folder_source(self) -> FolderSource:
        """The database that the backups folder belongs to.

        Raises:
            StoreUnknown: as `store`.
        """
        with self._lock:
            if self._folder_source is None:
                self._folder_source = FolderSource(
                    self.ledger,
                    self.store,
                    self.configuration.database and self.database,
                    lambda: self.read_models.reading(),  # noqa: PLW0108  (they may be exchanged)
                )
            return self._folder_source

    def require_own_folder(self, context: Context) -> None:
        """See that the folder belongs to the database given; every command that acts asks.

        Raises:
            SourceMissing: the database is not there.
            FolderOfAnother: the folder belongs to another one.
        """
        recorded = self.folder_source.require_own(context)
        if recorded:
            self.announce(recorded)

    def source_id(self, context: Context) -> str:
        """The UUID of the database, given to it when it is first seen.

        Raises:
            NoDatabase, SourceMissing, FolderOfAnother: there is none here.
        """
        with self._lock:
            if self._source_id is None:
                self.require_own_folder(context)
                found = self.known_source_id()
                if found is None:
                    raise SourceMissing(f"there is no database at {self.database}; check the path")
                self._source_id = found
            return self._source_id

    def known_source_id(self) -> str | None:
        """The UUID of the database, or None where the folder is not its own."""
        if self._source_id is not None or self._store is None:
            return self._source_id
        found = self.folder_source.known_id()
        if found is not None and self.database.exists():
            self._source_id = found
        return found

    def announce(self, recorded: list[RecordedEvent], *, is_last: bool = True) -> None:
        """After an append: bring the read models along, tell who listens.

        The append has committed, so the command has succeeded whatever the read models say.
        `is_last`: False for an append that the same command follows up with another.
        """
        try:
            if is_last:
                self.catch_up()
        except (ProjectionError, LedgerBusy):
            logger.exception("the read models could not be brought along")
        for listener in self.listeners:
            listener(recorded)

    def catch_up(self) -> None:
        """Bring the read models to the head; what had to be discarded is recorded."""
        self.read_models.catch_up()
        healed = self.read_models.take_healed()
        if not healed:
            return
        drafts = []
        with self.read_models.reading() as connection:
            progress = read_progress(connection)
            for each in healed:
                details = ProjectionRebuilt(
                    name=each.name,
                    version=each.version,
                    position=progress[each.name].position,
                    rows=count_rows(connection, projections_named(each.name)[0]),
                    reason=each.reason,
                )
                drafts.append(Draft(LEDGER_STREAM, details))
        self.ledger.append(self.context(SYSTEM), *drafts)
        self.read_models.catch_up()

    def close(self) -> None:
        """Give up the owner's lock and every connection."""
        if self._owner is not None:
            self._owner.close()
            self._owner = None
        self.read_models.close()
        self.ledger.close()
