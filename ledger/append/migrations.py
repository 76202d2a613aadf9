"""Moving a ledger's own tables forward: a version at a time, in one transaction, or not at all.

A step changes tables beside history (an index, an operational table, a guard). It never touches
a record: records are brought to the newest form when they are read, by `ledger.records.upcasters`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import select, update

from ledger.append.database import read_meta, writing
from ledger.append.tables import SCHEMA_VERSION, meta
from ledger.errors import LedgerBroken

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sqlalchemy import Connection
    from sqlalchemy.engine import Engine

    Steps = Mapping[int, Callable[[Connection], None]]

STEPS: Steps = {}
"""Version n -> what makes it n + 1."""


def migrate(engine: Engine, steps: Steps = STEPS, newest: int = SCHEMA_VERSION) -> int:
    """Bring the tables to the newest version; how many steps that took.

    Two processes that begin at once take turns; the second finds nothing left to do.

    Raises:
        LedgerTooNew: newer software wrote the ledger; nothing was changed.
        LedgerBroken: no step leads on from its version; nothing was changed.
        LedgerBusy: another process held the lock for too long.
    """
    if read_meta(engine, newest).schema_version == newest:
        return 0
    with writing(engine) as connection:
        version = connection.execute(select(meta.c.schema_version).with_for_update()).scalar_one()
        for each in range(version, newest):
            step = steps.get(each)
            if step is None:
                raise LedgerBroken(
                    f"{engine.url.database} has schema version {version}, from which nothing "
                    f"leads to {newest}; restore ledger_meta, or update backup-ledger"
                )
            step(connection)
        connection.execute(update(meta).values(schema_version=newest))
    return newest - int(version)
