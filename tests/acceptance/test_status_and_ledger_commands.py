"""status: is everything all right? ledger init: begin where nothing else may."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta

from tests.acceptance.place import USAGE, Place, require_clear
from tests.commands.world import make_flawed

KEYS = [
    "ledger",
    "store",
    "database",
    "source",
    "marker",
    "schedules",
    "last_backup",
    "next_backup_at",
    "backups",
    "clock",
    "offsite",
    "witnesses",
    "verification",
    "causes",
    "open_runs",
    "overdue",
    "schedulers",
    "unserved_labels",
    "projections",
    "warnings",
    "verdict",
    "findings",
    "not_looked_at",
]


def test_all_is_well_is_the_first_line(place: Place) -> None:
    """A glance is enough."""
    place.done("settings", "set", "1")
    place.done("backup", "create", "one")
    said = place.done("status").out
    assert said.splitlines()[0] == "All is well."
    assert max(len(line) for line in said.splitlines()) <= 80
    assert "1 of 1 enabled" in said


def test_a_flawed_last_backup_is_called_that(place: Place) -> None:
    """And what puts it back says that it takes --force."""
    place.done("settings", "set", "1")
    make_flawed(place.database)
    place.done("backup", "create", "one")
    said = place.done("status").out
    assert any("last backup" in line and "one.db, flawed" in line for line in said.splitlines())
    assert "integrity finding" in said
    assert place.json("status")["last_backup"]["condition"] == "flawed"
    place.database.write_bytes(b"this is not a database " * 100)
    assert "backup-ledger backup restore one.db --force" in " ".join(
        place.run("status").out.split()
    )


def test_status_in_json_has_everything(place: Place) -> None:
    """For monitoring: numbers, and warnings as sentences."""
    made = place.json("backup", "create", "one")
    place.done("settings", "set", "1")
    facts = place.json("status")
    assert list(facts) == KEYS
    assert facts["ledger"]["size"] == len(place.events())
    assert len(facts["ledger"]["root"]) == 64
    assert facts["ledger"]["path"] == str(place.ledger)
    assert facts["store"] == {"id": made["store"], "path": str(place.backups)}
    assert facts["last_backup"]["filename"] == "one.db"
    assert facts["backups"]["by_status"]["ok"] == {"count": 1, "bytes": made["size"]}
    assert facts["schedules"] == {
        "total": 1,
        "enabled": 1,
        "due": 0,
        "overdue": 0,
        "failing": 0,
        "paused": 0,
        "orphans": 0,
    }
    assert {each["lag"] for each in facts["projections"]} == {0}
    assert (facts["warnings"], facts["findings"], facts["not_looked_at"]) == ([], [], [])
    assert facts["verdict"] == "All is well."


def test_what_is_not_all_right_is_named_with_what_to_do(place: Place) -> None:
    """Overdue runs, failures, lost and damaged backups, a database that is gone."""
    place.schedule(1, datetime.now(UTC) - timedelta(days=3))
    (place.backups / "damaged.db").write_text("rubbish")
    place.done("backup", "create", "lost")
    (place.backups / "lost.db").unlink()
    place.done("backup", "reconcile")
    warnings = " ".join(place.json("status")["warnings"])
    assert "1 scheduled backup is overdue: does the scheduler run?" in warnings
    assert "1 backup is damaged" in warnings
    assert "1 backup is gone from the folder" in warnings
    assert "there is no good backup" in warnings
    for path in place.folder.glob("app.db*"):
        path.unlink()
    assert place.run("run", "--once").code == 1
    ended = place.done("status")
    assert "5 problems need attention:" in ended.out
    assert "the last scheduled backup of 1 user failed" in ended.out
    flat = "".join(ended.out.split())
    assert f"the database {place.database} is missing".replace(" ", "") in flat


def test_check_is_for_programs(place: Place) -> None:
    """Exit code 3 where something needs attention; what, is said as always."""
    place.done("settings", "set", "1")
    place.done("backup", "create", "one")
    assert place.done("status", "--check").out.startswith("All is well.")
    (place.backups / "one.db").unlink()
    ended = place.run("status", "--check")
    assert (ended.code, ended.out.splitlines()[0]) == (3, "1 problem needs attention:")
    found = place.run("status", "--check", "--json")
    assert found.code == 3
    assert [each["kind"] for each in found.json["findings"]] == ["gone"]
    assert place.done("status").out.splitlines()[0] == ended.out.splitlines()[0]
    require_clear(place.run("status", "--check", "--watch"), USAGE, "--watch does not end")


def test_status_says_when_the_ledger_was_verified(place: Place) -> None:
    """And `audit verify` is what makes it so, whatever it finds."""
    place.done("settings", "set", "1")
    place.done("backup", "create", "one")
    assert "never verified" in place.done("status").out
    before = place.types()
    place.done("audit", "verify")
    assert place.types() == before
    facts = place.json("status")["ledger"]
    assert (facts["verified_size"], facts["verified_findings"]) == (facts["size"], 0)
    assert facts["verified_at"].endswith("Z")
    assert "last verified" in place.done("status").out


def test_status_without_its_store_file_says_so(place: Place) -> None:
    """It only reads, so it can."""
    place.done("backup", "create", "one")
    (place.backups / ".store").unlink()
    facts = place.json("status")
    assert facts["store"]["id"] is None
    assert "has no .store file: is it mounted?" in facts["warnings"][0]


def test_init_begins_a_ledger_and_adopts_what_is_there(place: Place) -> None:
    """Twice does no harm."""
    place.backups.mkdir()
    (place.backups / "old.db").write_bytes(place.database.read_bytes())
    begun = place.json("ledger", "init")
    assert begun["created"] is True
    assert begun["adopted"] == ["old.db"]
    assert begun["ledger"] == str(place.ledger)
    assert "already existed" in place.done("ledger", "init").out
    assert place.json("ledger", "init")["ledger_id"] == begun["ledger_id"]
    assert place.ledger.stat().st_mode & 0o777 == 0o600


def test_init_new_is_what_a_person_says_after_a_loss(place: Place) -> None:
    """A lost .store file, or a lost ledger, is made anew only on request."""
    place.done("backup", "create", "one")
    for lost in (".store", "ledger.sqlite"):
        for path in place.backups.glob(f"{lost}*"):
            path.unlink()
        refused = place.run("ledger", "init")
        assert refused.code == 1
        assert "backup-ledger ledger init [--new]" in refused.err
        place.done("ledger", "init", "--new")
        assert place.json("backup", "list")[0]["filename"] == "one.db"


def test_init_into_a_database_with_a_table_of_our_name_makes_nothing(place: Place) -> None:
    """The read models cannot live there: said before a ledger, a folder or a marker is made."""
    other = place.folder / "crm.db"
    with closing(sqlite3.connect(other)) as connection:
        connection.execute("CREATE TABLE backup_settings (color TEXT)")
        connection.commit()
    before, beside = place.files(), sorted(path.name for path in place.folder.iterdir())
    url = f"sqlite:///{other}"
    for arguments in (("ledger", "init"), ("settings", "set", "1"), ("backup", "create")):
        refused = place.run("--projections", url, *arguments)
        require_clear(refused, 1, "table backup_settings that does not belong to the read models")
        assert "--projections" in refused.err
    assert place.files() == before
    assert sorted(path.name for path in place.folder.iterdir()) == beside
    with closing(sqlite3.connect(other)) as connection:
        names = connection.execute("SELECT name FROM sqlite_master").fetchall()
    assert names == [("backup_settings",)]
