"""The world of off-site copies, and what every test of deleting asks of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from commands.offsite import copy as copying
from commands.offsite.change import change_destination
from commands.offsite.copy_all import copy_missing
from commands.offsite.deleting.collect import Collected, collect
from projections.folds.offsite_copy import OffsiteCopy
from tests.commands.offsite.conftest import IDENTITIES, Offsite
from tests.commands.offsite.repositories import fetched_digest
from tests.commands.world import add_case
from tests.crash.offsite import copy_in_this_process


class Deleting:
    """Makes copies, lets time pass, collects, and restores what counts."""

    def __init__(self, offsite: Offsite, scratch: Path) -> None:
        self.offsite, self.scratch = offsite, scratch
        self.made = 0

    def set(self, **changes: int | bool) -> None:
        world = self.offsite.world
        change_destination(world.site, world.context(), self.offsite.nas, dict(changes))

    def copies_made(self, number: int, days: int = 1) -> list[OffsiteCopy]:
        """So many more backups, each of other content, copied."""
        for _ in range(number):
            self.made += 1
            add_case(self.offsite.world.database, f"change {self.made} " + "x" * 300)
            self.offsite.backup(f"backup-{self.made:02}")
            self.copy()
            self.offsite.world.advance(days=days)
        return self.offsite.copies()

    def copy(self) -> None:
        world = self.offsite.world
        outcomes = copy_missing(world.site, world.context())
        assert [each.error for each in outcomes if each.error] == []

    def collect(self, *, dry_run: bool = False) -> Collected:
        world = self.offsite.world
        return collect(world.site, world.context(), self.offsite.nas, dry_run=dry_run)

    def collect_until_done(self) -> None:
        """Condemn, wait for the grace, delete."""
        self.collect()
        self.offsite.world.advance(hours=25)
        self.collect()

    def with_status(self, status: str) -> list[str]:
        return [each.filename for each in self.offsite.copies() if each.status == status]

    def require_restorable(self) -> int:
        """Every copy that counts gives back what was recorded, byte for byte; how many."""
        good = [each for each in self.offsite.copies() if each.status == "ok"]
        for copy in good:
            assert self.fetched(copy) == copy.sha256
        return len(good)

    def fetched(self, copy: OffsiteCopy) -> str:
        return fetched_digest(self.offsite.store, copy, self.scratch / "fetched", IDENTITIES)


@pytest.fixture
def deleting(
    offsite: Offsite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Deleting]:
    """What the helper process of copies does is done in this one, which is quicker."""
    monkeypatch.setattr(copying, "run_copy", copy_in_this_process)
    made = Deleting(offsite, tmp_path)
    yield made
    made.require_restorable()
