"""Any sequence of copying and deleting: every copy that counts restores, after every step.

Two destinations, one of which deletes; time, lost and damaged indexes, an emptied folder, other
recipients, a destination removed and added again, an older ledger put back, a copied folder.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from commands.audit.keys import make_key
from commands.backups.take import take_backup
from commands.errors import CommandError
from commands.offsite import copy as copying
from commands.offsite.add import NewDestination, add_destination
from commands.offsite.change import remove_destination
from commands.offsite.copy_all import copy_missing
from commands.offsite.deleting.collect import collect
from commands.offsite.destinations import find_destination, live_destinations
from commands.offsite.errors import DestinationRefused, RecipientNeeded, RepositoryForked
from commands.offsite.publish import publish_ledger
from commands.offsite.repository.folder_store import FolderStore
from commands.offsite.repository.seal import new_identity, recipient_of
from commands.offsite.upkeep.recipients import add_recipient, remove_recipient
from commands.offsite.verify import verify_copies
from commands.recovery.reconcile import reconcile
from ledger.clock import ManualClock
from projections.folds.offsite_copy import OffsiteCopy
from projections.folds.offsite_destination import Destination
from projections.queries.offsite import copies_at
from tests.commands.offsite.repositories import fetched_digest
from tests.commands.world import MIDNIGHT, World, add_case, make_database
from tests.crash.offsite import copy_in_this_process

pytestmark = pytest.mark.slow
EXAMPLES = int(os.environ.get("BACKUP_LEDGER_TEST_OFFSITE_EXAMPLES", "4"))
IDENTITIES = {recipient_of(each): each for each in (new_identity() for _ in range(3))}
NAMES = st.sampled_from(["nas", "usb"])


class Offsite(RuleBasedStateMachine):
    """A machine with a ledger, its two destinations, and people who put folders back."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        key = self.folder / "checkpoint.key"
        make_key("example.com/machine", key)
        site = self.folder / "site"
        site.mkdir()
        self.world = World(site, ManualClock(MIDNIGHT), {"checkpoint_key": key})
        make_database(self.world.database)
        self.run_copy, copying.run_copy = copying.run_copy, copy_in_this_process
        self.made = self.kept = 0
        for name in ("nas", "usb"):
            self.add(name, list(IDENTITIES)[:2])

    def teardown(self) -> None:
        copying.run_copy = self.run_copy
        self.world.close()
        shutil.rmtree(self.folder)

    def add(self, name: str, recipients: list[str]) -> None:
        wanted = NewDestination(
            url=f"file://{self.folder / name}",
            name=name,
            recipients=tuple(recipients),
            identities=tuple(IDENTITIES[each] for each in recipients),
            settings={"keep": 2} if name == "nas" else {},
        )
        add_destination(self.world.site, self.world.context(), wanted)

    def destination(self, name: str) -> Destination:
        return find_destination(self.world.site, name)

    def good_copies(self, destination: Destination) -> list[OffsiteCopy]:
        with self.world.site.read_models.reading() as connection:
            return copies_at(connection, destination.repository_id, ("ok",))

    @rule(rows=st.integers(1, 40), to=st.sampled_from(["nas", "usb", None]))
    def a_backup_is_made_and_copied(self, rows: int, to: str | None) -> None:
        self.made += 1
        for row in range(rows):
            add_case(self.world.database, f"{self.made} {row} " + "x" * 200)
        self.world.advance(minutes=1)
        take_backup(self.world.site, self.world.context(), filename=f"{self.made:03}.db")
        outcomes = copy_missing(self.world.site, self.world.context(), to=to)
        assert [each.error for each in outcomes if each.error] == []

    @rule(name=NAMES)
    def somebody_collects(self, name: str) -> None:
        found = collect(self.world.site, self.world.context(), self.destination(name))
        assert found.plan.problem is None

    @rule(hours=st.integers(1, 40))
    def time_passes(self, hours: int) -> None:
        self.world.advance(hours=hours)

    @rule(name=NAMES, content=st.sampled_from([None, b"nonsense"]))
    def an_index_is_lost_or_damaged(self, name: str, content: bytes | None) -> None:
        index = self.world.backups / ".offsite" / self.destination(name).repository_id
        for path in [*index.glob("index.sqlite*"), *index.glob("last/*")]:
            path.unlink()
            if content is not None and path.name == "index.sqlite":
                path.write_bytes(content)

    @rule(name=NAMES, other=NAMES)
    def an_index_of_another_destination_is_put_there(self, name: str, other: str) -> None:
        """It names packs that are not there, and has not those that are."""
        above = self.world.backups / ".offsite"
        source, target = (above / self.destination(each).repository_id for each in (other, name))
        if source != target and source.is_dir():
            shutil.rmtree(target, ignore_errors=True)
            shutil.copytree(source, target)

    @rule()
    def the_local_folder_is_emptied(self) -> None:
        for path in self.world.backups.glob("*.db"):
            path.unlink()
        reconcile(self.world.site, self.world.context())

    @rule(name=NAMES, number=st.integers(0, 2), adds=st.booleans())
    def recipients_change(self, name: str, number: int, adds: bool) -> None:
        recipient = list(IDENTITIES)[number]
        place, site, context = self.destination(name), self.world.site, self.world.context()
        with suppress(RecipientNeeded, DestinationRefused):
            if adds:
                add_recipient(site, context, place, recipient, identities=[IDENTITIES[recipient]])
            else:
                remove_recipient(site, context, place, recipient)

    @rule(name=NAMES)
    def a_destination_is_removed_and_added_again(self, name: str) -> None:
        destination = self.destination(name)
        remove_destination(self.world.site, self.world.context(), destination)
        self.add(name, destination.recipients)

    @rule(name=NAMES)
    def copies_are_verified(self, name: str) -> None:
        checked = verify_copies(
            self.world.site, self.world.context(), self.destination(name), "digest"
        )
        assert [each.problem for each in checked if each.problem] == []

    @rule()
    def somebody_keeps_a_copy_of_the_folder(self) -> None:
        """And the machine goes on, so that the copy is an older state of the ledger."""
        self.world.close()
        shutil.rmtree(self.older, ignore_errors=True)
        shutil.copytree(self.world.backups, self.older)
        self.world.open("act")
        self.kept += 1
        self.world.configure(1, keep_count=self.kept % 20 + 1)
        for each in live_destinations(self.world.site):
            publish_ledger(self.world.site, each)

    @property
    def older(self) -> Path:
        return self.folder / "older"

    @precondition(lambda self: self.older.is_dir())
    @rule(hours=st.integers(1, 30))
    def the_older_ledger_acts(self, hours: int) -> None:
        """Put back, or on a cloned machine: it is refused, whatever it tries."""
        with self.in_place_of_ours():
            take_backup(self.world.site, self.world.context(), filename=f"older-{hours}.db")
            for _ in range(2):
                for each in live_destinations(self.world.site):
                    objects = FolderStore(self.folder / each.name)
                    before = [found.path for found in objects.list()]
                    with pytest.raises(RepositoryForked):
                        collect(self.world.site, self.world.context(), each)
                    with suppress(CommandError):
                        copy_missing(self.world.site, self.world.context(), to=each.name)
                    assert [found.path for found in objects.list()] == before
                self.world.advance(hours=hours)

    @contextmanager
    def in_place_of_ours(self) -> Iterator[None]:
        ours = self.folder / "ours"
        self.world.close()
        self.world.backups.rename(ours)
        shutil.copytree(self.older, self.world.backups)
        self.world.open("act")
        try:
            yield
        finally:
            self.world.close()
            shutil.rmtree(self.world.backups)
            ours.rename(self.world.backups)
            self.world.open("act")

    @invariant()
    def every_copy_that_counts_restores_byte_for_byte(self) -> None:
        for destination in live_destinations(self.world.site):
            for copy in self.good_copies(destination):
                current = [IDENTITIES[each] for each in destination.recipients]
                assert self.fetched(destination, copy, current) == copy.sha256

    def fetched(self, place: Destination, copy: OffsiteCopy, identities: list[str]) -> str:
        store = FolderStore(self.folder / place.name)
        return fetched_digest(store, copy, self.folder / "fetched", identities)


Offsite.TestCase.settings = settings(
    max_examples=EXAMPLES,
    stateful_step_count=14,
    deadline=None,
    derandomize=True,
    phases=(Phase.generate,),  # a failure is found again as it is: a shorter one takes long
    suppress_health_check=list(HealthCheck),
)
TestOffsite = Offsite.TestCase
