"""Erasing records: their bytes are gone everywhere, and everything else is what it was."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import select

from commands.backups.hold import place_hold
from commands.erasure.find import Person
from commands.erasure.redact import Wanted, erase, plan_of
from commands.errors import InvalidArgument
from ledger.append.tables import events
from ledger.events.catalog import HoldPlaced
from ledger.events.housekeeping import RecordRedacted
from ledger.records.record import Actor
from ledger.verify.verify import verify
from projections.projector.comparison import differences
from projections.tables import columns as tables
from tests.commands.erasure.office import ANNA, SECRETS, erase_all, fill, found_in
from tests.commands.world import World

TEXTS = ("actor_id", "error_message", "event_id", "holds", "filename")


def rows_of(world: World) -> dict[str, list[dict[str, Any]]]:
    """Every row of every read model."""
    with world.site.read_models.reading() as connection:
        return {
            table.name: [
                dict(row)
                for row in connection.execute(select(table).order_by(*table.primary_key)).mappings()
            ]
            for table in tables.READ_MODELS
        }


def without_texts(rows: dict[str, list[dict[str, Any]]]) -> dict[str, list[dict[str, Any]]]:
    return {
        name: [{key: value for key, value in row.items() if key not in TEXTS} for row in found]
        for name, found in rows.items()
    }


@pytest.mark.slow
@pytest.mark.both_databases
def test_what_a_person_left_is_erased_and_all_else_stays(world: World) -> None:
    """The history is whole, the read models are the same but for the texts, live and rebuilt."""
    fill(world)
    site = world.site
    size = site.ledger.log_recorder.head().size
    before = without_texts(rows_of(world))
    done = erase_all(site, Person(actor=ANNA.id))
    assert done.plan.left == ()
    assert len(done.redactions) == len(done.plan.erasable) > 5
    after = rows_of(world)
    assert not any(secret in str(after) for secret in SECRETS if "anna" in secret)
    live = without_texts(after)
    live["audit_trail"] = [each for each in live["audit_trail"] if each["position"] <= size]
    assert live == before
    assert differences(site.read_models, site.ledger) == []
    report = verify(site.ledger.engine)
    assert report.findings == ()
    assert report.erased == len(done.redactions)
    assert "erased by later events" in report.verdict
    site.read_models.rebuild(None)
    assert rows_of(world) == after


@pytest.mark.slow
def test_the_bytes_are_nowhere_in_the_folder(world: World) -> None:
    """Not in the ledger, its log, its free pages, the read models, or what was kept of them."""
    fill(world)
    site = world.site
    site.read_models.rebuild(None)  # the generation before it is kept
    assert {text for _, text in found_in(world.backups, SECRETS)} == set(SECRETS)
    done = erase_all(site, Person(actor=ANNA.id))
    assert done.not_done == ()
    erase_all(site, Person(user=1))
    world.close()
    assert found_in(world.backups, SECRETS) == []


def test_a_file_name_goes_from_all_records_at_once(world: World) -> None:
    """Its backup is deleted; one record was named, and the others that have the name go along."""
    fill(world)
    site = world.site
    created = next(
        each for each in world.all_events() if "file-of-anna.db" in str(each.event.details)
    )
    wanted = Wanted.checked("typo", "IT-4", [created.position])
    erase(site, world.context(), wanted, plan_of(site, wanted))
    assert "file-of-anna" not in str([each.event.details for each in world.all_events()])
    backup_id = created.event.resource_id
    names = {
        each.event.details.filename  # type: ignore[attr-defined]
        for each in world.all_events()
        if each.event.resource_id == backup_id and hasattr(each.event.details, "filename")
    }
    assert names == {f"erased-{backup_id}.db"}


def test_kept_says_what_folds_need_and_nothing_personal(world: World) -> None:
    """No nonce, no event id, no actor's id."""
    fill(world)
    site = world.site
    held = next(each for each in world.all_events() if isinstance(each.event.details, HoldPlaced))
    wanted = Wanted.checked("typo", "IT-4", [held.position])
    erase(site, world.context(), wanted, plan_of(site, wanted))
    (redacted,) = world.recorded(RecordRedacted)
    details = held.event.details
    assert isinstance(details, HoldPlaced)
    assert redacted.redacted_type == held.event.event_type
    assert redacted.kept == {
        "action": "hold",
        "actor_kind": "operator",
        "correlation_id": held.event.correlation_id,
        "details": {"hold_id": details.hold_id, "reason": "[erased]", "until": None},
        "resource_id": held.event.resource_id,
        "resource_type": "backup_catalog",
        "schema_version": 2,
        "stream_version": held.event.stream_version,
        "success": True,
        "timestamp": held.event.model_dump(mode="json")["timestamp"],
        "user_id": held.event.user_id,
    }
    with site.ledger.engine.connect() as connection:
        row = connection.execute(select(events).where(events.c.position == held.position)).one()
    assert row.record is None
    assert row.leaf_hash.hex() == redacted.leaf_hash


@pytest.mark.slow
def test_a_redaction_may_lose_ticket_and_reason_and_nothing_else(world: World) -> None:
    """Who erased what stays known; what was kept can be read through both."""
    fill(world)
    site = world.site
    held = next(each for each in world.all_events() if isinstance(each.event.details, HoldPlaced))
    wanted = Wanted.checked("about-a-person", "ticket-of-a-person", [held.position])
    done = erase(site, site.context(ANNA), wanted, plan_of(site, wanted))
    again = Wanted.checked("typo", "IT-5", done.redactions)
    erase(site, world.context(), again, plan_of(site, again))
    first, second = world.events_of(RecordRedacted)
    assert (first.details.ticket, first.details.reason) == ("[erased]", "[erased]")
    assert first.actor == ANNA
    assert second.details.position == done.redactions[0]
    found = next(each for each in world.all_events() if each.position == held.position)
    assert found.is_erased
    assert found.event.details.reason == "[erased]"  # type: ignore[attr-defined]
    assert verify(site.ledger.engine).findings == ()


@pytest.mark.parametrize(
    ("positions", "problem"),
    [([1], "nothing personal"), ([9_999], "no record at position"), ([1, 1], "named twice")],
)
def test_what_cannot_be_erased_is_refused_and_nothing_changes(
    world: World, positions: list[int], problem: str
) -> None:
    """One line that says which, and why."""
    fill(world)
    site = world.site
    size = site.ledger.log_recorder.head().size
    with pytest.raises(InvalidArgument, match=problem):
        plan_of(site, Wanted.checked("typo", "IT-4", positions))
    assert site.ledger.log_recorder.head().size == size


def test_a_record_is_erased_once(world: World) -> None:
    """A second time there is nothing to take away."""
    fill(world)
    done = erase_all(world.site, Person(actor=ANNA.id))
    with pytest.raises(InvalidArgument, match="erased already"):
        plan_of(world.site, Wanted.checked("typo", "IT-4", done.plan.positions[:1]))
    assert erase_all(world.site, Person(actor=ANNA.id)).redactions == ()


def test_others_are_left_alone(world: World) -> None:
    """Another actor of a longer name, and the programs, keep theirs."""
    fill(world)
    other = Actor(id="anna-of-the-archive-2", kind="operator")
    place_hold(world.site, world.site.context(other), world.present()[0].filename, "mine")
    done = erase_all(world.site, Person(actor=ANNA.id))
    assert all(each.event.actor == ANNA for each in done.plan.erasable)
    assert world.events_of(HoldPlaced)[-1].actor == other
