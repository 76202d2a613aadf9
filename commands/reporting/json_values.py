"""Values as JSON has them: times in the form of records, paths and keys as text."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from ledger.clock import format_instant

_PLAIN = (str, int, bool, float, type(None))


def as_json(value: Any) -> Any:
    """The same in what `json.dumps` takes."""
    if type(value) in _PLAIN:
        return value
    if isinstance(value, datetime):
        return format_instant(value)
    if isinstance(value, BaseModel):
        value = value.model_dump()
    if isinstance(value, dict):
        return {str(name): as_json(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [as_json(each) for each in value]
    if isinstance(value, Path | bytes):
        return str(value) if isinstance(value, Path) else value.hex()
    return value
