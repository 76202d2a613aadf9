"""The golden records, one a line, kept for ever: lines are added, never changed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

GOLDEN = Path(__file__).parent / "golden" / "records.jsonl"
GOLDEN_LINES = GOLDEN.read_bytes().splitlines()
KEYS = [
    "action",
    "actor",
    "causation_id",
    "correlation_id",
    "details",
    "error_message",
    "event_id",
    "event_type",
    "resource_id",
    "resource_type",
    "schema_version",
    "stream",
    "stream_version",
    "success",
    "timestamp",
    "user_id",
]


def fields_of(line: bytes) -> tuple[str, int]:
    fields = json.loads(line)
    return fields["event_type"], fields["schema_version"]


def altered(line: bytes = GOLDEN_LINES[0], **changes: Any) -> bytes:
    return json.dumps({**json.loads(line), **changes}).encode()


def golden(event_type: str) -> bytes:
    return next(line for line in GOLDEN_LINES if fields_of(line)[0] == event_type)
