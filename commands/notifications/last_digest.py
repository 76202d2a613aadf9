"""What the last digest named, kept beside the ledger so that the next one says what is resolved.

It is a row of the snapshots, which are operational: if it is lost, one digest lacks its lines "No
longer so". It holds names of files and texts of errors, so an erasure removes it.
"""

from __future__ import annotations

import json
import logging
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from sqlalchemy import delete, insert, select

from commands.health.finding import Finding
from ledger.append.database import translated_errors, writing
from ledger.append.tables import snapshots
from ledger.errors import LedgerError
from ledger.vocabulary import LAST_DIGEST

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy.engine import Engine

VERSION = 1
"""The version of the row's form. A row of another version is ignored."""
_ROW = snapshots.c.stream == LAST_DIGEST
logger = logging.getLogger("backup_ledger.notifications")


@dataclass(frozen=True, slots=True)
class LastDigest:
    """`findings`: what it named. `gone`: what only the digest before it named."""

    findings: tuple[Finding, ...] = ()
    gone: tuple[Finding, ...] = ()

    def followed_by(self, findings: Sequence[Finding]) -> LastDigest:
        """The next digest, which names these findings."""
        kinds = {finding.kind for finding in findings}
        gone = tuple(finding for finding in self.findings if finding.kind not in kinds)
        return LastDigest(tuple(findings), gone)


def last_digest(engine: Engine) -> LastDigest:
    """The digest that was kept, or an empty one."""
    statement = select(snapshots.c.state).where(_ROW, snapshots.c.topic == _topic())
    with translated_errors(engine), engine.connect() as connection:
        state = connection.execute(statement).scalar_one_or_none()
    if state is None:
        return LastDigest()
    kept = json.loads(bytes(state))
    return LastDigest(_findings(kept["findings"]), _findings(kept["gone"]))


def keep_digest(engine: Engine, digest: LastDigest) -> None:
    """Replace the kept digest. A failure is only logged, so that the digest is sent anyway."""
    state = json.dumps(asdict(digest)).encode()
    row = {"stream": LAST_DIGEST, "stream_version": 1, "topic": _topic(), "state": state}
    try:
        with writing(engine) as connection:
            connection.execute(delete(snapshots).where(_ROW))
            connection.execute(insert(snapshots).values(row))
    except LedgerError as error:
        logger.warning("the next digest cannot say what is resolved: %s", error)


def _topic() -> str:
    return f"{LAST_DIGEST}@{VERSION}"


def _findings(rows: list[dict[str, object]]) -> tuple[Finding, ...]:
    return tuple(Finding(**row) for row in rows)  # type: ignore[arg-type]
