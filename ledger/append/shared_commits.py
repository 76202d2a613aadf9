"""Appends of several threads that share one commit, and so one flush of the disk.

Whoever comes while another one writes waits in a queue. One of those who waited leads: it takes the
queue's appends in the order in which they came, each behind a savepoint, and commits them together.
Each has an outcome of its own: one that is refused is rolled back alone, and nobody hears of
success before the commit. Where an append ends the whole transaction (a full disk, a lost server),
it alone is told, and where the commit fails, the leader; the others are still in the queue, and are
appended in the next transaction.

Only appends without a decision share a commit: what they append does not depend on one another.
"""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING, Any, TypeVar

from sqlalchemy.exc import DBAPIError

from ledger.append.database import translated_errors

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from ledger.append.recorder import LockedHead

Result = TypeVar("Result")

MOST_TOGETHER = 64
"""Appends in a transaction: the first of them waits for the last, and decisions for all."""


class _TransactionEnded(Exception):
    """One of those who shared it ended it; everything in it is to be done again."""


class _Waiting:
    """One thread's append, and what came of it."""

    def __init__(self, append: Callable[[LockedHead], Any]) -> None:
        self._append = append
        self._result: Any = None
        self._error: Exception | None = None
        self.is_done = False

    def run(self, locked: LockedHead) -> None:
        """Append; an error is raised to whoever commits."""
        self._result, self._error = self._append(locked), None

    def run_apart(self, locked: LockedHead) -> None:
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
    """The queue of one ledger's threads. `locked`: opens the transaction that writes."""

    def __init__(self, locked: Callable[[], AbstractContextManager[LockedHead]]) -> None:
        self._locked = locked
        self._leading = Lock()
        self._queue: dict[_Waiting, None] = {}  # in the order in which they came

    def append(self, append: Callable[[LockedHead], Result]) -> Result:
        """Run `append` in a transaction, perhaps together with others; what it returned.

        It is run again where a transaction that it was a part of failed.

        Raises:
            Exception: what `append` raised, or what became of the transaction.
        """
        waiting = _Waiting(append)
        self._queue[waiting] = None
        try:
            with self._leading:
                while not waiting.is_done:
                    self._commit_those_who_wait()
        finally:
            self._queue.pop(waiting, None)
        result: Result = waiting.outcome()
        return result

    def _commit_those_who_wait(self) -> None:
        try:
            with self._locked() as locked:
                together = [each for each in list(self._queue) if not each.is_done]
                together = together[:MOST_TOGETHER]
                if len(together) == 1:
                    together[0].run(locked)
                else:
                    for each in together:
                        each.run_apart(locked)
        except _TransactionEnded:
            return
        for each in together:
            each.is_done = True
            self._queue.pop(each, None)
