"""What is odd about a backup is seen over HTTP, and an operator can accept it there."""

from __future__ import annotations

import sqlite3
from contextlib import closing

from sqlalchemy import update

from ledger.append.tables import meta
from ledger.events.catalog import BackupAccepted
from projections.tables.columns import backup_settings
from tests.commands.world import fill_cases, make_flawed
from tests.http.conftest import Place
from tests.http.test_console import fields_of, log_in


def take(place: Place, name: str, user: int | None = None) -> str:
    body = {"filename": name} | ({} if user is None else {"user_id": user})
    answer = place.client().post("/database/backup", json=body)
    assert answer.status_code == 201, answer.text
    return f"{name}.db"


def collapse(place: Place, user: int | None = None) -> str:
    """A full backup, then one of a database without rows; its name."""
    fill_cases(place.world.database, 300)
    take(place, "full", user)
    fill_cases(place.world.database, 0)
    return take(place, "emptied", user)


def test_an_operator_accepts_a_collapse(place: Place) -> None:
    """With its reason, recorded as the operator's; a second time there is nothing to accept."""
    path = f"/database/backups/{collapse(place)}"
    client = place.client()
    before = client.get(f"{path}/details").json()
    assert before["warnings"] == ["rows fell from 300 to 0"]
    assert before["accepted_at"] is None
    accepted = client.post(f"{path}/accept", json={"reason": "the archive was moved"})
    assert accepted.status_code == 200
    assert accepted.json()["accepted"] == ["emptied.db"]
    assert accepted.json()["accepted_at"] is not None
    (event,) = place.world.events_of(BackupAccepted)
    assert (event.actor.kind, event.details.reason) == ("operator", "the archive was moved")
    again = client.post(f"{path}/accept")
    assert again.status_code == 409
    assert "was accepted already" in again.json()["detail"]
    nothing = client.post("/database/backups/full.db/accept")
    assert "nothing to accept" in nothing.json()["detail"]
    assert client.post("/database/backups/none.db/accept").status_code == 404


def test_a_user_accepts_nothing(place: Place) -> None:
    """Not even of an own backup: the collapse is that of everybody's database."""
    name = collapse(place, user=1)
    for client in (place.client("user", 1), place.client("auditor")):
        assert client.post(f"/database/backups/{name}/accept").status_code == 403
    assert place.world.recorded(BackupAccepted) == []


def test_the_console_shows_each_condition(place: Place) -> None:
    """In the list and on the backup's page; accepted, a collapse is none any more."""
    name = collapse(place)
    fill_cases(place.world.database, 200)  # as many as before, nearly: no collapse
    make_flawed(place.world.database)
    take(place, "flawed")
    operator = log_in(place, "operator")
    page = operator.get("/console/backups").text
    assert page.count(">collapsed</span>") == 1
    assert page.count(">flawed</span>") == 1
    for backup, badge in ((name, "collapsed"), ("flawed.db", "flawed")):
        assert f">{badge}</span>" in operator.get(f"/console/backups/{backup}").text
    path = f"/console/backups/{name}"
    assert "Accept</button>" in operator.get(path).text
    assert "Accept</button>" not in log_in(place, "auditor").get(path).text
    form = fields_of(operator, path) | {"reason": "moved"}
    assert operator.post(f"{path}/accept", data=form).status_code == 303
    shown = operator.get(path).text
    assert ">collapsed</span>" not in shown
    assert "Accept</button>" not in shown
    assert place.world.recorded(BackupAccepted)[-1].reason == "moved"


def test_the_console_shows_what_is_unchecked(place: Place) -> None:
    """A table with a collation of the application's own."""
    with closing(sqlite3.connect(place.world.database)) as connection:
        connection.create_collation("own", lambda one, other: (one > other) - (one < other))
        connection.execute("CREATE TABLE people (name TEXT PRIMARY KEY COLLATE own) WITHOUT ROWID")
        connection.execute("INSERT INTO people VALUES ('ada')")
        connection.commit()
    take(place, "partly")
    assert ">partly unchecked</span>" in log_in(place, "operator").get("/console/backups").text


def test_ready_counts_what_status_names(place: Place) -> None:
    """A number, and nothing that a stranger may not know."""
    place.world.configure(1)
    take(place, "sound", user=1)
    stranger = place.stranger()
    before = stranger.get("/ready").json()["problems"]
    collapse(place, user=1)
    after = stranger.get("/ready").json()
    assert after["problems"] == before + 1
    assert set(after) == {"status", "ledger_size", "lag", "problems"}


def test_a_service_older_than_the_ledger_commands_nothing(place: Place) -> None:
    """Newer software worked on it meanwhile: 503 and "update"; questions are answered."""
    client = place.client()
    with place.world.site.ledger.engine.begin() as connection:
        connection.execute(update(meta).values(software_version="99.0"))
    before = place.world.site.ledger.log_recorder.head().size
    refused = client.post("/database/backup")
    assert refused.status_code == 503
    assert "update backup-ledger" in refused.json()["detail"]
    assert client.put("/database/settings/1", json={"keep_count": 3}).status_code == 503
    assert place.world.site.ledger.log_recorder.head().size == before
    assert client.get("/database/backups").status_code == 200


def test_the_console_shows_a_zone_that_nobody_knows(place: Place) -> None:
    """The page of the schedule, the list and the overview; and another zone can be set."""
    place.world.configure(1)
    with place.world.site.read_models.engine.begin() as connection:
        connection.execute(update(backup_settings).values(timezone="Mars/Olympus"))
    client = log_in(place, "operator")
    for path in ("/console", "/console/schedules", "/console/schedules/1"):
        page = client.get(path)
        assert page.status_code == 200, path
    assert "Mars/Olympus" in page.text
    form = fields_of(client, "/console/schedules/1")
    wanted = {"enabled": "yes", "backup_time": "03:00", "keep_count": "7", "timezone": "UTC"}
    answer = client.post("/console/schedules/1", data=form | wanted | {"frequency": "daily"})
    assert answer.status_code == 303
