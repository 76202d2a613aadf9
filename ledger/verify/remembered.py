"""When all of history was last verified: remembered beside it, as a reminder.

It is not an event. Verifying is a question: it appends nothing, and a reader without the right to
write may ask it. And it proves nothing: whoever can write the ledger's database can write this
row too. It only lets `status` say that nobody has looked for a long time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import delete, insert, select

from ledger.append.backend import Tables
from ledger.append.database import writing
from ledger.append.tables import verified
from ledger.clock import from_microseconds, to_microseconds
from ledger.errors import LedgerError

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Connection
    from sqlalchemy.engine import Engine

    from ledger.verify.findings import Report

MAX_CHECKED = 2_000


@dataclass(frozen=True, slots=True)
class LastVerified:
    """`checked`: what was checked, in a sentence. `root`: hex, at `size` records."""

    verified_at: datetime
    size: int
    root: str
    findings: int
    checked: str


def remember_verified(engine: Engine, report: Report, now: datetime) -> bool:
    """Remember a verification; False where this login or file system cannot write."""
    values = {
        "id": 1,
        "verified_at": to_microseconds(now),
        "size": report.size,
        "root": report.root,
        "findings": len(report.findings),
        "checked": report.verdict[:MAX_CHECKED],
    }
    try:
        with writing(engine) as connection:
            if not Tables(connection).has(verified.name):
                return False  # only older software used it so far; who acts brings it along
            connection.execute(delete(verified))
            connection.execute(insert(verified).values(values))
    except LedgerError:
        return False
    return True


def last_verified(connection: Connection) -> LastVerified | None:
    """The last one that was remembered; None where nobody verified, or nobody could write."""
    if not Tables(connection).has(verified.name):
        return None
    row = connection.execute(select(verified)).one_or_none()
    if row is None:
        return None
    at = from_microseconds(row.verified_at)
    return LastVerified(at, row.size, row.root, row.findings, row.checked)
