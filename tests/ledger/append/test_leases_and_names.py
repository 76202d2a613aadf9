"""Leases and names: they follow the events, and can be made again from them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from ledger.append import leases_and_names as operational
from ledger.append.batched import LOOKUP
from ledger.append.leases_and_names import Lease
from ledger.append.ledger import Draft, Ledger
from ledger.append.tables import names
from ledger.clock import ManualClock
from ledger.errors import LeaseLost, NameTaken
from ledger.events.catalog import BackupCreated, BackupDeleted, BackupFound, DeletionStarted
from ledger.events.scheduling import (
    BackupAbandoned,
    BackupCompleted,
    BackupFailed,
    BackupStarted,
)
from tests.conftest import MakeContext
from tests.sample_events import NAME, STORE, draft, uuid_of

RUN = uuid_of(50)
OWNER = "db1:4711:boot"
LATER = 2_000_000_000


def claim(run_id: str = RUN, owner: str = OWNER, seconds: int = 300) -> Draft:
    return draft(BackupStarted, event_id=run_id, scheduler=owner, lease_seconds=seconds)


def created(number: int, filename: str = NAME, store: str = STORE) -> Draft:
    return draft(BackupCreated, f"backup/{uuid_of(number)}", filename=filename, store=store)


def deleted(number: int, filename: str = NAME) -> Draft:
    return draft(BackupDeleted, f"backup/{uuid_of(number)}", filename=filename)


def lease_of(ledger: Ledger, run_id: str = RUN) -> Lease | None:
    with ledger.engine.connect() as connection:
        return next(
            (each for each in operational.all_leases(connection) if each.run_id == run_id), None
        )


def names_of(ledger: Ledger) -> dict[str, str]:
    with ledger.engine.connect() as connection:
        rows = connection.execute(select(names).where(names.c.store == STORE))
        return {row.filename: row.backup_id for row in rows}


def require(ledger: Ledger, owner: str = OWNER) -> None:
    with ledger.locked() as locked:
        now = ledger.clock.monotonic()
        if not operational.runs_held_among(locked.connection, [RUN], owner, now):
            raise LeaseLost(RUN)
        assert RUN in operational.runs_still_held(locked.connection, owner, now)


def renew(ledger: Ledger, owner: str = OWNER, seconds: int = 300) -> int:
    with ledger.locked() as locked:
        now = ledger.clock.monotonic()
        return operational.renew_leases(locked.connection, owner, now, seconds)


def test_a_claim_brings_its_lease(ledger: Ledger, clock: ManualClock, context: MakeContext) -> None:
    """In the same append, for as long as the claim says, by the monotonic clock."""
    clock.advance(timedelta(seconds=10))
    ledger.append(context(), claim())
    assert lease_of(ledger) == Lease(RUN, OWNER, 310_000_000)
    require(ledger)


@pytest.mark.parametrize("kind", [BackupCompleted, BackupFailed, BackupAbandoned])
def test_the_end_of_a_run_ends_its_lease(ledger: Ledger, context: MakeContext, kind: Any) -> None:
    """Whatever the end; leases of other runs stay."""
    ledger.append(context(), claim(), claim(uuid_of(51)))
    ledger.append(context(), draft(kind, run_id=RUN))
    assert lease_of(ledger) is None
    assert lease_of(ledger, uuid_of(51)) is not None
    with pytest.raises(LeaseLost, match=RUN):
        require(ledger)


def test_a_lease_is_believed_until_its_last_moment(
    ledger: Ledger, clock: ManualClock, context: MakeContext
) -> None:
    """And not a moment longer, also not for renewal."""
    ledger.append(context(), claim(seconds=60))
    clock.advance(timedelta(seconds=60))
    require(ledger)
    clock.advance(timedelta(microseconds=1))
    with pytest.raises(LeaseLost):
        require(ledger)
    assert renew(ledger) == 0


def test_a_lease_is_its_owners(ledger: Ledger, context: MakeContext) -> None:
    """Another process neither acts under it nor renews it."""
    ledger.append(context(), claim())
    with pytest.raises(LeaseLost):
        require(ledger, owner="db2:1:boot")
    assert renew(ledger, owner="db2:1:boot") == 0


def test_a_heartbeat_renews_all_of_an_owners_leases(
    ledger: Ledger, clock: ManualClock, context: MakeContext
) -> None:
    """Of that owner only, and only those that have not run out."""
    ledger.append(
        context(),
        claim(),
        claim(uuid_of(51)),
        claim(uuid_of(52), seconds=10),
        claim(uuid_of(53), owner="db2:1:boot"),
    )
    clock.advance(timedelta(seconds=200))
    assert renew(ledger) == 2
    clock.advance(timedelta(seconds=299))
    require(ledger)
    assert lease_of(ledger, uuid_of(53)) == Lease(uuid_of(53), "db2:1:boot", 300_000_000)


def test_a_lease_that_was_taken_over_is_lost_to_its_first_owner(
    ledger: Ledger, context: MakeContext
) -> None:
    """Who takes a run over finishes it; the first owner appends nothing more."""
    ledger.append(context(), claim())
    with ledger.locked() as locked:
        seen = next(iter(operational.all_leases(locked.connection)), None)
        assert seen is not None
        operational.take_over_lease(locked.connection, seen, "db2:1:boot", LATER)
        with pytest.raises(LeaseLost):  # it is no longer as it was seen
            operational.take_over_lease(locked.connection, seen, "db3:1:boot", LATER)
    with pytest.raises(LeaseLost):
        require(ledger)
    require(ledger, owner="db2:1:boot")


def test_a_lost_lease_appends_nothing(
    ledger: Ledger, clock: ManualClock, context: MakeContext
) -> None:
    """The fence stands in the append's own transaction."""
    ledger.append(context(), claim(seconds=1))
    clock.advance(timedelta(seconds=2))

    def decision(locked: Any) -> list[Draft]:
        now = clock.monotonic()
        held = operational.runs_held_among(locked.connection, [RUN, uuid_of(51)], OWNER, now)
        return [created(1)] if RUN in held else []

    assert ledger.decide(context(), decision) == []
    assert ledger.log_recorder.head().size == 1
    assert names_of(ledger) == {}


@pytest.mark.parametrize("kind", [BackupCreated, BackupFound])
def test_a_name_belongs_to_one_backup_of_a_store(
    ledger: Ledger, context: MakeContext, kind: Any
) -> None:
    """A second one is refused by name, and the whole append with it."""
    ledger.append(context(), draft(kind, f"backup/{uuid_of(1)}"))
    with pytest.raises(NameTaken, match="auto_backup_user1") as caught:
        ledger.append(context(), created(2, "other.db"), created(3))
    assert caught.value.filename == NAME
    assert ledger.log_recorder.head().size == 1
    assert names_of(ledger) == {NAME: uuid_of(1)}


def test_the_same_name_twice_in_one_append_is_refused(ledger: Ledger, context: MakeContext) -> None:
    """The error names the one that clashes, not its neighbor."""
    with pytest.raises(NameTaken, match="twice"):
        ledger.append(context(), created(1, "first.db"), created(2, "twice"), created(3, "twice"))
    assert names_of(ledger) == {}


def test_another_store_may_have_the_same_name(ledger: Ledger, context: MakeContext) -> None:
    """Names are of a folder."""
    ledger.append(context(), created(1), created(2, store=uuid_of(77)))
    assert names_of(ledger) == {NAME: uuid_of(1)}


def test_a_name_is_free_again_when_its_backup_is_deleted(
    ledger: Ledger, context: MakeContext
) -> None:
    """Not when the deletion starts: the file may still be there."""
    ledger.append(context(), created(1))
    ledger.append(context(), draft(DeletionStarted, f"backup/{uuid_of(1)}"))
    with pytest.raises(NameTaken):
        ledger.append(context(), created(2))
    ledger.append(context(), deleted(1))
    ledger.append(context(), created(2))
    assert names_of(ledger) == {NAME: uuid_of(2)}


def test_a_name_can_change_hands_within_one_append(ledger: Ledger, context: MakeContext) -> None:
    """Events count in their order: freed, then taken."""
    ledger.append(context(), created(1))
    ledger.append(context(), deleted(1), created(2))
    assert names_of(ledger) == {NAME: uuid_of(2)}


def test_what_begins_and_ends_in_one_append_leaves_nothing(
    ledger: Ledger, context: MakeContext
) -> None:
    """Neither a name nor a lease."""
    ledger.append(context(), claim(), created(1), draft(BackupFailed, run_id=RUN), deleted(1))
    assert lease_of(ledger) is None
    assert names_of(ledger) == {}


def test_owners_of_many_names_are_found_together(ledger: Ledger, context: MakeContext) -> None:
    """More than one statement asks for; free names and other stores' are not among them."""
    many = [f"{number}.db" for number in range(LOOKUP + 2)]
    drafts = [created(number, name) for number, name in enumerate(many)]
    ledger.append(context(), *drafts, created(9_999, "elsewhere.db", uuid_of(7)))
    with ledger.engine.connect() as connection:
        found = operational.name_owners(connection, STORE, ["free.db", "elsewhere.db", *many])
        assert operational.name_owners(connection, STORE, ["free.db"]) == {}
    assert found == {name: uuid_of(number) for number, name in enumerate(many)}


def test_a_name_is_given_twice_in_one_append(ledger: Ledger, context: MakeContext) -> None:
    """The second is refused, and the first with it."""
    with pytest.raises(NameTaken, match=r"'2\.db'"):
        ledger.append(context(), *(created(each, f"{each % 9}.db") for each in range(2, 12)))
    assert names_of(ledger) == {}
