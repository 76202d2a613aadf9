"""What operators' machines read: one JSON object a line, with the same names as the ledger.

Each event that this process records is a line, and each check is one, with its counts and how
long its parts took. What the software says in words is a line with `event` "message". It is
a view of the ledger for dashboards, not a second ledger: lines may be lost.
"""

from __future__ import annotations

import json
import logging
import sys
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from ledger.clock import format_instant
from ledger.events.scheduling import BackupStarted
from ledger.masking import masked

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ledger.append.ledger import RecordedEvent
    from ledger.clock import Clock

STRUCTURED = logging.getLogger("backup_ledger_events")
"""Lines for machines only; nobody hears them unless JSON was asked for."""
STRUCTURED.propagate = False
STRUCTURED.addHandler(logging.NullHandler())

MAX_OPEN_RUNS = 10_000
_FIELDS = {
    "slot": "slot",
    "attempt": "attempt",
    "run_id": "run_id",
    "backup_id": "backup_id",
    "filename": "filename",
    "size": "bytes",
    "deleted_old_backups": "deleted",
    "deleted_count": "deleted",
    "count": "count",
    "kind": "kind",
    "level": "level_checked",
    "problem": "problem",
    "error_type": "error_type",
    "scheduler": "scheduler",
    "reason": "reason",
}
"""Detail of an event -> its name in a line."""


class JSONHandler(logging.Handler):
    """Writes each record as a line on stderr."""

    is_json = True

    def emit(self, record: logging.LogRecord) -> None:
        sys.stderr.write(json_line(record) + "\n")
        sys.stderr.flush()


def json_line(record: logging.LogRecord) -> str:
    """The object of a record, in ASCII: `time`, `level`, `event`, then the rest."""
    line: dict[str, Any] = {
        "time": format_instant(datetime.fromtimestamp(record.created, UTC)),
        "level": record.levelname.lower(),
    }
    fields = getattr(record, "fields", None)
    if fields is None:
        line |= {"event": "message", "logger": record.name, "message": masked(record.getMessage())}
    else:
        line |= {"event": masked(record.getMessage()), **fields}
    if record.exc_info and record.exc_info[0] is not None:
        line["error_type"] = record.exc_info[0].__name__
    return json.dumps(line, default=_as_text)


def log_event(event: str, *, is_bad: bool = False, **fields: Any) -> None:
    """One line for machines; fields that are None are left out."""
    told = {name: value for name, value in fields.items() if value is not None}
    STRUCTURED.log(logging.WARNING if is_bad else logging.INFO, event, extra={"fields": told})


class RecordedEvents:
    """Listens to a site, and logs what it records. Runs also get their duration.

    `site`: its name, where the process has several.
    """

    def __init__(self, site: str | None = None) -> None:
        self._site = site
        self._started: dict[str, datetime] = {}

    def __call__(self, recorded: Sequence[RecordedEvent]) -> None:
        for each in recorded:
            self._log(each)

    def _log(self, recorded: RecordedEvent) -> None:
        event, details = recorded.event, recorded.event.details
        fields = {
            name: getattr(details, field)
            for field, name in _FIELDS.items()
            if hasattr(details, field)
        }
        if isinstance(details, BackupStarted):
            fields["run_id"] = event.event_id
            if len(self._started) < MAX_OPEN_RUNS:
                self._started[event.event_id] = event.timestamp
        elif event.event_type.startswith("backup_scheduler.") and "run_id" in fields:
            started = self._started.pop(fields["run_id"], None)
            started = getattr(details, "started_at", started)
            if started is not None:
                fields["duration_seconds"] = (event.timestamp - started).total_seconds()
        log_event(
            event.event_type,
            is_bad=not event.success,
            site=self._site,
            position=recorded.position,
            user=None if event.user_id is None else int(event.user_id),
            actor=event.actor.id,
            error=event.error_message,
            **fields,
        )


class Timing:
    """How long the parts of something took, in seconds by a clock that never runs backwards."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._began = clock.monotonic()
        self._parts: dict[str, float] = {}

    @contextmanager
    def of(self, part: str) -> Iterator[None]:
        """Adds up where a part comes several times."""
        began = self._clock.monotonic()
        try:
            yield
        finally:
            took = self._clock.monotonic() - began
            self._parts[part] = self._parts.get(part, 0.0) + took

    def fields(self) -> dict[str, float]:
        """`duration_seconds`, and `<part>_seconds` for each part."""
        told = {f"{part}_seconds": round(took, 6) for part, took in self._parts.items()}
        return {"duration_seconds": round(self._clock.monotonic() - self._began, 6), **told}


def _as_text(value: Any) -> str:
    return format_instant(value) if isinstance(value, datetime) else str(value)
