"""Leases: nothing is appended for a run that lost its own; and when one is no longer believed."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from commands.site.owner import is_alive
from ledger.append.backend import SECOND, backend_of
from ledger.append.leases_and_names import runs_held_among

if TYPE_CHECKING:
    from collections.abc import Iterable

    from commands.site.site import Site
    from ledger.append.leases_and_names import Lease
    from ledger.append.ledger import Draft
    from ledger.append.recorder import LockedHead

LONGEST_LEASE = 86_400 * SECOND


def held_runs(site: Site, locked: LockedHead, run_ids: Iterable[str]) -> set[str]:
    """The fence, under the lock: those of these runs whose lease is ours."""
    return runs_held_among(locked.connection, [*run_ids], site.instance, site.clock.monotonic())


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
    if site.is_working_on(lease.run_id):
        return False
    if not now <= lease.expires_at <= now + LONGEST_LEASE:
        return True
    if lease.owner == site.instance:
        return True  # ours, and no longer being worked on
    if not backend_of(site.ledger.engine).is_of_one_machine:
        return False
    folder = site.store.staging / lease.owner
    return folder.is_dir() and not is_alive(site.store.staging, lease.owner)
