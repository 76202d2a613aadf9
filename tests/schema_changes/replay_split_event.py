"""Run by the new code: corrections of the old kind and of the new one come to the same."""

from __future__ import annotations

from datetime import timedelta

from projections.projector.comparison import differences
from projections.queries.schedules import schedule_of
from tests.schema_changes.office import (
    LATER,
    events_of,
    folder_argument,
    leave_a_jumped_clock,
    office,
)

OLD, NEW = "backup_scheduler.settings_updated", "backup_scheduler.next_run_corrected"

with office(folder_argument(), LATER + timedelta(minutes=5)) as site:
    corrections = [
        each for each in events_of(site, OLD) if "next_backup_at" in each.details.to_json()["after"]
    ]
    assert len(corrections) == 1
    assert events_of(site, NEW) == []
    leave_a_jumped_clock(site)
    assert len(events_of(site, NEW)) == 1
    with site.read_models.reading() as connection:
        schedule = schedule_of(connection, 4)
    assert schedule is not None
    assert schedule.next_backup_at is not None
    assert schedule.next_backup_at - site.clock.now() < timedelta(days=1)
    assert differences(site.read_models, site.ledger) == []
