"""What every append of a run has: its fence, and whose cause it is."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Protocol, TypeVar

from ledger.operational import runs_held_among

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from commands.claims import Claim
    from commands.run_schedules import RunSchedules
    from commands.site import Site
    from ledger.application import Context, Draft
    from ledger.recorder import LockedHead
    from projections.schedule import Schedule


class OfRun(Protocol):
    """Something that is part of a run."""

    @property
    def run_id(self) -> str | None: ...


class OfClaim(OfRun, Protocol):
    """A run with the claim that began it."""

    @property
    def claim(self) -> Claim: ...


EndOfRun = TypeVar("EndOfRun", bound=OfClaim)
PartOfRun = TypeVar("PartOfRun", bound=OfRun)


def held_among(site: Site, locked: LockedHead, parts: Sequence[PartOfRun]) -> list[PartOfRun]:
    """The fence, under the lock: what belongs to a run whose lease is not ours is left out."""
    runs = [each.run_id for each in parts if each.run_id is not None]
    if not runs:
        return list(parts)
    held = runs_held_among(locked.connection, runs, site.instance, site.clock.monotonic())
    return [each for each in parts if each.run_id is None or each.run_id in held]


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


def of_run(draft: Draft, run_id: str | None) -> Draft:
    """A fact that belongs to a run: its claim caused it."""
    return draft if run_id is None else replace(draft, causation_id=run_id, correlation_id=run_id)
