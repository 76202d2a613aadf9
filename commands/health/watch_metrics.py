"""Numbers for those who watch: is anybody there, is anybody late, was it ever tried?"""

from __future__ import annotations

import math
from collections import Counter
from datetime import timedelta
from typing import TYPE_CHECKING, get_args

from commands.health.roster import State, schedulers_of
from commands.reporting.metrics import Metric, Sample
from commands.schedules.cron import CronSlots
from commands.schedules.local_time import is_known
from ledger.events.catalog import BackupVerified
from ledger.verify.remembered import last_verified
from ledger.vocabulary import BackupFrequency
from projections.queries import health
from projections.queries.audit import AuditFilter, newest_matching
from projections.queries.due import cron_expressions

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Connection

    from commands.site.site import Site

_STEPS = {
    BackupFrequency.DAILY: timedelta(days=1),
    BackupFrequency.WEEKLY: timedelta(days=7),
    BackupFrequency.MONTHLY: timedelta(days=31),
}
CHECKS_LOOKED_AT = 200
_RESTORES = {
    "completed": "backup_restore.completed",
    "table": "backup_restore.table_restored",
    "failed": "backup_restore.error",
    "interrupted": "backup_restore.interrupted",
}


def watch_metrics(site: Site) -> list[Metric]:
    """Everything, as of now."""
    now = site.clock.now()
    with site.ledger.engine.connect() as connection:
        verified = last_verified(connection)
    with site.read_models.reading() as connection:
        checked = health.last_checks(connection)
        restores = tuple(
            Sample(health.count_events(connection, kind), (("outcome", outcome),))
            for outcome, kind in _RESTORES.items()
        )
        drilled = checked.drilled_at or _last_drill(site, connection)
        late = _late(site, connection, now)
    return [
        _schedulers(site),
        _one("late_schedules", "Users without a backup since their last slot but one.", late),
        _age(
            "verification_age_seconds",
            "Since a backup was last verified; infinite for never.",
            checked.verified_at,
            now,
        ),
        _age(
            "drill_age_seconds",
            "Since a backup was last restored for trial; infinite for never.",
            drilled,
            now,
        ),
        _age(
            "ledger_verification_age_seconds",
            "Since the whole ledger was last verified; infinite for never.",
            None if verified is None else verified.verified_at,
            now,
        ),
        Metric("restores_total", "counter", "Restores by outcome; tables one by one.", restores),
        *_source(site),
    ]


def _last_drill(site: Site, connection: Connection) -> datetime | None:
    """From the newest checks: a later one of another level hides a drill in the catalog's row."""
    wanted = AuditFilter(event_type=BackupVerified.event_type)
    for position in reversed(newest_matching(connection, wanted, CHECKS_LOOKED_AT)):
        for recorded in site.ledger.recorded(after=position - 1, up_to=position):
            details = recorded.event.details
            if isinstance(details, BackupVerified) and details.level == "drill":
                return recorded.event.timestamp
    return None


def _late(site: Site, connection: Connection, now: datetime) -> int:
    """Daily ones are late a day after their last backup, weekly ones a week, cron by its slots."""
    before = now - timedelta(hours=site.configuration.overdue_after_hours)
    limits = {str(name): before - step for name, step in _STEPS.items()}
    expected = {}
    for expression, timezone in cron_expressions(connection):
        slots = CronSlots(expression, timezone if is_known(timezone) else "UTC")
        expected[expression, timezone] = slots.until(before - timedelta(microseconds=1))
    return health.count_late(connection, limits, expected)


def _schedulers(site: Site) -> Metric:
    states = Counter(each.state for each in schedulers_of(site))
    samples = tuple(Sample(states[name], (("state", name),)) for name in get_args(State))
    return Metric("schedulers", "gauge", "Schedulers by state; idle ones are well, too.", samples)


def _source(site: Site) -> list[Metric]:
    """Whether the database is there; nothing where this process was not told of one."""
    if site.configuration.database is None:
        return []
    try:
        size = site.configuration.database_path.stat().st_size
    except OSError:
        return [_one("source_present", "1 where the database is there, else 0.", 0)]
    return [
        _one("source_present", "1 where the database is there, else 0.", 1),
        _one("source_bytes", "Size of the database's file.", size),
    ]


def _age(name: str, about: str, moment: datetime | None, now: datetime) -> Metric:
    return _one(name, about, math.inf if moment is None else (now - moment).total_seconds())


def _one(name: str, about: str, value: float) -> Metric:
    return Metric(name, "gauge", about, (Sample(value),))
