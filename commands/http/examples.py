"""Examples of answers for the schema: kept as they were once really given."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

from fastapi import APIRouter
from fastapi.routing import APIRoute

KEPT_AT = Path(__file__).with_name("examples.json")


@cache
def examples() -> dict[str, Any]:
    """Operation ("GET /stats") -> what it answers."""
    found: dict[str, Any] = json.loads(KEPT_AT.read_bytes())
    return found


def describe(router: APIRouter) -> None:
    """Give each route the example of its answer, where there is one."""
    for route in router.routes:
        if isinstance(route, APIRoute):
            for method in route.methods or ():
                example = examples().get(f"{method} {route.path}")
                if example is not None:
                    content = {"application/json": {"example": example}}
                    route.responses[route.status_code or 200] = {"content": content}
