"""The same read models, kept by the library's own means: a ProjectionRunner over a subscription.

One event, one transaction, with the library's tracking record beside the rows: the way that its
documentation shows. The folds are ours, and so are the tables.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from eventsourcing.projection import Projection, ProjectionRunner
from eventsourcing.sqlite import SQLiteTrackingRecorder
from sqlalchemy import JSON, Boolean
from sqlalchemy.dialects import sqlite
from sqlalchemy.schema import CreateIndex, CreateTable

from ledger.append.database import database_url, open_engine
from ledger.append.ledger import Ledger, RecordedEvent
from ledger.clock import SystemClock
from projections.tables.audit_trail import _values as audit_values
from projections.tables.backup_catalog import BackupCatalog
from projections.tables.backup_runs import BackupRuns
from projections.tables.backup_settings import BackupSettings
from projections.tables.columns import READ_MODELS, UtcDateTime, audit_trail

_DIALECT = sqlite.dialect()  # type: ignore[no-untyped-call]


class ReadModelsView(SQLiteTrackingRecorder):
    """Our four tables, written one event at a time."""

    def __init__(self, datastore: Any, **kwargs: Any) -> None:
        super().__init__(datastore, **kwargs)
        self._projections = (BackupSettings(), BackupCatalog(), BackupRuns())
        self._number = 0

    def construct_create_table_statements(self) -> list[str]:
        statements: list[str] = super().construct_create_table_statements()
        for table in READ_MODELS:
            statements.append(str(CreateTable(table, if_not_exists=True).compile(dialect=_DIALECT)))
            statements += [
                str(CreateIndex(index, if_not_exists=True).compile(dialect=_DIALECT))
                for index in table.indexes
            ]
        return statements

    def fold(self, event: Any, tracking: Any) -> None:
        """All that one event changes, and that it was seen, in one transaction."""
        with self.datastore.transaction(commit=True) as cursor:
            self._insert_tracking(cursor, tracking)
            for each in self._projections:
                self._fold_into(cursor, each, event, tracking.notification_id)
            recorded = RecordedEvent(tracking.notification_id, 0, event)
            marks = ", ".join("?" for _ in audit_trail.columns)
            values = [_plain(value) for value in audit_values(recorded)]
            cursor.execute(f"INSERT INTO audit_trail VALUES ({marks})", values)

    def _fold_into(self, cursor: Any, projection: Any, event: Any, position: int) -> None:
        key = projection.key_of(event)
        if key is None:
            return
        name = projection.table.name
        cursor.execute(f"SELECT * FROM {name} WHERE {projection.key} = ?", [key])
        row = cursor.fetchone()
        state = None if row is None else projection.from_row(_read(projection, dict(row)))
        state = projection.evolve(state, event)
        if state is None:
            return
        values = asdict(state)
        if row is None and "position" in values:
            values["position"] = position
        elif row is None:
            self._number += 1
            values["id"] = self._number
        marks = ", ".join("?" for _ in projection.columns)
        cursor.execute(
            f"INSERT OR REPLACE INTO {name} VALUES ({marks})",
            [_plain(values[column]) for column in projection.columns],
        )


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat(" ", "microseconds")[:26]
    return json.dumps(value) if isinstance(value, list) else value


def _read(projection: Any, row: dict[str, Any]) -> dict[str, Any]:
    for column in projection.table.columns:
        value = row[column.name]
        if value is None:
            continue
        if isinstance(column.type, UtcDateTime):
            row[column.name] = datetime.fromisoformat(value).replace(tzinfo=UTC)
        elif isinstance(column.type, Boolean):
            row[column.name] = bool(value)
        elif isinstance(column.type, JSON):
            row[column.name] = json.loads(value)
    return row


class LibraryProjection(Projection[ReadModelsView]):
    name = "readmodels"

    def process_event(self, domain_event: Any, tracking: Any) -> None:
        self.view.fold(domain_event, tracking)


def run_library(ledger_path: Path, models_path: Path, up_to: int) -> None:
    """Fold the first events of a ledger with the library's runner, into a fresh file."""
    models_path.unlink(missing_ok=True)

    class OpenedLedger(Ledger):
        def __init__(self, env: Any = None) -> None:
            del env
            super().__init__(open_engine(database_url(f"sqlite:///{ledger_path}")), SystemClock())

    with ProjectionRunner(
        application_class=OpenedLedger,
        projection_class=LibraryProjection,
        view_class=ReadModelsView,
        env={"PERSISTENCE_MODULE": "eventsourcing.sqlite", "SQLITE_DBNAME": str(models_path)},
    ) as runner:
        runner.wait(up_to, timeout=600)
