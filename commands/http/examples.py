"""Examples of answers for the schema: kept as they were once really given."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

KEPT_AT = Path(__file__).with_name("examples.json")


@cache
def examples() -> dict[str, Any]:
    """Operation ("GET /stats") -> what it answers."""
    found: dict[str, Any] = json.loads(KEPT_AT.read_bytes())
    return found
