"""Triggers and tables that somebody took away or put there."""

from __future__ import annotations

import sqlite3

import pytest

from tests.ledger.tampering import SIZE, Attacker, finding, report_on

HASH = b"\x42" * 32


@pytest.mark.parametrize("name", ["no_update", "no_delete", "only_append"])
def test_a_trigger_is_dropped(attacker: Attacker, name: str) -> None:
    """No record is changed, yet: but nobody drops one by accident."""
    with sqlite3.connect(attacker.path) as connection:
        connection.execute(f"DROP TRIGGER ledger_events_{name}")
    connection.close()
    report = report_on(attacker.path)
    found = finding(report, f"ledger_events_{name}, which keeps history append-only, was dropped")
    assert found.expected.startswith("CREATE TRIGGER")
    assert len(report.findings) == 1


def test_a_trigger_is_replaced_by_one_that_does_nothing(attacker: Attacker) -> None:
    """Its name is not enough."""
    attacker.run("SELECT 1")
    with sqlite3.connect(attacker.path) as connection:
        connection.execute("DROP TRIGGER ledger_events_no_update")
        connection.execute(
            "CREATE TRIGGER ledger_events_no_update BEFORE UPDATE ON ledger_events "
            "BEGIN SELECT 1; END"
        )
    connection.close()
    finding(report_on(attacker.path), "the trigger ledger_events_no_update was changed")


def test_a_trigger_is_added_that_swallows_what_is_appended(attacker: Attacker) -> None:
    """Nothing was swallowed yet; the trap is found."""
    attacker.run(
        "CREATE TRIGGER trap AFTER INSERT ON ledger_events WHEN NEW.stream = 'schedule/1' "
        "BEGIN DELETE FROM ledger_events WHERE position = NEW.position; END"
    )
    finding(
        report_on(attacker.path),
        "ledger_events has a trigger that does not belong to the ledger: trap",
    )


@pytest.mark.both_databases
def test_a_table_is_dropped(attacker: Attacker) -> None:
    """There is a verdict even then, and it says that nothing else could be looked at."""
    attacker.run("DROP TABLE ledger_nodes")
    report = report_on(attacker.path)
    finding(report, "tables of the ledger are missing: ledger_nodes")
    assert any(each.startswith("everything") for each in report.not_checked)


def test_a_million_broken_rows_do_not_fill_the_memory(attacker: Attacker) -> None:
    """Of each kind the first are listed and the others counted."""
    attacker.run("UPDATE ledger_events SET leaf_hash = :v", v=HASH)
    report = report_on(attacker.path)
    listed = [each for each in report.findings if "does not match its leaf hash" in each.problem]
    assert [each.position for each in listed] == list(range(1, 51))
    finding(report, f"{SIZE - 50} more findings of this kind: leaf hash")
