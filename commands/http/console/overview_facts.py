"""What the overview says: is everything all right, and what is not."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from commands.health.finding import Finding
from commands.health.schedules import OVERDUE
from commands.http.console.page import BASE
from commands.http.daily_counts import STORAGE_DAYS, first_of_year, since_first
from commands.schedules.rhythm import described
from projections.queries.catalog import backups_of_owner
from projections.queries.health import schedule_counts
from projections.queries.overview import (
    count_by_status,
    last_backup_at,
    next_backup_at,
    outcomes_of_user,
    schedules_in_state,
    stored_by_day,
)
from projections.queries.schedules import schedule_of

if TYPE_CHECKING:
    from commands.http.served_site import ServedSite
    from projections.folds.schedule import Schedule

SHOWN = 8
NO_SCHEDULER = "no_scheduler"
"""A kind of finding that only the console has."""


class Warning_(NamedTuple):  # noqa: N801  (the built-in one is something else)
    """What is not all right. `bad`: something is lost, and not only late."""

    text: str
    where: str | None
    bad: bool = False


@dataclass(frozen=True, slots=True)
class Overview:
    """Everything at once; times are aware UTC, sizes bytes."""

    warnings: list[Warning_]
    facts: list[tuple[str, Any, Any]]
    """Name, value, and a remark; a value that is a time or None is shown as one."""
    troubled: list[Schedule]
    storage: list[tuple[date, int]] | None
    """None where it is still being added up."""
    outcomes: dict[date, Counter[str]]
    not_looked_at: tuple[str, ...] = ()

    @property
    def tone(self) -> str:
        if any(each.bad for each in self.warnings):
            return "bad"
        return "warn" if self.warnings else "ok"


def overview_of_all(served: ServedSite, now: datetime) -> Overview:
    """For operators and auditors."""
    site = served.site
    with site.read_models.reading() as connection:
        counts = schedule_counts(connection, now - OVERDUE)
        statuses = count_by_status(connection)
        troubled = [
            *schedules_in_state(connection, "failing", now - OVERDUE, limit=SHOWN),
            *schedules_in_state(connection, "overdue", now - OVERDUE, limit=SHOWN),
        ]
        last, upcoming = last_backup_at(connection), next_backup_at(connection)
        outcomes = served.history.outcomes(connection, now.date())
    storage = served.history.storage(now.date())
    is_alive = served.is_scheduler_alive()
    present = statuses["ok"] + statuses["corrupt"]
    stored = storage[-1][1] if storage else None
    facts = [
        ("Last good backup", last, None),
        ("Next run", upcoming, "the scheduler runs" if is_alive else "no scheduler runs"),
        ("Backups", f"{present:,}", stored),
        ("Users", f"{counts['enabled']:,}", f"of {counts['total']:,} with a schedule"),
    ]
    unique = list({each.user_id: each for each in troubled}.values())[:SHOWN]
    is_unserved = bool(counts["enabled"]) and not is_alive
    found = [_shown(each) for each in console_findings(served, is_unserved=is_unserved)]
    not_looked_at = served.recent_verdict().not_looked_at
    return Overview(found, facts, unique, storage, outcomes, not_looked_at)


def console_findings(served: ServedSite, *, is_unserved: bool) -> list[Finding]:
    """Those of `status`, and what only a service can say, which is there all the time.

    `is_unserved`: there are schedules, and no scheduler runs.
    """
    found = list(served.recent_verdict().findings)
    if is_unserved:
        text = "no scheduler runs: nothing is backed up by itself"
        found.append(Finding(NO_SCHEDULER, text, "start one: backup-ledger run"))
    return found


def overview_of_user(served: ServedSite, user_id: int, now: datetime) -> Overview:
    """For one user: what is the user's own."""
    site, today = served.site, now.date()
    with site.read_models.reading() as connection:
        schedule = schedule_of(connection, user_id)
        backups = backups_of_owner(connection, site.store.store_id, user_id)
        outcomes = outcomes_of_user(connection, user_id, first_of_year(today))
        first = today - timedelta(days=STORAGE_DAYS)
        storage = since_first(stored_by_day(connection, first, today, user_id))
    good = [each for each in backups if each.status == "ok"]
    facts = [
        ("Last good backup", good[0].created_at if good else None, None),
        ("Next run", None if schedule is None else _upcoming(schedule), _rhythm(schedule)),
        ("Backups", f"{len(backups):,}", sum(each.size for each in backups)),
    ]
    warnings = _own_warnings(schedule, has_good=bool(good), now=now)
    if any(each.kind in _EVERYBODYS for each in served.recent_verdict().findings):
        text = "your application's database cannot be backed up now; tell an operator"
        warnings.insert(0, Warning_(text, None, bad=True))
    damaged = len(backups) - len(good)
    if damaged:
        warnings.append(Warning_(f"{_are(damaged, 'backup')} damaged", f"{BASE}/backups", bad=True))
    troubled = [] if schedule is None else [schedule]
    return Overview(warnings, facts, troubled, storage, outcomes)


_EVERYBODYS = ("database", "store")
"""Kinds of findings that concern every user; what exactly it is, and where, is the operator's."""


def _upcoming(schedule: Schedule) -> datetime | None:
    return schedule.next_backup_at if schedule.enabled and not schedule.paused else None


def _rhythm(schedule: Schedule | None) -> str:
    if schedule is None:
        return "no schedule yet"
    if not schedule.enabled:
        return "the schedule is disabled"
    return described(schedule)


def _own_warnings(schedule: Schedule | None, *, has_good: bool, now: datetime) -> list[Warning_]:
    found, where = [], f"{BASE}/schedules"
    if schedule is None:
        found.append(Warning_("you have no schedule yet: choose one", where))
    elif not schedule.enabled:
        found.append(Warning_("your schedule is disabled: nothing is backed up", where))
    elif schedule.paused:
        found.append(Warning_("your schedule is paused: nothing is backed up", where))
    elif schedule.failures:
        found.append(Warning_("your last scheduled backup failed", f"{BASE}/runs", bad=True))
    elif _is_overdue(schedule, now):
        found.append(Warning_("your next backup is overdue", where))
    if not has_good:
        found.append(Warning_("you have no good backup", f"{BASE}/backups", bad=True))
    return found


def _is_overdue(schedule: Schedule, now: datetime) -> bool:
    due = schedule.next_backup_at
    return due is not None and due <= now - OVERDUE and schedule.open_run_id is None


def page_of_kind(kind: str) -> str | None:
    """The page where more of a kind of finding stands."""
    where = _PAGES.get(kind)
    return None if where is None else f"{BASE}/{where}"


def _shown(finding: Finding) -> Warning_:
    where = page_of_kind(finding.kind) or f"{BASE}/trouble"
    return Warning_(finding.text, where, finding.is_bad)


_PAGES = {
    "database": "backups",
    "ledger": "audit",
    "read_models": "projections",
    "schedules": "schedules",
    "overdue": "schedules?state=overdue",
    "failing": "schedules?state=failing",
    "orphans": "schedules",
    "missing": "backups?status=missing",
    "corrupt": "backups?status=corrupt",
    "deleting": "backups?status=deleting",
    "no_backup": "backups",
    "unverified": "backups",
    "gone": "backups",
    "unknown_files": "backups",
    "future": "backups",
    "clock": "audit",
    "warnings": "backups",
    "offsite": "offsite",
    "witness": "audit?type=ledger.witness_refused",
    "failed": "audit?type=backup_catalog.backup_error",
}
"""Kind of finding -> page of the console; the others have none."""


def _are(number: int, thing: str) -> str:
    return f"1 {thing} is" if number == 1 else f"{number:,} {thing}s are"
