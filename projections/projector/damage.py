"""Read models whose file the disk damaged: it gives way to an empty one, and all is folded again.

Nothing is lost by that: the ledger has it all. The damaged file is kept beside the new one.
"""

from __future__ import annotations

import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING

from sqlalchemy.exc import DBAPIError

from ledger.append.backend import Tables, backend_of
from ledger.append.databases.damaged_file import is_damage
from projections.errors import ProjectionError
from projections.projector.projector import Healed, read_progress
from projections.tables.columns import progress

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sqlalchemy.engine import Engine

    from projections.tables.projection import Projection

logger = logging.getLogger("backup_ledger.projections")


class Damage:
    """What a process found of its read models' file, and did about it, at most once.

    `may_be_replaced`: the file holds nothing else. An application's own database never gives way.
    """

    def __init__(self, engine: Engine, *, may_be_replaced: bool) -> None:
        self._engine = engine
        self._may_be_replaced = may_be_replaced
        self._reason: str | None = None

    def look(self) -> None:
        """See that the file can be opened, and says how far it has come."""
        try:
            with self._engine.connect() as connection:
                if Tables(connection).has(progress.name):
                    read_progress(connection)
        except DBAPIError as error:
            self.gave_way(error)  # whatever else it is shows when the rows are needed

    def gave_way(self, error: DBAPIError) -> bool:
        """Whether a sound file stands now where the one that an error is about was damaged."""
        if not (self._may_be_replaced and is_damage(error)):
            return False
        self._may_be_replaced = False
        try:
            kept = backend_of(self._engine).set_aside_damaged(self._engine)
        except OSError:
            return False
        if kept is not None:
            self._reason = f"its file was damaged ({error.orig}), and was renamed to {kept}"
            logger.warning(
                "the read models' file was damaged (%s): they are folded again, and it is kept "
                "as %s",
                error.orig,
                kept,
            )
        return True

    def healed(self, projections: Sequence[Projection]) -> list[Healed]:
        """What is to be recorded of it, once."""
        reason, self._reason = self._reason, None
        if reason is None:
            return []
        return [Healed(each.name, each.version, reason) for each in projections]

    @contextmanager
    def noticed(self) -> Iterator[None]:
        """Rows are read: what is damaged far inside shows only here.

        Raises:
            ProjectionError: it was, and is not any more.
        """
        try:
            yield
        except DBAPIError as error:
            if not self.gave_way(error):
                raise
            raise ProjectionError(
                "the read models' file was damaged; a sound one is in its place, so run the "
                "command again"
            ) from error
