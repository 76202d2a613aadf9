"""What every append of a run has: its fence, and whose cause it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from commands.site.fence import held_runs, of_run

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from commands.runs.claim import Claim
    from commands.runs.schedules import RunSchedules
    from commands.site.site import Site
    from ledger.append.ledger import Context, Draft
    from ledger.append.recorder import LockedHead
    from projections.folds.schedule import Schedule


def append_ends(
    site: Site,
    context: Context,
    claims: Sequence[Claim],
    schedules: RunSchedules,
    drafts_of: Callable[[Claim, Schedule | None], list[Draft]],
) -> set[str]:
    """Append how runs ended, all in one; the run_ids of those whose lease is still ours.

    `drafts_of`: what is to be recorded of one, by its user's schedule as of the locked head.
    """

    def decide(locked: LockedHead) -> tuple[list[Draft], set[str]]:
        held = held_runs(site, locked, (claim.run_id for claim in claims))
        now = schedules.under(locked)
        drafts = [
            of_run(draft, claim.run_id)
            for claim in claims
            if claim.run_id in held
            for draft in drafts_of(claim, now.get(claim.user_id))
        ]
        return drafts, held

    recorded, held = site.ledger.decide_with_result(context, decide)
    if recorded:
        site.notify(recorded)
    return held
