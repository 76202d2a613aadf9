"""audit as-of, and audit log --as-of: the past from the command line."""

from __future__ import annotations

import csv
import io
import re
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from commands.backups.take import take_backup
from commands.schedules.settings import configure, pause
from commands.site.actors import operator
from ledger.clock import ManualClock
from ledger.tree.merkle import EMPTY_ROOT
from tests.acceptance.place import Place, require_clear

KEYS = {
    "asked",
    "position",
    "root",
    "recorded_at",
    "clock_jump",
    "settings",
    "backups",
    "due",
}
MONDAY = datetime(2025, 1, 13, 2, 0, tzinfo=UTC)


@pytest.fixture
def lived_in(place: Place) -> Place:
    """One thing a day from Monday on: positions 1 and 2 (the source, settings), 3, 4, 5."""
    clock = ManualClock(MONDAY)
    with place.opened(clock) as site:

        def day(number: int) -> Any:
            clock.move_to(MONDAY + timedelta(days=number))
            return site.context(operator())

        configure(site, day(0), 1, {})
        configure(site, day(1), 2, {"frequency": "weekly", "backup_time": "22:00"})
        take_backup(site, day(2), filename="one", user_id=2)
        pause(site, day(3), 2, "away")
    return place


def head_of(place: Place) -> tuple[int, str]:
    with closing(sqlite3.connect(place.ledger)) as connection:
        size, root = connection.execute("SELECT size, root FROM ledger_head").fetchone()
        return size, root.hex()


def test_now_is_what_the_other_commands_show(lived_in: Place) -> None:
    """The same rows, key for key, with the ledger's own position and root."""
    backups, settings = (
        lived_in.json("backup", "list", "--all"),
        lived_in.json("settings", "list"),
    )
    found = lived_in.json("audit", "as-of", "2099-01-01T00:00")
    assert found.keys() == KEYS
    assert found["asked"] == "2099-01-01T00:00:00.000000Z"
    assert (found["position"], found["root"]) == head_of(lived_in)
    assert found["settings"] == settings
    assert found["backups"] == backups
    assert found["clock_jump"] is None
    assert found["recorded_at"] == "2025-01-16T02:00:00.000000Z"


def test_each_day_is_what_was_shown_that_day(place: Place) -> None:
    """The commands' own answers, kept as they were given, then asked for again."""
    shown = []
    for command in (
        ["settings", "set", "1"],
        ["settings", "set", "2", "--frequency", "weekly"],
        ["backup", "create", "one", "--user", "1"],
        ["backup", "hold", "one.db", "--reason", "audit"],
        ["settings", "set", "1", "--time", "04:00", "--keep", "2"],
        ["backup", "release", "one.db"],
        ["backup", "delete", "one.db", "--yes"],
        ["settings", "pause", "2"],
    ):
        place.done(*command)
        now = place.json("settings", "list"), place.json("backup", "list", "--all")
        shown.append((head_of(place), now))
    assert len({position for (position, _root), _now in shown}) == len(shown)
    for (position, root), (settings, backups) in shown:
        found = place.json("audit", "as-of", str(position))
        assert (found["asked"], found["position"], found["root"]) == (position, position, root)
        assert (found["settings"], found["backups"]) == (settings, backups)
        same = place.json("audit", "as-of", found["recorded_at"])
        assert {**same, "asked": position} == found


def test_a_time_is_taken_in_every_form_that_other_commands_take(lived_in: Place) -> None:
    """A date, a time, one with a zone; each stands on the last position written by then."""
    for asked, position in (
        ("2025-01-12", 0),
        ("2025-01-13T02:00", 2),
        ("2025-01-13 01:59:59.999999", 0),
        ("2025-01-14T03:00+02:00", 2),
        ("2025-01-14T02:00:00Z", 3),
        ("2025-01-15T02:00", 4),
        ("2025-01-15T01:00-01:00", 4),
        ("2030-01-01", 5),
        ("0", 0),
        ("3", 3),
    ):
        assert lived_in.json("audit", "as-of", asked)["position"] == position, asked


def test_a_date_means_its_end(lived_in: Place) -> None:
    """Who asks for a day wants to see what came of it."""
    of_day = lived_in.json("audit", "as-of", "2025-01-13")
    assert of_day["asked"] == "2025-01-13T23:59:59.999999Z"
    assert of_day["position"] > lived_in.json("audit", "as-of", "2025-01-12")["position"] == 0


def test_a_time_ahead_shows_what_is_known_now(place: Place) -> None:
    """As the end of today does: the next run is ahead, and not due."""
    place.done("settings", "set", "1")
    flat = " ".join(place.done("audit", "as-of", "2099-01-01").out.split())
    assert re.search(r"UTC in [0-9]+ \w+", flat)
    assert flat.endswith("Due Nothing.")
    assert place.json("audit", "as-of", "2099-01-01")["due"] == []


def test_before_everything_there_is_nothing(lived_in: Place) -> None:
    """Position 0, and the root of the empty tree."""
    found = lived_in.json("audit", "as-of", "2025-01-12T00:00")
    assert found == {
        "asked": "2025-01-12T00:00:00.000000Z",
        "position": 0,
        "root": EMPTY_ROOT.hex(),
        "recorded_at": None,
        "clock_jump": None,
        "settings": [],
        "backups": [],
        "due": [],
    }
    said = lived_in.done("audit", "as-of", "0").out
    assert said.startswith("Position 0: before the first event\n")
    assert "Nothing had been recorded." in said


def test_one_user_alone(lived_in: Place) -> None:
    """Settings, backups and due work of nobody else."""
    everything = lived_in.json("audit", "as-of", "4")
    assert [row["user_id"] for row in everything["settings"]] == [1, 2]
    for user_id in (1, 2, 3):
        found = lived_in.json("audit", "as-of", "4", "--user", str(user_id))
        for part in ("settings", "backups", "due"):
            wanted = [row for row in everything[part] if row["user_id"] == user_id]
            assert found[part] == wanted
        for name in KEYS - {"settings", "backups", "due"}:
            assert found[name] == everything[name]


def test_what_was_due_then(lived_in: Place) -> None:
    """By the rules of the scheduler, had it looked at that moment."""
    assert lived_in.json("audit", "as-of", "2025-01-13T02:59")["due"] == []
    first = {
        "user_id": 1,
        "next_backup_at": "2025-01-13T03:00:00.000000Z",
        "next_slot": "2025-01-13T03:00:00.000000Z",
        "next_attempt": 1,
    }
    assert lived_in.json("audit", "as-of", "2025-01-13T03:00")["due"] == [first]
    both = lived_in.json("audit", "as-of", "2025-01-15T23:00")["due"]
    assert [row["user_id"] for row in both] == [1, 2]
    paused = lived_in.json("audit", "as-of", "2025-01-17")["due"]
    assert [row["user_id"] for row in paused] == [1]


def test_it_reads_as_a_report_that_begins_with_where_it_stands(lived_in: Place) -> None:
    """In 80 columns; times are as seen from then."""
    said = lived_in.done("audit", "as-of", "2025-01-15T23:00").out
    assert max(len(line) for line in said.splitlines()) <= 80
    assert said.startswith("Position 4, written 2025-01-15 02:00:00 UTC (")
    assert lived_in.json("audit", "as-of", "4")["root"] in said
    flat = " ".join(said.split())
    assert "Settings User Backups Keep" in flat
    assert "one.db" in flat
    assert "1 backup Due" in flat
    assert re.search(r"1 2025-01-13 03:00 2 days ago 1 2 2025-01-14 22:00 1 day ago 1", flat)


def test_a_deleted_backup_is_counted_and_told_to_programs(lived_in: Place) -> None:
    """A person wants what was there; --json has every row."""
    lived_in.done("backup", "create", "two")
    lived_in.done("backup", "delete", "one.db", "--yes")
    end = str(head_of(lived_in)[0])
    said = lived_in.done("audit", "as-of", end).out
    assert "one.db" not in said
    assert "1 backup; 1 more had been deleted" in said
    rows = lived_in.json("audit", "as-of", end)["backups"]
    assert [row["status"] for row in rows] == ["ok", "deleted"]


@pytest.mark.parametrize(
    ("when", "code", "says"),
    [
        ("6", 4, "no position 6; it ends at 5"),
        ("9999999999999999999", 4, "it ends at 5"),
        ("yesterday", 2, "'yesterday' is not a date or time"),
        ("2025-02-30", 2, "'2025-02-30' is not a date or time"),
        ("1.5", 2, "or a position"),
        ("", 2, "'' is not a date or time"),
        ("99999999999999999999999", 2, "or a position"),
    ],
)
def test_nonsense_is_refused_clearly(lived_in: Place, when: str, code: int, says: str) -> None:
    """One line that names it; 4 where the ledger does not go, 2 where nobody could."""
    for command in (["audit", "as-of", when], ["audit", "log", "--as-of", when]):
        require_clear(lived_in.run(*command), code, says)


def test_without_a_ledger_there_is_no_past(place: Place) -> None:
    """As for every command that reads; and none is made."""
    require_clear(place.run("audit", "as-of", "1"), 4, "no ledger")
    assert not place.ledger.exists()


def set_back(place: Place) -> None:
    """By a clock that was a month ahead (6), then by a right one: noticed (7), recorded (8)."""
    for when in (MONDAY + timedelta(days=30), MONDAY + timedelta(days=4)):
        with place.opened(ManualClock(when)) as site:
            configure(site, site.context(operator()), 3, {"keep_count": when.day % 7 + 1})


def test_a_clock_that_was_set_back_is_told(lived_in: Place) -> None:
    """In --json the position that is later, for people a sentence; the log says so too."""
    set_back(lived_in)
    when = "2025-01-17T02:00"
    found = lived_in.json("audit", "as-of", when)
    assert (found["position"], found["clock_jump"]) == (8, 6)
    for position in (7, 8):
        assert lived_in.json("audit", "as-of", str(position))["clock_jump"] == 6
    assert lived_in.json("audit", "as-of", "2025-02-12T02:00")["clock_jump"] is None
    assert lived_in.json("audit", "as-of", "2025-01-17T01:59")["position"] == 5
    sentence = "The clock was set back: position 6 comes before position 8"
    assert sentence in " ".join(lived_in.done("audit", "as-of", when).out.split())
    assert sentence in " ".join(lived_in.done("audit", "log", "--as-of", when).err.split())


def test_it_changes_nothing(lived_in: Place) -> None:
    """No event, no file, whatever was asked."""
    before = lived_in.ledger.read_bytes(), lived_in.events(), lived_in.files()
    lived_in.done("audit", "as-of", "3")
    lived_in.done("audit", "log", "--as-of", "2025-01-14")
    assert (lived_in.ledger.read_bytes(), lived_in.events(), lived_in.files()) == before


def test_wrong_read_models_do_not_change_the_past(lived_in: Place) -> None:
    """It is told from the ledger."""
    before = [lived_in.json("audit", "as-of", "4", *user) for user in ((), ("--user", "2"))]
    with closing(sqlite3.connect(lived_in.backups / "projections.sqlite")) as connection:
        connection.execute("UPDATE backup_settings SET keep_count = 30, user_id = user_id + 5")
        connection.execute("UPDATE backup_catalog SET user_id = 77, status = 'deleted'")
        connection.execute("UPDATE audit_trail SET user_id = 77")
        connection.commit()
    after = [lived_in.json("audit", "as-of", "4", *user) for user in ((), ("--user", "2"))]
    assert after == before


def test_whom_the_application_no_longer_knows_is_an_orphan_today(place: Place) -> None:
    """As in the list of settings; the settings themselves are those of then."""
    with closing(sqlite3.connect(place.database)) as connection:
        connection.executescript("CREATE TABLE users (id INTEGER PRIMARY KEY)")
        connection.executemany("INSERT INTO users VALUES (?)", [(each,) for each in range(1, 700)])
        connection.commit()
    own = {"BACKUP_LEDGER_PROJECTIONS": f"sqlite:///{place.database}"}
    for user_id in ("1", "600", "2"):
        place.done("settings", "set", user_id, **own)
    with closing(sqlite3.connect(place.database)) as connection:
        connection.execute("DELETE FROM users WHERE id = 600")
        connection.commit()
    found = place.json("audit", "as-of", "4", **own)
    assert found["settings"] == place.json("settings", "list", **own)
    assert [(row["user_id"], row["orphan"]) for row in found["settings"]] == [
        (1, False),
        (2, False),
        (600, True),
    ]
    assert "orphan: no such user" in " ".join(place.done("audit", "as-of", "4", **own).out.split())


def positions(place: Place, *options: str) -> list[int]:
    return [line["position"] for line in place.done("audit", "log", "--json", *options).lines]


def test_the_log_as_it_stood_then(lived_in: Place) -> None:
    """Nothing that was written later, with every other filter beside it."""
    for asked, end in (("0", 0), ("3", 3), ("5", 5), ("2025-01-14T02:00", 3), ("2030-01-01", 5)):
        assert positions(lived_in, "--as-of", asked) == list(range(1, end + 1)), asked
        for options in (
            ["--user", "2"],
            ["--type", "backup_scheduler."],
            ["--since", "2025-01-14"],
            ["--until", "2025-01-15"],
            ["--resource", "schedule/2"],
            ["--text", "weekly"],
            ["--failed"],
            ["--user", "2", "--since", "2025-01-15"],
        ):
            expected = [each for each in positions(lived_in, *options) if each <= end]
            assert positions(lived_in, "--as-of", asked, *options) == expected, (asked, options)
            limited = positions(lived_in, "--as-of", asked, "--limit", "1", *options)
            assert limited == expected[-1:], (asked, options)
    assert positions(lived_in, "--as-of", "3", "--limit", "2") == [2, 3]


def test_the_log_as_it_stood_then_for_people_and_spreadsheets(lived_in: Place) -> None:
    """Where it stands is told beside the answer, not in it."""
    shown = lived_in.done("audit", "log", "--as-of", "3")
    assert "\n3  2025-01-14" in shown.out
    assert "\n4  " not in shown.out
    assert shown.err == "As of position 3.\n"
    rows = list(csv.reader(io.StringIO(lived_in.done("audit", "log", "--as-of", "3", "--csv").out)))
    assert [row[0] for row in rows] == ["position", "1", "2", "3"]
    ended = lived_in.run("audit", "log", "--as-of", "2", "--follow")
    require_clear(ended, 2, "--follow waits for what is new")


def test_the_real_command_says_it_too(lived_in: Place) -> None:
    """As a shell starts it: one document on stdout, nothing on stderr."""
    ended = lived_in.spawn("audit", "as-of", "2025-01-14T02:00", "--json")
    assert (ended.code, ended.err) == (0, "")
    assert ended.json["position"] == 3


def test_the_past_can_be_read_without_the_backups_folder(lived_in: Place) -> None:
    """An auditor may have the ledger alone; no file is then said to be anywhere."""
    (lived_in.backups / ".store").unlink()
    then = lived_in.json("audit", "as-of", "5")
    assert [backup["filepath"] for backup in then["backups"]] == [None]
