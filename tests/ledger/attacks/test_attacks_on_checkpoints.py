"""Attacks that are consistent within the ledger: only what was signed gives them away."""

from __future__ import annotations

from base64 import b64encode
from pathlib import Path

import pytest

from ledger.errors import LedgerBroken
from ledger.tree.checkpoint import Checkpoint, sign_checkpoint
from ledger.tree.signed_note import Note, NoteError
from tests.ledger.tampering import (
    KEY,
    OTHER_KEY,
    PUBLIC,
    Attacker,
    finding,
    make_signed_ledger,
    report_on,
    sign,
)


def rewrite(attacker: Attacker, position: int = 150) -> None:
    """All of history made consistent with one changed record."""
    attacker.edit_record(position, lambda fields: fields["actor"].update(id="eve"))
    attacker.make_consistent()


def drop_checkpoints(attacker: Attacker) -> None:
    attacker.run("DELETE FROM ledger_checkpoints")


@pytest.mark.both_databases
def test_all_of_history_is_rewritten(attacker: Attacker) -> None:
    """The checkpoints from after the change contradict it; those from before do not."""
    rewrite(attacker)
    report = report_on(attacker.path)
    found = finding(report, "the kept checkpoint 2 belongs to another history: records 1 to 300")
    assert found.expected.endswith("at 300 records, as signed")
    finding(report, "the kept checkpoint 3 belongs to another history")
    assert len(report.findings) == 2


@pytest.mark.both_databases
def test_all_of_history_is_rewritten_and_the_kept_checkpoints_are_gone(
    attacker: Attacker, checkpoints: list[bytes]
) -> None:
    """Nothing inside shows it, which the report admits; an old checkpoint from outside does."""
    rewrite(attacker)
    drop_checkpoints(attacker)
    alone = report_on(attacker.path)
    assert alone.ok
    assert any("whether all of history was rewritten" in each for each in alone.not_checked)
    report = report_on(attacker.path, checkpoints=[checkpoints[1]])
    finding(report, "the given checkpoint 1 belongs to another history: records 1 to 300")
    assert not any("whether all of history" in each for each in report.not_checked)


@pytest.mark.both_databases
def test_an_older_checkpoint_is_replayed(attacker: Attacker, checkpoints: list[bytes]) -> None:
    """True, but old: no finding; it is said how much was added since."""
    report = report_on(attacker.path, checkpoints=[checkpoints[0]])
    assert report.ok
    assert any("of 100 records is part of this history" in each for each in report.notes)
    assert any("records added since: 500" in each for each in report.notes)


@pytest.mark.both_databases
def test_the_key_is_swapped(attacker: Attacker) -> None:
    """Everything rewritten and signed anew, with another key of the same name."""
    rewrite(attacker)
    drop_checkpoints(attacker)
    sign(attacker.path, OTHER_KEY)
    assert report_on(attacker.path, public_key=OTHER_KEY.verifier()).ok
    found = finding(report_on(attacker.path), "is not signed by the given public key")
    assert PUBLIC.to_text() in found.expected


@pytest.mark.both_databases
def test_the_auditor_is_given_a_checkpoint_of_another_key(attacker: Attacker) -> None:
    """It fits the ledger, and proves nothing."""
    tree = Checkpoint.from_text(Note.from_bytes(sign(attacker.path)).text)
    forged = sign_checkpoint(tree, OTHER_KEY)
    report = report_on(attacker.path, checkpoints=[forged])
    finding(report, "the given checkpoint 1 is not signed by the given public key")
    assert not any("is part of this history" in each for each in report.notes)


@pytest.mark.both_databases
def test_two_forks_are_shown_to_two_auditors(attacker: Attacker, checkpoints: list[bytes]) -> None:
    """Each is content alone; together they see that one key signed two histories."""
    fork = attacker.copy()
    rewrite(fork)
    drop_checkpoints(fork)
    other = sign(fork.path)
    mine = checkpoints[2]
    assert report_on(attacker.path, checkpoints=[mine]).ok
    assert report_on(fork.path, checkpoints=[other]).ok
    report = report_on(attacker.path, checkpoints=[mine, other])
    finding(report, "a fork: the same key signed two different histories of 600 records")
    finding(report, "the given checkpoint 2 belongs to another history")


@pytest.mark.both_databases
def test_forks_of_different_lengths_are_shown_to_two_auditors(
    attacker: Attacker, checkpoints: list[bytes]
) -> None:
    """The shorter one is found as not being a part of the longer."""
    fork = attacker.copy()
    fork.run("DELETE FROM ledger_events WHERE position > 500")
    rewrite(fork)
    drop_checkpoints(fork)
    report = report_on(attacker.path, checkpoints=[checkpoints[0], sign(fork.path)])
    finding(report, "the given checkpoint 2 belongs to another history: records 1 to 500")


@pytest.mark.both_databases
def test_a_kept_checkpoint_is_edited(attacker: Attacker, checkpoints: list[bytes]) -> None:
    """A root that fits the rewritten history, under the old signature."""
    rewrite(attacker)
    note = Note.from_bytes(checkpoints[1])
    lines = note.text.split("\n")
    lines[2] = b64encode(b"\x11" * 32).decode()
    forged = Note("\n".join(lines), note.signatures).to_bytes()
    attacker.run("UPDATE ledger_checkpoints SET note = :n WHERE size = 300", n=forged)
    finding(report_on(attacker.path), "the kept checkpoint 2 is not signed by the given")


@pytest.mark.parametrize("note", [b"", b"nonsense", "text", None])
def test_a_kept_checkpoint_is_made_unreadable(attacker: Attacker, note: object) -> None:
    """Named, and the others are still checked."""
    with attacker.connected() as connection:
        connection.execute("DROP TABLE ledger_checkpoints")
        connection.execute(
            "CREATE TABLE ledger_checkpoints (id INTEGER PRIMARY KEY, size BIGINT, note BLOB, "
            "created_at BIGINT)"
        )
        connection.execute("INSERT INTO ledger_checkpoints VALUES (7, 100, ?, 0)", (note,))
    finding(report_on(attacker.path), "the kept checkpoint 7 cannot be read")


@pytest.mark.both_databases
def test_a_kept_checkpoint_is_moved_to_another_size(attacker: Attacker) -> None:
    """What stands beside the note must be what it says."""
    attacker.run("UPDATE ledger_checkpoints SET size = 200 WHERE size = 300")
    found = finding(report_on(attacker.path), "is not of the recorded size")
    assert (found.expected, found.found) == ("300", "200")


@pytest.mark.both_databases
def test_a_checkpoint_of_another_ledger_is_given(attacker: Attacker, tmp_path: Path) -> None:
    """Signed by the same key, which no two ledgers should share."""
    [other] = make_signed_ledger(tmp_path / "other.sqlite", (50,))
    report = report_on(attacker.path, checkpoints=[other])
    finding(report, "rewritten, forked, or is another one")


@pytest.mark.both_databases
def test_the_signer_is_asked_to_sign_a_rewritten_ledger(attacker: Attacker) -> None:
    """It refuses: a log that signs two histories is worth nothing."""
    rewrite(attacker)
    with pytest.raises(LedgerBroken, match="does not continue the one of 600 records"):
        sign(attacker.path)


@pytest.mark.both_databases
def test_the_signer_is_asked_to_sign_a_ledger_that_was_cut(attacker: Attacker) -> None:
    """Nor does it sign a shorter history."""
    attacker.run("DELETE FROM ledger_events WHERE position > 550")
    attacker.make_consistent()
    with pytest.raises(LedgerBroken, match="550 records does not continue the one of 600"):
        sign(attacker.path)


def test_the_signer_is_asked_to_sign_a_head_that_is_not_the_trees(attacker: Attacker) -> None:
    """The head alone was changed."""
    attacker.run("UPDATE ledger_head SET root = zeroblob(32)")
    with pytest.raises(LedgerBroken, match="root is not that of the stored tree"):
        sign(attacker.path)


@pytest.mark.both_databases
def test_the_signer_is_given_another_key_of_the_same_name(attacker: Attacker) -> None:
    """A new key needs a new name, or nobody can tell it from a thief's."""
    with pytest.raises(LedgerBroken, match="the key or the checkpoint was swapped"):
        sign(attacker.path, OTHER_KEY)


@pytest.mark.both_databases
def test_a_given_file_that_is_no_checkpoint_is_the_callers_mistake(attacker: Attacker) -> None:
    """An error, not a finding: nothing is said about the ledger."""
    with pytest.raises(NoteError):
        report_on(attacker.path, checkpoints=[b"nonsense"])
    with pytest.raises(ValueError, match="public key"):
        report_on(attacker.path, checkpoints=[b"nonsense"], public_key=None)
    assert KEY.name == PUBLIC.name
