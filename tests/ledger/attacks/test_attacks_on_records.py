"""The adversary's suite: each attack on the database file is found, and explained."""

from __future__ import annotations

import json
import sqlite3
from hashlib import sha256
from typing import Any

import pytest

from ledger.canonical_json import canonical_bytes
from tests.ledger.tampering import KINDS, Attacker, finding, report_on

HASH = b"\x42" * 32


@pytest.mark.both_databases
def test_a_record_is_changed(attacker: Attacker) -> None:
    """One field of one record: a finding at its position, and at no other."""
    record = attacker.edit_record(17, lambda fields: fields["actor"].update(id="eve"))
    report = report_on(attacker.path)
    found = finding(report, "does not match its leaf hash", 17)
    assert sha256(b"\0" + record).hexdigest() in found.found
    assert {each.position for each in report.findings} == {17}


@pytest.mark.both_databases
def test_a_record_and_its_leaf_hash_are_changed(attacker: Attacker) -> None:
    """Then the record fits its hash, but the stored tree over it does not."""
    record = attacker.edit_record(17, lambda fields: fields["actor"].update(id="eve"))
    new = sha256(b"\0" + record).digest()
    attacker.run("UPDATE ledger_events SET leaf_hash = :new WHERE position = 17", new=new)
    report = report_on(attacker.path)
    finding(report, "tree node 8/0 over positions 1 to 256 does not fit", 1)
    finding(report, "head's root is not the root of the records")
    finding(report, "the kept checkpoint 1 belongs to another history")


@pytest.mark.both_databases
def test_a_record_in_the_last_incomplete_tile_and_its_leaf_hash_are_changed(
    attacker: Attacker,
) -> None:
    """No stored node covers it; the head's frontier says between which positions it is."""
    record = attacker.edit_record(600, lambda fields: fields["actor"].update(id="eve"))
    new = sha256(b"\0" + record).digest()
    attacker.run("UPDATE ledger_events SET leaf_hash = :new WHERE position = 600", new=new)
    finding(report_on(attacker.path), "frontier over positions 593 to 600 does not fit", 593)


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("stream", "schedule/2"),
        ("stream", "schedule/9' OR '1"),
        ("stream_version", 9_000),
        ("stream_version", "first"),
        ("event_type", "backup_scheduler.paused"),
    ],
)
def test_a_column_is_changed_to_hide_a_record(attacker: Attacker, column: str, value: Any) -> None:
    """Columns are what queries look at; the record says otherwise."""
    attacker.run(f"UPDATE ledger_events SET {column} = :value WHERE position = 12", value=value)
    found = finding(report_on(attacker.path), f"the column {column} contradicts the record", 12)
    assert found.found == repr(value)
    assert "as the record says" in found.expected


@pytest.mark.both_databases
def test_a_column_is_filled_with_bytes_that_are_no_text(attacker: Attacker) -> None:
    """Even what the driver refuses to read is reported, not died of."""
    attacker.run("UPDATE ledger_events SET stream = CAST(x'ff' AS TEXT) WHERE position = 12")
    finding(report_on(attacker.path), "the column stream contradicts the record", 12)


@pytest.mark.parametrize("value", ["yesterday", 1.5, b"\x00"])
def test_the_time_of_a_record_is_made_unreadable(attacker: Attacker, value: Any) -> None:
    """recorded_at may be any whole number, but nothing else."""
    attacker.run("UPDATE ledger_events SET recorded_at = :v WHERE position = 5", v=value)
    finding(report_on(attacker.path), "recorded_at is not a valid time", 5)


@pytest.mark.both_databases
def test_the_time_of_a_record_is_moved(attacker: Attacker) -> None:
    """It is not hashed, so this is not a proof of anything: a note, and it is said to be open."""
    attacker.run(
        "UPDATE ledger_events SET recorded_at = recorded_at - 9000000000 WHERE position = 5"
    )
    report = report_on(attacker.path)
    assert report.ok
    assert any("runs backwards at 1 places, first at position 5" in each for each in report.notes)
    assert any("an hour away" in each and "position 5" in each for each in report.notes)
    assert any(each.startswith("recorded_at") for each in report.not_checked)


@pytest.mark.parametrize("value", [HASH, b"short", "x" * 32])
def test_a_leaf_hash_is_changed(attacker: Attacker, value: Any) -> None:
    """The record no longer fits it, and the tree above neither."""
    attacker.run("UPDATE ledger_events SET leaf_hash = :v WHERE position = 300", v=value)
    report = report_on(attacker.path)
    finding(report, "does not match its leaf hash", 300)


@pytest.mark.both_databases
def test_a_record_is_emptied(attacker: Attacker) -> None:
    """Its leaf hash stays, so the tree can still be checked; nothing else is wrong with it."""
    attacker.put_record(20, None)
    report = report_on(attacker.path)
    finding(report, "the record was removed; only its leaf hash is left", 20)
    assert len(report.findings) == 1


def test_a_record_is_stored_as_text(attacker: Attacker) -> None:
    """The same characters, but not the same value."""
    attacker.put_record(20, attacker.record(20).decode())
    finding(report_on(attacker.path), "the record is not stored as bytes", 20)


@pytest.mark.both_databases
@pytest.mark.parametrize(
    ("height", "number", "first"), [(8, 0, 1), (8, 1, 257), (9, 0, 1)], ids=["left", "right", "top"]
)
def test_a_tree_node_is_changed(attacker: Attacker, height: int, number: int, first: int) -> None:
    """Proofs would be made from it."""
    where = f"height = {height} AND number = {number}"
    attacker.run(f"UPDATE ledger_nodes SET hash = :v WHERE {where}", v=HASH)
    report = report_on(attacker.path)
    found = finding(report, f"tree node {height}/{number} over positions {first} to", first)
    assert found.found == HASH.hex()
    assert len(report.findings) == 1


@pytest.mark.both_databases
def test_a_tree_node_is_deleted(attacker: Attacker) -> None:
    """A missing node is named, too."""
    attacker.run("DELETE FROM ledger_nodes WHERE height = 8 AND number = 1")
    finding(report_on(attacker.path), "tree node 8/1 over positions 257 to 512 is missing", 257)


@pytest.mark.both_databases
@pytest.mark.parametrize("place", [(8, 2), (10, 0), (7, 0), (8, -1), (63, 0), (9_000, 5)])
def test_a_tree_node_is_added(attacker: Attacker, place: tuple[int, int]) -> None:
    """One that a tree of this size does not have; it would be believed later."""
    attacker.run(f"INSERT INTO ledger_nodes VALUES ({place[0]}, {place[1]}, :v)", v=HASH)
    finding(report_on(attacker.path), f"tree node {place[0]}/{place[1]} belongs to no tree")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("size = 601", "head counts are missing"),
        ("size = 599", "head does not count all records"),
        ("root = zeroblob(32)", "head's root is not the root of the records"),
        ("frontier = zeroblob(128)", "frontier over positions 1 to 512 does not fit"),
        ("frontier = zeroblob(31)", "head's frontier does not fit the records"),
        ("recorded_at = 1", "recorded_at differs from the last record"),
    ],
)
def test_the_head_is_changed(attacker: Attacker, change: str, words: str) -> None:
    """Whatever part of it."""
    attacker.run(f"UPDATE ledger_head SET {change}")
    report = report_on(attacker.path)
    assert any(words in each.problem for each in report.findings), report.findings


@pytest.mark.both_databases
def test_the_head_is_deleted(attacker: Attacker) -> None:
    """Then nobody can append; and it is found."""
    attacker.run("DELETE FROM ledger_head")
    finding(report_on(attacker.path), "ledger_head must have one row")


def swap(attacker: Attacker, one: int, other: int) -> None:
    attacker.run(
        f"UPDATE ledger_events SET position = 9999 WHERE position = {one}",
        f"UPDATE ledger_events SET position = {one} WHERE position = {other}",
        f"UPDATE ledger_events SET position = {other} WHERE position = 9999",
    )


@pytest.mark.both_databases
def test_two_records_change_places(attacker: Attacker) -> None:
    """Each still fits its hash; the order is in the tree, and in the stream's versions."""
    swap(attacker, 11, 21)
    report = report_on(attacker.path)
    finding(report, "tree node 8/0 over positions 1 to 256 does not fit", 1)
    finding(report, "the stream schedule/1 is out of order", 11)


@pytest.mark.both_databases
def test_two_records_change_places_and_all_hashes_follow(attacker: Attacker) -> None:
    """A consistent tree does not put a stream's versions in order."""
    swap(attacker, 11, 21)
    attacker.make_consistent()
    finding(report_on(attacker.path), "the stream schedule/1 is out of order", 11)


@pytest.mark.both_databases
def test_a_record_is_deleted_from_the_middle(attacker: Attacker) -> None:
    """The position that is missing is named, and so is the hole in the stream."""
    attacker.run("DELETE FROM ledger_events WHERE position = 42")
    report = report_on(attacker.path)
    finding(report, "the record at position 42 is missing", 42)
    finding(report, "lacks the version before ", 43)


@pytest.mark.both_databases
def test_the_first_records_are_deleted(attacker: Attacker) -> None:
    """The beginning is a place like any other."""
    attacker.run("DELETE FROM ledger_events WHERE position <= 3")
    finding(report_on(attacker.path), "the records at positions 1 to 3 are missing", 1)


@pytest.mark.both_databases
def test_a_record_is_deleted_and_the_others_are_renumbered(attacker: Attacker) -> None:
    """No gap in positions, and a consistent tree; but the stream has a hole."""
    attacker.run(
        "DELETE FROM ledger_events WHERE position = 42",
        "UPDATE ledger_events SET position = position - 10000 WHERE position > 42",
        "UPDATE ledger_events SET position = position + 9999 WHERE position < 0",
    )
    attacker.make_consistent()
    report = report_on(attacker.path)
    found = finding(report, "the stream schedule/1 lacks the version before ", 42)
    assert found.expected.startswith("version ")
    finding(report, "the kept checkpoint 1 belongs to another history")


@pytest.mark.both_databases
def test_the_end_is_cut_off(attacker: Attacker) -> None:
    """The head still counts what is gone."""
    attacker.run("DELETE FROM ledger_events WHERE position > 550")
    found = finding(report_on(attacker.path), "the ledger was cut: 50 records", 551)
    assert (found.expected, found.found) == ("600 records", "550 records")


@pytest.mark.both_databases
def test_the_end_is_cut_off_and_the_head_follows(
    attacker: Attacker, checkpoints: list[bytes]
) -> None:
    """A consistent shorter ledger: only what was signed knows that there was more."""
    attacker.run(
        "DELETE FROM ledger_events WHERE position > 550",
        "DELETE FROM ledger_checkpoints WHERE size > 550",
    )
    attacker.make_consistent()
    assert report_on(attacker.path).ok
    report = report_on(attacker.path, checkpoints=[checkpoints[2]])
    finding(report, "covers 600 records, but the ledger has only 550: it was cut", 551)


@pytest.mark.both_databases
def test_a_record_stands_before_the_first(attacker: Attacker) -> None:
    """Positions begin at 1."""
    attacker.run(
        "INSERT INTO ledger_events SELECT 0, 'schedule/77', 1, event_type, record, leaf_hash, "
        "recorded_at FROM ledger_events WHERE position = 1"
    )
    finding(report_on(attacker.path), "positions begin at 1", 1)


def without_unique_key(connection: sqlite3.Connection) -> None:
    """The table made again without its keys, and a stream version doubled."""
    connection.executescript(
        "CREATE TABLE other AS SELECT * FROM ledger_events;"
        "DROP TABLE ledger_events;"
        "CREATE TABLE ledger_events (position INTEGER PRIMARY KEY, stream TEXT NOT NULL,"
        " stream_version INTEGER NOT NULL, event_type TEXT NOT NULL, record BLOB,"
        " leaf_hash BLOB NOT NULL, recorded_at INTEGER NOT NULL);"
        "INSERT INTO ledger_events SELECT * FROM other;"
        "DROP TABLE other;"
    )


def test_a_stream_version_is_stored_twice(attacker: Attacker) -> None:
    """Two histories of one thing: found as such, and that the key against it is gone."""
    with attacker.connected() as connection:
        without_unique_key(connection)
        fields = json.loads(attacker.record(11)) | {"stream_version": 1}
        connection.execute(
            "UPDATE ledger_events SET stream_version = 1, record = ? WHERE position = 11",
            (canonical_bytes(fields),),
        )
    attacker.make_consistent()
    report = report_on(attacker.path)
    finding(report, "the stream schedule/1 has version 1 twice", 11)
    finding(report, "ledger_events has lost its unique key")


def test_insert_or_replace_puts_another_record_in_its_place(attacker: Attacker) -> None:
    """It fires no delete trigger; the record is not the one that was hashed."""
    record = attacker.record(31).replace(b"ada", b"eve")
    attacker.run(
        "INSERT OR REPLACE INTO ledger_events SELECT position, stream, stream_version, "
        "event_type, :record, leaf_hash, recorded_at FROM ledger_events WHERE position = 31",
        record=record,
    )
    finding(report_on(attacker.path), "does not match its leaf hash", 31)


@pytest.mark.both_databases
def test_a_record_is_rewritten_as_other_bytes_for_the_same_json(attacker: Attacker) -> None:
    """Equal as JSON is not equal: the leaf is of the bytes, and only one form is allowed."""
    fields = json.loads(attacker.record(33))
    attacker.put_record(33, json.dumps(fields, sort_keys=True).encode())
    attacker.make_consistent()
    finding(report_on(attacker.path), "not in canonical form: its JSON should have other bytes", 33)


@pytest.mark.both_databases
@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"event_type": "backup_scheduler.nothing_happened"}, "the event is of an unknown type"),
        ({"schema_version": 99}, "the event is of an unknown type"),
        ({"note": "harmless"}, "the record does not have exactly the keys of a record"),
        ({"success": False}, "the record is not a valid event"),
        ({"timestamp": "2025-02-30T00:00:00.000000Z"}, "the record is not a valid event"),
        ({"user_id": 1}, "the record is not a valid event"),
        ({"stream": "schedule/2"}, "the column stream contradicts the record"),
        ({"details": {}}, "the record is not a valid event"),
    ],
    ids=str,
)
def test_a_record_is_forged_that_no_software_of_ours_would_write(
    attacker: Attacker, change: dict[str, Any], words: str
) -> None:
    """All hashes are right; what it says is not a fact that this ledger can hold."""
    attacker.edit_record(1, lambda fields: fields.update(change))
    attacker.make_consistent()
    finding(report_on(attacker.path), words, 1)


@pytest.mark.both_databases
@pytest.mark.parametrize("key", ["user_id", "details", "event_id"])
def test_a_key_is_taken_out_of_a_record(attacker: Attacker, key: str) -> None:
    """Every key is always there."""
    attacker.edit_record(1, lambda fields: fields.pop(key))
    attacker.make_consistent()
    found = finding(report_on(attacker.path), "not have exactly the keys of a record", 1)
    assert key in found.found


@pytest.mark.both_databases
@pytest.mark.parametrize("record", [b"", b"nonsense", b"[1]", b"\xff\xfe", b"{", b"1e400"])
def test_a_record_is_replaced_by_something_that_is_none(attacker: Attacker, record: bytes) -> None:
    """Whatever the bytes are, they are reported, with consistent hashes all around."""
    attacker.put_record(55, record)
    attacker.make_consistent()
    finding(report_on(attacker.path), "the record is not ", 55)


@pytest.mark.both_databases
def test_a_record_is_made_larger_than_any_may_be(attacker: Attacker) -> None:
    """The limit holds for what is stored as for what is written."""
    attacker.edit_record(4, lambda fields: fields["details"].update(note="x" * 70_000))
    attacker.make_consistent()
    finding(report_on(attacker.path), "the record is too large", 4)


def test_nothing_is_repaired(attacker: Attacker) -> None:
    """Verification leaves the file as it found it."""
    attacker.edit_record(17, lambda fields: fields["actor"].update(id="eve"))
    before = attacker.path.read_bytes()
    assert report_on(attacker.path) == report_on(attacker.path)
    assert attacker.path.read_bytes() == before
    assert len(KINDS) == 10
