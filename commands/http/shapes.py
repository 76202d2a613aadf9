"""Answers in JSON; what is in them has its home in `commands.shapes`."""

from __future__ import annotations

import json
from typing import Any

from starlette.responses import Response

from commands.reporting.json_values import as_json

JOB, BACKUP, DOWNLOAD = "backup_ledger_job", "backup_ledger_backup", "backup_ledger_download"
"""Names of the routes that `Location` leads to."""

FORMER_MEGABYTE = 1024 * 1024
"""What the former service called a megabyte; its callers compare with what they stored."""


def answer(value: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """JSON in ASCII: whatever text was stored can be sent."""
    return Response(json.dumps(as_json(value)), status, headers, "application/json")


class Located(Response):
    """JSON about something that has an address of its own: a route by its name."""

    def __init__(self, value: Any, status: int, route: str, **path: str) -> None:
        super().__init__(json.dumps(as_json(value)), status, None, "application/json")
        self.route, self.path = route, path


def in_megabytes(size: int) -> float:
    """As the former service's routes have it, rounded."""
    return round(size / FORMER_MEGABYTE, 2)
