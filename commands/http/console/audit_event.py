"""One event: what it says, its record byte for byte, what is near it, and its proof."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Request, Response
from starlette.responses import RedirectResponse

from commands.audit.log import neighbors_in_stream, record_at, records_of_command
from commands.http.callers import Reader
from commands.http.console.audit import PLACE
from commands.http.console.page import BASE, page
from commands.http.console.route import ConsoleRoute
from commands.http.console.watching.event_lines import lines_of
from commands.http.problems import not_found
from commands.http.routes.audit import Position, sign_now, signed_size
from commands.http.served_site import Served
from ledger.canonical_json import parse_json

if TYPE_CHECKING:
    from ledger.append.reading import StoredRecord

router = APIRouter(route_class=ConsoleRoute)


@router.get(f"{PLACE}/events/{{position}}")
def show(request: Request, caller: Reader, served: Served, position: Position) -> Response:
    site = served.site
    found = record_at(site, position)
    if found is None:
        raise not_found(f"the ledger has no position {position}")
    (line,) = lines_of(served, [found])
    event = line.event
    before = after = None
    together: list[StoredRecord] = []
    if event is not None:
        before, after = neighbors_in_stream(site, event.stream, event.stream_version)
        together = records_of_command(site, event.correlation_id, position)
    return page(
        request,
        caller,
        "audit_event.html",
        line=line,
        event=event,
        details=_details(found.record),
        record=found.record.decode("utf-8", "replace"),
        leaf=found.leaf_hash.hex(),
        is_erased=found.is_erased,
        size=site.ledger.log_recorder.head().size,
        before=before,
        after=after,
        together=[each for each in lines_of(served, together) if each.position != position],
        has_key=site.configuration.checkpoint_key is not None,
        signed_size=signed_size(served),
    )


@router.post(f"{PLACE}/events/{{position}}/sign")
def sign(caller: Reader, served: Served, position: Position) -> Response:
    """Sign the ledger as it is now, so that the event can be proved."""
    del caller
    sign_now(served)
    return RedirectResponse(f"{BASE}/audit/events/{position}#prove-title", 303)


def _details(record: bytes) -> list[tuple[str, str]]:
    """The record's own fields, as they are written there."""
    try:
        details: dict[str, Any] = parse_json(record)["details"]
    except (ValueError, KeyError, TypeError):
        return []
    return [
        (name, value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))
        for name, value in details.items()
        if name != "nonce"
    ]
