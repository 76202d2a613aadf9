"""A backup is taken out by an operator: recorded first, then fetched once, by the same one."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from commands.http import create_app
from commands.http.downloads import SECONDS
from ledger.clock import ManualClock
from ledger.events.catalog import BackupDownloaded
from tests.commands.world import World, make_database
from tests.http.conftest import Place
from tests.http.test_console import fields_of, log_in


@pytest.fixture
def timed(tmp_path: Path) -> Iterator[Place]:
    """A place whose time stands still, with one backup of user 1."""
    make_database(tmp_path / "app.db")
    world = World(tmp_path, ManualClock(datetime(2025, 3, 3, tzinfo=UTC)))
    place = Place(world, create_app(world.open()))
    made = place.client().post("/database/backup", json={"filename": "one", "user_id": 1})
    assert made.status_code == 201
    yield place
    place.app.state.served.close()
    world.close()


ASK = "/database/backups/one.db/download"


def test_an_address_gives_the_file_once_to_whoever_asked(timed: Place) -> None:
    """Recorded before the first byte; HEAD does not use it up; the second GET finds nothing."""
    client, other = timed.client(), timed.client()
    offered = client.post(ASK)
    shown, address = offered.json(), offered.headers["location"]
    assert (offered.status_code, address) == (201, f"/database/downloads/{shown['download_id']}")
    (event,) = timed.world.events_of(BackupDownloaded)
    assert (event.actor.kind, event.user_id, event.details.bytes) == (
        "operator",
        "1",
        shown["size"],
    )
    head = timed.world.site.ledger.log_recorder.head().size
    assert other.get(address).status_code == 404
    assert timed.stranger().get(address).status_code == 401
    assert client.head(address).status_code == 405
    fetched = client.get(address)
    assert fetched.status_code == 200
    assert hashlib.sha256(fetched.content).hexdigest() == shown["sha256"]
    assert fetched.headers["content-disposition"] == 'attachment; filename="one.db"'
    assert fetched.headers["cache-control"] == "no-store"
    again = client.get(address)
    assert (again.status_code, "works once" in again.json()["detail"]) == (404, True)
    assert timed.world.site.ledger.log_recorder.head().size == head


def test_an_address_ends_with_its_minute_and_with_its_backup(timed: Place) -> None:
    """And nobody but an operator is given one: a backup holds everybody's data."""
    client = timed.client()
    for role, user in (("user", 1), ("auditor", None)):
        assert timed.client(role, user).post(ASK).status_code == 403
    late = client.post(ASK).headers["location"]
    timed.world.advance(seconds=SECONDS)
    assert client.get(late).status_code == 404
    gone = client.post(ASK).headers["location"]
    client.delete("/database/backups/one.db")
    assert client.get(gone).status_code == 404
    assert client.post(ASK).status_code == 404
    assert len(timed.world.recorded(BackupDownloaded)) == 2


def test_the_console_leads_an_operator_to_the_file(timed: Place) -> None:
    """A form asks, and the browser follows it to the address."""
    visitor = log_in(timed, "operator")
    page = "/console/backups/one.db"
    sent = visitor.post(f"{page}/download", data=fields_of(visitor, page))
    assert sent.status_code == 303
    fetched = visitor.get(sent.headers["location"])
    assert fetched.content == (timed.world.site.store.folder / "one.db").read_bytes()
    assert visitor.get(sent.headers["location"]).status_code == 404
