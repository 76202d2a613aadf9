"""One check: find due work by the index, claim it, run it, record how it went."""

from __future__ import annotations

import logging
from dataclasses import asdict, dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, TypeVar

from commands.errors import StoreUnknown
from commands.health.presence import count_others_ready, count_schedulers
from commands.recovery.expired_claims import resolve_expired_claims
from commands.recovery.reconcile import NewFiles
from commands.recovery.recover import recover
from commands.reporting.logs import Timing, log_event
from commands.runs.claim import claim_due
from commands.runs.corrections import correct_next_runs
from commands.runs.run import run_claims
from commands.scheduler.readiness import Readiness
from commands.site import actors
from projections.queries.due import due_schedules

if TYPE_CHECKING:
    from collections.abc import Callable
    from threading import Event

    from commands.runs.claim import Claim
    from commands.site.site import Site
    from ledger.append.ledger import Context
    from projections.folds.schedule import Schedule

logger = logging.getLogger("backup_ledger.scheduler")
Found = TypeVar("Found")
CLAIMS_PER_BATCH = 1_000
"""Users who share one snapshot at most; a link count has limits, and so has patience."""

INDEPENDENT_PER_BATCH = 4
"""Of copies that nobody shares: a stop waits for these, and other schedulers get the others."""

PLACES_TO_BEGIN = 8
"""How many batches of due runs several schedulers spread over."""


@dataclass(frozen=True, slots=True)
class CheckReport:
    """What a check did. `missed_slots` were recorded as missed by catch-up runs."""

    completed: int = 0
    failed: int = 0
    abandoned: int = 0
    missed_slots: int = 0

    def __add__(self, other: CheckReport) -> CheckReport:
        return CheckReport(
            self.completed + other.completed,
            self.failed + other.failed,
            self.abandoned + other.abandoned,
            self.missed_slots + other.missed_slots,
        )


def check(
    site: Site,
    stop: Event | None = None,
    readiness: Readiness | None = None,
    new_files: NewFiles | None = None,
) -> CheckReport:
    """Run everything that is due as of now.

    `stop` ends it between batches. `readiness` and `new_files`: of the scheduler that checks again
    and again.
    """
    readiness = readiness or Readiness(site)
    context = site.context(actors.scheduler(site.instance))
    timing = Timing(site.clock)
    schedulers = count_schedulers(site)
    if readiness.defers_to_peers(context, count_others_ready(site)):
        log_event("check", is_bad=True, not_ready=readiness.problem)
        return CheckReport()
    with timing.of("recover"):
        site.catch_up()
        recover(site)
        finished, abandoned = resolve_expired_claims(site, context)
        readable(site, lambda: correct_next_runs(site, context))
    report = CheckReport(completed=finished, abandoned=abandoned)
    served: set[int] = set()
    lost, places = 0, min(schedulers, PLACES_TO_BEGIN)
    while stop is None or not stop.is_set():
        with timing.of("look"):
            due = readable(site, lambda: _due(site, context, served, places))
        if not due:
            break
        served.update(schedule.user_id for schedule in due)
        with timing.of("claim"):
            claims = claim_due(site, context, due)
        lost += len(due) - len(claims)
        with timing.of("run"):
            report += _run_batch(site, context, claims)
        if len(due) < _batch_size(site) and places == 1:
            break  # that was all: what is due was asked as of one moment
    with timing.of("adopt"):
        try:
            (new_files or NewFiles()).adopt(site, context)
        except StoreUnknown as error:  # whatever was due has failed, and is recorded
            logger.warning("%s", error)
    log_event("check", **{"due": len(served), "lost": lost} | asdict(report) | timing.fields())
    return report


def is_anything_due(site: Site) -> bool:
    """Whether a check would find work now."""
    site.catch_up()
    return bool(_due(site, site.context(actors.scheduler(site.instance)), set(), 1))


def _run_batch(site: Site, context: Context, claims: list[Claim]) -> CheckReport:
    if not claims:
        return CheckReport()
    logger.info("%d backups are due", len(claims))
    completed, failed = run_claims(site, context, claims)
    return CheckReport(completed, failed, 0, sum(claim.missed for claim in claims))


def readable(site: Site, look: Callable[[], Found]) -> Found:
    """Look at rows of the read models; where somebody made one unreadable, fold them anew first.

    Without it one user's row would keep all users from their backups.
    """
    try:
        return look()
    except ValueError as error:
        logger.exception("the read models have a row that cannot be read")
        site.read_models.fold_anew(f"it had a row that could not be read: {error}")
        site.catch_up()
        return look()


def _due(site: Site, context: Context, served: set[int], places: int) -> list[Schedule]:
    """What is due and was not served in this check: each user runs once in a check."""
    mine = site.configuration.served
    wanted = _batch_size(site) * places
    waiting: list[Schedule] = []
    after: Schedule | None = None
    with site.read_models.reading(at_head=False) as connection:
        while len(waiting) < wanted:
            page = due_schedules(
                connection,
                context.now,
                wanted,
                after=after,
                ranges=None if mine is None else mine.ranges,
                is_rest=mine is not None and mine.is_rest,
            )
            waiting += [each for each in page if each.user_id not in served]
            if len(page) < wanted:
                break
            after = page[-1]
    return batch_of(waiting[:wanted], site.instance, _batch_size(site))


def _batch_size(site: Site) -> int:
    return INDEPENDENT_PER_BATCH if site.configuration.independent_copies else CLAIMS_PER_BATCH


def batch_of(due: list[Schedule], instance: str, size: int) -> list[Schedule]:
    """The batch that a scheduler begins with: always the same place, for each another one.

    Whole batches, as a batch is one snapshot; where there is one, all try it and one has it.
    """
    batches = max(-(-len(due) // size), 1)
    begin = int.from_bytes(sha256(instance.encode()).digest()[:8]) % batches * size
    return due[begin : begin + size]
