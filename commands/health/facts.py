"""Everything that `status` knows: the facts, and the one list of those who find what is wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from commands.health import backups, clocks, folder, offsite, places, schedules, witnesses
from commands.health.causes import causes_of_failures
from commands.health.finding import Finding, Look
from commands.health.read_models import read_model_facts
from commands.health.verdict import Verdict

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Connection

    from commands.health.finding import Finder
    from commands.site.site import Site

FINDERS: tuple[Finder, ...] = (
    places.store_findings,
    places.database_findings,
    folder.source_findings,
    folder.left_over_findings,
    places.ledger_findings,
    places.read_model_findings,
    schedules.scheduler_findings,
    schedules.schedule_findings,
    backups.status_findings,
    backups.folder_findings,
    clocks.clock_findings,
    backups.failure_findings,
    backups.collapse_findings,
    offsite.offsite_findings,
    witnesses.witness_findings,
    backups.warning_findings,
)
"""Whoever knows of another thing that can be wrong adds a function that finds it."""


def status_facts(site: Site, now: datetime) -> dict[str, Any]:
    """Everything that `status --json` says; `verdict`, `findings` and `warnings` come last."""
    facts, verdict = _looked(site, now, in_full=True)
    facts["backups"]["bytes_on_disk"] = backups.bytes_on_disk(site)
    return facts | verdict.as_json()


def verdict_of(site: Site, now: datetime) -> Verdict:
    """Whether everything is all right, for those who show other facts than `status`."""
    return _looked(site, now, in_full=False)[1]


def _looked(site: Site, now: datetime, *, in_full: bool) -> tuple[dict[str, Any], Verdict]:
    read_models = read_model_facts(site, in_full=in_full)
    with site.read_models.reading() as connection:
        planned = schedules.schedule_facts(connection, now)
        kept = backups.backup_facts(connection, now, site.configuration.drill_days)
        facts: dict[str, Any] = {
            "ledger": places.ledger_facts(site),
            "store": places.store_facts(site),
            "database": places.database_facts(site),
            **folder.folder_facts(site),
            "schedules": planned["schedules"],
            "last_backup": kept["last_backup"],
            "next_backup_at": planned["next_backup_at"],
            "backups": kept["backups"],
            "clock": clocks.clock_facts(connection, site, now),
            **offsite.offsite_facts(site, connection),
            **witnesses.witness_facts(site),
            "verification": kept["verification"],
            **({"causes": _causes(connection, now)} if in_full else {}),
            "open_runs": planned["open_runs"],
            "overdue": planned["overdue"],
            **schedules.scheduler_facts(site),
            "projections": read_models,
        }
        schedules.add_holds(site, facts["open_runs"])
        look = Look(site, now, facts, connection)
        findings = [each for find in FINDERS for each in find(look)]
        return facts, Verdict(tuple(findings), tuple(places.not_looked_at(look)))


def _causes(connection: Connection, now: datetime) -> list[dict[str, Any]]:
    return [each.as_json() for each in causes_of_failures(connection, now)]


__all__ = ["FINDERS", "Finding", "status_facts", "verdict_of"]
