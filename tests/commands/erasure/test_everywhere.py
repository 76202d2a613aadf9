"""Every reader reads the same of an erased record: the past, copies, kept states, plans."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import func, select

from commands.backups.take import take_backup
from commands.erasure.find import Person
from commands.health.finding import Finding
from commands.notifications.last_digest import LastDigest, keep_digest, last_digest
from commands.restore.plan import plan_restore
from commands.restore.restore import restore_backup
from commands.schedules.settings import configure
from ledger.append.copy import copy_ledger
from ledger.append.database import database_url, open_engine
from ledger.append.leases_and_names import all_leases, names_of_store
from ledger.append.ledger import Ledger
from ledger.append.tables import snapshots
from ledger.clock import ManualClock
from ledger.records.record import decode_event
from ledger.verify.verify import verify
from ledger.vocabulary import schedule_stream
from projections.folds.schedule import SCHEDULE_FORM, evolve_schedule
from projections.past.as_of import as_of
from tests.commands.erasure.office import ANNA, SECRETS, USER, erase_all, fill
from tests.commands.world import MIDNIGHT, World


@pytest.mark.slow
@pytest.mark.both_databases
def test_the_past_is_what_it_was_but_for_the_texts(world: World) -> None:
    """At every position, of all and of one user; also before the erasure."""
    fill(world)
    ledger = world.site.ledger
    size = ledger.log_recorder.head().size
    before = [as_of(ledger, position) for position in range(1, size + 1, 5)]
    erase_all(world.site, Person(actor=ANNA.id))
    erase_all(world.site, Person(user=1), "DSR-2")
    for was in before:
        now = as_of(ledger, was.moment.position)
        assert now.schedules == was.schedules
        assert [(each.backup_id, each.status, each.holds != []) for each in now.backups] == [
            (each.backup_id, each.status, each.holds != []) for each in was.backups
        ]
        assert not any(secret in str(now) for secret in SECRETS)
        own = as_of(ledger, was.moment.position, user_id=1)
        assert {each.user_id for each in own.backups} <= {1}


@pytest.mark.slow
@pytest.mark.both_databases
def test_a_copy_carries_erased_records(world: World, tmp_path: Path) -> None:
    """The same root, names and leases; and what was erased since it was begun goes there, too."""
    fill(world)
    site = world.site
    target = open_engine(database_url(f"sqlite:///{tmp_path}/copy.sqlite"))
    copy_ledger(site.ledger.engine, target)
    erase_all(site, Person(actor=ANNA.id))
    copied = copy_ledger(site.ledger.engine, target)
    assert copied.root == site.ledger.log_recorder.head().frontier.root()
    report = verify(target)
    assert report.findings == ()
    assert report.erased == len([each for each in world.all_events() if each.is_erased])
    fresh = open_engine(database_url(f"sqlite:///{tmp_path}/fresh.sqlite"))
    copy_ledger(site.ledger.engine, fresh)
    ledgers = [Ledger(each, ManualClock(MIDNIGHT)) for each in (target, fresh)]
    for each in ledgers:
        found = [(one.event, one.is_erased) for one in each.recorded()]
        assert found == [(one.event, one.is_erased) for one in world.all_events()]
        with each.engine.connect() as connection, site.ledger.engine.connect() as source:
            store = site.store.store_id
            assert names_of_store(connection, store) == names_of_store(source, store)
            assert all_leases(connection) == []
        each.close()
    assert b"anna-of-the-archive" not in (tmp_path / "fresh.sqlite").read_bytes()


@pytest.mark.slow
def test_states_that_were_kept_are_folded_again(world: World) -> None:
    """What was folded from an erased record is no longer there, nor believed."""
    fill(world)
    site, stream = world.site, schedule_stream(1)
    for number in range(120):
        configure(site, site.context(USER), 1, {"keep_count": number % 20 + 1})
    before = site.ledger.load(stream, evolve_schedule, SCHEDULE_FORM)
    kept = select(func.count()).select_from(snapshots).where(snapshots.c.stream == stream)
    with site.ledger.engine.connect() as connection:
        assert connection.execute(kept).scalar_one() > 0
    digest = LastDigest((Finding("failed", "a name", "see it", is_bad=True),))
    keep_digest(site.ledger.engine, digest)
    assert last_digest(site.ledger.engine) == digest
    erase_all(site, Person(user=1))
    with site.ledger.engine.connect() as connection:
        assert connection.execute(kept).scalar_one() == 0
    assert last_digest(site.ledger.engine) == LastDigest()
    assert site.ledger.load(stream, evolve_schedule, SCHEDULE_FORM) == before


@pytest.mark.slow
def test_a_restore_lists_the_erasures_that_are_younger_than_its_backup(world: World) -> None:
    """They are to be repeated in the database that comes back."""
    fill(world)
    site = world.site
    held = world.present(1)[0].filename
    erase_all(site, Person(actor=ANNA.id), "DSR-17")
    erase_all(site, Person(user=1), "DSR-18")
    plan = plan_restore(site, held)
    assert [each.ticket for each in plan.erasures] == ["DSR-17", "DSR-18"]
    assert plan.erased_since is not None
    assert "DSR-17, DSR-18" in plan.erased_since
    done = restore_backup(site, world.context(), held)
    assert done.plan.erased_since == plan.erased_since
    later = take_backup(site, world.context())
    assert plan_restore(site, later.filename).erased_since is None


def test_followers_get_what_stands_in(world: World) -> None:
    """The library's own ways of reading, too."""
    fill(world)
    erase_all(world.site, Person(actor=ANNA.id))
    recorder = world.site.ledger.log_recorder
    found = recorder.select_notifications(1, 10_000)
    assert [decode_event(each.state) for each in found] == [
        each.event for each in world.all_events()
    ]
    assert world.site.ledger.stream("ledger")
