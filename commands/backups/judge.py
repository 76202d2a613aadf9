"""What is said of a new backup beside its content: its condition, and how it compares."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from projections.queries.catalog import last_backup_of_source

if TYPE_CHECKING:
    from commands.site.site import Site
    from commands.sqlite.snapshot import Snapshot
    from ledger.vocabulary import Condition

SHRUNK_BELOW = 0.5
"""A backup smaller than this share of the one before it is kept, and says so."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """What goes into the event.

    `collapsed_from`: the backup before it that holds much more. `local_day`: the day in the time
    zone of the schedule that asked for it.
    """

    warnings: tuple[str, ...]
    condition: Condition = "ok"
    findings: tuple[str, ...] = ()
    unchecked: tuple[str, ...] = ()
    collapsed_from: str | None = None
    local_day: str | None = None


def judge(site: Site, snapshot: Snapshot, source: str, *, at_head: bool = True) -> Judgement:
    """The snapshot's own warnings, and one where the database shrank suspiciously."""
    with site.read_models.reading(at_head=at_head) as connection:
        before = last_backup_of_source(connection, source)
    warnings = list(snapshot.warnings)
    if before is not None and snapshot.size < before.size * SHRUNK_BELOW:
        warnings.insert(
            0,
            f"less than half as large as the one before it: {snapshot.size} bytes after "
            f"{before.size} in {before.filename}",
        )
    return Judgement(tuple(warnings))
