"""A digest: once a day, with what status says."""

from __future__ import annotations

import pytest

from commands.backups.take import take_backup
from commands.notifications.last_digest import last_digest
from commands.notifications.notifier import Notifier
from tests.commands.conftest import MakeWorld
from tests.commands.notifications.test_notifier import lose_a_backup
from tests.commands.receiver import Receiver
from tests.commands.world import World


def digests(world: World, receiver: Receiver, days: int = 1) -> list[str]:
    """The titles of the digests of the next days."""
    before = len(receiver.titles)
    notifier = Notifier(world.site)
    for _day in range(days):
        world.advance(days=1)
        world.check()
        notifier.look()
    return receiver.titles[before:]


@pytest.fixture
def daily(make_world: MakeWorld, receiver: Receiver) -> World:
    """A schedule, a backup, and a digest every morning."""
    world = make_world(notify_urls=(receiver.target,), notify_digest_at="07:00")
    world.configure(1)
    take_backup(world.site, world.context(), filename="one")
    Notifier(world.site).look()
    return world


@pytest.mark.slow
def test_a_digest_comes_once_a_day_and_nothing_before(daily: World, receiver: Receiver) -> None:
    """What goes wrong at night is told in the morning."""
    notifier = Notifier(daily.site)
    lose_a_backup(daily, "gone")
    for hour in range(30):
        assert len(receiver.messages) == (0 if hour < 7 else 1)
        daily.advance(hours=1)
        daily.check()
        notifier.look()
    assert "since the last digest: 1 missing from the folder" in receiver.titles[0]
    assert "gone.db" in receiver.messages[0]["message"]


@pytest.mark.slow
def test_a_digest_says_all_is_well_where_status_does(daily: World, receiver: Receiver) -> None:
    """And then only."""
    (title,) = digests(daily, receiver)
    assert title.endswith(": all is well")
    assert "Schedules: 1 enabled of 1" in receiver.messages[0]["message"]


@pytest.mark.slow
def test_what_persists_is_repeated_every_day(daily: World, receiver: Receiver) -> None:
    """The database is missing for three days: each digest says so, and with what helps."""
    away = daily.database.rename(daily.folder / "away")
    titles = digests(daily, receiver, days=3)
    assert len(titles) == 3
    for title, message in zip(titles, receiver.messages, strict=True):
        assert "attention" in title
        assert "all is well" not in title + message["message"]
        assert f"the database {daily.database} is missing" in message["message"]
        assert "backup-ledger backup restore" in message["message"]
    away.rename(daily.database)
    daily.advance(days=1)
    daily.check()
    assert digests(daily, receiver)[-1].endswith(": all is well")


@pytest.mark.slow
def test_a_digest_says_what_is_over(daily: World, receiver: Receiver) -> None:
    """Once, in the next digest, even if the scheduler was restarted in between."""
    away = daily.database.rename(daily.folder / "away")

    def next_digest() -> str:
        daily.advance(days=1)
        daily.check()
        Notifier(daily.site).look()
        return receiver.messages[-1]["message"]

    assert "No longer so" not in next_digest()
    kept = last_digest(daily.site.ledger.engine)
    assert "database" in [finding.kind for finding in kept.findings]
    away.rename(daily.database)
    told = next_digest()
    assert f"since the last digest:\n- the database {daily.database} is missing" in told
    assert "No longer so" not in next_digest()


@pytest.mark.slow
def test_a_digest_goes_out_although_status_cannot_be_made(
    daily: World, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Silence would look like peace."""

    def broken(*_: object) -> None:
        raise OSError("the disk is gone")

    monkeypatch.setattr("commands.notifications.notifier.verdict_of", broken)
    (title,) = digests(daily, receiver)
    assert "1 problem needs attention" in title
    assert "the disk is gone" in receiver.messages[0]["message"]
