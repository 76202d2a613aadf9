"""One row a scheduler: that it is there, which labels it has, and whether it can work.

No history, and it decides nothing: leases do. On a server the heartbeat is of the server's clock,
so no machine's own matters. On one machine the lock of its folder shows that a scheduler lives
(`commands.site.owner`), and the row is written only where something changed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import delete, insert, select, update

from ledger.append.backend import SECOND, backend_of
from ledger.append.tables import schedulers

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection

FORGOTTEN_SECONDS = 86_400
"""A row that was silent for so long is of a scheduler that nobody waits for."""


@dataclass(frozen=True, slots=True)
class SchedulerRow:
    """What a scheduler last said. `silent_seconds`: since then. `not_ready`: why it cannot work."""

    instance: str
    labels: tuple[str, ...]
    not_ready: str | None
    silent_seconds: float


def beat(
    connection: Connection,
    instance: str,
    labels: Sequence[str],
    not_ready: str | None,
    monotonic: float,
) -> None:
    """Say that a scheduler is there. `monotonic`: this machine's clock (s)."""
    row = {
        "labels": ",".join(labels),
        "not_ready": not_ready,
        "seen_at": backend_of(connection).lease_clock(monotonic),
    }
    ours = update(schedulers).where(schedulers.c.instance == instance).values(row)
    if not connection.execute(ours).rowcount:
        connection.execute(insert(schedulers).values(instance=instance, **row))
        _forget_silent(connection, monotonic)


def leave(connection: Connection, instance: str) -> None:
    """A scheduler ends."""
    connection.execute(delete(schedulers).where(schedulers.c.instance == instance))


def scheduler_rows(connection: Connection, monotonic: float) -> list[SchedulerRow]:
    """All that said anything; those that were killed are among them."""
    now = backend_of(connection).lease_now(connection, monotonic)
    return [
        SchedulerRow(
            row.instance,
            tuple(row.labels.split(",")) if row.labels else (),
            row.not_ready,
            (now - row.seen_at) / SECOND,
        )
        for row in connection.execute(select(schedulers))
    ]


def _forget_silent(connection: Connection, monotonic: float) -> None:
    before = backend_of(connection).lease_clock(monotonic) - FORGOTTEN_SECONDS * SECOND
    connection.execute(delete(schedulers).where(schedulers.c.seen_at < before))
