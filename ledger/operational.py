"""Leases and names: working tables, written in the append's transaction.

They hold nothing that the ledger does not say; `rebuild` makes them again from it (rebuilt
leases count as expired). A lease's `expires_at` is in microseconds: of the database server's clock
(since 1970), so that no machine's own clock matters, or of the monotonic clock on SQLite.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import BigInteger, bindparam, delete, insert, literal_column, select, update
from sqlalchemy.exc import IntegrityError

from ledger.errors import LeaseLost, NameTaken
from ledger.events.catalog import BackupCreated, BackupDeleted, BackupFound
from ledger.events.scheduling import (
    BackupAbandoned,
    BackupCompleted,
    BackupFailed,
    BackupStarted,
)
from ledger.prepared import Prepared
from ledger.tables import leases, names

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy import Connection

    from ledger.record import Event

# Not now(): a transaction may have waited long for its lock since it began.
_SERVER_NOW = literal_column(
    "(extract(epoch FROM clock_timestamp()) * 1000000)::bigint", type_=BigInteger()
)
_FIND_LEASE = Prepared(
    select(leases.c.owner, leases.c.expires_at).where(leases.c.run_id == bindparam("wanted"))
)
_END_LEASE = Prepared(delete(leases).where(leases.c.run_id == bindparam("wanted")))
_FREE_NAME = Prepared(delete(names).where(names.c.backup_id == bindparam("wanted")))
_NAME_OWNER = Prepared(
    select(names.c.backup_id).where(
        names.c.store == bindparam("of_store"), names.c.filename == bindparam("wanted")
    )
)

EXPIRED = -1
"""Before every moment of the monotonic clock, which may start at 0."""

SECOND = 1_000_000


@dataclass(frozen=True, slots=True)
class Lease:
    """How long a claim is believed without a heartbeat."""

    run_id: str
    owner: str
    expires_at: int


def lease_end(monotonic_seconds: float, lease_seconds: int) -> int:
    """When a lease of this machine's monotonic clock ends."""
    return int((monotonic_seconds + lease_seconds) * SECOND)


def lease_now(connection: Connection, monotonic: float) -> int:
    """The moment by which leases are judged: the server's own, or `monotonic` (in seconds)."""
    if connection.dialect.name == "sqlite":
        return lease_end(monotonic, 0)
    return int(connection.execute(select(_SERVER_NOW)).scalar_one())


def apply_events(connection: Connection, events: Iterable[Event], monotonic: float) -> None:
    """Bring the working tables up to date with events just appended.

    Raises:
        NameTaken: another backup of the store has the file name.
    """
    now: int | None = None
    started: list[dict[str, object]] = []
    named: list[dict[str, object]] = []

    def flush() -> None:
        # In the order of the events: what one makes, a later one of the same append may end.
        if started:
            connection.execute(insert(leases), started)
        if named:
            _insert_names(connection, named)
        started.clear()
        named.clear()

    for event in events:
        details = event.details
        if isinstance(details, BackupStarted):
            now = lease_now(connection, monotonic) if now is None else now
            expires_at = now + details.lease_seconds * SECOND
            started.append(
                {"run_id": event.event_id, "owner": details.scheduler, "expires_at": expires_at}
            )
        elif isinstance(details, BackupCompleted | BackupFailed | BackupAbandoned):
            flush()
            _END_LEASE.run(connection, {"wanted": details.run_id})
        elif isinstance(details, BackupCreated | BackupFound):
            named.append(
                {
                    "store": details.store,
                    "filename": details.filename,
                    "backup_id": event.resource_id,
                }
            )
        elif isinstance(details, BackupDeleted):
            flush()
            _FREE_NAME.run(connection, {"wanted": event.resource_id})
    flush()


def name_owner(connection: Connection, store: str, filename: str) -> str | None:
    """The backup_id that has a file name in a store, or None."""
    row = _NAME_OWNER.run(connection, {"of_store": store, "wanted": filename}).fetchone()
    return None if row is None else str(row[0])


def names_of_store(connection: Connection, store: str) -> dict[str, str]:
    """File name -> backup_id, of everything in a store that is not deleted."""
    rows = connection.execute(
        select(names.c.filename, names.c.backup_id).where(names.c.store == store)
    )
    return {row.filename: row.backup_id for row in rows}


def find_lease(connection: Connection, run_id: str) -> Lease | None:
    row = _FIND_LEASE.run(connection, {"wanted": run_id}).fetchone()
    return None if row is None else Lease(run_id, row[0], row[1])


def all_leases(connection: Connection) -> list[Lease]:
    return [
        Lease(row.run_id, row.owner, row.expires_at) for row in connection.execute(select(leases))
    ]


def require_lease(connection: Connection, run_id: str, owner: str, monotonic: float) -> None:
    """The fence: the lease is there, ours and unexpired, or nothing may be appended.

    Raises:
        LeaseLost: it is not.
    """
    lease = find_lease(connection, run_id)
    if lease is None or lease.owner != owner:
        raise LeaseLost(run_id)
    if lease.expires_at < lease_now(connection, monotonic):
        raise LeaseLost(run_id)


def runs_still_held(connection: Connection, owner: str, monotonic: float) -> set[str]:
    """The same for all runs of an owner at once."""
    held = select(leases.c.run_id).where(
        leases.c.owner == owner, leases.c.expires_at >= lease_now(connection, monotonic)
    )
    return set(connection.execute(held).scalars())


def renew_leases(connection: Connection, owner: str, monotonic: float, lease_seconds: int) -> int:
    """Renew what is still ours and unexpired; how many that is.

    On a server the statement itself reads the clock: whoever is frozen before it renews nothing.
    """
    is_server = connection.dialect.name != "sqlite"
    now: Any = _SERVER_NOW if is_server else lease_end(monotonic, 0)
    result = connection.execute(
        update(leases)
        .where(leases.c.owner == owner, leases.c.expires_at >= now)
        .values(expires_at=now + lease_seconds * SECOND)
    )
    return result.rowcount


def take_over_lease(connection: Connection, lease: Lease, owner: str, expires_at: int) -> None:
    """Make somebody's lease another one's.

    Raises:
        LeaseLost: it is no longer as it was seen: taken over by others, ended, or renewed.
    """
    result = connection.execute(
        update(leases)
        .where(
            leases.c.run_id == lease.run_id,
            leases.c.owner == lease.owner,
            leases.c.expires_at == lease.expires_at,
        )
        .values(owner=owner, expires_at=expires_at)
    )
    if not result.rowcount:
        raise LeaseLost(lease.run_id)


def rebuild(connection: Connection, events: Iterable[Event]) -> None:
    """Make both tables again from the whole ledger; every open lease counts as expired."""
    connection.execute(delete(leases))
    connection.execute(delete(names))
    for event in events:
        apply_events(connection, [event], monotonic=0.0)
    connection.execute(update(leases).values(expires_at=EXPIRED))


def _insert_names(connection: Connection, rows: list[dict[str, object]]) -> None:
    seen: set[tuple[str, str]] = set()
    for row in rows:
        store, filename = str(row["store"]), str(row["filename"])
        if (store, filename) in seen or name_owner(connection, store, filename) is not None:
            raise NameTaken(filename)
        seen.add((store, filename))
    try:
        connection.execute(insert(names), rows)
    except IntegrityError as error:
        raise NameTaken(str(rows[0]["filename"])) from error
