"""The list of backups: why each is kept and when it will go."""

from __future__ import annotations

import json
from operator import attrgetter
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Query, Request, Response

from commands.errors import InvalidArgument
from commands.http.callers import Anybody
from commands.http.console.lists.csv import list_as_csv
from commands.http.console.lists.listing import Listing, Paged, Text, listing, owners_of
from commands.http.console.page import BASE, page
from commands.http.console.retention_outlook import fates_of
from commands.http.console.route import ConsoleRoute
from commands.http.served_site import Served
from commands.schedules.user_names import user_names
from ledger.vocabulary import BackupStatus
from projections.queries.catalog import PRESENT
from projections.queries.lists import BackupsWanted, Place, backups_list, count_backups

if TYPE_CHECKING:
    from collections.abc import Callable

    from commands.http.callers import Caller
    from commands.http.served_site import ServedSite
    from projections.folds.backup import Backup
    from projections.queries.lists import Order

router = APIRouter(route_class=ConsoleRoute)
PLACE = f"{BASE}/backups"
THERE = "present"
STATUSES: dict[str, tuple[str, ...]] = {
    THERE: PRESENT,
    **{str(each): (str(each),) for each in BackupStatus},
}
ORDERS = ("made", "name", "user", "size")
COLUMNS = (
    *("backup_id", "filename", "user_id", "kind", "status", "size", "sha256", "created_at"),
    *("verified_level", "verified_at", "deleted_at", "is_protected", "condition", "run_id"),
)
_VALUES: Callable[[Any], tuple[Any, ...]] = attrgetter(*COLUMNS)


class Asked(Paged):
    """The form of filters; what is empty filters nothing."""

    user: Text = ""
    name: Text = ""
    status: Text = ""


AskedOf = Annotated[Asked, Query()]


@router.get(PLACE)
def show(request: Request, caller: Anybody, served: Served, asked: AskedOf) -> Response:
    return backups_page(request, caller, served, asked)


@router.get(f"{PLACE}.csv")
def save(request: Request, caller: Anybody, served: Served, asked: AskedOf) -> Response:
    found, which = chosen_backups(served, caller, asked)
    if found.problems:
        return backups_page(request, caller, served, asked)
    return list_as_csv(
        served.site,
        found,
        (*COLUMNS, "holds", "warnings"),
        lambda connection, wanted: backups_list(connection, which, wanted),
        place_in(found.order),
        _cells,
    )


def backups_page(
    request: Request,
    caller: Caller,
    served: ServedSite,
    asked: Asked,
    problem: str | None = None,
) -> Response:
    """The list; `problem`: why what was asked for was not done."""
    site = served.site
    found, which = chosen_backups(served, caller, asked)
    wanted = found.wanted()
    rows: list[Backup] = []
    if not found.problems:
        with site.read_models.reading() as connection:
            found.number = count_backups(connection, which)
            rows = backups_list(connection, which, wanted, found.number)
        rows = found.shown(rows, wanted, place_in(found.order))
    is_start = not found.problems and not asked.is_filtered and wanted.place is None
    files = served.files_unrecorded() if is_start else []
    owner = site.folder_source.owner()
    return page(
        request,
        caller,
        "backups.html",
        422 if found.problems or problem else 200,
        listing=found,
        asked=asked,
        problem=problem,
        backups=rows,
        names=user_names(site, [each.user_id for each in rows]),
        files=[each for each in files if caller.owns(each.user_id)],
        source=None if owner is None else owner.path,
        fates=fates_of(served, rows),
        statuses=list(STATUSES),
        chosen=asked.status or THERE,
        may_change=caller.role != "auditor",
    )


def chosen_backups(
    served: ServedSite, caller: Caller, asked: Asked, up_to: int | None = None
) -> tuple[Listing, BackupsWanted]:
    """What the filters mean, with what is wrong with them. `up_to`: recorded by this position."""
    found = listing(PLACE, asked, ORDERS, "-made")
    owners = owners_of(served.site, caller, asked.user, found, "backups")
    statuses = found.checked("status", lambda: _statuses(asked.status or THERE), PRESENT)
    store = served.site.store.store_id
    return found, BackupsWanted(store, statuses, owners, asked.name.strip(), up_to)


def place_in(order: Order) -> Any:
    """Where a backup stands in an order."""
    values: dict[str, Callable[[Backup], Any]] = {
        "made": lambda each: each.created_at,
        "name": lambda each: each.filename,
        "user": lambda each: each.user_id,
        "size": lambda each: each.size,
    }
    value = values[order.by]
    return lambda backup: Place(value(backup), backup.position)


def _statuses(text: str) -> tuple[str, ...]:
    if text not in STATUSES:
        raise InvalidArgument(f"there is no status {text[:40]!r}; give {', '.join(STATUSES)}")
    return STATUSES[text]


def _cells(backup: Backup) -> tuple[Any, ...]:
    reasons = [each["reason"] for each in backup.holds]
    return (
        *_VALUES(backup),
        *(json.dumps(each) if each else "" for each in (reasons, backup.warnings)),
    )
