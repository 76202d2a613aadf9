"""The style and the scripts, each at an address that changes with its content."""

from __future__ import annotations

from functools import cache
from hashlib import sha256
from importlib.resources import files

from fastapi import APIRouter, Response

from commands.http.ledger_route import LedgerRoute
from commands.http.problems import not_found

router = APIRouter(route_class=LedgerRoute, include_in_schema=False)
FOREVER = "public, max-age=31536000, immutable"
MEDIA_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}


@cache
def _files() -> dict[str, bytes]:
    folder = files("commands.http.console") / "static"
    return {each.name: each.read_bytes() for each in folder.iterdir() if each.is_file()}


@cache
def address_of(name: str) -> str:
    """Where a page finds a file."""
    return f"/console/static/{name}?v={sha256(_files()[name]).hexdigest()[:16]}"


@router.get("/console/static/{name}")
def show(name: str) -> Response:
    found = _files().get(name)
    media_type = next((kind for end, kind in MEDIA_TYPES.items() if name.endswith(end)), None)
    if found is None or media_type is None:
        raise not_found(f"there is no file {name[:100]!r}")
    return Response(found, headers={"Cache-Control": FOREVER}, media_type=media_type)
