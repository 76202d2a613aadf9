"""Off-site: what each destination holds, what is missing there, and making that right."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from fastapi import APIRouter, HTTPException, Request, Response
from starlette.responses import RedirectResponse

from commands.http.callers import Operator, Reader
from commands.http.console.job import job_page
from commands.http.console.page import BASE, done, page
from commands.http.console.route import ConsoleRoute
from commands.http.console.session import Here
from commands.http.ledger_route import Command
from commands.http.routes.offsite import (
    CheckInput,
    collect_work,
    copy_work,
    found_destination,
    verify_work,
)
from commands.http.served_site import Served
from commands.offsite.extra import require_extra
from projections.queries.offsite import all_destinations

if TYPE_CHECKING:
    from datetime import datetime

    from commands.http.served_site import ServedSite
    from commands.offsite.status import DestinationStatus, PlacedCopy
    from projections.folds.backup import Backup
    from projections.folds.offsite_copy import OffsiteCopy

router = APIRouter(route_class=ConsoleRoute)
PLACE = f"{BASE}/offsite"
SHOWN_COPIES = 20
SHOWN_MISSING = 10
LEVELS = {
    "listed": "every object is there",
    "digest": "and has the bytes that were recorded; reads everything",
    "drill": "and the database opens; needs a key on this machine",
}


@dataclass(frozen=True, slots=True)
class Card:
    """One destination on the page. `kept`: its retention in words; `promised_until`: at least."""

    found: DestinationStatus
    kept: str
    promised_until: datetime | None
    whole_bytes: int
    newest: list[OffsiteCopy]
    behind: int | None

    @property
    def share_percent(self) -> int | None:
        """What is stored, of what whole copies would take."""
        return round(100 * self.found.stored_bytes / self.whole_bytes) if self.whole_bytes else None


class Tonight(NamedTuple):
    """The newest copy that is good, and where it is."""

    found: DestinationStatus
    copy: OffsiteCopy


@router.get(PLACE)
def show(request: Request, caller: Reader, served: Served) -> Response:
    cards = _cards(served)
    return page(
        request,
        caller,
        "offsite.html",
        cards=cards,
        tonight=_tonight(cards),
        levels=LEVELS,
        most=SHOWN_MISSING,
        may_change=caller.role == "operator",
    )


@router.post(f"{PLACE}/{{name}}/copy")
def copy(caller: Operator, context: Command, served: Served, name: str) -> Response:
    work = copy_work(served, context, found_destination(served, name))
    return RedirectResponse(job_page(served.jobs.start("offsite_copy", caller, work)), 303)


@router.post(f"{PLACE}/{{name}}/verify")
def verify(caller: Reader, context: Command, served: Served, name: str, visit: Here) -> Response:
    level = visit.form.get("level", "listed")
    if level not in LEVELS:
        raise HTTPException(422, f"{level[:40]!r} is not a level; use {', '.join(LEVELS)}")
    wanted = CheckInput.model_validate({"level": level})
    work = verify_work(served, context, found_destination(served, name), wanted)
    return RedirectResponse(job_page(served.jobs.start("offsite_verify", caller, work)), 303)


@router.post(f"{PLACE}/{{name}}/collect")
def collect(caller: Operator, context: Command, served: Served, name: str, visit: Here) -> Response:
    is_plan = visit.form.get("plan") == "yes"
    work = collect_work(served, context, found_destination(served, name), dry_run=is_plan)
    return RedirectResponse(job_page(served.jobs.start("offsite_collect", caller, work)), 303)


@router.post(f"{PLACE}/{{name}}/remove")
def remove(
    request: Request,
    _caller: Operator,
    context: Command,
    served: Served,
    name: str,
    visit: Here,
) -> Response:
    """Its name is typed first. What is there stays there."""
    destination = found_destination(served, name)
    if visit.form.get("confirmation", "") != destination.name:
        raise HTTPException(422, f"type the name of the destination: {destination.name}")
    from commands.offsite.change import remove_destination  # noqa: PLC0415 (needs the extra)

    remove_destination(served.site, context, destination)
    told = f"{destination.name} is not used any more; what is there stays."
    return done(request, PLACE, told)


def copies_shown(served: ServedSite, backup: Backup) -> list[PlacedCopy]:
    """A backup's off-site copies for its page; none where there is no destination at all."""
    with served.site.read_models.reading() as connection:
        if not all_destinations(connection):
            return []
    require_extra()
    from commands.offsite.status import placed_copies  # noqa: PLC0415 (needs the extra)

    return placed_copies(served.site, backup)


def _cards(served: ServedSite) -> list[Card]:
    with served.site.read_models.reading() as connection:
        if not all_destinations(connection):
            return []
    require_extra()
    from commands.offsite.status import destination_statuses  # noqa: PLC0415

    size = served.site.ledger.log_recorder.head().size
    return [_card(each, size) for each in destination_statuses(served.site)]


def _tonight(cards: list[Card]) -> Tonight | None:
    """From where the database would come back if this machine were lost; None: from nowhere."""
    there = [(card, copy) for card in cards for copy in card.found.copies if copy.completed_at]
    if not there:
        return None
    card, copy = max(there, key=lambda each: each[1].started_at)
    return Tonight(card.found, copy)


def _card(found: DestinationStatus, ledger_size: int) -> Card:
    from commands.offsite.policy import Policy  # noqa: PLC0415

    policy = Policy.of(found.destination)
    promised = [each.protected_until for each in found.copies if each.protected_until is not None]
    newest = sorted((*found.copies, *found.corrupt), key=lambda each: each.position, reverse=True)
    return Card(
        found,
        "every copy is kept" if policy.keep_count is None else policy.rule,
        max(promised, default=None),
        sum(each.size or 0 for each in found.copies),
        newest[:SHOWN_COPIES],
        None if found.ledger_size is None else ledger_size - found.ledger_size,
    )
