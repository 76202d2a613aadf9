"""Run by the new code: restores of the time before there was a table of them are in it."""

from __future__ import annotations

from sqlalchemy import text

from projections.projector.comparison import differences
from tests.schema_changes.office import events_of, folder_argument, office

with office(folder_argument()) as site:
    (completed,) = events_of(site, "backup_restore.completed")
    with site.read_models.reading() as connection:
        rows = connection.execute(text("SELECT restore_id, outcome FROM backup_restores")).all()
    assert [tuple(row) for row in rows] == [(completed.resource_id, "completed")]
    assert differences(site.read_models, site.ledger) == []
