"""What `status` says of off-site copies: what is not there yet, what is damaged there."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from commands.health.finding import Finding, named
from commands.reporting.humanize import count, relative
from ledger.vocabulary import CopyStatus
from projections.queries.offsite import (
    all_destinations,
    backups_without_copy,
    copies_at,
    newest_attempt,
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
        **_last_failure(connection, destination),
        "corrupt": [each.filename for each in corrupt],
        "missing": len(missing),
        "oldest_missing_at": missing[0].created_at if missing else None,
        "newest_missing_at": missing[-1].created_at if missing else None,
    }


def _last_failure(connection: Connection, destination: Destination) -> dict[str, Any]:
    """When and why the last copy failed; None where it did not."""
    last = newest_attempt(connection, destination.repository_id)
    has_failed = last is not None and last.status == CopyStatus.FAILED
    return {
        "failed_at": last.started_at if last is not None and has_failed else None,
        "failure": last.problem if last is not None and has_failed else None,
    }


def offsite_findings(look: Look) -> Iterator[Finding]:
    """Late where a backup has waited for its copy beyond `offsite_overdue_hours`."""
    patience = timedelta(hours=look.site.configuration.offsite_overdue_hours)
    for each in look.facts["offsite"]:
        name, oldest = each["name"], each["oldest_missing_at"]
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
        elif each["failed_at"] is not None:
            failed = relative(each["failed_at"], look.now)
            yield Finding(
                "offsite",
                f"the last copy to {name} failed {failed}: {each['failure']}; {each['missing']} "
                f"of {each['missing'] + each['copies']} backups are not off-site yet",
                f"when that is mended: backup-ledger offsite copy --to {name}",
                is_bad=oldest is not None and look.now - oldest > patience,
            )
        elif oldest is not None and look.now - oldest > patience:
            total = each["missing"] + each["copies"]
            newest = relative(each["newest_missing_at"], look.now)
            yield Finding(
                "offsite",
                f"{each['missing']} of {total} backups are not off-site yet at {name} "
                f"(newest {newest})",
                f"copy them: backup-ledger offsite copy --to {name}",
            )
