"""projections: list, rebuild, diff."""

from __future__ import annotations

import sqlite3
from contextlib import closing

from tests.acceptance.place import Place

NAMES = [
    "backup_settings",
    "backup_catalog",
    "backup_runs",
    "offsite_copies",
    "offsite_destinations",
    "audit_trail",
]


def test_list_says_how_far_each_has_come(place: Place) -> None:
    """All at the head, none behind."""
    place.done("settings", "set", "1")
    listed = place.json("projections", "list")
    assert [each["name"] for each in listed] == NAMES
    assert {(each["position"], each["lag"]) for each in listed} == {(2, 0)}
    assert [each["rows"] for each in listed] == [1, 0, 0, 0, 0, 2]
    said = place.done("projections", "list").out
    assert all(name in said for name in NAMES)


def test_rebuild_gives_the_same_rows_and_is_recorded(place: Place) -> None:
    """One event a read model."""
    place.done("backup", "create", "one")
    before = place.json("backup", "list")
    assert "Rebuilt backup_catalog: 1 rows" in place.done("projections", "rebuild").out
    assert place.json("backup", "list") == before
    assert place.types().count("ledger.projection_rebuilt") == len(NAMES)
    (one,) = place.json("projections", "rebuild", "backup_catalog")
    assert (one["name"], one["rows"], one["reason"]) == ("backup_catalog", 1, "asked for")


def test_an_unknown_read_model_is_not_found(place: Place) -> None:
    """Exit code 4, with the names that there are."""
    place.done("backup", "create", "one")
    for command in ("rebuild", "diff"):
        ended = place.run("projections", command, "nonsense")
        assert ended.code == 4
        assert "backup_catalog" in ended.err


def test_diff_finds_what_somebody_changed_by_hand(place: Place) -> None:
    """Exit code 3, until a rebuild has put it right."""
    place.done("backup", "create", "one")
    assert "match the ledger" in place.done("projections", "diff").out
    assert place.json("projections", "diff") == []
    with closing(sqlite3.connect(place.backups / "projections.sqlite")) as connection:
        connection.execute("UPDATE backup_catalog SET size = size + 1")
        connection.commit()
    found = place.run("projections", "diff", "--json")
    assert found.code == 3
    (difference,) = found.json
    assert (difference["table"], difference["column"]) == ("backup_catalog", "size")
    assert difference["found"] == difference["expected"] + 1
    assert place.run("projections", "diff", "backup_settings").code == 0
    assert "1 difference; to repair: backup-ledger" in place.run("projections", "diff").out
    place.done("projections", "rebuild", "backup_catalog")
    assert place.json("projections", "diff") == []


def test_deleted_read_models_come_back_by_themselves(place: Place) -> None:
    """The ledger is the only truth."""
    place.done("settings", "set", "1")
    place.done("backup", "create", "one")
    before = place.json("backup", "list"), place.json("settings", "list")
    for path in place.backups.glob("projections.sqlite*"):
        path.unlink()
    assert (place.json("backup", "list"), place.json("settings", "list")) == before


def test_read_models_may_live_in_the_applications_database(place: Place) -> None:
    """Then its users are known, a user who is gone is an orphan, and its lock is respected."""
    with closing(sqlite3.connect(place.database)) as connection:
        connection.execute("CREATE TABLE users (id INTEGER PRIMARY KEY)")
        connection.execute("INSERT INTO users VALUES (1)")
        connection.commit()
    there = {"BACKUP_LEDGER_PROJECTIONS": str(place.database)}
    place.done("settings", "set", "1", **there)
    unknown = place.run("settings", "set", "2", **there)
    assert (unknown.code, "no user 2" in unknown.err) == (4, True)
    with closing(sqlite3.connect(place.database)) as connection:
        connection.execute("DELETE FROM users")
        connection.commit()
        assert [each["orphan"] for each in place.json("settings", "list", **there)] == [True]
        assert place.json("status", **there)["schedules"]["orphans"] == 1
        connection.execute("INSERT INTO users VALUES (1)")
        connection.commit()
        connection.execute("BEGIN IMMEDIATE")
        place.done("settings", "set", "1", "--keep", "3", **there)
        listed = place.run("settings", "list", "--json", **there)
        assert [each["keep_count"] for each in listed.json] == [3]
        assert "cannot be written now: database is locked" in listed.err
        assert place.run("projections", "rebuild", **there).code == 5
    assert {each["lag"] for each in place.json("projections", "list", **there)} == {0}


def test_the_list_names_the_root_that_the_rows_stand_on(place: Place) -> None:
    """The same that the ledger has at this position."""
    place.done("settings", "set", "1")
    listed = place.json("projections", "list")
    assert {each["root"] for each in listed} == {place.json("audit", "verify")["root"]}
    assert {each["state"] for each in listed} == {"serving"}


def test_what_a_rebuild_replaced_can_serve_again_and_can_be_dropped(place: Place) -> None:
    """Each is one command."""
    place.done("backup", "create", "one")
    place.done("projections", "rebuild", "backup_catalog")
    kept = place.json("projections", "list")[-1]
    assert (kept["name"], kept["state"], kept["rows"]) == ("backup_catalog@2", "kept", 1)
    assert "is in use again: 1 rows" in place.done("projections", "rollback", "backup_catalog").out
    assert place.json("projections", "diff") == []
    assert "Dropped backup_catalog@2" in place.done("projections", "drop", "backup_catalog@2").out
    assert [each["name"] for each in place.json("projections", "list")] == NAMES
    for refused in (("rollback", "backup_catalog"), ("drop", "backup_catalog@2"), ("drop", "x")):
        ended = place.run("projections", *refused)
        assert ended.code == 4
        assert "projections list" in ended.err


def test_rows_that_were_not_as_the_ledger_says_are_counted(place: Place) -> None:
    """A rebuild mends in silence what a person should know of."""
    place.done("backup", "create", "one")
    with closing(sqlite3.connect(place.backups / "projections.sqlite")) as connection:
        connection.execute("UPDATE backup_catalog SET size = size + 1")
        connection.commit()
    ended = place.done("projections", "rebuild", "backup_catalog")
    assert "1 rows were not as the ledger says" in ended.err
