"""The read models of one ledger in one database: kept current, and always readable.

Where their database cannot be written (the application holds its lock, or it is read-only),
answers come from the same fold into memory; nothing that was appended is ever in doubt.
"""

from __future__ import annotations

import logging
from contextlib import contextmanager
from dataclasses import asdict
from threading import RLock
from typing import TYPE_CHECKING

from sqlalchemy import delete, select
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError

from ledger.append.backend import WRITE, backend_of
from ledger.append.database import (
    may_not_write,
    open_engine,
    reading_snapshot,
    translated_errors,
)
from ledger.append.databases.sqlite import SQLiteBackend
from ledger.vocabulary import LEDGER_STREAM
from projections.errors import NoSuchGeneration, ProjectionError, UnfoldableEvent
from projections.projector.damage import Damage
from projections.projector.generations import (
    KEPT,
    Generation,
    drop_generation,
    exchange,
    find_generation,
    generation_of,
    read_generations,
)
from projections.projector.projector import Healed, Projector, read_progress
from projections.projector.rebuild import Rebuild, Rebuilt
from projections.tables.columns import heals, progress
from projections.tables.projection import upsert
from projections.tables.registry import all_projections, projections_named

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from sqlalchemy import Connection
    from sqlalchemy.engine import URL, Engine

    from ledger.append.ledger import Ledger
    from projections.tables.projection import Projection

WRITE_WAIT_SECONDS = 2.0
"""How long the projector waits for the database's lock before it gives up for now."""

COMPARE_ATTEMPTS = 3
"""Where others append all the time, the two may never stand at one position."""

CACHE_KIB = 32 * 1024
"""Of pages that a connection may keep: rows of large tables are folded in no order of theirs."""

logger = logging.getLogger("backup_ledger.projections")


class ReadModels:
    """Settings, catalog, runs and audit trail, as tables."""

    def __init__(
        self,
        engine: Engine,
        ledger: Ledger,
        projections: Sequence[Projection] | None = None,
        *,
        may_be_replaced: bool = False,
    ) -> None:
        """`may_be_replaced`: their file holds nothing else, and where it is damaged gives way."""
        self.engine = engine
        self._is_ours = may_be_replaced
        self._damage = Damage(engine, may_be_replaced=may_be_replaced)
        self._ledger = ledger
        self._projections = tuple(projections or all_projections())
        self._projector = Projector(ledger, self._projections)
        self._prepared = False
        self._is_locked_out = False
        self._began_anew = False
        self._memory: ReadModels | None = None
        self._memory_readers = 0
        self._lock = RLock()

    @classmethod
    def at(
        cls,
        url: URL,
        ledger: Ledger,
        *,
        is_applications: bool,
        projections: Sequence[Projection] | None = None,
    ) -> ReadModels:
        """Read models in the database at a URL; they may be the application's own.

        `projections`: which there are; by default all of the catalog.
        """
        engine = open_engine(
            url,
            busy_seconds=WRITE_WAIT_SECONDS,
            durable=is_applications,
            own_cache_kib=None if is_applications else CACHE_KIB,
            for_read_models=True,
        )
        with translated_errors(engine):
            is_strangers = backend_of(engine).is_strangers(engine, progress.name)
        if is_strangers:
            engine.dispose()
            logger.info("the read models belong to a role with fewer rights; folding in memory")
            return cls.in_memory(ledger, spills=True)
        found = cls(engine, ledger, projections, may_be_replaced=not is_applications)
        found._damage.look()
        return found

    @classmethod
    def in_memory(cls, ledger: Ledger, *, spills: bool = False) -> ReadModels:
        """Read models that nobody keeps. `spills`: what is much goes to a temporary file."""
        return cls(SQLiteBackend().open_in_memory(spills=spills), ledger)

    def catch_up(self, up_to: int | None = None) -> bool:
        """Fold what is new. False, and logged, where the database cannot be written now.

        Raises:
            ProjectionError: an event cannot be read, or the tables are of newer software.
        """
        with self._lock:
            try:
                if self._is_current():
                    self._forget_memory()
                    return True
                self._fold_or_begin_anew(up_to)
                self._is_locked_out = False
                self._forget_memory()
            except (IntegrityError, DataError) as error:
                reason = str(error.orig).partition("\n")[0]
                raise ProjectionError(f"the read models do not accept a row: {reason}") from error
            except DBAPIError as error:
                if self._damage.gave_way(error):
                    self._prepared = False
                    return self.catch_up(up_to)
                if may_not_write(error) and self._stands_at_head():
                    return True  # an auditor, who need not write either
                if not self._is_locked_out:
                    logger.warning("the read models cannot be written now: %s", error.orig)
                self._is_locked_out = True
                return False
            return True

    @contextmanager
    def reading(self, *, at_head: bool = True) -> Iterator[Connection]:
        """A connection in which the read models stand at the ledger's head; all of one moment.

        `at_head`: False where the caller looks at what came after their position by itself, or
        has just caught up: then nothing is folded, unless their database cannot be read. On a
        server whoever is locked out by another projector can read all the same.
        """
        is_blocked = self._is_locked_out and backend_of(self.engine).writers_block_readers
        is_readable = not at_head and self._prepared and not is_blocked
        if is_readable or self.catch_up():
            with self._damage.noticed(), reading_snapshot(self.engine) as connection:
                yield connection
            return
        with self._lock:
            if self._memory is None:
                self._memory = ReadModels.in_memory(self._ledger)
            memory = self._memory
            if not memory.catch_up():
                raise ProjectionError("the read models cannot be folded into memory either")
            self._memory_readers += 1
            try:
                with memory.engine.connect() as connection:
                    yield connection
            finally:
                self._memory_readers -= 1

    def heals(self) -> list[Healed]:
        """What was discarded and folded again, by whichever process, and is not recorded yet."""
        try:
            with reading_snapshot(self.engine) as connection:
                found = [Healed(**row) for row in connection.execute(select(heals)).mappings()]
        except DBAPIError:
            return []  # no table: they are read only, and of an older version
        order = [each.name for each in self._projections]
        return sorted(found, key=lambda each: (each.after_version, order.index(each.name)))

    def forget_heals(self, recorded: Sequence[Healed]) -> None:
        """They are recorded in the ledger now."""
        ids = [each.event_id for each in recorded]
        with translated_errors(self.engine), self._lock, self._writing() as connection:
            connection.execute(delete(heals).where(heals.c.event_id.in_(ids)))

    def rebuild(
        self, name: str | None, on_progress: Callable[[int, int], None] | None = None
    ) -> list[Rebuilt]:
        """Fold one read model, or all, again from the first event, beside those that serve.

        Readers keep the old rows until the new ones take over; the old ones are then kept until
        they are dropped. An attempt that was cut short is continued.

        Raises:
            UnknownProjection: there is no such read model.
            UnreadableEvent: an event cannot be read; the old rows go on to serve.
            LedgerBusy: the application holds their database's lock.
        """
        chosen = projections_named(name, self._projections)
        self.catch_up()
        with translated_errors(self.engine):
            rebuild = self._built(chosen, on_progress)
            return rebuild.take_over(self._compared(rebuild, len(chosen)))

    def roll_back(self, name: str) -> Generation:
        """Let the generation that was kept serve again, and keep the one that serves.

        Raises:
            UnknownProjection: there is no such read model.
            NoSuchGeneration: none was kept, or this software cannot fold it.
            LedgerBusy: the application holds their database's lock.
        """
        (projection,) = projections_named(name, self._projections)
        with translated_errors(self.engine), self._writing() as connection:
            kept = find_generation(connection, name, KEPT, projection.version)
            if kept is None:
                raise NoSuchGeneration(_why_not_back(connection, projection))
            exchange(connection, kept, generation_of(read_progress(connection)[name]))
        return kept

    def drop(self, label: str) -> Generation:
        """Drop a generation that does not serve. `label`: NAME@VERSION.

        Raises:
            NoSuchGeneration: there is none, or it serves.
        """
        name, _at, version = label.partition("@")
        with translated_errors(self.engine), self._writing() as connection:
            found = [each for each in read_generations(connection) if each.label == label]
            if not found:
                serving = read_progress(connection).get(name)
                is_serving = serving is not None and version == str(serving.version)
                problem = "is in use, and cannot be dropped" if is_serving else "is not there"
                raise NoSuchGeneration(f"{label} {problem}; see: backup-ledger projections list")
            drop_generation(connection, found[-1])  # the one that is kept, before one being built
        return found[-1]

    def forget_erased(self) -> str | None:
        """Leave nothing of erased records: no generation that was kept, no page of before.

        What stands in the way of that, in words; the rows themselves are folded again already.
        """
        if self.engine.url.database is None:
            return "they belong to another login, and are updated by its next command"
        with translated_errors(self.engine), self._writing() as connection:
            for each in read_generations(connection):
                drop_generation(connection, each)
        if not self._is_ours:
            return "they are in the application's database, which is not ours to replace"
        tables = [each.table.name for each in self._projections]
        return backend_of(self.engine).scrub(self.engine, tables)

    def close(self) -> None:
        self.engine.dispose()
        self._forget_memory()

    def _forget_memory(self) -> None:
        """Rows in memory are of no use any more; unless somebody is just reading them."""
        if self._memory is not None and not self._memory_readers:
            self._memory.close()
            self._memory = None

    def _is_current(self) -> bool:
        return self._prepared and self._stands_at_head()

    def _stands_at_head(self) -> bool:
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
                self._remember(connection, self._projector.discard_all(connection, reason))
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
            older = [] if is_sound else self._projector.outdated(connection)
            self._remember(connection, [*healed, *self._damage.healed(self._projections)])
            more = bool(older) or self._projector.advance(connection, up_to)
        if older:
            replaced = self._replaced(older)
            with self._writing() as connection:
                self._remember(connection, replaced)
        self._prepared = True
        while more:
            with self._writing() as connection:
                more = self._projector.advance(connection, up_to)

    def _remember(self, connection: Connection, healed: Sequence[Healed]) -> None:
        """Keep what was healed with the rows: a question heals, but records nothing."""
        if not healed:
            return
        version = self._ledger.stream_version(LEDGER_STREAM)
        rows = [asdict(each) | {"after_version": version} for each in healed]
        upsert(connection, heals, ("event_id",), rows)

    def _replaced(self, older: Sequence[Projection]) -> list[Healed]:
        """Read models of an older version give way to those of this software."""
        names = ", ".join(f"{each.name}@{each.version}" for each in older)
        logger.warning("building %s, which this version of the software needs", names)
        rebuilt = self._built(older).take_over({})
        return [
            Healed(
                each.name,
                each.version,
                f"version {each.replaced_version} was replaced by {each.version}",
            )
            for each in rebuilt
        ]

    def _built(
        self,
        chosen: Sequence[Projection],
        on_progress: Callable[[int, int], None] | None = None,
    ) -> Rebuild:
        rebuild = Rebuild(self.engine, self._ledger, chosen, self._writing)
        rebuild.begin()
        total = self._ledger.log_recorder.head().size
        more = True
        while more:
            more = rebuild.advance()
            if on_progress is not None:
                on_progress(min(rebuild.position, total), total)
        rebuild.add_indexes()
        return rebuild

    def _compared(self, rebuild: Rebuild, wanted: int) -> dict[str, int]:
        """What serves is brought to the same position first; while others append, once more."""
        found: dict[str, int] = {}
        for _attempt in range(COMPARE_ATTEMPTS):
            while rebuild.advance():
                pass
            self.catch_up(rebuild.position)
            found = rebuild.compare()
            if len(found) == wanted:
                break
        return found

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        with self.engine.connect().execution_options(**{WRITE: True}) as connection:
            backend = backend_of(connection)
            # Wait for the lock once; while it stays taken, only look whether it is free.
            backend.set_patience(connection, 0.0 if self._is_locked_out else WRITE_WAIT_SECONDS)
            try:
                with connection.begin():
                    backend.fold_alone(connection, WRITE_WAIT_SECONDS)
                    yield connection
            finally:
                backend.set_patience(connection, WRITE_WAIT_SECONDS)


def _why_not_back(connection: Connection, projection: Projection) -> str:
    name = projection.name
    kept = [each for each in read_generations(connection) if each.name == name]
    others = [each.label for each in kept if each.state == KEPT]
    if not others:
        return f"there is no earlier generation of {name}; see: backup-ledger projections list"
    return (
        f"{', '.join(others)} is kept, but this software folds version {projection.version}; "
        "go back with the software that made it"
    )


__all__ = ["ProjectionError", "ReadModels"]
