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

    def decide(locked: LockedHead) -> tuple[list[Draft], list[EndOfRun]]:
        held = held_among(site, locked, runs)
        now = schedules.under(locked)
        drafts = [
            of_run(draft, each.run_id)
            for each in held
            for draft in drafts_of(each, now.get(each.claim.user_id))
        ]
        return drafts, held

    recorded, held = site.ledger.decide_with_result(context, decide)
    if recorded:
        site.announce(recorded)
    return held
