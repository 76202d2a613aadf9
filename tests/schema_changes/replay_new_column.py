"""Run by the new code: the column is filled for every backup ever, and the old table is kept."""

from __future__ import annotations

from sqlalchemy import text

from projections.projector.comparison import differences
from projections.projector.generations import KEPT, read_generations
from tests.schema_changes.office import events_of, folder_argument, office

with office(folder_argument()) as site:
    made = events_of(site, "backup_catalog.backup_created")
    with site.read_models.reading() as connection:
        rows = connection.execute(text("SELECT backup_id, engine FROM backup_catalog")).all()
        kept = [(each.label, each.state) for each in read_generations(connection)]
    engines = {row.backup_id: row.engine for row in rows}
    assert len(made) > 10
    for event in made:
        assert engines[event.resource_id] == event.details.to_json()["engine"]
    assert ("backup_catalog@2", KEPT) in kept
    rebuilt = [each.details.to_json() for each in events_of(site, "ledger.projection_rebuilt")]
    of_catalog = [each["reason"] for each in rebuilt if each["name"] == "backup_catalog"]
    assert of_catalog[-1] == "version 2 was replaced by 3"
    assert differences(site.read_models, site.ledger) == []
