"""What every append of a run has: its fence, and whose cause it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeVar

from commands.site.fence import OfRun, held_among, of_run

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from commands.runs.claim import Claim
    from commands.runs.schedules import RunSchedules
    from commands.site.site import Site
    from ledger.append.ledger import Context, Draft
    from ledger.append.recorder import LockedHead
    from projections.folds.schedule import Schedule


class OfClaim(OfRun, Protocol):
    """A run with the claim that began it."""

    @property
    def claim(self) -> Claim: ...


EndOfRun = TypeVar("EndOfRun", bound=OfClaim)


def append_ends(
    site: Site,
    context: Context,
    runs: Sequence[EndOfRun],
    schedules: RunSchedules,
    drafts_of: Callable[[EndOfRun, Schedule | None], list[Draft]],
) -> list[EndOfRun]:
    """Append how runs ended, all in one; those of them whose lease is still ours.

    `drafts_of`: what is to be recorded of one, by its user's schedule as of the locked head.
    """
    held: list[EndOfRun] = []

    def decide(locked: LockedHead) -> list[Draft]:
        held[:] = held_among(site, locked, runs)  # it may be decided again
        now = schedules.under(locked)
        return [
            of_run(draft, each.run_id)
            for each in held
            for draft in drafts_of(each, now.get(each.claim.user_id))
        ]

    recorded = site.ledger.decide(context, decide)
    if recorded:
        site.announce(recorded)
    return held
