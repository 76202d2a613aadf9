"""A question changes nothing: no GET appends an event, or makes, changes or removes a file."""

from __future__ import annotations

import re
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from sqlalchemy import select

from ledger.append.tables import checkpoints
from ledger.events.catalog import BackupFound, BackupMissing
from tests.http.conftest import Place
from tests.http.test_console import log_in

READ_MODELS = "projections.sqlite"
STREAMS = ("/database/audit/follow", "/database/jobs/{job_id}/events")
"""They would not end; tried by hand below."""
PAGES = (
    *("/console", "/console/schedules", "/console/schedules/1", "/console/backups"),
    *("/console/backups/known.db", "/console/backups/strange.db", "/console/backups/lost.db"),
    *("/console/backups/known.db/restore", "/console/runs", "/console/audit"),
    *("/console/time-machine", "/console/projections", "/console/login", "/console/api/backups"),
    "/console/api/backups/strange.db",
)


@pytest.fixture
def changed(place: Place) -> Place:
    """A folder that a command would have much to say about: a strange file, and a lost one."""
    place.world.configure(1)
    operator = place.client("operator")
    for name in ("known", "lost"):
        assert operator.post("/database/backup", json={"filename": name}).status_code == 201
    known = place.world.backups / "known.db"
    (place.world.backups / "strange.db").write_bytes(known.read_bytes())
    (place.world.backups / "lost.db").unlink()
    operator.post("/database/audit/checkpoint")
    place.world.configure(2)  # what came since is not signed by asking
    return place


def what_is_there(folder: Path) -> dict[str, str]:
    """Each file but the read models, and the digest of each but the ledger, which has sidecars."""
    return {
        path.name: "" if path.name.startswith("ledger.") else sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.iterdir())
        if path.is_file() and not path.name.startswith(READ_MODELS)
    }


def signed_sizes(place: Place) -> list[int]:
    """Of every checkpoint that the ledger keeps."""
    with place.world.site.ledger.engine.connect() as connection:
        return list(connection.execute(select(checkpoints.c.size)).scalars())


def addresses(schema: dict[str, Any]) -> list[str]:
    """Every route of the schema that is read, with something in its path's places."""
    found = []
    for path, methods in schema["paths"].items():
        if "get" in methods and path not in STREAMS:
            for filename in ("known.db", "strange.db", "lost.db", "nothing.db"):
                values = {"filename": filename, "position": "1", "user_id": "1"}
                found.append(
                    re.sub(r"{(\w+)}", lambda each: quote(values.get(each[1], "x")), path)  # noqa: B023
                )
    return sorted(set(found))


@pytest.mark.parametrize("role", ["user", "operator", "auditor"])
def test_no_get_of_the_schema_changes_anything(changed: Place, role: str) -> None:
    """Whatever is added to the schema is asked too; half of it more than once."""
    client = changed.client(role, 1 if role == "user" else None)
    pages = log_in(changed, role, 1 if role == "user" else None)
    ledger, folder = changed.world.site.ledger, changed.world.backups
    before, files = ledger.log_recorder.head(), what_is_there(folder)
    signed = signed_sizes(changed)
    asked = addresses(client.get("/database/openapi.json").json())
    assert len(asked) > 25
    for address in asked:
        answer = client.get(address)
        assert answer.status_code < 500 or address == "/ready", (address, answer.text)
        assert ledger.log_recorder.head() == before, address
    for page in PAGES:
        assert pages.get(page).status_code < 500, page
        assert ledger.log_recorder.head() == before, page
    assert what_is_there(folder) == files
    assert signed_sizes(changed) == signed
    assert changed.world.recorded(BackupFound) == changed.world.recorded(BackupMissing) == []


def test_a_command_that_names_a_strange_file_adopts_it_as_its_caller(changed: Place) -> None:
    """Who made it known stands in the ledger: no actor of the service's own."""
    operator = changed.client("operator")
    assert operator.post(
        "/database/backups/strange.db/hold", json={"reason": "whose is it?"}
    ).is_success
    found = operator.get("/database/audit/log?type=backup_catalog.backup_found").json()["events"]
    (record,) = [each["record"] for each in found]
    assert record["actor"]["kind"] == "operator"
    assert record["details"]["filename"] == "strange.db"
    every = operator.get("/database/audit/log?limit=1000").json()["events"]
    assert "http" not in {each["record"]["actor"]["id"] for each in every}
