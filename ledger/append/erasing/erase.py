"""Taking the bytes of records away, in the transaction that appends why.

The databases themselves let nothing else through (`ledger.append.databases.guards`): a record may
go where a later one names its position, leaf hash and type; on a server, by the owner alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import bindparam, delete, null, select, update

from ledger.append.backend import backend_of
from ledger.append.database import writing
from ledger.append.erasing.stand_ins import redactions
from ledger.append.prepared import Prepared
from ledger.append.tables import events, snapshots
from ledger.errors import LedgerBroken
from ledger.vocabulary import LAST_DIGEST

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy import Connection
    from sqlalchemy.engine import Engine

    from ledger.events.housekeeping import RecordRedacted

_ERASE = Prepared(
    update(events)
    .where(events.c.position == bindparam("wanted"), events.c.record.is_not(None))
    .values(record=null())
)


def erase_records(connection: Connection, redacted: Iterable[RecordRedacted]) -> None:
    """Remove the bytes of records that were just redacted, and the states folded from them.

    Raises:
        LedgerBroken: one of them has no bytes.
    """
    streams: set[str] = set()
    for each in redacted:
        if not streams:
            backend_of(connection).overwrite(connection)
        if _ERASE.run(connection, {"wanted": each.position}).rowcount != 1:
            raise LedgerBroken(f"the record at position {each.position} is already erased")
        streams.add(each.stream)
    if streams:
        streams.add(LAST_DIGEST)  # it may name what is erased
    for stream in sorted(streams):
        connection.execute(delete(snapshots).where(snapshots.c.stream == stream))


def erase_again(engine: Engine) -> int:
    """Remove what is there once more although it was redacted; how many records that was.

    Whoever makes a ledger from a copy of before the erasure brings such records back.
    """
    with writing(engine) as connection:
        found = redactions(connection)
        back = [each for each in found if _has_bytes(connection, each.details.position)]
        erase_records(connection, (each.details for each in back))
    return len(back)


def _has_bytes(connection: Connection, position: int) -> bool:
    wanted = events.c.position == position, events.c.record.is_not(None)
    return connection.execute(select(events.c.position).where(*wanted)).first() is not None
