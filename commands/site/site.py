"""One database, its backups folder, its ledger and read models: wired together, here only."""

from __future__ import annotations

import logging
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random
from threading import RLock
from typing import TYPE_CHECKING, Any, cast

from commands.errors import StoreUnknown
from commands.site.actors import SYSTEM
from commands.site.marker import Marker
from commands.site.owner import Owner, owner_name
from commands.site.sources import FolderSource
from commands.sqlite.connections import missing_database
from commands.sqlite.errors import SourceMissing
from commands.sqlite.space import FreeBytes, free_bytes
from ledger.append.database import place_of
from ledger.append.ledger import Context, Draft, Ledger
from ledger.errors import ConcurrencyConflict, LedgerBusy
from ledger.events.housekeeping import ProjectionRebuilt
from ledger.records.record import Actor
from ledger.vocabulary import LEDGER_STREAM
from projections.errors import ProjectionError
from projections.projector.projector import count_rows, read_progress
from projections.tables.registry import projections_named

if TYPE_CHECKING:
    from collections.abc import Callable

    from commands.site.configuration import Configuration
    from commands.site.store import Store
    from commands.sqlite.cipher.keys import Keys
    from ledger.append.ledger import RecordedEvent
    from ledger.clock import Clock
    from ledger.records.record import Event
    from projections.projector.projector import Healed
    from projections.projector.read_models import ReadModels


logger = logging.getLogger("backup_ledger.site")
RECORD_ATTEMPTS = 10


@dataclass
class Site:
    """What every command works on. Open one with `commands.opening.open_site`."""

    configuration: Configuration
    clock: Clock
    ledger: Ledger
    read_models: ReadModels
    _store: Store | None
    is_new: bool = False
    """Its ledger began just now."""
    random: Random = field(default_factory=Random)
    free_bytes: FreeBytes = free_bytes
    turns: AbstractContextManager[Any] = field(default_factory=nullcontext)
    """Taken for each snapshot: where several sites share a process, so many at once."""
    listeners: list[Callable[[list[RecordedEvent]], None]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.instance = owner_name()
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
    def marker(self) -> Marker:
        """What the marker beside the database should say."""
        return Marker(self.ledger.meta.ledger_id, place_of(self.configuration.ledger_url))

    @property
    def database(self) -> Path:
        return self.configuration.database_path

    @property
    def keys(self) -> Keys:
        """The keys of the database and its backups, where they are encrypted."""
        return self.configuration.keys

    def keys_for(self, cipher: str | None) -> Keys | None:
        """What opens a backup. Where neither settings nor its event know of a cipher, none does."""
        return self.keys if cipher is not None or self.keys.is_configured else None

    @property
    def owner(self) -> Owner:
        """This process as one that acts: takes its lock the first time it is asked."""
        with self._lock:
            if self._owner is None:
                self._owner = Owner(self.store.staging, self.instance)
            return self._owner

    def is_working_on(self, lease: str) -> bool:
        """Whether a lease is of something that this process is doing."""
        return self._owner is not None and lease in self._owner.leases

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
                    self.keys,
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
            self.notify(recorded)

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
                    raise SourceMissing(missing_database(self.database))
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

    def notify(self, recorded: list[RecordedEvent], *, is_last: bool = True) -> None:
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
        if not self.read_models.catch_up():
            return
        healed = self.read_models.heals()
        if healed:
            self._record_heals(healed)
            self.read_models.forget_heals(healed)
            self.read_models.catch_up()

    def _record_heals(self, healed: list[Healed]) -> None:
        """Record each once, whoever healed it: another process may be about to, or was killed."""
        context, first = self.context(SYSTEM), min(each.after_version for each in healed)
        first = min(first, self.ledger.stream_version(LEDGER_STREAM))  # it may be another history
        for _attempt in range(RECORD_ATTEMPTS):
            tail = list(self.ledger.events.get(LEDGER_STREAM, gt=first))
            recorded = {cast("Event", each).event_id for each in tail}
            drafts = self._heal_drafts([each for each in healed if each.event_id not in recorded])
            with suppress(ConcurrencyConflict):
                wanted = [replace(each, expected_version=first + len(tail)) for each in drafts]
                self.ledger.append(context, *wanted)
                return
        raise LedgerBusy("other processes record all the time; the read models are healed")

    def _heal_drafts(self, healed: list[Healed]) -> list[Draft]:
        with self.read_models.reading(at_head=False) as connection:
            progress = read_progress(connection)
            return [
                Draft(
                    LEDGER_STREAM,
                    ProjectionRebuilt(
                        name=each.name,
                        version=each.version,
                        position=progress[each.name].position,
                        rows=count_rows(connection, projections_named(each.name)[0]),
                        reason=each.reason,
                    ),
                    event_id=each.event_id,
                )
                for each in healed
            ]

    def close(self) -> None:
        """Give up the owner's lock and every connection."""
        if self._owner is not None:
            self._owner.close()
            self._owner = None
        self.read_models.close()
        self.ledger.close()
