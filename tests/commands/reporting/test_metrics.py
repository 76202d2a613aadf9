"""What a monitoring system is told: right numbers, in the format that it reads."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from commands.backups.accept import accept_backup
from commands.backups.delete import delete_backup
from commands.backups.take import take_backup
from commands.health.offsite_metrics import ABOUT, offsite_metrics
from commands.health.watch_metrics import watch_metrics
from commands.reporting.metrics import exposition, metrics, quantile
from tests.commands.conftest import MakeWorld
from tests.commands.world import World, break_database, fill_cases, make_flawed

DOCS = Path(__file__).parents[3] / "docs" / "prometheus"


def read(world: World) -> dict[tuple[str, ...], float]:
    """Name and labels -> value, as Prometheus would read the text."""
    found = {}
    for family in text_string_to_metric_families(
        exposition([*metrics(world.site), *watch_metrics(world.site), *offsite_metrics(world.site)])
    ):
        for each in family.samples:
            labels = [f"{name}={value}" for name, value in sorted(each.labels.items())]
            found[each.name.removeprefix("backup_ledger_"), *labels] = each.value
    return found


@pytest.mark.parametrize(("events", "options"), [(0, {"database": None}), (1, {})])
def test_a_new_ledger_has_numbers_too(world: World, events: int, options: dict[str, None]) -> None:
    """A new installation raises no alarm, and no error: empty, or with its database registered."""
    world.open(backups=world.backups, **options)
    found = read(world)
    assert found["events",] == events
    assert found["oldest_success_age_seconds",] == 0
    assert found["runs_total", "outcome=completed"] == 0


def test_runs_and_their_lateness(world: World) -> None:
    """A run that ended ten minutes after its slot was ten minutes late."""
    world.configure(1)
    world.due_again()
    world.advance(minutes=10)
    world.check()
    found = read(world)
    assert found["runs_total", "outcome=completed"] == 1
    assert found["run_lateness_seconds", "quantile=1.0"] == 600
    assert found["last_success_age_seconds", "user=1"] == 0
    assert found["backups", "kind=scheduled", "status=ok"] == 1
    assert found["projection_lag_events", "projection=backup_runs"] == 0
    world.advance(hours=5)
    assert read(world)["oldest_success_age_seconds",] == 5 * 3_600


def test_conditions_of_backups_show(world: World) -> None:
    """Those that are there: flawed ones, and collapses until they are accepted."""
    fill_cases(world.database, 300)
    take_backup(world.site, world.context(), filename="full")
    fill_cases(world.database, 0)
    for name in ("emptied", "again"):
        take_backup(world.site, world.context(), filename=name)
    fill_cases(world.database, 200)  # nearly as many as before: no collapse
    make_flawed(world.database)
    take_backup(world.site, world.context(), filename="flawed")
    found = read(world)
    conditions = ("flawed", "unchecked", "collapsed")
    counts = [found["backup_conditions", f"condition={name}"] for name in conditions]
    assert counts == [1, 0, 2]
    accept_backup(world.site, world.context(), "emptied.db")
    delete_backup(world.site, world.context(), "flawed.db")
    found = read(world)
    counts = [found["backup_conditions", f"condition={name}"] for name in conditions]
    assert counts == [0, 0, 0]


def test_failures_and_overdue_runs_show(world: World) -> None:
    """What an alert looks for."""
    world.configure(1)
    world.configure(2)
    break_database(world.database)
    world.due_again()
    world.check()
    found = read(world)
    assert found["runs_total", "outcome=failed"] == 2
    assert found["schedules", "state=failing"] == 2
    assert found["schedules", "state=overdue"] == 0
    world.advance(days=1)
    assert read(world)["schedules", "state=overdue"] == 2


def test_a_user_who_never_had_a_backup_is_infinitely_late(world: World) -> None:
    world.configure(1)
    found = read(world)
    assert found["last_success_age_seconds", "user=1"] == float("inf")


def test_shared_files_are_counted_once(world: World) -> None:
    """Two users, one snapshot."""
    for user in (1, 2):
        world.configure(user)
    world.due_again()
    world.check()
    found = read(world)
    logical = found["backup_bytes", "kind=scheduled", "status=ok"]
    assert logical == 2 * found["stored_bytes",]


def test_only_so_many_users_have_a_line_of_their_own(make_world: MakeWorld) -> None:
    """The oldest are the ones that matter."""
    world = make_world(metrics_users=2)
    for user in (1, 2, 3):
        world.configure(user)
    lines = [key for key in read(world) if key[0] == "last_success_age_seconds"]
    assert len(lines) == 2


def test_quantiles_are_values_that_occurred() -> None:
    values = [float(each) for each in range(1, 101)]
    assert [quantile(values, each) for each in (0.5, 0.9, 0.99, 1.0)] == [50, 90, 99, 100]
    assert quantile([7.0], 0.5) == 7


def test_alerts_and_dashboard_name_only_what_there_is(world: World) -> None:
    """An expression on a metric that does not exist never fires."""
    world.configure(1)
    world.due_again()
    world.check()
    known = {f"backup_ledger_{key[0]}" for key in read(world)} | {
        "backup_ledger_checkpoint_age_seconds"  # where checkpoints are signed
    }
    known |= {f"backup_ledger_{name}" for name in ("offsite_copies", *ABOUT)}  # for destinations
    alerts = (DOCS / "alerts.yml").read_text()
    dashboard = json.loads((DOCS / "grafana-dashboard.json").read_text())
    expressions = [
        target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", [])
    ]
    assert expressions
    named = set(re.findall(r"backup_ledger_\w+", alerts + "\n".join(expressions)))
    assert named
    assert named <= known
