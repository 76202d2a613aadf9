"""Write transactions one after the other, on a connection that stays.

To take a connection from the pool and give it back costs a third of what an append computes, and
SQLAlchemy's own transactions another fifth. So of a file one connection is kept, in a transaction
of SQLAlchemy's that stays open, while the file's own are begun and ended by statement. A server's
connections go back all the same: there others wait for a free one, and it may be cut off meanwhile.
"""

from __future__ import annotations

from contextlib import contextmanager
from threading import Event, Lock
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from ledger.append.backend import WRITE, backend_of
from ledger.append.database import translated_errors, writing
from ledger.append.prepared import DRIVER, Prepared, driver_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from sqlalchemy import Connection
    from sqlalchemy.engine import Engine

_BEGIN = Prepared(text("BEGIN IMMEDIATE"))
_COMMIT = Prepared(text("COMMIT"))

Result = TypeVar("Result")

MOST_TOGETHER = 64
"""Appends in a transaction: the first of them waits for the last, and decisions for all."""


class Writer:
    """For one thread at a time; the caller sees to that."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._kept: Connection | None = None
        self._is_near = backend_of(engine).is_near
        self._translated_errors = translated_errors(engine)

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """A transaction that writes, committed at the end, or rolled back where something fails.

        Raises:
            LedgerBusy: another process held the lock for too long.
        """
        if not self._is_near:
            with writing(self._engine) as connection:
                yield connection
            return
        with self._translated_errors:
            kept, self._kept = self._kept, None
            connection = kept or self._engine.connect().execution_options(**{WRITE: True})
            try:
                if kept is None:
                    connection.begin()
                    connection.execution_options(**{DRIVER: driver_of(connection)})
                else:
                    _BEGIN.run(connection)
                yield connection
                _COMMIT.run(connection)
            except BaseException:
                connection.close()  # what is not committed is rolled back
                raise
            self._kept = connection

    def close(self) -> None:
        """Give the connection back."""
        kept, self._kept = self._kept, None
        if kept is not None:
            kept.close()


class Locked(Protocol):
    """A transaction that writes. `head`: what an append in it moves on."""

    connection: Connection
    head: Any


class _TransactionEnded(Exception):
    """One of those who shared it ended it; everything in it is to be done again."""


class _OneFailed(Exception):
    """One of those who shared a transaction failed: all of it is done again, each for itself."""


class _Waiting:
    """One thread's append, and what came of it. `turn`: it is done, or its thread leads."""

    def __init__(self, append: Callable[[Any], Any]) -> None:
        self._append = append
        self._result: Any = None
        self._error: Exception | None = None
        self.is_done = False
        self.turn = Event()

    def run(self, locked: Locked) -> None:
        """Append; an error is raised to whoever commits."""
        self._result, self._error = self._append(locked), None

    def run_apart(self, locked: Locked) -> None:
        """Append, or leave everything as it was and keep the error."""
        before, savepoint = locked.head, locked.connection.begin_nested()
        try:
            with translated_errors(locked.connection.engine):
                self.run(locked)
        except Exception as error:  # noqa: BLE001  (raised where `outcome` is asked for)
            self._error = error
            try:
                savepoint.rollback()
            except DBAPIError:
                self.is_done = True
                raise _TransactionEnded from error
            locked.head = before
        else:
            savepoint.commit()

    def outcome(self) -> Any:
        if self._error is not None:
            raise self._error
        return self._result


class SharedCommits:
    """Appends of several threads that share one commit, and so one flush of the disk.

    Whoever comes while another one writes waits in a queue. The first of those who waited leads: it
    takes the queue's appends in the order in which they came, and commits them together. Each has
    an outcome of its own. Where one is refused, all of it is done again with each behind a
    savepoint, so that the refused one is rolled back alone; nobody hears of success before the
    commit. Where an append ends the whole transaction (a full disk, a lost server), it alone is
    told, and where the commit fails, the leader; the others are still in the queue, and are
    appended in the next transaction.

    Only appends without a decision share a commit: they do not depend on one another. `locked`
    opens the transaction.
    """

    def __init__(self, locked: Callable[[], AbstractContextManager[Locked]]) -> None:
        self._locked = locked
        self._changing = Lock()
        self._queue: dict[_Waiting, None] = {}  # in the order in which they came
        self._leader: _Waiting | None = None

    def append(self, append: Callable[[Any], Result]) -> Result:
        """Run `append` in a transaction, perhaps together with others; what it returned.

        It is run again where a transaction that it was a part of failed.

        Raises:
            Exception: what `append` raised, or what became of the transaction.
        """
        waiting = _Waiting(append)
        try:
            self._come(waiting)
            waiting.turn.wait()
            while not waiting.is_done:
                self._commit_those_who_wait()
        finally:
            self._leave(waiting)
        result: Result = waiting.outcome()
        return result

    def _come(self, waiting: _Waiting) -> None:
        with self._changing:
            self._queue[waiting] = None
            if self._leader is None:
                self._leader = waiting
                waiting.turn.set()

    def _leave(self, waiting: _Waiting) -> None:
        """Whoever led makes the first of those who wait the leader, also where it failed."""
        with self._changing:
            self._queue.pop(waiting, None)
            if self._leader is waiting:
                self._leader = next(iter(self._queue), None)
                if self._leader is not None:
                    self._leader.turn.set()

    def _commit_those_who_wait(self) -> None:
        try:
            self._commit(are_apart=False)
        except _OneFailed:
            self._commit(are_apart=True)

    def _commit(self, *, are_apart: bool) -> None:
        try:
            with self._locked() as locked:
                with self._changing:
                    together = list(self._queue)[:MOST_TOGETHER]
                if len(together) == 1:
                    together[0].run(locked)
                elif are_apart:
                    for each in together:
                        each.run_apart(locked)
                else:
                    _run_all(together, locked)
        except _TransactionEnded:
            together = [each for each in together if each.is_done]
        with self._changing:
            for each in together:
                each.is_done = True
                self._queue.pop(each, None)
                each.turn.set()


def _run_all(together: list[_Waiting], locked: Locked) -> None:
    for each in together:
        try:
            each.run(locked)
        except Exception as error:
            raise _OneFailed from error
