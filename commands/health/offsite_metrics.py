"""Off-site copies for a monitoring system, a sample for each destination."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from commands.offsite.index_folder import published_size
from commands.reporting.metrics import Metric, Sample
from ledger.vocabulary import CopyStatus
from projections.queries.offsite import all_destinations, backups_without_copy, copies_at

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Connection

    from commands.site.site import Site
    from projections.folds.offsite_copy import OffsiteCopy
    from projections.folds.offsite_destination import Destination

SHOWN = (CopyStatus.OK, CopyStatus.CORRUPT, CopyStatus.DELETING)


class _Standing(NamedTuple):
    """One destination's numbers."""

    name: str
    copies: dict[str, int]
    values: dict[str, float]


ABOUT = {
    "offsite_stored_bytes": "Sent for the copies that are there; what they share counts once.",
    "offsite_missing_backups": "Good backups that have no copy there yet.",
    "offsite_backup_lag_seconds": "Age of the oldest backup without a copy there; 0 without any.",
    "offsite_newest_copy_age_seconds": "Age of the newest copy; infinite where there is none.",
    "offsite_verification_age_seconds": "Time since a copy was last verified; infinite if never.",
    "offsite_ledger_lag_events": "Events that are not published there yet.",
    "offsite_sent_bytes_total": "Bytes sent for all copies ever completed.",
    "offsite_failures_total": "Copies that failed; each is tried again.",
}


def offsite_metrics(site: Site) -> list[Metric]:
    """Everything, as of now, of every destination that was not removed."""
    now = site.clock.now()
    with site.read_models.reading() as connection:
        found = [
            _standing(site, connection, each, now)
            for each in all_destinations(connection)
            if each.status != "removed"
        ]
    copies = tuple(
        Sample(each.copies[status], (("destination", each.name), ("status", status)))
        for each in found
        for status in SHOWN
    )
    about = "Off-site copies that are there, by status."
    return [Metric("offsite_copies", "gauge", about, copies), *_by_destination(found)]


def _by_destination(found: list[_Standing]) -> list[Metric]:
    return [
        Metric(
            name,
            "counter" if name.endswith("_total") else "gauge",
            about,
            tuple(Sample(each.values[name], (("destination", each.name),)) for each in found),
        )
        for name, about in ABOUT.items()
    ]


def _standing(
    site: Site, connection: Connection, destination: Destination, now: datetime
) -> _Standing:
    copies = copies_at(connection, destination.repository_id)
    there = [each for each in copies if each.status in SHOWN]
    store = site.store.store_id if site.has_store else None
    missing = (
        [] if store is None else backups_without_copy(connection, store, destination.repository_id)
    )
    published = (None if store is None else published_size(site, destination)) or 0
    values: dict[str, float] = {
        "offsite_stored_bytes": _sent(there),
        "offsite_missing_backups": len(missing),
        "offsite_backup_lag_seconds": _age(missing[0].created_at, now) if missing else 0.0,
        "offsite_newest_copy_age_seconds": _youngest([each.completed_at for each in there], now),
        "offsite_verification_age_seconds": _youngest([each.verified_at for each in there], now),
        "offsite_ledger_lag_events": site.ledger.log_recorder.head().size - published,
        "offsite_sent_bytes_total": _sent(copies),
        "offsite_failures_total": sum(each.status == CopyStatus.FAILED for each in copies),
    }
    counts = {str(status): sum(each.status == status for each in there) for status in SHOWN}
    return _Standing(destination.name, counts, values)


def _sent(copies: list[OffsiteCopy]) -> int:
    return sum(each.sent_bytes or 0 for each in copies)


def _age(moment: datetime, now: datetime) -> float:
    return (now - moment).total_seconds()


def _youngest(moments: list[datetime | None], now: datetime) -> float:
    return min((_age(each, now) for each in moments if each is not None), default=math.inf)
