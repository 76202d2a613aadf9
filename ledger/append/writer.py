"""Write transactions one after the other, on a connection that stays.

To take a connection from the pool and give it back costs a third of what an append computes, and
SQLAlchemy's own transactions another fifth. So of a file one connection is kept, in a transaction
of SQLAlchemy's that stays open, while the file's own are begun and ended by statement. A server's
connections go back all the same: there others wait for a free one, and it may be cut off meanwhile.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from sqlalchemy import text

from ledger.append.backend import WRITE, backend_of
from ledger.append.database import translated_errors, writing
from ledger.append.prepared import DRIVER, Prepared, driver_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection
    from sqlalchemy.engine import Engine

_BEGIN = Prepared(text("BEGIN IMMEDIATE"))
_COMMIT = Prepared(text("COMMIT"))


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
