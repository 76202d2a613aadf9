"""Leases and names: working tables, written in the append's transaction.

They hold nothing that the ledger does not say; `rebuild` makes them again from it (rebuilt
leases count as expired). A lease's `expires_at` is in microseconds: of the database server's clock
(since 1970), so that no machine's own clock matters, or of the monotonic clock on SQLite.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from ledger.append.backend import SECOND, backend_of
from ledger.append.batched import batched
from ledger.append.prepared import Prepared
from ledger.append.tables import leases, names
from ledger.errors import LeaseLost, NameTaken
from ledger.events.catalog import BackupCreated, BackupDeleted, BackupFound
from ledger.events.offsite import (
    CopyAbandoned,
    CopyCompleted,
    CopyFailed,
    CopyFetched,
    CopyFetchStarted,
    CopyNotFetched,
    CopyStarted,
)
from ledger.events.offsite_deletion import CollectCompleted, CollectFailed, CollectStarted
from ledger.events.scheduling import (
    BackupAbandoned,
    BackupCompleted,
    BackupFailed,
    BackupStarted,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sqlalchemy import Connection, Select

    from ledger.records.record import Event

_INSERT_LEASES = Prepared(insert(leases), leases.columns.keys())
_INSERT_NAMES = Prepared(insert(names), names.columns.keys())
_END_LEASE = Prepared(delete(leases).where(leases.c.run_id == bindparam("wanted")))
_END_LEASES = delete(leases).where(leases.c.run_id.in_(bindparam("wanted", expanding=True)))
_FREE_NAME = Prepared(
    delete(names).where(
        names.c.store == bindparam("of_store"),
        names.c.filename == bindparam("wanted"),
        names.c.backup_id == bindparam("of_backup"),
    )
)
_NAME_OWNER = Prepared(
    select(names.c.backup_id).where(
        names.c.store == bindparam("of_store"), names.c.filename == bindparam("wanted")
    )
)
_NAMES_OF_STORE = Prepared(select(names.c.filename).where(names.c.store == bindparam("wanted")))
_LEASES = select(leases.c.run_id, leases.c.owner, leases.c.expires_at)
_LEASES_OF_RUNS = Prepared(_LEASES.where(leases.c.run_id.not_like("%/%")))
_LEASES_OF_A_KIND = Prepared(_LEASES.where(leases.c.run_id.like(bindparam("wanted"))))

EXPIRED = -1
"""Before every moment of the monotonic clock, which may start at 0."""

_Rows = list[dict[str, Any]]


_BEGINNINGS_OFFSITE = (CopyStarted, CopyFetchStarted, CollectStarted)
_ENDS_OFFSITE = (
    CopyCompleted,
    CopyFailed,
    CopyAbandoned,
    CopyFetched,
    CopyNotFetched,
    CollectCompleted,
    CollectFailed,
)
_ENDS = (BackupCompleted, BackupFailed, BackupAbandoned)
_CONCERNED = (
    BackupStarted,
    *_BEGINNINGS_OFFSITE,
    *_ENDS_OFFSITE,
    *_ENDS,
    BackupCreated,
    BackupFound,
    BackupDeleted,
)


@dataclass(frozen=True, slots=True)
class Lease:
    """How long a claim is believed without a heartbeat.

    `run_id`: of a run. Leases of other things have a kind: `copy/<copy_id>`, `fetch/<fetch_id>`,
    `collect/<collect_id>`.
    """

    run_id: str
    owner: str
    expires_at: int


def lease_now(connection: Connection, monotonic: float) -> int:
    """The moment by which leases are judged: the server's own, or `monotonic` (in seconds)."""
    return backend_of(connection).lease_now(connection, monotonic)


def apply_events(connection: Connection, events: Iterable[Event], monotonic: float) -> None:
    """Bring the working tables up to date with events just appended.

    Raises:
        NameTaken: another backup of the store has the file name.
    """
    concerned = [event for event in events if isinstance(event.details, _CONCERNED)]
    if concerned:
        changes = _Changes(connection, monotonic)
        for event in concerned:
            changes.add(event)
        changes.write()


class _Changes:
    """What events do to the tables, many rows a statement.

    In the order of the events as far as it matters: what one makes, a later one may end.
    """

    def __init__(self, connection: Connection, monotonic: float) -> None:
        self._connection = connection
        self._monotonic = monotonic
        self._now: int | None = None
        self._started: _Rows = []
        self._ended: _Rows = []
        self._named: _Rows = []
        self._freed: _Rows = []

    def add(self, event: Event) -> None:
        details = event.details
        if isinstance(details, BackupStarted):
            row = self._lease_row(event.event_id, details.scheduler, details.lease_seconds)
            self._put(self._started, row, after=self._ended)
        elif isinstance(details, _BEGINNINGS_OFFSITE):
            lease = _lease_of(event.stream, details)
            row = self._lease_row(lease, details.owner, details.lease_seconds)
            self._put(self._started, row, after=self._ended)
        elif isinstance(details, _ENDS_OFFSITE):
            ended = {"wanted": _lease_of(event.stream, details)}
            self._put(self._ended, ended, after=self._started)
        elif isinstance(details, _ENDS):
            self._put(self._ended, {"wanted": details.run_id}, after=self._started)
        elif isinstance(details, BackupCreated | BackupFound):
            name = {"store": details.store, "filename": details.filename}
            self._put(self._named, name | {"backup_id": event.resource_id}, after=self._freed)
        elif isinstance(details, BackupDeleted):
            name = {"of_store": details.store, "wanted": details.filename}
            self._put(self._freed, name | {"of_backup": event.resource_id}, after=self._named)

    def write(self) -> None:
        if self._started:
            _INSERT_LEASES.run_rows(self._connection, _values(self._started))
        if self._ended:
            self._end_leases()
        if self._named:
            _insert_names(self._connection, self._named)
        if self._freed:
            _FREE_NAME.run_many(self._connection, self._freed)
        for rows in (self._started, self._ended, self._named, self._freed):
            rows.clear()

    def _end_leases(self) -> None:
        if len(self._ended) == 1 or backend_of(self._connection).is_near:
            _END_LEASE.run_many(self._connection, self._ended)
            return
        for some in batched([each["wanted"] for each in self._ended]):
            self._connection.execute(_END_LEASES, {"wanted": some})

    def _put(self, rows: _Rows, row: dict[str, Any], *, after: _Rows) -> None:
        if after:
            self.write()
        rows.append(row)

    def _lease_row(self, run_id: str, owner: str, lease_seconds: int) -> dict[str, Any]:
        if self._now is None:
            self._now = lease_now(self._connection, self._monotonic)
        expires_at = self._now + lease_seconds * SECOND
        return {"run_id": run_id, "owner": owner, "expires_at": expires_at}


def fetch_lease(fetch_id: str) -> str:
    """The lease of a copy's being fetched; a copy's own lease is its stream's name."""
    return f"fetch/{fetch_id}"


def collect_lease(collect_id: str) -> str:
    """The lease of deleting at a destination."""
    return f"collect/{collect_id}"


def _lease_of(stream: str, details: Any) -> str:
    if hasattr(details, "collect_id"):
        return collect_lease(details.collect_id)
    return fetch_lease(details.fetch_id) if hasattr(details, "fetch_id") else stream


def name_owner(connection: Connection, store: str, filename: str) -> str | None:
    """The backup_id that has a file name in a store, or None."""
    row = _NAME_OWNER.run(connection, {"of_store": store, "wanted": filename}).fetchone()
    return None if row is None else str(row[0])


def name_owners(connection: Connection, store: str, filenames: Sequence[str]) -> dict[str, str]:
    """The same for several: those names that somebody has, with their backup_id."""
    if len(filenames) == 1:
        owner = name_owner(connection, store, filenames[0])
        return {} if owner is None else {filenames[0]: owner}
    found: dict[str, str] = {}
    for batch in batched(filenames):
        some = names.c.filename.in_(batch)
        rows = connection.execute(
            select(names.c.filename, names.c.backup_id).where(names.c.store == store, some)
        )
        found |= {row.filename: row.backup_id for row in rows}
    return found


def names_of_store(connection: Connection, store: str) -> set[str]:
    """The file names of everything in a store that is not deleted."""
    return {str(name) for (name,) in _NAMES_OF_STORE.run(connection, {"wanted": store}).fetchall()}


def all_leases(connection: Connection, kind: str | None = None) -> list[Lease]:
    """Leases of runs, or of one kind of other things (such as `copy`)."""
    asked = _LEASES_OF_RUNS if kind is None else _LEASES_OF_A_KIND
    rows = asked.run(connection, {} if kind is None else {"wanted": f"{kind}/%"})
    return [Lease(*row) for row in rows.fetchall()]


def runs_still_held(connection: Connection, owner: str, monotonic: float) -> set[str]:
    """The fence: runs whose lease is there, the owner's and unexpired; others append nothing."""
    return set(connection.execute(_held_by(connection, owner, monotonic)).scalars())


def runs_held_among(
    connection: Connection, run_ids: Sequence[str], owner: str, monotonic: float
) -> set[str]:
    """The same for these runs only."""
    held = _held_by(connection, owner, monotonic).where(leases.c.run_id.in_(run_ids))
    return set(connection.execute(held).scalars())


def _held_by(connection: Connection, owner: str, monotonic: float) -> Select[str]:
    is_unexpired = leases.c.expires_at >= backend_of(connection).lease_clock(monotonic)
    return select(leases.c.run_id).where(leases.c.owner == owner, is_unexpired)


def renew_leases(connection: Connection, owner: str, monotonic: float, lease_seconds: int) -> int:
    """Renew what is still ours and unexpired; how many that is.

    On a server the statement itself reads the clock: whoever is frozen before it renews nothing.
    """
    backend = backend_of(connection)
    # Those that an append is just ending, or somebody taking over, are waited for by nobody.
    ours = backend.lock_free_rows(_held_by(connection, owner, monotonic))
    result = connection.execute(
        update(leases)
        .where(leases.c.run_id.in_(ours))
        .values(expires_at=backend.lease_clock(monotonic) + lease_seconds * SECOND)
    )
    return result.rowcount


def claim_lease(
    connection: Connection, name: str, owner: str, monotonic: float, seconds: int
) -> bool:
    """Take a lease that belongs to nobody, or whose time has passed; says whether it is ours."""
    now = lease_now(connection, monotonic)
    is_free = leases.c.run_id == name, leases.c.expires_at < now
    connection.execute(delete(leases).where(*is_free))
    if connection.execute(select(leases.c.owner).where(leases.c.run_id == name)).first():
        return False
    row = {"run_id": name, "owner": owner, "expires_at": now + seconds * SECOND}
    connection.execute(insert(leases), [row])
    return True


def restore_lease(connection: Connection, run_id: str, owner: str) -> Lease | None:
    """Give an open run back the lease that somebody deleted, expired; None where it has one."""
    if connection.execute(select(leases.c.owner).where(leases.c.run_id == run_id)).first():
        return None
    lease = Lease(run_id, owner, EXPIRED)
    connection.execute(insert(leases), [asdict(lease)])
    return lease


def end_lease(connection: Connection, name: str, owner: str) -> None:
    """Give a lease back; fine where it is gone."""
    connection.execute(delete(leases).where(leases.c.run_id == name, leases.c.owner == owner))


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


def _insert_names(connection: Connection, rows: _Rows) -> None:
    by_store: dict[str, set[str]] = {}
    for row in rows:
        filenames = by_store.setdefault(row["store"], set())
        if row["filename"] in filenames:
            raise NameTaken(row["filename"])
        filenames.add(row["filename"])
    for store, filenames in by_store.items():
        for taken in name_owners(connection, store, sorted(filenames)):
            raise NameTaken(taken)
    try:
        _INSERT_NAMES.run_rows(connection, _values(rows))
    except IntegrityError as error:
        raise NameTaken(str(rows[0]["filename"])) from error


def _values(rows: _Rows) -> list[tuple[Any, ...]]:
    return [tuple(row.values()) for row in rows]
