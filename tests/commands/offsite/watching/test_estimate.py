"""The estimate is close to what copying really sends, and sends nothing itself."""

from __future__ import annotations

import sqlite3
from contextlib import closing

from commands.offsite.watching.estimate import estimate_month
from tests.commands.offsite.conftest import Offsite


def grow(offsite: Offsite, rows: int) -> None:
    """Text that compresses as real text does."""
    with closing(sqlite3.connect(offsite.world.database)) as connection:
        texts = [
            (f"letter {number} of the case {number * 7919 % 1009}" * 5,) for number in range(rows)
        ]
        connection.executemany("INSERT INTO cases (title) VALUES (?)", texts)
        connection.commit()


def test_what_is_foretold_is_what_is_sent(offsite: Offsite) -> None:
    """A first copy and two days of changes, within a fifth and some kilobytes for envelopes."""
    grow(offsite, 3_000)
    backups = [offsite.backup("one")]
    for name in ("two", "three"):
        offsite.world.advance(days=1)
        grow(offsite, 400)
        backups.append(offsite.backup(name))
    before = offsite.world.site.ledger.log_recorder.head().size
    (found,) = estimate_month(offsite.world.site)
    assert offsite.world.site.ledger.log_recorder.head().size == before
    sent = [offsite.copy(each).sent_bytes or 0 for each in backups]
    assert found.backups == 3
    assert found.per_day is not None
    assert abs(found.first - sent[0]) < sent[0] / 5 + 4_000
    assert abs(found.per_day - (sent[1] + sent[2]) / 2) < sum(sent[1:]) / 10 + 4_000
    assert found.month == found.first + 29 * found.per_day
    assert found.month_whole > 2 * found.month


def test_one_backup_says_nothing_about_changes(offsite: Offsite) -> None:
    assert estimate_month(offsite.world.site) == []
    offsite.backup("one")
    (found,) = estimate_month(offsite.world.site)
    assert (found.backups, found.per_day) == (1, None)
    assert found.month == found.first > 0
