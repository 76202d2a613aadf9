"""backup verify: levels, what is due, parts, and what status says of what was found."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest

from commands.backups.take import take_backup
from commands.site.actors import operator
from ledger.clock import ManualClock
from tests.acceptance.place import Place


def taken(place: Place, name: str, days_ago: float) -> None:
    """A backup that was made some days ago."""
    with place.opened(ManualClock(datetime.now(UTC) - timedelta(days=days_ago))) as site:
        take_backup(site, site.context(operator()), filename=name)


def test_due_takes_each_as_closely_as_is_due_and_then_nothing(place: Place) -> None:
    """A week: the digest; two: the integrity; a month: a drill. What was checked is not due."""
    for days in (1, 8, 15, 31):
        taken(place, f"{days}-days", days)
    found = place.json("backup", "verify", "--due")
    levels = {each["filename"]: each["level"] for each in found}
    assert levels == {
        "8-days.db": "digest",
        "15-days.db": "integrity",
        "31-days.db": "drill",
    }
    assert place.json("backup", "verify", "--due") == []
    assert "nothing to verify" in place.done("backup", "verify", "--due").out
    recorded = [
        each["details"]["trigger"]
        for each in place.events()
        if each["event_type"] == "backup_catalog.backup_verified"
    ]
    assert recorded == ["due"] * 3


def test_due_of_one_level_is_that_level_only(place: Place) -> None:
    taken(place, "old", 40)
    found = place.json("backup", "verify", "--due", "--level", "digest")
    assert [each["level"] for each in found] == ["digest"]
    assert place.json("backup", "verify", "--due", "--level", "exists") == []
    assert [each["level"] for each in place.json("backup", "verify", "--due")] == ["drill"]


def test_intervals_are_settings_and_0_is_never(place: Place) -> None:
    taken(place, "old", 40)
    never = {f"BACKUP_LEDGER_{name}_DAYS": "0" for name in ("VERIFY_DIGEST", "DRILL")}
    never["BACKUP_LEDGER_VERIFY_INTEGRITY_DAYS"] = "41"
    assert place.json("backup", "verify", "--due", **never) == []


def test_parts_together_are_everything_once(place: Place) -> None:
    for number in range(6):
        place.done("backup", "create", f"b{number}")
    seen: list[str] = []
    for part in (1, 2, 3):
        found = place.json("backup", "verify", "--part", f"{part}/3", "--level", "digest")
        seen += [each["filename"] for each in found]
    assert sorted(seen) == [f"b{number}.db" for number in range(6)]


def test_a_drill_by_name_says_so(place: Place) -> None:
    place.done("backup", "create", "one")
    assert place.done("backup", "verify", "one.db", "--level", "drill").out == (
        "ok   one.db (drill)\n1 backup checked; all is as recorded.\n"
    )
    assert [each["verified_level"] for each in place.json("backup", "list")] == ["drill"]


def test_a_drill_names_what_it_cannot_check(place: Place) -> None:
    """A table with a collation of the application's own, for as long as that is missing."""
    with closing(sqlite3.connect(place.database)) as connection:
        connection.create_collation("own", lambda one, other: (one > other) - (one < other))
        connection.execute("CREATE TABLE people (name TEXT PRIMARY KEY COLLATE own)")
        connection.commit()
    place.done("backup", "create", "one")
    assert place.done("backup", "verify", "one.db", "--level", "drill").out == (
        "ok   one.db (drill; not checked: people)\n"
        "1 backup checked; all that can be checked is as recorded.\n"
    )
    (found,) = place.json("backup", "verify", "one.db", "--level", "integrity")
    assert (found["ok"], found["unchecked"]) == (True, ["people"])
    (found,) = place.json("backup", "verify", "one.db", "--level", "digest")
    assert found["unchecked"] == []


def test_status_names_what_was_found(place: Place) -> None:
    """Damaged and lost ones by name; the last good backup is not one of them."""
    for name in ("good", "bad", "lost"):
        place.done("backup", "create", name)
    (place.backups / "bad.db").write_bytes(b"x" * (place.backups / "bad.db").stat().st_size)
    (place.backups / "lost.db").unlink()
    assert place.run("backup", "verify", "--all").code == 3
    facts = place.json("status")
    assert facts["verification"]["corrupt"] == ["bad.db"]
    assert facts["verification"]["missing"] == ["lost.db"]
    assert facts["last_backup"]["filename"] == "good.db"
    warnings = " ".join(facts["warnings"])
    assert "1 backup is damaged: bad.db; see:" in warnings
    assert "1 backup is gone from the folder: lost.db; see:" in warnings


def test_status_tells_of_backups_that_nobody_verifies(place: Place) -> None:
    taken(place, "old", 40)
    facts = place.json("status")
    assert facts["verification"]["not_verified_in_time"] == 1
    assert any("not verified for more than 30 days" in each for each in facts["warnings"])
    place.done("backup", "verify", "--due")
    assert place.json("status")["verification"]["not_verified_in_time"] == 0


@pytest.mark.parametrize("option", ["--all", "--due"])
def test_no_bar_and_no_words_beside_the_json(place: Place, option: str) -> None:
    """One document on stdout; nothing on stderr where nobody watches."""
    taken(place, "old", 40)
    ended = place.done("backup", "verify", option, "--json")
    assert len(ended.json) == 1
    assert ended.err == ""
