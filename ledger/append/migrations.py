"""Moving a ledger's own tables forward: a version at a time, in one transaction, or not at all.

A step changes tables beside history (an index, an operational table, a guard). It never touches
a record: records are brought to the newest form when they are read, by `ledger.records.upcasters`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import select, text, update
from sqlalchemy.exc import DBAPIError

from ledger.append.backend import backend_of, quoted
from ledger.append.database import may_not_write, read_meta, writing
from ledger.append.software import is_newer, software_version
from ledger.append.tables import SCHEMA_VERSION, meta, redactions, schedulers, verified
from ledger.errors import LedgerBroken, LedgerError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sqlalchemy import Connection
    from sqlalchemy.engine import Engine

    Steps = Mapping[int, Callable[[Connection], None]]


def _remember_more(connection: Connection) -> None:
    """Version 2: the software that wrote the ledger, and when it was last verified.

    It also has leases of off-site copies, which older software would take for runs'. A server
    checks what is appended.
    """
    table = quoted(connection, meta.name)
    connection.execute(text(f"ALTER TABLE {table} ADD COLUMN software_version TEXT"))
    verified.create(connection)
    schedulers.create(connection)
    backend_of(connection).add_guards(connection)


def _allow_erasure(connection: Connection) -> None:
    """Version 3: a record can be erased, by the owner, where a redaction says so."""
    redactions.create(connection, checkfirst=True)
    backend_of(connection).add_guards(connection)


STEPS: Steps = {1: _remember_more, 2: _allow_erasure}
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
                    f"{engine.url.database} has schema version {version}, and there is no "
                    f"migration from it to {newest}; restore ledger_meta, or update backup-ledger"
                )
            step(connection)
        connection.execute(update(meta).values(schema_version=newest))
    return newest - int(version)


def note_software(engine: Engine) -> None:
    """Note this version of the software in the ledger, where an older one is noted or none.

    A login that may only append leaves it to the owner's.
    """
    own = software_version()
    try:
        if is_newer(own, read_meta(engine).software_version or "0"):
            with writing(engine) as connection:
                connection.execute(update(meta).values(software_version=own))
    except LedgerError as error:
        if not (isinstance(error.__cause__, DBAPIError) and may_not_write(error.__cause__)):
            raise
