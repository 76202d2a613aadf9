"""The read models of one ledger in one database: kept current, and always readable.

Where their database cannot be written (the application holds its lock, or it is read-only),
answers come from the same fold into memory; nothing that was appended is ever in doubt.
"""

from __future__ import annotations

import logging
from contextlib import contextmanager
from threading import RLock
from typing import TYPE_CHECKING, Any

from sqlalchemy import create_engine, event
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError
from sqlalchemy.pool import StaticPool

from ledger.database import WRITE, open_engine, translated_errors
from projections.catalogue import all_projections, projections_named
from projections.errors import ProjectionError, UnfoldableEvent
from projections.projector import Healed, Projector, count_rows, read_progress

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sqlalchemy import Connection
    from sqlalchemy.engine import URL, Engine

    from ledger.application import Ledger

WRITE_WAIT_SECONDS = 2.0
"""How long the projector waits for the database's lock before it gives up for now."""

PROJECTOR_LOCK = int.from_bytes(b"backupl")
"""The advisory lock on PostgreSQL that whoever writes read models holds."""

logger = logging.getLogger("backup_ledger.projections")


class ReadModels:
    """Settings, catalog, runs and audit trail, as tables."""

    def __init__(self, engine: Engine, ledger: Ledger) -> None:
        self.engine = engine
        self._ledger = ledger
        self._projector = Projector(ledger, all_projections())
        self._prepared = False
        self._is_locked_out = False
        self._began_anew = False
        self._memory: ReadModels | None = None
        self._lock = RLock()
        self._healed: list[Healed] = []

    @classmethod
    def at(cls, url: URL, ledger: Ledger, *, is_applications: bool) -> ReadModels:
        """Read models in the database at a URL; they may be the application's own."""
        engine = open_engine(url, busy_seconds=WRITE_WAIT_SECONDS, durable=is_applications)
        if not is_applications and engine.dialect.name == "sqlite":

            @event.listens_for(engine, "connect")
            def _use_wal(connection: Any, _record: Any) -> None:
                connection.execute("PRAGMA journal_mode=WAL").fetchall()

        return cls(engine, ledger)

    @classmethod
    def in_memory(cls, ledger: Ledger) -> ReadModels:
        """Read models that nobody keeps."""
        engine = create_engine(
            "sqlite://", poolclass=StaticPool, connect_args={"check_same_thread": False}
        )
        return cls(engine, ledger)

    def catch_up(self, up_to: int | None = None) -> bool:
        """Fold what is new. False, and logged, where the database cannot be written now.

        Raises:
            ProjectionError: an event cannot be read, or the tables are of newer software.
        """
        with self._lock:
            try:
                if self._is_current():
                    return True
                self._fold_or_begin_anew(up_to)
                self._is_locked_out = False
            except (IntegrityError, DataError) as error:
                reason = str(error.orig).partition("\n")[0]
                raise ProjectionError(f"the read models refuse a row: {reason}") from error
            except DBAPIError as error:
                if not self._is_locked_out:
                    logger.warning("the read models cannot be written now: %s", error.orig)
                self._is_locked_out = True
                return False
            return True

    @contextmanager
    def reading(self, *, at_head: bool = True) -> Iterator[Connection]:
        """A connection in which the read models stand at the ledger's head.

        `at_head`: False where the caller looks at what came after their position by itself, or
        has just caught up: then nothing is folded, unless their database cannot be written.
        """
        is_readable = not at_head and self._prepared and not self._is_locked_out
        if is_readable or self.catch_up():
            with self.engine.connect() as connection:
                yield connection
            return
        with self._lock:
            if self._memory is None:
                self._memory = ReadModels.in_memory(self._ledger)
            memory = self._memory
            if not memory.catch_up():
                raise ProjectionError("the read models cannot be folded into memory either")
            with memory.engine.connect() as connection:
                yield connection

    def take_healed(self) -> list[Healed]:
        """What was discarded and folded again since this was last asked."""
        with self._lock:
            healed, self._healed = self._healed, []
            return healed

    def rebuild(
        self, name: str | None, on_progress: Callable[[int, int], None] | None = None
    ) -> list[tuple[str, int, int, int]]:
        """Fold one read model, or all, again from the first event, in one transaction.

        Readers keep the old rows until it is done. Returns (name, version, position, rows).

        Raises:
            UnknownProjection: there is no such read model.
            LedgerBusy: the application holds their database's lock.
        """
        chosen = projections_named(name)
        self.catch_up()
        projector = Projector(self._ledger, chosen)
        with self._lock, translated_errors(self.engine), self._writing() as connection:
            for projection in chosen:
                projector.discard(connection, projection)
            total = self._ledger.log_recorder.head().size
            more = True
            while more:
                more = projector.advance(connection, up_to=total)
                if on_progress is not None:
                    done = min(read_progress(connection)[each.name].position for each in chosen)
                    on_progress(done, total)
            return [
                (each.name, each.version, total, count_rows(connection, each)) for each in chosen
            ]

    def close(self) -> None:
        self.engine.dispose()
        if self._memory is not None:
            self._memory.close()

    def _is_current(self) -> bool:
        if not self._prepared:
            return False
        try:
            with self.engine.connect() as connection:
                return self._projector.is_current(connection)
        except DBAPIError as error:
            if "locked" in str(error.orig):
                raise
            return False  # the database was replaced under us: prepare again

    def fold_anew(self, reason: str) -> None:
        """Discard all rows, because somebody made them unreadable, and fold the ledger again."""
        with self._lock:
            with self._writing() as connection:
                self._healed += self._projector.discard_all(connection, reason)
            self._fold(None)

    def _fold_or_begin_anew(self, up_to: int | None) -> None:
        try:
            self._fold(up_to)
        except (UnfoldableEvent, ValueError) as error:
            # The event, or the row that it is folded onto? Where it was the row, all is well
            # afterwards; where not, once is enough to know.
            if not self._prepared or self._began_anew:
                raise
            self._began_anew = True
            self.fold_anew(f"nothing could be folded onto its rows: {error}")

    def _fold(self, up_to: int | None) -> None:
        with self._writing() as connection:
            is_sound = self._prepared and self._projector.is_sound(connection)
            healed = [] if is_sound else self._projector.prepare(connection)
            more = self._projector.advance(connection, up_to)
        self._prepared = True
        self._healed += healed
        while more:
            with self._writing() as connection:
                more = self._projector.advance(connection, up_to)

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        with self.engine.connect().execution_options(**{WRITE: True}) as connection:
            # Wait for the lock once; while it stays taken, only look whether it is free.
            self._set_patience(connection, 0.0 if self._is_locked_out else WRITE_WAIT_SECONDS)
            try:
                with connection.begin():
                    self._alone(connection)
                    yield connection
            finally:
                self._set_patience(connection, WRITE_WAIT_SECONDS)

    def _alone(self, connection: Connection) -> None:
        """One projector at a time: SQLite's write lock, or one of ours beside the tables."""
        if self.engine.dialect.name == "postgresql":
            wait = int(WRITE_WAIT_SECONDS * 1_000) if not self._is_locked_out else 1
            connection.exec_driver_sql(f"SET LOCAL lock_timeout = {wait}")
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({PROJECTOR_LOCK})")

    def _set_patience(self, connection: Connection, seconds: float) -> None:
        if self.engine.dialect.name == "sqlite":
            raw: Any = connection.connection.driver_connection
            raw.execute(f"PRAGMA busy_timeout={int(seconds * 1_000)}")


__all__ = ["ProjectionError", "ReadModels"]
