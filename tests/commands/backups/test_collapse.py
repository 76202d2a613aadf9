"""A database that holds much less than it did: noticed, told, and the last one before it kept."""

from __future__ import annotations

from dataclasses import replace

import pytest

from commands.backups.accept import accept_backup
from commands.backups.collapse import Content, collapse_between
from commands.backups.take import take_backup
from commands.errors import CommandError
from commands.health.facts import status_facts
from commands.restore.restore import restore_backup
from ledger.events.catalog import BackupAccepted, BackupCreated
from ledger.events.retention import RetentionApplied
from projections.folds.backup import Backup
from tests.commands.world import World, fill_cases


def content(**tables: int) -> Content:
    return Content(
        filename="before.db",
        size=1_000_000,
        tables={name.lower(): name for name in tables},
        table_count=len(tables),
        row_count=sum(tables.values()),
        lists_all=True,
        is_counted=True,
    )


BEFORE = content(users=100, cases=900)


@pytest.mark.parametrize(
    ("now", "told"),
    [
        (content(users=100, cases=900), []),
        (content(users=100, cases=400), []),
        (content(users=100, cases=399), ["rows fell from 1000 to 499"]),
        (content(users=0, cases=0), ["rows fell from 1000 to 0"]),
        (content(users=1_000), ["table cases is gone"]),
        (content(users=10), ["rows fell from 1000 to 10", "table cases is gone"]),
        (
            content(other=1_000),
            ["table users is gone", "table cases is gone", "no table is left of those before"],
        ),
        (content(USERS=100, cases=900), []),
    ],
)
def test_tables_and_rows_are_compared(now: Content, told: list[str]) -> None:
    """Half of the rows is not a collapse, less than half is; these words are a contract."""
    assert collapse_between(BEFORE, now) == told


def test_few_rows_may_all_go() -> None:
    """Below 100 rows a bad day looks like any other."""
    assert collapse_between(content(users=99), content(users=0)) == []
    assert collapse_between(content(users=100), content(users=0)) == ["rows fell from 100 to 0"]


def test_a_vacuum_is_no_collapse() -> None:
    """The size says nothing where the rows are known."""
    assert collapse_between(BEFORE, replace(BEFORE, size=1)) == []


def test_size_decides_where_rows_could_not_be_counted() -> None:
    """A virtual table whose module is not here, or an encrypted database."""
    before, now = replace(BEFORE, is_counted=False), replace(BEFORE, size=400_000)
    (told,) = collapse_between(before, now)
    assert told.startswith("less than half as large as the one before it: 400000 bytes")
    assert collapse_between(before, replace(now, size=500_000)) == []


def test_beyond_the_listed_tables_the_counts_decide() -> None:
    """An event lists 200 tables; a name that is not listed is not gone."""
    many = replace(BEFORE, table_count=300, lists_all=False)
    assert collapse_between(many, replace(many, tables={"a": "a"})) == []
    assert collapse_between(many, replace(many, table_count=299)) == ["tables fell from 300 to 299"]
    assert collapse_between(many, replace(BEFORE, table_count=2)) == ["tables fell from 300 to 2"]


def test_many_gone_tables_are_not_all_named() -> None:
    """The first five, and how many it is in all."""
    before = content(**{f"t{number}": 1 for number in range(8)}, kept=1)
    told = collapse_between(before, content(kept=1))
    assert told[:5] == [f"table t{number} is gone" for number in range(5)]
    assert told[5:] == ["tables gone in all: 8"]


def nights(world: World, number: int) -> None:
    for _night in range(number):
        world.due_again()
        assert world.check().completed >= 1


def present(world: World) -> list[Backup]:
    return [each for each in world.present() if each.is_present]


@pytest.fixture
def emptied(world: World) -> World:
    """Keep 2: three good nights, then somebody deletes all rows, and four nights go by."""
    fill_cases(world.database, 300)
    world.configure(1, keep_count=2)
    nights(world, 3)
    fill_cases(world.database, 0)
    nights(world, 4)
    return world


def whole_ones(world: World) -> list[BackupCreated]:
    names = {each.filename for each in present(world)}
    created = world.recorded(BackupCreated)
    return [each for each in created if each.row_count >= 300 and each.filename in names]


@pytest.mark.slow
def test_the_last_backup_before_a_collapse_stays(emptied: World) -> None:
    """However many nights go by; and its reason is recorded."""
    (whole,) = whole_ones(emptied)
    assert len(present(emptied)) == 3
    last = emptied.recorded(RetentionApplied)[-1]
    spared = [each.backup_id for each in last.kept if "before_collapse" in each.reasons]
    assert [each.filename for each in present(emptied) if each.backup_id in spared] == [
        whole.filename
    ]


@pytest.mark.slow
def test_every_backup_of_a_collapse_says_what_it_is_compared_with(emptied: World) -> None:
    """Never with another collapse: that one is no better."""
    created = emptied.recorded(BackupCreated)
    ids = [each.event.resource_id for each in emptied.all_events() if each.event.details in created]
    assert [each.collapsed_from for each in created] == [None] * 3 + [ids[2]] * 4
    assert created[3].warnings == ["rows fell from 300 to 0"]


@pytest.mark.slow
def test_status_tells_of_a_collapse_until_it_is_accepted(emptied: World) -> None:
    """With the words of the warning, and both ways out."""
    newest = present(emptied)[0].filename
    (finding,) = status_facts(emptied.site, emptied.clock.now())["findings"]
    assert finding["kind"] == "collapse"
    assert "rows fell from 300 to 0" in finding["text"]
    assert f"backup-ledger backup accept {newest}" in finding["advice"]
    accept_backup(emptied.site, emptied.context(), newest, "the archive was moved")
    assert status_facts(emptied.site, emptied.clock.now())["findings"] == []


@pytest.mark.slow
def test_after_accepting_retention_goes_on(emptied: World) -> None:
    """And the next one is compared with what was accepted."""
    accept_backup(emptied.site, emptied.context(), present(emptied)[0].filename)
    nights(emptied, 1)
    assert whole_ones(emptied) == []
    assert emptied.recorded(BackupCreated)[-1].warnings == []


@pytest.mark.slow
def test_accepting_one_accepts_those_that_hold_as_much(emptied: World) -> None:
    """Its own night and the nights after it; each has an event of its own."""
    first = emptied.recorded(BackupCreated)[-2].filename
    accepted = accept_backup(emptied.site, emptied.context(), first)
    assert len(accepted) == len(emptied.recorded(BackupAccepted)) >= 2
    assert status_facts(emptied.site, emptied.clock.now())["findings"] == []


@pytest.mark.slow
def test_a_restore_ends_a_collapse(emptied: World) -> None:
    """The data is back: what was spared for that may go by the usual rules."""
    (whole,) = whole_ones(emptied)
    restore_backup(emptied.site, emptied.context(), whole.filename)
    assert status_facts(emptied.site, emptied.clock.now())["findings"] == []
    nights(emptied, 1)
    assert emptied.recorded(BackupCreated)[-1].warnings == []
    nights(emptied, 2)
    assert whole.filename not in [each.filename for each in present(emptied)]


@pytest.mark.slow
def test_a_restore_elsewhere_ends_nothing(emptied: World) -> None:
    """A person only had a look."""
    (whole,) = whole_ones(emptied)
    restore_backup(emptied.site, emptied.context(), whole.filename, to=emptied.folder / "look.db")
    nights(emptied, 2)
    assert [each.filename for each in whole_ones(emptied)] == [whole.filename]


@pytest.mark.slow
def test_a_later_backup_that_is_whole_ends_a_collapse(emptied: World) -> None:
    """The application has its rows again."""
    fill_cases(emptied.database, 290)
    nights(emptied, 1)
    assert emptied.recorded(BackupCreated)[-1].collapsed_from is None
    assert status_facts(emptied.site, emptied.clock.now())["findings"] == []


@pytest.mark.slow
def test_each_owner_keeps_one_from_before_a_collapse(world: World) -> None:
    """Also where their last good backups are of different nights."""
    fill_cases(world.database, 300)
    world.configure(1, keep_count=1)
    world.configure(2, keep_count=1)
    nights(world, 2)
    fill_cases(world.database, 1)
    nights(world, 3)
    whole = whole_ones(world)
    assert sorted(each.filename.partition("_20")[0] for each in whole) == [
        "auto_backup_user1",
        "auto_backup_user2",
    ]


def test_an_ordinary_backup_has_nothing_to_accept(world: World) -> None:
    """An error that says so, and no event."""
    take_backup(world.site, world.context(), filename="one")
    with pytest.raises(CommandError, match=r"nothing to accept about backup 'one\.db'"):
        accept_backup(world.site, world.context(), "one.db")
    assert world.recorded(BackupAccepted) == []


@pytest.mark.slow
def test_accepting_twice_is_refused(emptied: World) -> None:
    newest = present(emptied)[0].filename
    accept_backup(emptied.site, emptied.context(), newest)
    with pytest.raises(CommandError, match="was accepted already"):
        accept_backup(emptied.site, emptied.context(), newest)
