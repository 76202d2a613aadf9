"""Write transactions one after the other, on a connection that stays.

To take a connection from the pool and give it back costs a third of what an append computes. A
server's go back all the same: there others wait for a free one, and it may be cut off meanwhile.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from ledger.append.backend import WRITE, backend_of
from ledger.append.database import translated_errors, writing

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection
    from sqlalchemy.engine import Engine


class Writer:
    """For one thread at a time; the caller sees to that."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._kept: Connection | None = None

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """A transaction that writes, committed at the end, or rolled back where something fails.

        Raises:
            LedgerBusy: another process held the lock for too long.
        """
        if not backend_of(self._engine).is_near:
            with writing(self._engine) as connection:
                yield connection
            return
        with translated_errors(self._engine):
            kept, self._kept = self._kept, None
            connection = kept or self._engine.connect().execution_options(**{WRITE: True})
            try:
                with connection.begin():
                    yield connection
            except BaseException:
                connection.close()
                raise
            self._kept = connection

    def close(self) -> None:
        """Give the connection back."""
        kept, self._kept = self._kept, None
        if kept is not None:
            kept.close()
