"""Numbers for those who watch, and the form that Prometheus' own linter asks for."""

from __future__ import annotations

import json
import math
import re
from datetime import timedelta
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from commands.backups.take import take_backup
from commands.health.offsite_metrics import ABOUT, offsite_metrics
from commands.health.watch_metrics import watch_metrics
from commands.recovery.reconcile import reconcile
from commands.reporting.metrics import exposition, metrics
from commands.restore.restore import restore_backup
from commands.schedules.settings import pause
from commands.verification.verify import verify_backup
from tests.commands.world import World, break_database

DOCS = Path(__file__).parents[3] / "docs" / "prometheus"
_ABBREVIATED = {"s", "sec", "secs", "ms", "us", "ns", "h", "hr", "d", "b", "kb", "mb", "gb", "pct"}
_NOT_BASE = {"milliseconds", "minutes", "hours", "days", "weeks", "kilobytes", "megabytes"}
_TYPES = {"counter", "gauge", "summary", "histogram"}


def watched(world: World) -> dict[tuple[str, ...], float]:
    return {
        (each.name, *(value for _, value in sample.labels)): sample.value
        for each in watch_metrics(world.site)
        for sample in each.samples
    }


@pytest.mark.both_databases
@pytest.mark.parametrize(
    ("settings", "hours"),
    [
        ({"frequency": "daily"}, 24),
        ({"frequency": "weekly"}, 7 * 24),
        ({"frequency": "monthly"}, 31 * 24),
        ({"cron": "0 * * * *"}, 1),
    ],
)
def test_a_schedule_is_late_by_its_own_rhythm(
    world: World, settings: dict[str, str], hours: int
) -> None:
    """And the two hours of patience that are configured; not while it is paused."""
    world.configure(1, **settings)
    world.due_again()
    assert world.check().completed == 1
    world.advance(hours=hours + 2)
    assert watched(world)["late_schedules",] == 0
    world.advance(minutes=1)
    assert watched(world)["late_schedules",] == 1
    world.check()
    assert watched(world)["late_schedules",] == 0
    world.advance(hours=3 * hours + 3)
    pause(world.site, world.context(), 1)
    assert watched(world)["late_schedules",] == 0


@pytest.mark.slow
@pytest.mark.both_databases
def test_ages_restores_and_the_database(world: World) -> None:
    """Infinite for what never happened; a database that is gone has no size."""
    found = watched(world)
    assert found["drill_age_seconds",] == found["verification_age_seconds",] == math.inf
    assert found["ledger_verification_age_seconds",] == math.inf
    backup = take_backup(world.site, world.context(), filename="first.db")
    verify_backup(world.site, world.context(), backup, "drill")
    restore_backup(world.site, world.context(), "first.db")
    world.advance(hours=2)
    found = watched(world)
    assert found["drill_age_seconds",] == timedelta(hours=2).total_seconds()
    assert found["restores_total", "completed"] == 1
    assert found["restores_total", "failed"] == 0
    assert (found["source_present",], found["source_bytes",] > 0) == (1, True)
    world.database.unlink()
    found = watched(world)
    assert found["source_present",] == 0
    assert ("source_bytes",) not in found


def test_schedulers_are_counted_by_state(world: World) -> None:
    world.open()
    names = {key[1] for key in watched(world) if key[0] == "schedulers"}
    assert names == {"working", "idle", "stuck", "not ready", "gone"}


def text_of(world: World) -> str:
    return exposition(
        [*metrics(world.site), *watch_metrics(world.site), *offsite_metrics(world.site)]
    )


def busy_world(world: World) -> World:
    """One of each: a run, a backup that is gone, a failure."""
    world.configure(1)
    world.due_again()
    world.check()
    take_backup(world.site, world.context(), filename="gone.db")
    (world.backups / "gone.db").unlink()
    reconcile(world.site, world.context())
    world.due_again()
    break_database(world.database)
    world.check()
    return world


def test_promtool_would_find_nothing(world: World) -> None:
    """The rules of `promtool check metrics`: names, types, units, help texts, labels."""
    text = text_of(busy_world(world))
    for family in text_string_to_metric_families(text):
        name = family.name
        assert re.fullmatch(r"[a-z][a-z0-9_]*", name), name
        assert family.documentation.strip(), name
        words = set(name.split("_"))
        assert not words & (_ABBREVIATED | _NOT_BASE | _TYPES), name
        assert not name.endswith(("_count", "_sum", "_bucket", "_total", "_info_info")), name
        for sample in family.samples:
            assert sample.name.endswith("_total") == (family.type == "counter"), sample.name
            assert "le" not in sample.labels
            assert ("quantile" in sample.labels) <= (family.type == "summary"), sample.name
    assert (
        text.count("# HELP") == text.count("# TYPE") == len(set(re.findall(r"# TYPE (\S+)", text)))
    )


@pytest.mark.slow
def test_every_query_finds_something_in_real_numbers(world: World) -> None:
    """Of each selector in alerts and dashboard: the metric is there and has these labels."""
    samples = [
        sample
        for family in text_string_to_metric_families(text_of(busy_world(world)))
        for sample in family.samples
    ]
    panels = json.loads((DOCS / "grafana-dashboard.json").read_text())["panels"]
    queries = [each["expr"] for panel in panels for each in panel.get("targets", [])]
    queries += re.findall(r"expr: (.+)", (DOCS / "alerts.yml").read_text())
    assert len(queries) > 25
    elsewhere = {f"backup_ledger_{name}" for name in ("offsite_copies", *ABOUT)}
    elsewhere.add("backup_ledger_checkpoint_age_seconds")  # with a key, and with a destination
    for name, matchers in re.findall(r"(backup_ledger_\w+)(?:\{([^}]*)\})?", "\n".join(queries)):
        if name in elsewhere:
            continue
        labels = dict(re.findall(r'(\w+)=~?"([^"]*)"', matchers))
        found = [
            sample
            for sample in samples
            if sample.name == name
            and all(
                re.fullmatch(value, sample.labels.get(key, "")) for key, value in labels.items()
            )
        ]
        assert found, f"{name}{{{matchers}}} finds nothing"
