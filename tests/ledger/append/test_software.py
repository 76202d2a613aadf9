"""Which software wrote a ledger is noted, and older software is told before it begins."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import text, update
from sqlalchemy.engine import Engine

from ledger.append import database, migrations
from ledger.append.backend import Tables, quoted
from ledger.append.database import read_meta
from ledger.append.ledger import Ledger
from ledger.append.migrations import STEPS, migrate, note_software
from ledger.append.software import is_newer, software_version
from ledger.append.tables import meta, verified
from ledger.errors import LedgerTooNew
from ledger.events.scheduling import SettingsCreated
from ledger.verify.verify import verify
from tests.old_tables import as_0_1_0_made_them
from tests.sample_events import CONTEXT, draft

pytestmark = pytest.mark.both_databases


def note(engine: Engine, version: str | None) -> None:
    with engine.begin() as connection:
        connection.execute(update(meta).values(software_version=version))


@pytest.mark.parametrize(
    ("one", "other", "newer"),
    [
        ("0.2.0", "0.1.0", True),
        ("0.10.0", "0.9.9", True),
        ("1", "0.9", True),
        ("0.2.0rc1", "0.2.0", False),
        ("0.2.0", "0.2.0", False),
        ("0.1.0", "0.2.0", False),
        (None, "0.2.0", False),
        ("unknown", "0.2.0", False),
        ("0.2.0", "unknown", False),
    ],
)
def test_versions_are_compared_by_their_numbers(one: str, other: str, *, newer: bool) -> None:
    """What cannot be read as numbers is never newer: it must not lock anybody out."""
    assert is_newer(one, other) is newer


def test_a_new_ledger_knows_who_made_it(ledger: Ledger) -> None:
    assert read_meta(ledger.engine).software_version == software_version()


@pytest.mark.slow
def test_a_ledger_of_0_1_0_is_read_as_it_is_and_brought_along_by_whoever_acts(
    ledger: Ledger,
) -> None:
    """Its proof is the same before and after; then the software is noted."""
    ledger.append(CONTEXT, draft(SettingsCreated))
    as_0_1_0_made_them(ledger.engine)
    assert read_meta(ledger.engine).software_version is None
    before = verify(ledger.engine)
    assert before.findings == ()
    with ledger.engine.connect() as connection:
        assert not Tables(connection).has(verified.name)
    assert migrate(ledger.engine) == len(STEPS)
    note_software(ledger.engine)
    assert read_meta(ledger.engine).software_version == software_version()
    after = verify(ledger.engine)
    assert (after.findings, after.root) == ((), before.root)


def test_what_came_later_is_required_of_a_ledger_that_has_it(ledger: Ledger) -> None:
    """Only an older ledger may be without it."""
    with ledger.engine.begin() as connection:
        connection.execute(text(f"DROP TABLE {quoted(connection, 'ledger_verified')}"))
    report = verify(ledger.engine)
    assert "ledger_verified" in report.findings[0].problem


def test_older_software_is_told_to_update(ledger: Ledger) -> None:
    """Before it does anything, and by name."""
    note(ledger.engine, "99.1.0")
    with pytest.raises(LedgerTooNew, match=r"written by backup-ledger 99\.1\.0.*update"):
        Ledger(ledger.engine, ledger.clock)
    with pytest.raises(LedgerTooNew):
        note_software(ledger.engine)


def test_newer_software_notes_itself(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    """And from then on the older one is refused."""
    for each in (database, migrations):
        monkeypatch.setattr(each, "software_version", lambda: "99.0.0")
    note_software(ledger.engine)
    assert read_meta(ledger.engine).software_version == "99.0.0"
    for each in (database, migrations):
        monkeypatch.setattr(each, "software_version", lambda: "98.0.0")
    with pytest.raises(LedgerTooNew, match=r"this is 98\.0\.0"):
        read_meta(ledger.engine)


def test_a_ledger_without_a_note_is_open_to_all(ledger: Ledger, tmp_path: Path) -> None:
    """As after an upgrade by a login that may only append."""
    note(ledger.engine, None)
    assert read_meta(ledger.engine).software_version is None
    Ledger(ledger.engine, ledger.clock)
