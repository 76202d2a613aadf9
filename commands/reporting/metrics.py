"""What a monitoring system asks for, in Prometheus' text format.

Everything is computed when it is asked for, by indexes, from what anybody could read. Names and
units follow https://prometheus.io/docs/practices/naming/.
"""

from __future__ import annotations

import math
import shutil
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from commands.errors import CommandError
from ledger.append.backend import backend_of
from ledger.append.kept_checkpoints import newest_kept
from ledger.append.software import software_version
from projections.projector.projector import read_progress
from projections.queries import health

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from commands.site.site import Site

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
QUANTILES = (0.5, 0.9, 0.99, 1.0)
PREFIX = "backup_ledger_"


@dataclass(frozen=True, slots=True)
class Sample:
    """One number and what it is the number of."""

    value: float
    labels: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Metric:
    """Samples of one name. `kind`: "gauge", "counter" for what only grows, or "summary"."""

    name: str
    kind: str
    about: str
    samples: tuple[Sample, ...]


def metrics(site: Site) -> list[Metric]:
    """Everything, as of now."""
    now = site.clock.now()
    settings = site.configuration
    patience = timedelta(hours=settings.overdue_after_hours)
    with site.read_models.reading() as connection:
        found = [
            *_runs(health.runs_by_outcome(connection), health.recent_runs(connection)),
            *_backups(health.backup_totals(connection)),
            _conditions(health.condition_counts(connection)),
            _one(
                "stored_bytes",
                "Size of the backups' files; one that several share counts once.",
                health.stored_bytes(connection),
            ),
            _schedules(health.schedule_counts(connection, now - patience)),
            *_successes(health.last_successes(connection, settings.metrics_users), now),
            _one(
                "notification_errors_total",
                "Tries to tell somebody that failed.",
                health.count_events(connection, "ledger.notification_error"),
                kind="counter",
            ),
            _lag(site, {name: each.position for name, each in read_progress(connection).items()}),
        ]
    return [*found, *_ledger(site, now), *_space(site), _build()]


def of_site(found: list[Metric], name: str | None) -> list[Metric]:
    """The same with the label `site`, where the configuration has several."""
    if name is None:
        return found
    label = (("site", name),)
    return [
        replace(
            each, samples=tuple(replace(one, labels=label + one.labels) for one in each.samples)
        )
        for each in found
    ]


def exposition(found: Sequence[Metric]) -> str:
    """Prometheus' text format.

    Raises:
        CommandError: prometheus-client is not installed.
    """
    try:
        from prometheus_client import CollectorRegistry, generate_latest  # noqa: PLC0415
        from prometheus_client.core import Metric as Family  # noqa: PLC0415
    except ImportError as error:
        raise CommandError("metrics need prometheus-client: install backup-ledger[http]") from error

    class _Found:
        def collect(self) -> Any:
            for each in found:
                name = each.name.removesuffix("_total") if each.kind == "counter" else each.name
                family = Family(PREFIX + name, each.about, each.kind)
                for sample in each.samples:
                    family.add_sample(PREFIX + each.name, dict(sample.labels), sample.value)
                yield family

    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Found())
    return generate_latest(registry).decode()


def quantile(ordered: Sequence[float], share: float) -> float:
    """The smallest value that at least this share of the values does not exceed."""
    return ordered[max(math.ceil(share * len(ordered)) - 1, 0)]


def _runs(outcomes: dict[str, int], recent: health.RecentRuns) -> list[Metric]:
    counted = tuple(Sample(number, (("outcome", name),)) for name, number in outcomes.items())
    return [
        Metric("runs_total", "counter", "Scheduled runs by outcome; `running` is open.", counted),
        _quantiles(
            "run_lateness_seconds", "From slot to end, of the newest 1,000 runs.", recent.lateness
        ),
        _quantiles(
            "run_duration_seconds", "From start to end, of the newest 1,000 runs.", recent.duration
        ),
    ]


def _backups(totals: Sequence[health.BackupTotals]) -> list[Metric]:
    def of(attribute: str) -> tuple[Sample, ...]:
        return tuple(
            Sample(getattr(each, attribute), (("status", each.status), ("kind", each.kind)))
            for each in totals
        )

    return [
        Metric("backups", "gauge", "Backups by status and kind.", of("number")),
        Metric("backup_bytes", "gauge", "Their sizes, each on its own.", of("logical_bytes")),
    ]


def _conditions(counts: dict[str, int]) -> Metric:
    samples = tuple(Sample(number, (("condition", name),)) for name, number in counts.items())
    about = "Backups that are there and were made flawed, unchecked in part, or as a collapse."
    return Metric("backup_conditions", "gauge", about, samples)


def _schedules(counts: dict[str, int]) -> Metric:
    samples = tuple(Sample(number, (("state", name),)) for name, number in counts.items())
    return Metric("schedules", "gauge", "Users' schedules by state.", samples)


def _successes(users: Sequence[tuple[int, datetime | None]], now: datetime) -> list[Metric]:
    """Those who wait longest first; a user who never had a backup has an infinite age."""
    ages = [
        (user, math.inf if last is None else (now - last).total_seconds()) for user, last in users
    ]
    return [
        Metric(
            "last_success_age_seconds",
            "gauge",
            "Age of each user's last scheduled backup; the oldest `metrics_users` of them.",
            tuple(Sample(age, (("user", str(user)),)) for user, age in ages),
        ),
        _one(
            "oldest_success_age_seconds",
            "The greatest of these ages; 0 where nobody has a schedule.",
            ages[0][1] if ages else 0.0,
        ),
    ]


def _lag(site: Site, positions: dict[str, int]) -> Metric:
    size = site.ledger.log_recorder.head().size
    samples = tuple(
        Sample(size - position, (("projection", name),)) for name, position in positions.items()
    )
    return Metric("projection_lag_events", "gauge", "Events not folded yet.", samples)


def _ledger(site: Site, now: datetime) -> list[Metric]:
    size = site.ledger.log_recorder.head().size
    with site.ledger.engine.connect() as connection:
        kept = newest_kept(connection)
        stored = backend_of(connection).size_bytes(connection)
    found = [
        _one("events", "Events in the ledger.", size),
        _one("ledger_bytes", "Size of the ledger's database.", stored),
        _one(
            "events_after_checkpoint",
            "Events that no signed checkpoint covers yet.",
            size - (0 if kept is None else kept.checkpoint.size),
        ),
    ]
    if kept is not None:
        age = now.timestamp() - kept.created_at / 1_000_000
        found.append(_one("checkpoint_age_seconds", "Age of the newest signed checkpoint.", age))
    return found


def _space(site: Site) -> list[Metric]:
    try:
        usage = shutil.disk_usage(site.configuration.backups_folder)
    except OSError:
        return []  # the folder is not mounted: `absent()` is what an alert looks for
    return [
        _one("folder_free_bytes", "Free space where the backups are.", usage.free),
        _one("folder_total_bytes", "All space where the backups are.", usage.total),
    ]


def _build() -> Metric:
    sample = Sample(1, (("version", software_version()),))
    return Metric("build_info", "gauge", "Which software this is.", (sample,))


def _quantiles(name: str, about: str, ordered: Sequence[float]) -> Metric:
    samples = tuple(
        Sample(quantile(ordered, share), (("quantile", str(share)),))
        for share in QUANTILES
        if ordered
    )
    return Metric(name, "summary", about, samples)


def _one(name: str, about: str, value: float, *, kind: str = "gauge") -> Metric:
    return Metric(name, kind, about, (Sample(value),))
