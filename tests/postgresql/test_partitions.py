"""The events in partitions by position, as docs/SCALE.md says: the ledger above does not notice."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import text

from ledger.append.database import open_engine
from ledger.append.ledger import Ledger
from ledger.clock import ManualClock
from ledger.verify.verify import verify
from tests.conftest import START
from tests.databases import PostgreSQLDatabases
from tests.postgresql.test_server_ledger import a_draft, context, reasons
from tests.postgresql_server import Server

SCALE = Path(__file__).parents[2] / "docs" / "SCALE.md"


def partitioning() -> list[str]:
    """The statements that the guide gives."""
    block = SCALE.read_text().partition("```sql\n")[2].partition("```")[0]
    return [each.strip() for each in block.split(";") if each.strip()]


def test_a_ledger_in_partitions_is_appended_to_and_verified(postgresql: Server) -> None:
    """Everything that was there, everything new, and one finding: the key that cannot be."""
    clock = ManualClock(START)
    ledger = PostgreSQLDatabases(postgresql).open_ledger(Path("partitioned"), clock)
    url = ledger.engine.url
    ledger.append(context(), *(a_draft(f"before {number}") for number in range(5)))
    head = ledger.log_recorder.head()
    with ledger.engine.begin() as connection:
        connection.execute(text("SET LOCAL search_path TO public"))  # as in psql
        for statement in partitioning():
            connection.execute(text(statement))
    ledger.close()
    ledger.engine.dispose()

    again = Ledger(open_engine(url), clock)
    assert again.log_recorder.head() == head
    for number in range(5):
        again.append(context(), a_draft(f"after {number}"), a_draft(f"and {number}"))
    assert len(reasons(again)) == 15
    with again.engine.connect() as connection:
        parts = text(
            "SELECT DISTINCT tableoid::regclass::text FROM public.ledger_events ORDER BY 1"
        )
        found = list(connection.execute(parts).scalars())
    assert found == ["public.ledger_events_1", "public.ledger_events_2"]
    report = verify(again.engine)
    assert len(report.findings) == 1
    assert "lost its unique key" in report.findings[0].problem
    again.close()
    again.engine.dispose()
