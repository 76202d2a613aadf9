"""Run at once what waits: retries before their time, and a backup for who has no retry left."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from commands.backups.take import take_backup
from commands.errors import message_of
from commands.runs.claim import claim_due
from commands.runs.run import run_claims
from ledger.errors import LedgerError
from projections.queries.overview import schedules_in_state

if TYPE_CHECKING:
    from commands.site.site import Site
    from commands.sqlite.files import Progress
    from ledger.append.ledger import Context
    from projections.folds.schedule import Schedule

MAX_USERS = 10_000
AT_ONCE = 1_000
"""Runs that share one snapshot."""
MAX_TAKEN = 100
"""Backups for users who have no retry left; each is a snapshot of its own."""


@dataclass(slots=True)
class RanNow:
    """What came of it. `left`: users whose next run is the next try. `problem`: the first."""

    completed: int = 0
    failed: int = 0
    taken: int = 0
    left: int = 0
    problem: str | None = None


def run_now(site: Site, context: Context, on_progress: Progress | None = None) -> RanNow:
    """Run what is overdue or waits for its retry; take a backup of users who gave up until then.

    A run that is tried before its time is the same run: it counts, and is recorded, as ever.

    Raises:
        LedgerBusy: nothing can be recorded now.
    """
    with site.read_models.reading() as connection:
        failing = schedules_in_state(connection, "failing", context.now, limit=MAX_USERS)
        overdue = schedules_in_state(connection, "overdue", context.now, limit=MAX_USERS)
    wanted = {each.user_id: each for each in (*failing, *overdue)}
    able = [each for each in wanted.values() if not each.paused and each.open_run_id is None]
    waiting = [each for each in able if _waits(each, context)]
    given_up = [each for each in able if not _waits(each, context)]
    outcome = RanNow(left=max(0, len(given_up) - MAX_TAKEN))
    total = len(waiting) + min(len(given_up), MAX_TAKEN)
    for start in range(0, len(waiting), AT_ONCE):
        _tell(on_progress, start, total)
        claims = claim_due(site, context, waiting[start : start + AT_ONCE])
        completed, failed = run_claims(site, context, claims)
        outcome.completed += completed
        outcome.failed += failed
    for number, schedule in enumerate(given_up[:MAX_TAKEN]):
        _tell(on_progress, len(waiting) + number, total)
        _take(site, context, schedule, outcome)
    return outcome


def _waits(schedule: Schedule, context: Context) -> bool:
    """Its next run is for a slot that has come."""
    return schedule.next_slot is not None and schedule.next_slot <= context.now


def _take(site: Site, context: Context, schedule: Schedule, outcome: RanNow) -> None:
    try:
        take_backup(site, context, user_id=schedule.user_id)
        outcome.taken += 1
    except LedgerError:
        raise
    except Exception as error:  # noqa: BLE001  (it is recorded, and the others go on)
        outcome.failed += 1
        outcome.problem = outcome.problem or message_of(error)


def _tell(on_progress: Progress | None, done: int, total: int) -> None:
    if on_progress is not None:
        on_progress("users", done, total)
