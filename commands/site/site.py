"""One database, its backups folder, its ledger and read models: wired together, here only."""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from threading import RLock
from typing import TYPE_CHECKING
from uuid import uuid4

from commands.errors import NoDatabase, StoreUnknown
from commands.site.actors import SYSTEM
from commands.site.owner import Owner, owner_name
from commands.sqlite.space import FreeBytes, free_bytes
from ledger.append.ledger import Context, Draft, Ledger
from ledger.errors import LedgerBusy
from ledger.events.housekeeping import ProjectionRebuilt, SourceRegistered
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

    @property
    def has_acted(self) -> bool:
        return self._owner is not None

    def context(self, actor: Actor) -> Context:
        """A new command of an actor, as of now."""
        return Context(actor=actor, now=self.clock.now())

    def source_id(self, context: Context) -> str:
        """The UUID of the database, given to it when it is first seen."""
        with self._lock:
            if self._source_id is None:
                self._source_id = self.known_source_id() or self._register_source(context)
            return self._source_id

    def known_source_id(self) -> str | None:
        """The same, or None where the database was never seen."""
        if self._source_id is not None:
            return self._source_id
        path = self._source_path()
        if path is None or self._store is None:
            return None
        for event in self.ledger.stream(LEDGER_STREAM):
            seen = event.details
            if (
                isinstance(seen, SourceRegistered)
                and seen.store == self.store.store_id
                and seen.path == path
            ):
                self._source_id = seen.source
        return self._source_id

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

    def _register_source(self, context: Context) -> str:
        path = self._source_path()
        if path is None:
            raise NoDatabase("which database? give --database PATH (or BACKUP_LEDGER_DATABASE)")
        source = str(uuid4())
        details = SourceRegistered(source=source, store=self.store.store_id, path=path)
        self.ledger.append(context, Draft(LEDGER_STREAM, details))
        return source

    def _source_path(self) -> str | None:
        if self.configuration.database is None:
            return None
        real = os.path.realpath(self.database)
        return os.fsencode(real).decode("utf-8", "backslashreplace")
