"""What the console says of backups and days, against worlds where it is known."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from commands.backups.delete import delete_backup
from commands.backups.hold import place_hold
from commands.backups.take import take_backup
from commands.health.facts import status_facts
from commands.http.console.charts import area_chart, tone_of, year_chart
from commands.http.console.overview_facts import overview_of_all, overview_of_user
from commands.http.console.retention_outlook import fates_of
from commands.http.served_site import VERDICT_SECONDS, ServedSite
from ledger.clock import ManualClock
from ledger.vocabulary import BackupKind
from projections.queries.overview import (
    count_by_status,
    last_backup_at,
    next_backup_at,
    outcomes_by_day,
    outcomes_of_user,
    schedules_in_state,
    stored_by_day,
)
from tests.commands.world import World, break_database, make_database

START = datetime(2025, 3, 3, 2, 0, tzinfo=UTC)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    make_database(tmp_path / "app.db", users=3)
    made = World(tmp_path, ManualClock(START), {"share_unchanged": True})
    yield made
    made.close()


def live(world: World, days: int) -> None:
    for _ in range(days):
        world.advance(hours=24)
        world.check()


def test_each_backup_says_why_it_is_kept_and_when_it_goes(world: World) -> None:
    """By the runs ahead: the oldest counted one goes first; holds and protection have no date."""
    world.configure(1, keep_count=3)
    live(world, 4)
    site, context = world.site, world.context()
    protected = take_backup(
        site, context, filename="old-name", kind=BackupKind.PRE_MIGRATION, user_id=1
    )
    newest, middle, oldest = (each for each in world.present(1) if not each.is_protected)
    place_hold(site, context, oldest.filename, "evidence", world.clock.now() + timedelta(days=9))
    nobodys = take_backup(site, context, filename="nobodys")
    served = ServedSite(site)
    fates = fates_of(served, world.present())
    served.close()
    run = world.schedule(1).next_backup_at
    assert run is not None
    assert fates[newest.backup_id].goes == "after 3 more backups"
    assert fates[newest.backup_id].at == run + timedelta(days=2)
    assert fates[middle.backup_id].at == run + timedelta(days=1)
    assert fates[oldest.backup_id].reasons == ("one of the newest", "held")
    assert fates[oldest.backup_id].at is None
    assert fates[protected.backup_id].goes == "never by retention"
    assert fates[nobodys.backup_id].goes == "when someone deletes it"


def test_all_periods_of_which_a_backup_is_the_newest_stand_together(world: World) -> None:
    world.configure(1, keep_count=1, keep_daily=7, keep_weekly=4)
    live(world, 1)
    served = ServedSite(world.site)
    (fate,) = fates_of(served, world.present(1)).values()
    served.close()
    assert fate.reasons == ("one of the newest", "the newest of its day, week")


def test_what_is_foretold_happens(world: World) -> None:
    """A backup is deleted by exactly the run that its fate named."""
    world.configure(1, keep_count=3)
    live(world, 4)
    served = ServedSite(world.site)
    foretold = {each.filename: fates_of(served, [each])[each.backup_id] for each in world.present()}
    served.close()
    for name, fate in foretold.items():
        assert fate.at is not None
        while world.clock.now() < fate.at:
            assert name in world.files()
            world.due_again(1)
            world.check()
        assert name not in world.files()


def test_outcomes_of_days_are_those_of_the_runs(world: World) -> None:
    """By the trail's index for everybody, by the runs for one user; the two agree."""
    world.configure(1)
    live(world, 2)
    kept = world.database.read_bytes()
    break_database(world.database)
    live(world, 1)
    world.database.write_bytes(kept)
    live(world, 3)
    first, last = START.date(), world.clock.now().date()
    with world.site.read_models.reading() as connection:
        everybody = outcomes_by_day(connection, first, last + timedelta(days=2))
        own = outcomes_of_user(connection, 1, first)
    told = {day: counted for day, counted in everybody.items() if counted}
    runs = {day: Counter(dict(each)) for day, each in told.items()}
    for each in runs.values():
        del each["missed"]
    assert runs == own
    assert sum(each["failed"] for each in own.values()) == 1
    assert sum(each["completed"] for each in own.values()) == len(world.present(1))


def test_storage_counts_a_shared_file_once_and_until_its_last_name_is_gone(world: World) -> None:
    """Nothing changes between the nights: all backups are one file."""
    world.configure(1)
    live(world, 3)
    site = world.site
    names = sorted(world.present(1), key=lambda each: each.created_at)
    size = names[0].size
    assert [each.shared_with for each in names[1:]] == [names[0].backup_id] * 2
    first, last = START.date(), world.clock.now().date()
    with site.read_models.reading() as connection:
        before = stored_by_day(connection, first, last)
    assert [bytes_ for _day, bytes_ in before] == [0, size, size, size]
    for each in names:
        world.advance(hours=24)
        delete_backup(site, world.context(), each.filename)
    with site.read_models.reading() as connection:
        after = stored_by_day(connection, first, world.clock.now().date())
        of_user = stored_by_day(connection, first, world.clock.now().date(), 1)
    assert [bytes_ for _day, bytes_ in after] == [0, size, size, size, size, size, 0]
    assert of_user == after


def test_schedules_are_found_by_state(world: World) -> None:
    """Each in its state and no other, paged by user."""
    for user in (1, 2, 3):
        world.configure(user)
    world.configure(2, enabled=False)
    live(world, 1)
    world.move_to(START + timedelta(days=3))
    now = world.clock.now()
    with world.site.read_models.reading() as connection:

        def users(state: str, after: int = 0, limit: int = 50) -> list[int]:
            found = schedules_in_state(connection, state, now, after=after, limit=limit)  # type: ignore[arg-type]
            return [each.user_id for each in found]

        assert users("any") == [1, 2, 3]
        assert users("any", 1, 1) == [2]
        assert users("overdue") == [1, 3]
        assert users("disabled") == [2]
        assert users("failing") == users("running") == users("paused") == []
        assert count_by_status(connection) == {"ok": 2, "corrupt": 0, "missing": 0, "deleting": 0}
        assert last_backup_at(connection) == world.present()[0].created_at
        assert next_backup_at(connection) == world.schedule(1).next_backup_at


def test_the_overview_names_everything_that_is_wrong(world: World) -> None:
    """For an operator: overdue, missing, no scheduler; for a user only what is the user's."""
    served = ServedSite(world.site)
    assert [each.text for each in overview_of_user(served, 1, START).warnings] == [
        "you have no schedule yet: choose one",
        "you have no good backup",
    ]
    world.configure(1)
    live(world, 1)
    (only,) = world.present(1)
    site = world.site
    assert overview_of_user(served, 1, world.clock.now()).tone == "ok"
    site.store.path(only.filename).unlink()
    from commands.recovery.reconcile import reconcile  # noqa: PLC0415

    reconcile(site, world.context())
    world.advance(days=2)
    found = overview_of_all(served, world.clock.now())
    assert found.tone == "bad"
    assert [each.text for each in found.warnings] == [
        *(each["text"] for each in status_facts(site, world.clock.now())["findings"]),
        "no scheduler runs: nothing is backed up by itself",
    ]
    assert all(each.where for each in found.warnings)
    kinds = [each["kind"] for each in status_facts(site, world.clock.now())["findings"]]
    assert kinds == ["overdue", "missing", "no_backup"]
    assert [each.user_id for each in found.troubled] == [1]
    world.database.unlink()
    world.advance(seconds=VERDICT_SECONDS + 1)
    assert "app.db is missing" in overview_of_all(served, world.clock.now()).warnings[0].text
    own = overview_of_user(served, 1, world.clock.now())
    assert own.warnings[0].text.startswith("your application's database cannot be backed up now")
    assert str(world.folder) not in " ".join(each.text for each in own.warnings)
    served.close()


def test_a_years_squares_are_its_days() -> None:
    """53 weeks from a Monday, each day once and told in words; the totals are those of the days."""
    last = date(2025, 3, 20)  # a Thursday
    outcomes = {
        date(2025, 3, 20): Counter(completed=2),
        date(2025, 3, 19): Counter(completed=1, failed=1),
        date(2025, 3, 18): Counter(failed=2),
    }
    chart = year_chart(outcomes, last)
    assert len(chart.days) == 52 * 7 + 4
    assert [each.tone for each in chart.days[-4:]] == ["", "bad", "warn", "ok"]
    assert chart.days[-1].about == "2025-03-20: 2 completed"
    assert chart.about == "In the year up to 2025-03-20 (days are UTC): 3 completed, 3 failed."
    assert [(each.name, each.counts["failed"]) for each in chart.by_month] == [("March 2025", 3)]
    assert len({(each.x, each.y) for each in chart.days}) == len(chart.days)
    assert tone_of(Counter(missed=1)) == "bad"


@pytest.mark.parametrize(
    ("highest", "levels"),
    [
        (1, ["0 B", "1 B"]),
        (1_000, ["0 B", "500 B", "1.0 kB"]),
        (3_400_000, ["0 B", "1.0 MB", "2.0 MB", "3.0 MB", "4.0 MB"]),
        (7 * 10**15, ["0 B", "2.0 PB", "4.0 PB", "6.0 PB", "8.0 PB"]),
    ],
)
def test_storage_is_drawn_between_round_levels(highest: int, levels: list[str]) -> None:
    days = [date(2025, 1, 1) + timedelta(days=number) for number in range(40)]
    chart = area_chart([(day, highest * index // 39) for index, day in enumerate(days)])
    assert chart is not None
    assert [each.text for each in chart.levels] == levels
    assert chart.line.startswith("M70.0 194.0L")
    assert area_chart([(day, 0) for day in days]) is None
