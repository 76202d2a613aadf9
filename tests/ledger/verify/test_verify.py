"""Verification of ledgers that nobody attacked: what it says, and what it says it left out."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from ledger.append.ledger import Ledger
from ledger.clock import ManualClock
from ledger.events import REGISTRY
from ledger.events.catalog import BackupFound
from ledger.events.housekeeping import RecordRedacted
from ledger.events.scheduling import SettingsCreated
from ledger.records.record import encode_event
from ledger.tree.merkle import EMPTY_ROOT
from ledger.verify import records as record_check
from ledger.verify import streams as stream_check
from ledger.verify import verify as verification
from ledger.verify.verify import verify
from tests.conftest import OpenLedger
from tests.ledger.stored_tree import recomputed_tree
from tests.ledger.tampering import PUBLIC, Attacker, append_some, report_on
from tests.sample_events import CONTEXT, SAMPLES, draft, event


def test_an_empty_ledger_is_sound(ledger: Ledger) -> None:
    """No records, the root of the empty tree, and nothing to find."""
    report = verify(ledger.engine)
    assert (report.ok, report.size, report.root) == (True, 0, EMPTY_ROOT.hex())
    assert report.findings == ()


def test_a_ledger_with_every_event_type_is_sound(ledger: Ledger) -> None:
    """Those that the quick check takes, and those that need the full one."""
    assert set(SAMPLES) == set(REGISTRY.values())
    # What a redaction names must be gone: its own tests have it.
    others = (draft(kind) for kind in SAMPLES if kind not in (BackupFound, RecordRedacted))
    ledger.append(CONTEXT, draft(BackupFound, filename="found.db"), *others)
    report = verify(ledger.engine)
    assert report.findings == ()
    assert report.ok
    assert report.size == len(SAMPLES) - 1


@pytest.mark.parametrize("size", [10, 250, 260, 510, 520])
def test_the_root_is_that_of_the_tree_by_the_letter(
    ledger: Ledger, clock: ManualClock, size: int
) -> None:
    """As the slow literal RFC 6962 version computes it."""
    append_some(ledger, clock, size)
    report = verify(ledger.engine)
    assert (report.ok, report.root) == (True, recomputed_tree(ledger).root.hex())


@pytest.mark.parametrize("rows", [1, 7, 256, 599, 600])
def test_the_size_of_batches_does_not_show(
    attacker: Attacker, monkeypatch: pytest.MonkeyPatch, rows: int
) -> None:
    """Batches end anywhere between checkpoints, tiles and gaps; the report is the same."""
    attacker.run("DELETE FROM ledger_events WHERE position BETWEEN 256 AND 258")
    expected = report_on(attacker.path)
    read = verification._read

    def read_few(connection: object, after: int) -> Iterator[object]:
        for count, row in enumerate(read(connection, after)):  # type: ignore[arg-type]
            if count == rows:
                return
            yield row

    monkeypatch.setattr(verification, "_read", read_few)
    assert report_on(attacker.path) == expected


def test_only_rows_that_are_wrong_are_looked_at_in_full(
    attacker: Attacker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is right passes at first sight, also beside what is wrong."""
    looked_at = []
    full = record_check.problems_of

    def count(row: record_check.Row) -> Iterator[record_check.Problem]:
        looked_at.append(row.position)
        return full(row)

    monkeypatch.setattr(verification, "problems_of", count)
    assert report_on(attacker.path).ok
    assert looked_at == []
    attacker.put_record(17, b"nonsense")
    assert not report_on(attacker.path).ok
    assert looked_at == [17]


def test_kept_and_given_checkpoints_are_confirmed(
    attacker: Attacker, checkpoints: list[bytes]
) -> None:
    """And what was signed when is told."""
    report = report_on(attacker.path, checkpoints=checkpoints)
    assert report.ok
    assert "the given checkpoint of 600 records is part of this history" in report.notes
    assert any(each.startswith("checkpoints kept in the ledger: 3, of") for each in report.notes)


def test_without_a_key_signatures_are_not_checked_and_that_is_said(attacker: Attacker) -> None:
    """Roots of kept checkpoints are compared all the same."""
    report = report_on(attacker.path, public_key=None)
    assert report.ok
    assert any("signatures of 3 checkpoints kept here" in each for each in report.not_checked)
    assert not any("signatures" in each for each in report_on(attacker.path).not_checked)


def test_what_is_never_checked_is_always_said(ledger: Ledger) -> None:
    """An auditor must not have to guess."""
    said = " ".join(verify(ledger.engine).not_checked)
    for word in ("backup verify", "recorded_at", "ledger_meta", "read models", "inner structure"):
        assert word in said


def test_progress_is_told_to_the_end(attacker: Attacker, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both walks over the records reach the number of records, and never run back."""
    monkeypatch.setattr(stream_check, "BATCH", 100)
    told: list[tuple[str, int, int]] = []
    report_on(attacker.path, on_progress=lambda *each: told.append(each))
    assert {total for _, _, total in told} == {600}
    for step in ("records", "streams"):
        done = [each for name, each, _ in told if name == step]
        assert done == sorted(done)
        assert done[-1] == 600


def test_one_snapshot_is_verified_while_others_append(
    open_ledger: OpenLedger, ledger: Ledger, clock: ManualClock
) -> None:
    """What is appended meanwhile belongs to the next verification."""
    append_some(ledger, clock, 300)
    other = open_ledger()

    def append(step: str, _done: int, _total: int) -> None:
        if step == "records":
            append_some(other, clock, 50)

    report = verify(ledger.engine, on_progress=append)
    assert (report.ok, report.size) == (True, 300)
    assert verify(ledger.engine).size == 350


@pytest.mark.parametrize("hours", [2, -2, 24 * 365])
def test_a_clock_that_jumps_is_a_note(ledger: Ledger, clock: ManualClock, hours: int) -> None:
    """It names the place, and the verdict stays good."""
    append_some(ledger, clock, 10)
    clock.advance(timedelta(hours=hours))
    append_some(ledger, clock, 10)
    report = verify(ledger.engine)
    assert report.ok
    backwards = [each for each in report.notes if "runs backwards" in each]
    assert len(backwards) == (hours < 0)


def test_a_record_far_from_its_timestamp_is_a_note(ledger: Ledger, clock: ManualClock) -> None:
    """The record says 03:00:05 on the first day, whenever it is appended."""
    clock.advance(timedelta(minutes=59))
    ledger.save(event(draft(SettingsCreated)))
    assert not any("hour away" in each for each in verify(ledger.engine).notes)
    clock.advance(timedelta(minutes=2))
    ledger.save(event(draft(SettingsCreated), version=2))
    [note] = [each for each in verify(ledger.engine).notes if "hour away" in each]
    assert note.endswith("at 1 places, first at position 2")


def test_text_with_escapes_and_other_scripts_is_sound(ledger: Ledger) -> None:
    """Canonical JSON has one form for every character."""
    strange = 'a"b\\c\n\t\x00\x1f\x7f é 漢 \u2028 \U0001f600'
    drafted = draft(SettingsCreated, timezone=strange)
    ledger.append(CONTEXT, drafted)
    report = verify(ledger.engine)
    assert report.findings == ()
    assert encode_event(ledger.stream("schedule/1")[0]).decode().isprintable() is False


def test_a_backup_of_the_ledger_verifies_like_the_ledger(
    attacker: Attacker, tmp_path: Path
) -> None:
    """A copy that SQLite made elsewhere is the same history."""
    attacker.run(f"VACUUM INTO '{tmp_path / 'copy.sqlite'}'")
    assert report_on(tmp_path / "copy.sqlite", public_key=PUBLIC).root == (
        report_on(attacker.path).root
    )
