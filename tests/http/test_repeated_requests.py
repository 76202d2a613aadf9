"""The same Idempotency-Key asks for the same command once more, and it is done once."""

from __future__ import annotations

import os

from commands.http import create_app
from commands.http.idempotency import FOLDER
from tests.http.conftest import Place
from tests.http.in_process import client_of

KEY = {"Idempotency-Key": "8d7c0a5e"}


def test_a_retry_gets_the_first_answer_also_after_a_restart(place: Place) -> None:
    """One backup, two equal answers; the second says that it is a repetition."""
    before = place.client()
    first = before.post("/database/backup", headers=KEY)
    place.world.reopen()
    app = create_app(place.world.site)
    client = client_of(app)
    client.headers["Authorization"] = before.headers["Authorization"]
    again = client.post("/database/backup", headers=KEY)
    assert (again.status_code, again.json()) == (201, first.json())
    assert again.headers["idempotent-replayed"] == "true"
    assert client.get("/database/backups").json()["count"] == 1
    app.state.served.close()


def test_a_command_that_was_killed_before_its_answer_is_found_in_the_ledger(place: Place) -> None:
    """The events carry a correlation that follows from caller and key."""
    client = place.client()
    client.post("/database/backup", headers=KEY)
    (kept,) = (place.world.backups / FOLDER).iterdir()
    begun = kept.read_text().partition(', "status"')[0] + "}"
    kept.write_text(begun)  # as if the process had ended before it could keep the answer
    again = client.post("/database/backup", headers=KEY)
    assert again.status_code == 409
    assert len(again.json()["positions"]) >= 1
    assert client.get("/database/backups").json()["count"] == 1


def test_a_command_that_was_killed_before_it_did_anything_is_done(place: Place) -> None:
    """Nothing in the ledger has the correlation: it runs."""
    client = place.client()
    client.put("/database/settings/1", json={}, headers=KEY)
    (kept,) = (place.world.backups / FOLDER).iterdir()
    os.truncate(kept, 0)
    assert client.put("/database/settings/1", json={}, headers=KEY).status_code == 200


def test_a_key_is_for_one_request_of_one_caller(place: Place) -> None:
    """Another body under the same key is refused; another caller's key is another key."""
    one, two = place.client("user", 1), place.client("user", 2)
    assert one.put("/database/settings/1", json={"keep_count": 3}, headers=KEY).status_code == 200
    other = one.put("/database/settings/1", json={"keep_count": 4}, headers=KEY)
    assert other.status_code == 422
    assert two.put("/database/settings/2", json={}, headers=KEY).status_code == 200
    assert two.get("/database/settings/2").json()["user_id"] == 2


def test_a_refused_command_may_be_tried_again_under_its_key(place: Place) -> None:
    """Only what was done is kept."""
    client = place.client()
    assert client.post("/database/backups/a.db/hold", json={"reason": "x"}, headers=KEY).is_error
    client.post("/database/backup", json={"filename": "a"})
    held = client.post("/database/backups/a.db/hold", json={"reason": "x"}, headers=KEY)
    assert held.status_code == 201
    assert client.get("/database/backups/a.db", headers={"Idempotency-Key": ""}).is_success
    assert client.post("/database/backup", headers={"Idempotency-Key": "a" * 300}).is_error
