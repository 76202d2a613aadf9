"""What must be true of a site whenever nobody is at work: asked of files and tables directly."""

from __future__ import annotations

import hashlib
import json
from collections import Counter, defaultdict
from typing import Any

from sqlalchemy import select

from commands.site.site import Site
from ledger.append.tables import events as ledger_events
from ledger.append.tables import head, leases, names
from projections.projector.read_models import ReadModels
from projections.tables.columns import backup_catalog
from projections.tables.registry import all_projections
from tests.commands.world import mode_of
from tests.ledger.slow_merkle import SlowTree

Record = dict[str, Any]


def require_whole(site: Site) -> None:
    """Everything that holds after recovery and reconcile."""
    records = require_true_tree(site)
    require_catalog_is_directory(site)
    require_names_are_the_catalogs(site)
    require_models_are_the_fold(site)
    require_no_slot_twice(records)
    require_nothing_open(site, records)


def require_true_tree(site: Site) -> list[Record]:
    """Positions and versions have no holes; the head's root is that of the stored bytes."""
    with site.ledger.engine.connect() as connection:
        rows = connection.execute(select(ledger_events).order_by(ledger_events.c.position)).all()
        found = connection.execute(select(head)).one()
    assert [row.position for row in rows] == list(range(1, len(rows) + 1))
    versions: Counter[str] = Counter()
    for row in rows:
        versions[row.stream] += 1
        assert row.stream_version == versions[row.stream]
        assert row.leaf_hash == hashlib.sha256(b"\x00" + row.record).digest()
    records = [bytes(row.record) for row in rows]
    assert found.size == len(records)
    assert bytes(found.root) == SlowTree(records).mth(0, len(records))
    return [json.loads(record) for record in records]


def require_catalog_is_directory(site: Site) -> None:
    """Each present entry is a file of that size and digest, 0600; each file is an entry."""
    folder = site.store.folder
    columns = backup_catalog.c["filename", "size", "sha256", "status"]
    present = backup_catalog.c.status.in_(("ok", "corrupt"))
    ours = backup_catalog.c.store == site.store.store_id
    with site.read_models.engine.connect() as connection:
        rows = connection.execute(select(*columns).where(present, ours)).all()
    found = [path for path in folder.glob("*.db") if path.is_file() and not path.is_symlink()]
    # A name that is no UTF-8 cannot be in a record: it is reported, not adopted.
    files = {path.name for path in found if path.name.isprintable()}
    assert {row[0] for row in rows} == files
    for filename, size, digest, status in rows:
        path = folder / filename
        assert mode_of(path) == 0o600
        if status == "ok":
            assert path.stat().st_size == size
            assert hashlib.sha256(path.read_bytes()).hexdigest() == digest
    assert not (folder / ".staging").exists() or mode_of(folder / ".staging") == 0o700


def require_names_are_the_catalogs(site: Site) -> None:
    """The working table of names has each backup that is not deleted, and nothing else."""
    with site.ledger.engine.connect() as connection:
        taken = {(row.filename, row.backup_id) for row in connection.execute(select(names))}
    with site.read_models.reading() as connection:
        catalog = backup_catalog.c
        rows = connection.execute(
            select(catalog.filename, catalog.backup_id).where(catalog.status != "deleted")
        )
        assert taken == {(row[0], row[1]) for row in rows}


def require_models_are_the_fold(site: Site) -> None:
    """The read models are what a fold of the whole ledger from nothing gives."""
    fresh = ReadModels.in_memory(site.ledger)
    with fresh.reading() as expected, site.read_models.reading() as stored:
        for projection in all_projections():
            every = select(projection.table)
            assert sorted(map(repr, stored.execute(every))) == sorted(
                map(repr, expected.execute(every))
            )
    fresh.close()


def require_no_slot_twice(records: list[Record]) -> None:
    """A slot is completed once, and each attempt at it was claimed once."""
    attempts: Counter[tuple[str, str, int]] = Counter()
    completed: Counter[tuple[str, str]] = Counter()
    for record in records:
        details = record["details"]
        if record["event_type"] == "backup_scheduler.backup_started":
            attempts[record["stream"], details["slot"], details["attempt"]] += 1
        if record["event_type"] == "backup_scheduler.backup_completed":
            completed[record["stream"], details["slot"]] += 1
    assert not [slot for slot, times in completed.items() if times > 1]
    assert not [claim for claim, times in attempts.items() if times > 1]


def require_nothing_open(site: Site, records: list[Record]) -> None:
    """Each claim, deletion and restore has its outcome; nothing is staged; no lease is left."""
    with site.ledger.engine.connect() as connection:
        assert connection.execute(select(leases)).all() == []
    staged = [path for path in site.store.staging.rglob("*") if path.is_file()]
    assert [path.name for path in staged] == ["lock"] * (site._owner is not None)
    history: dict[str, list[Record]] = defaultdict(list)
    for record in records:
        history[record["stream"]].append(record)
    claims = {
        record["event_id"]
        for record in records
        if record["event_type"] == "backup_scheduler.backup_started"
    }
    ended = {
        record["details"]["run_id"]
        for record in records
        if record["event_type"].startswith("backup_scheduler.backup_")
        and record["event_type"] != "backup_scheduler.backup_started"
    }
    assert claims == ended
    for stream, own in history.items():
        last = own[-1]["event_type"]
        assert last != "backup_catalog.deletion_started", stream
        assert last != "backup_restore.started", stream
