"""A ledger that version 0.1.0 wrote is read, proved, folded and continued by this version.

The files in `golden/0.1.0` were written by that version and are never made anew: two months of
an office with four users, with failures, holds, a restore, a lost file and an adopted one.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from commands.scheduler.check import check
from commands.schedules.settings import configure
from commands.site.actors import operator
from commands.site.configuration import Configuration
from commands.site.opening import open_site
from commands.site.site import Site
from commands.upkeep.rebuild_projections import rebuild_projections
from ledger.clock import ManualClock
from ledger.tree.merkle import Frontier
from ledger.verify.verify import verify
from projections.projector.comparison import differences
from tests.commands.world import make_database

GOLDEN = Path(__file__).parent / "golden" / "0.1.0"
EXPECTED: dict[str, Any] = json.loads((GOLDEN / "expected.json").read_bytes())
KEYS = {"backup_settings": "user_id", "backup_catalog": "backup_id", "backup_runs": "run_id"}


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """The office's folder, opened on the day after the last event."""
    folder = tmp_path / "backups"
    folder.mkdir()
    for name in ("ledger.sqlite", "projections.sqlite"):
        shutil.copy(GOLDEN / name, folder / name)
    shutil.copy(GOLDEN / "store", folder / ".store")
    make_database(tmp_path / "app.db", users=4)
    configuration = Configuration(database=tmp_path / "app.db", backups=folder)
    opened = open_site(configuration, "act", clock=ManualClock(datetime(2025, 3, 1, tzinfo=UTC)))
    yield opened
    opened.close()


def rows(site: Site, table: str) -> list[dict[str, Any]]:
    """The columns that 0.1.0 had, as that version kept them."""
    columns = ", ".join(expected_rows(table)[0])
    statement = text(f"SELECT {columns} FROM {table} ORDER BY {KEYS[table]}")
    with site.read_models.reading() as connection:
        return [_as_kept(each) for each in connection.execute(statement).mappings()]


def expected_rows(table: str) -> list[dict[str, Any]]:
    """What 0.1.0 had, without the slot that its events did not name: a claim works it out."""
    return [
        {name: value for name, value in row.items() if name != "next_slot"}
        for row in EXPECTED["rows"][table]
    ]


def _as_kept(row: Mapping[str, Any]) -> dict[str, Any]:
    """Without who placed a hold, which is read from the record of 0.1.0."""
    kept = dict(row)
    if "holds" in kept:
        holds = json.loads(kept["holds"])
        assert all(each.pop("placed_by")["kind"] in ("operator", "user") for each in holds)
        kept["holds"] = json.dumps(holds)
    return kept


@pytest.mark.slow
def test_its_proof_still_holds(site: Site) -> None:
    """Every record, column, node and the root, as that version left them, then grown."""
    engine = site.ledger.engine
    assert verify(engine).findings == ()
    hashes = [row.leaf_hash for row in site.ledger.records(up_to=EXPECTED["size"])]
    frontier, _nodes = Frontier().append_leaves(hashes)
    assert (frontier.size, frontier.root().hex()) == (EXPECTED["size"], EXPECTED["root"])
    later = [each.event.event_type for each in site.ledger.recorded(after=EXPECTED["size"])]
    assert set(later) <= {"ledger.source_moved", "ledger.projection_rebuilt"}


@pytest.mark.slow
@pytest.mark.parametrize("table", KEYS)
def test_its_read_models_say_what_they_said(site: Site, table: str) -> None:
    """As they were found, and folded again from the first event."""
    site.catch_up()
    assert rows(site, table) == expected_rows(table)
    rebuild_projections(site, site.context(operator()))
    assert rows(site, table) == expected_rows(table)
    assert differences(site.read_models, site.ledger) == []


def test_read_models_that_are_gone_come_back(site: Site, tmp_path: Path) -> None:
    """Only the ledger is history."""
    site.close()
    (tmp_path / "backups" / "projections.sqlite").unlink()
    again = open_site(site.configuration, "read", clock=site.clock)
    for table in EXPECTED["rows"]:
        assert rows(again, table) == expected_rows(table)
    again.close()


@pytest.mark.slow
def test_life_goes_on(site: Site) -> None:
    """Settings change, runs that are due are taken, and the proof holds."""
    configure(site, site.context(operator()), 4, {"keep_count": 2})
    report = check(site)
    assert (report.completed, report.failed) == (2, 0)
    assert verify(site.ledger.engine).findings == ()
    assert differences(site.read_models, site.ledger) == []
