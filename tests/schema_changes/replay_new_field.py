"""Run by the new code: a hold that was placed before there was a `reference`, and one after."""

from __future__ import annotations

from commands.backups.hold import place_hold
from ledger.events.catalog import HoldPlaced
from projections.queries.catalog import backups_of_store
from tests.schema_changes.office import ADA, events_of, folder_argument, office, stored_records

with office(folder_argument()) as site:
    old = [each.details for each in events_of(site, "backup_catalog.hold_placed")]
    assert [each.reference for each in old if isinstance(each, HoldPlaced)] == [None, None]
    with site.read_models.reading() as connection:
        backup = backups_of_store(connection, site.store.store_id)[0]
    place_hold(site, site.context(ADA), backup.filename, "a claim", reference="4 C 17/25")
    new = events_of(site, "backup_catalog.hold_placed")[-1].details
    assert isinstance(new, HoldPlaced)
    assert new.reference == "4 C 17/25"
    versions = [each["schema_version"] for each in stored_records(site, new.event_type)]
    assert versions == [1, 1, 3]
