"""The fence of a run: nothing is appended for a run that lost its lease."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Protocol, TypeVar

from ledger.append.leases_and_names import runs_held_among

if TYPE_CHECKING:
    from collections.abc import Sequence

    from commands.site.site import Site
    from ledger.append.ledger import Draft
    from ledger.append.recorder import LockedHead


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
