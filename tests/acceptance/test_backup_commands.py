"""backup: create, list, show, verify, hold, release, delete, restore, reconcile."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path

from tests.acceptance.place import Place, make_database, require_clear

COLUMNS = [
    "backup_id",
    "filename",
    "store",
    "source",
    "user_id",
    "run_id",
    "kind",
    "size",
    "sha256",
    "status",
    "is_protected",
    "holds",
    "shared_with",
    "created_at",
    "verified_level",
    "verified_at",
    "deleted_at",
    "position",
    "condition",
    "findings",
    "unchecked",
    "warnings",
    "cipher",
    "local_day",
    "collapsed_from",
    "accepted_at",
    "filepath",
]


def test_create_makes_a_backup_that_can_be_opened(place: Place) -> None:
    """The file named in the answer holds the database's content, for its owner's eyes only."""
    made = place.json("backup", "create", "first", "--user", "7")
    assert list(made) == COLUMNS
    assert (made["filename"], made["user_id"], made["kind"]) == ("first.db", 7, "manual")
    path = Path(made["filepath"])
    assert path == place.backups / "first.db"
    assert path.stat().st_size == made["size"]
    assert path.stat().st_mode & 0o777 == 0o600
    assert place.backups.stat().st_mode & 0o777 == 0o700
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT count(*) FROM cases").fetchone() == (20,)


def test_create_says_what_it_made(place: Place) -> None:
    """In text, the name, size, tables and rows."""
    said = place.done("backup", "create").out
    assert "Made app_backup_" in said
    assert "1 table, 20 rows" in said


def test_a_backup_before_a_migration_is_protected(place: Place) -> None:
    """`--pre-migration` is for those that retention must not touch."""
    made = place.json("backup", "create", "--pre-migration")
    assert made["filename"].startswith("pre_migration_")
    assert made["is_protected"] is True


def test_list_is_newest_first_and_names_unknown_files(place: Place) -> None:
    """A file that somebody put into the folder is listed like our own; nothing is recorded."""
    place.done("backup", "create", "ours")
    make_database(place.folder / "theirs.db", cases=3)
    with closing(sqlite3.connect(place.folder / "theirs.db")) as connection:
        connection.execute("PRAGMA journal_mode=DELETE")
    (place.folder / "theirs.db").rename(place.backups / "theirs.db")
    before, recorded = place.files(), len(place.events())
    listed = place.json("backup", "list")
    assert {each["filename"] for each in listed} == {"theirs.db", "ours.db"}
    assert [each["created_at"] for each in listed] == sorted(
        (each["created_at"] for each in listed), reverse=True
    )
    assert all(list(each) == COLUMNS for each in listed)
    assert {each["filename"]: each["status"] for each in listed} == {
        "theirs.db": "unrecorded",
        "ours.db": "ok",
    }
    assert "theirs.db" in place.done("backup", "list").out
    assert len(place.events()) == recorded
    assert place.files() == before
    place.done("backup", "reconcile")
    assert place.types()[-1] == "backup_catalog.backup_found"
    assert {each["status"] for each in place.json("backup", "list")} == {"ok"}


def test_a_folder_of_old_backups_just_works(place: Place) -> None:
    """Without a ledger they are listed; whoever begins one adopts them, damaged ones as damaged."""
    place.backups.mkdir()
    (place.backups / "auto_backup_user5_2024-01-01T03-00-00.db").write_bytes(b"rubbish" * 100)
    (place.backups / "empty.db").touch()
    (place.backups / "note.txt").write_text("not a backup")
    names = {"auto_backup_user5_2024-01-01T03-00-00.db", "empty.db"}
    asked = place.run("backup", "list", "--json")
    assert (asked.code, {each["filename"] for each in asked.json}) == (4, names)
    assert {path.name for path in place.backups.iterdir()} == names | {"note.txt"}
    begun = place.done("settings", "set", "5")
    assert "A ledger begins" in begun.err
    assert "Adopted 2 older backups" in begun.err
    listed = {each["filename"]: each for each in place.json("backup", "list")}
    assert set(listed) == names
    assert {each["status"] for each in listed.values()} == {"corrupt"}
    assert listed["auto_backup_user5_2024-01-01T03-00-00.db"]["user_id"] == 5


def test_a_plan_says_what_is_known_against_the_backup(place: Place) -> None:
    """Whoever asks for the plan learns it, and not only whoever restores."""
    place.done("backup", "create", "bad")
    assert place.json("backup", "restore", "bad", "--plan")["warning"] is None
    with (place.backups / "bad.db").open("r+b") as file:
        file.seek(-1, os.SEEK_END)
        file.write(b"?")
    assert place.run("backup", "verify", "bad").code == 3
    assert "found damaged" in place.json("backup", "restore", "bad", "--plan")["warning"]
    assert "found damaged" in place.done("backup", "restore", "bad", "--plan").out
    assert "found damaged" in place.done("backup", "show", "bad").out


def test_list_leaves_out_what_is_gone_unless_all_are_asked_for(place: Place) -> None:
    """Deleted and missing ones are history: `--all` shows them."""
    for name in ("kept", "deleted", "lost"):
        place.done("backup", "create", name)
    place.done("backup", "delete", "deleted.db", "--yes")
    (place.backups / "lost.db").unlink()
    listed = place.run("backup", "list", "--json")
    assert [each["filename"] for each in listed.json] == ["kept.db"]
    assert "lost.db is gone" in listed.err
    place.done("backup", "reconcile")
    every = {each["filename"]: each["status"] for each in place.json("backup", "list", "--all")}
    assert every == {"kept.db": "ok", "deleted.db": "deleted", "lost.db": "missing"}


def test_tables_stay_within_80_columns_and_names_stay_whole(place: Place) -> None:
    """What a person copies from the screen is the name."""
    name = "before_migration1_2025-01-13T03-00-00.db"
    place.done("backup", "create", name)
    said = place.done("backup", "list").out
    assert max(len(line) for line in said.splitlines()[:-1]) <= 80
    assert name in said
    assert "seconds ago)" in said or "second ago)" in said or "(now)" in said
    wide = place.done("backup", "list", COLUMNS="160").out.splitlines()
    assert len(wide) == 3
    assert name in wide[1]


def test_show_tells_all_that_is_known(place: Place) -> None:
    """In text the digest, the path and the hold; in JSON the catalog's columns."""
    made = place.json("backup", "create", "one")
    place.done("backup", "hold", "one.db", "--reason", "court order 5", "--until", "2100-01-01")
    said = place.done("backup", "show", "one.db").out
    for expected in (made["sha256"], "court order 5", "2100-01-01", "audit history one.db"):
        assert expected in said
    shown = place.json("backup", "show", "one.db")
    assert list(shown) == [*COLUMNS, "size_on_disk", "links"]
    assert [each["reason"] for each in shown["holds"]] == ["court order 5"]
    assert shown["holds"][0]["until"] == "2100-01-01T00:00:00.000000Z"


def test_show_needs_the_ledger_and_no_folder(place: Place) -> None:
    """An auditor's copy of the ledger says all that is known; where the file is, nobody can say."""
    made = place.json("backup", "create", "one")
    copy = place.folder / "copy.sqlite"
    place.done("ledger", "copy", str(place.ledger), str(copy))
    nowhere = {"BACKUP_LEDGER_DATABASE": None, "BACKUP_LEDGER_LEDGER": f"sqlite:///{copy}"}
    shown = place.run("backup", "show", "one.db", "--json", **nowhere).json
    assert shown["sha256"] == made["sha256"]
    assert (shown["filepath"], shown["size_on_disk"], shown["links"]) == (None, None, None)
    assert "one.db" in place.run("backup", "show", "one", **nowhere).out


def test_accept_says_that_a_collapse_was_meant(place: Place) -> None:
    """It is told by list and status until then; what cannot be accepted is said."""
    place.done("settings", "set", "1")
    place.add_cases(300)
    place.done("backup", "create", "full")
    with closing(sqlite3.connect(place.database)) as connection:
        connection.execute("DELETE FROM cases")
        connection.commit()
    made = place.done("backup", "create", "emptied")
    assert "rows fell from 320 to 0" in made.out + made.err
    status = place.run("status", "--check")
    assert status.code == 3
    assert "rows fell from 320 to 0" in status.out
    assert "backup-ledger backup accept emptied.db" in status.out
    accepted = place.json("backup", "accept", "emptied", "--reason", "moved")
    assert accepted["accepted"] == ["emptied.db"]
    assert place.done("status", "--check").code == 0
    require_clear(place.run("backup", "accept", "full"), 1, "nothing to accept")
    require_clear(place.run("backup", "accept", "emptied"), 1, "was accepted already")
    require_clear(place.run("backup", "accept", "none"), 4, "none")
    (event,) = [each for each in place.events() if each["event_type"].endswith("backup_accepted")]
    assert event["details"]["reason"] == "moved"


def test_verify_finds_a_changed_file_and_ends_with_3(place: Place) -> None:
    """One flipped byte in an unused page is enough for the digest."""
    place.done("backup", "create", "good")
    place.done("backup", "create", "bad")
    path = place.backups / "bad.db"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    found = place.run("backup", "verify", "--all", "--json")
    assert found.code == 3
    verdicts = {each["filename"]: each["ok"] for each in found.json}
    assert verdicts == {"good.db": True, "bad.db": False}
    said = place.run("backup", "verify", "bad.db", "--level", "digest")
    assert said.code == 3
    assert "BAD  bad.db" in said.out
    assert place.done("backup", "verify", "bad.db", "--level", "exists").out.startswith("ok ")


def test_verifying_a_missing_backup_leaves_it_missing(place: Place) -> None:
    """A file that is gone was found damaged once; it must not count as there."""
    place.done("backup", "create", "one")
    (place.backups / "one.db").unlink()
    for _ in range(2):
        assert place.run("backup", "verify", "--all").code == 3
        assert [each["status"] for each in place.json("backup", "list", "--all")] == ["missing"]


def test_a_held_backup_is_refused_to_everybody_until_released(place: Place) -> None:
    """Force overrides protection, never a hold."""
    place.done("backup", "create", "one")
    held = place.json("backup", "hold", "one.db", "--reason", "first")
    assert held["hold_id"] == held["holds"][0]["hold_id"]
    place.done("backup", "hold", "one.db", "--reason", "second")
    refused = place.run("backup", "delete", "one.db", "--force", "--yes")
    assert refused.code == 1
    assert "held (first)" in refused.err
    assert (place.backups / "one.db").exists()
    assert place.json("backup", "release", "one.db")["released_count"] == 2
    assert place.types().count("backup_catalog.hold_released") == 2
    assert "nothing to release" in place.done("backup", "release", "one.db").out
    place.done("backup", "delete", "one.db", "--yes")
    assert not (place.backups / "one.db").exists()


def test_delete_answers_with_the_backup_as_it_is_now(place: Place) -> None:
    """Its row stays in the catalog for ever."""
    place.done("backup", "create", "one")
    gone = place.json("backup", "delete", "one.db", "--yes")
    assert gone["status"] == "deleted"
    assert gone["deleted_at"] is not None
    assert [each["backup_id"] for each in place.json("backup", "list", "--all")] == [
        gone["backup_id"]
    ]


def test_restore_brings_back_what_was_and_keeps_what_is(place: Place) -> None:
    """The content before the restore becomes a protected backup."""
    place.done("backup", "create", "one")
    place.add_cases(5)
    plan = place.json("backup", "restore", "one.db", "--plan")
    assert (plan["mode"], plan["keeps_current"]) == ("transaction", True)
    assert place.count_cases() == 25
    restored = place.json("backup", "restore", "one.db", "--yes")
    assert place.count_cases() == 20
    kept = restored["pre_restore_backup"]
    assert kept["is_protected"] is True
    assert place.count_cases(Path(kept["filepath"])) == 25
    said = place.done("backup", "restore", kept["filename"], "--yes").out
    assert "What was there before is kept as pre_restore_backup_" in said
    assert place.count_cases() == 25


def test_restore_elsewhere_asks_nobody_and_touches_nothing(place: Place) -> None:
    """`--to` writes a new file."""
    place.done("backup", "create", "one")
    place.add_cases(5)
    target = place.folder / "look.db"
    said = place.done("backup", "restore", "one.db", "--to", str(target)).out
    assert str(target) in said
    assert place.count_cases(target) == 20
    assert place.count_cases() == 25
    assert "Nothing was done." in place.done("backup", "restore", "one.db", "--plan").out


def test_reconcile_says_what_it_found(place: Place) -> None:
    """Adopted, missing and nothing: each has its answer."""
    place.done("backup", "create", "one")
    assert "agree" in place.done("backup", "reconcile").out
    (place.backups / "one.db").rename(place.backups / "renamed.db")
    found = place.json("backup", "reconcile")
    assert (found["adopted"], found["missing"]) == (["renamed.db"], ["one.db"])
    (place.backups / "renamed.db").rename(place.backups / "one.db")
    said = place.done("backup", "reconcile").out
    assert "one.db" in said
    assert "renamed.db" in said
