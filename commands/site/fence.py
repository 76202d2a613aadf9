"""Leases: nothing is appended for a run that lost its own; and when one is no longer believed."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Protocol, TypeVar

from commands.site.owner import is_alive
from ledger.append.backend import SECOND, backend_of
from ledger.append.leases_and_names import runs_held_among

if TYPE_CHECKING:
    from collections.abc import Sequence

    from commands.site.site import Site
    from ledger.append.leases_and_names import Lease
    from ledger.append.ledger import Draft
    from ledger.append.recorder import LockedHead

LONGEST_LEASE = 86_400 * SECOND


class OfRun(Protocol):
    """Something that is part of a run."""

    @property
    def run_id(self) -> str | None: ...


PartOfRun = TypeVar("PartOfRun", bound=OfRun)


def held_among(site: Site, locked: LockedHead, parts: Sequence[PartOfRun]) -> list[PartOfRun]:
    """The fence, under the lock: what belongs to a run whose lease is not ours is left out."""
    runs = [each.run_id for each in parts if each.run_id is not None]
    if not runs:
        return list(parts)
    held = runs_held_among(locked.connection, runs, site.instance, site.clock.monotonic())
    return [each for each in parts if each.run_id is None or each.run_id in held]


def of_run(draft: Draft, run_id: str | None) -> Draft:
    """A fact that belongs to a run: its claim caused it."""
    return draft if run_id is None else replace(draft, causation_id=run_id, correlation_id=run_id)


def is_over(site: Site, lease: Lease, now: int) -> bool:
    """Whether a claim is no longer believed.

    Its time has passed; or it lies further ahead than any renewal sets it (a time of an
    earlier boot); or, on SQLite, the lock of its owner, who stages in our folder, is free.
    On a server its clock alone decides: owners may be on machines whose locks nobody here sees.
    `now`: by the clock of the leases (`lease_now`).
    """
    if lease.run_id in site.active_runs:
        return False
    if not now <= lease.expires_at <= now + LONGEST_LEASE:
        return True
    if lease.owner == site.instance:
        return True  # ours, and no longer being worked on
    if not backend_of(site.ledger.engine).is_of_one_machine:
        return False
    folder = site.store.staging / lease.owner
    return folder.is_dir() and not is_alive(site.store.staging, lease.owner)
