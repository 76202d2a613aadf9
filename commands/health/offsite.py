"""What `status` says of off-site copies: what is not there yet, what is damaged there."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from commands.health.finding import Finding, named
from commands.reporting.humanize import count, relative
from ledger.vocabulary import CopyStatus
from projections.queries.offsite import (
    all_destinations,
    backups_without_copy,
    copies_at,
    failed_last,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection

    from commands.health.finding import Look
    from commands.site.site import Site
    from projections.folds.offsite_destination import Destination


def offsite_facts(site: Site, connection: Connection) -> dict[str, Any]:
    """Each destination that was not removed, oldest first."""
    live = [each for each in all_destinations(connection) if each.status != "removed"]
    return {"offsite": [_facts(site, connection, each) for each in live]}


def _facts(site: Site, connection: Connection, destination: Destination) -> dict[str, Any]:
    repository_id = destination.repository_id
    good = copies_at(connection, repository_id, (CopyStatus.OK,))
    corrupt = copies_at(connection, repository_id, (CopyStatus.CORRUPT,))
    failed = failed_last(connection, repository_id)
    missing = (
        backups_without_copy(connection, site.store.store_id, repository_id)
        if site.has_store
        else []
    )
    return {
        "name": destination.name,
        "url": destination.url,
        "status": destination.status,
        "clear": destination.clear,
        "copies": len(good),
        "newest_copy_at": max(
            (each.completed_at for each in good if each.completed_at), default=None
        ),
        "collect_problem": destination.collect_problem,
        "failed_at": None if failed is None else failed.started_at,
        "failure": None if failed is None else failed.problem,
        "corrupt": [each.filename for each in corrupt],
        "missing": len(missing),
        "oldest_missing_at": missing[0].created_at if missing else None,
        "newest_missing_at": missing[-1].created_at if missing else None,
    }


def offsite_findings(look: Look) -> Iterator[Finding]:
    """Late where a backup has waited for its copy beyond `offsite_overdue_hours`."""
    patience = timedelta(hours=look.site.configuration.offsite_overdue_hours)
    for each in look.facts["offsite"]:
        name = each["name"]
        if each["corrupt"]:
            number = count(len(each["corrupt"]), "off-site copy", "off-site copies")
            yield Finding(
                "offsite",
                f"{number} at {name} damaged{named(each['corrupt'])}",
                f"copy again what is still here: backup-ledger offsite repair --to {name}",
                is_bad=True,
            )
        if each["collect_problem"] is not None:
            yield Finding(
                "offsite",
                f"nothing is deleted at {name}: {each['collect_problem']}",
                f"look at what is there: backup-ledger offsite collect --dry-run --to {name}",
                is_bad=True,
            )
        if each["status"] != "attached":
            yield Finding(
                "offsite",
                f"nothing is copied to {name}: this ledger only reads there",
                f"if no other machine uses it any more: backup-ledger offsite attach {name}",
            )
        else:
            yield from _waiting(each, look.now, patience)


def _waiting(facts: dict[str, Any], now: datetime, patience: timedelta) -> Iterator[Finding]:
    """Why backups are not off-site yet: the last copy failed, or nobody copied them for long."""
    name, oldest = facts["name"], facts["oldest_missing_at"]
    is_late = oldest is not None and now - oldest > patience
    waiting = (
        f"{facts['missing']} of {facts['missing'] + facts['copies']} backups are not off-site yet"
    )
    copy = f"backup-ledger offsite copy --to {name}"
    if facts["failed_at"] is not None:
        failed = f"failed {relative(facts['failed_at'], now)}: {facts['failure']}"
        text = f"the last copy to {name} {failed}; {waiting}"
        yield Finding("offsite", text, f"when that is mended: {copy}", is_bad=is_late)
    elif is_late:
        newest = relative(facts["newest_missing_at"], now)
        yield Finding("offsite", f"{waiting} at {name} (newest {newest})", f"copy them: {copy}")
