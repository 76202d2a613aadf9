"""Holding, releasing, verifying and deleting many backups."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from fastapi import APIRouter, Request, Response

from commands.backups.delete import delete_backup
from commands.backups.hold import place_hold, release_holds
from commands.errors import InvalidArgument
from commands.http.callers import EVERYBODY, Anybody
from commands.http.console.lists.backups import PLACE, Asked, backups_page, chosen_backups
from commands.http.console.lists.bulk import (
    MAX_ROWS,
    Act,
    Bulk,
    Order,
    Row,
    asked_again,
    one_by_one,
    row_of,
)
from commands.http.console.route import ConsoleRoute
from commands.http.console.session import Here
from commands.http.ledger_route import Command
from commands.http.routes.backups import own_backup
from commands.http.served_site import Served
from commands.reporting.humanize import count, parse_moment
from commands.verification.verify import verify_backups
from ledger.vocabulary import LEVELS, Level
from projections.queries.lists import Wanted, backups_list

if TYPE_CHECKING:
    from collections.abc import Iterable

    from commands.http.callers import Caller
    from commands.http.jobs import Tell
    from commands.http.served_site import ServedSite
    from projections.folds.backup import Backup

router = APIRouter(route_class=ConsoleRoute)


def _hold(order: Order, tell: Tell) -> Iterable[Row]:
    reason, until = order.form["reason"], order.form.get("until")
    end = parse_moment(until) if until else None

    def hold(name: str) -> str:
        own_backup(order.caller, order.served, name, order.context)
        place_hold(order.served.site, order.context, name, reason, end)
        return "held"

    return one_by_one(order, tell, hold)


def _release(order: Order, tell: Tell) -> Iterable[Row]:
    def release(name: str) -> str:
        own_backup(order.caller, order.served, name, order.context)
        number = release_holds(order.served.site, order.context, name)
        return count(number, "hold") + " released" if number else "it was not held"

    return one_by_one(order, tell, release)


def _delete(order: Order, tell: Tell) -> Iterable[Row]:
    def delete(name: str) -> str:
        own_backup(order.caller, order.served, name, order.context)
        delete_backup(order.served.site, order.context, name)
        return "deleted"

    return one_by_one(order, tell, delete)


def _verify(order: Order, tell: Tell) -> Iterable[Row]:
    """Each file once, whoever shares it."""
    level, served = _level(order.form), order.served
    found: list[Backup] = []
    for name in order.names:
        row = row_of(name, lambda name: _add(order, found, name))
        if not row.ok:
            yield row
    checks = verify_backups(served.site, order.context, found, level, on_progress=tell)
    seen: set[str] = set()
    try:
        for each in checks:
            seen.add(each.backup.backup_id)
            text = f"good: {level}" if each.is_good else each.problem or each.failure or "not good"
            yield Row(each.backup.filename, each.is_good, text)
    except OSError as error:  # the folder is gone
        for backup in found:
            if backup.backup_id not in seen:
                yield Row(backup.filename, ok=False, text=f"not checked: {error}")
        return
    for backup in found:
        if backup.backup_id not in seen:
            yield Row(backup.filename, ok=False, text="deleted while it was checked")


def _add(order: Order, found: list[Backup], name: str) -> str:
    found.append(own_backup(order.caller, order.served, name, order.context))
    return ""


def _level(form: dict[str, str]) -> Level:
    given = form.get("level", "integrity")
    level = next((each for each in LEVELS if each == given), None)
    if level is None:
        raise InvalidArgument(f"there is no level {given[:40]!r}; give {', '.join(LEVELS)}")
    return level


def _checked(act: str, form: dict[str, str]) -> None:
    if act == "hold":
        if not form.get("reason", "").strip():
            raise InvalidArgument("say why they are held")
        if form.get("until"):
            parse_moment(form["until"])
    if act == "verify":
        _level(form)


def _matching(served: ServedSite, caller: Caller, query: dict[str, str], head: int) -> list[str]:
    found, which = chosen_backups(served, caller, asked_again(Asked, query), head)
    found.require_sound()
    with served.site.read_models.reading() as connection:
        rows = backups_list(connection, which, replace(Wanted(found.order), limit=MAX_ROWS + 1))
    return [each.filename for each in rows if each.status != "deleted"]


BULK = Bulk(
    kind="bulk_backups",
    thing="backup",
    path=PLACE,
    acts={
        "hold": Act("Hold", "held", _hold),
        "release": Act("Release", "looked at", _release),
        "verify": Act("Verify", "good", _verify, EVERYBODY),
        "delete": Act("Delete", "deleted", _delete, is_typed=True),
    },
    matching=_matching,
    checked=_checked,
)


@router.post(f"{PLACE}/bulk")
def bulk(
    request: Request, caller: Anybody, context: Command, served: Served, visit: Here
) -> Response:
    try:
        return BULK.answer(request, caller, served, context, visit.form)
    except InvalidArgument as error:
        again = asked_again(Asked, visit.form)
        return backups_page(request, caller, served, again, str(error))
