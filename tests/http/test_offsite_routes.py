"""Off-site copies over HTTP: shown to who may see them, made and checked as jobs, without a key."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from commands.offsite.add import NewDestination, add_destination
from commands.offsite.repository.seal import new_identity, recipient_of
from tests.commands.world import titles_in
from tests.http.conftest import Place, finished

IDENTITIES = (new_identity(), new_identity())


@pytest.fixture
def copied(place: Place, tmp_path: Path) -> Place:
    """With the destination `nas`, and a backup of user 1 that is copied there."""
    world = place.world
    recipients = tuple(recipient_of(each) for each in IDENTITIES)
    wanted = NewDestination(f"file://{tmp_path}/nas", "nas", recipients, IDENTITIES)
    add_destination(world.site, world.context(), wanted)
    client = place.client()
    client.post("/database/backup", json={"filename": "one", "user_id": 1})
    done = finished(client, client.post("/database/offsite/nas/copy"))
    assert [each["filename"] for each in done["result"]["copies"]] == ["one.db"]
    assert done["result"]["failed"] == []
    return place


def with_identity(place: Place, tmp_path: Path) -> None:
    """The service has a key, as one that holds drills."""
    file = tmp_path / "identity.txt"
    file.write_text(IDENTITIES[0])
    file.chmod(0o600)
    site = place.world.site
    site.configuration = site.configuration.model_copy(update={"offsite_identity": file})


def test_where_each_destination_stands(copied: Place) -> None:
    """The keys of `offsite status --json`; and of one its copies."""
    client = copied.client("auditor")
    (found,) = client.get("/database/offsite").json()["destinations"]
    assert (found["name"], found["copies"], found["missing"]) == ("nas", 1, 0)
    assert found["ledger_size"] > 0
    shown = client.get("/database/offsite/nas").json()
    assert shown["recipients"] == [recipient_of(each) for each in IDENTITIES]
    assert [each["filename"] for each in shown["copies"]] == ["one.db"]
    assert client.get("/database/offsite/elsewhere").status_code == 404


def test_the_copies_of_a_backup_lead_to_their_objects_and_their_event(
    copied: Place, tmp_path: Path
) -> None:
    """Its owner sees them; another user does not see that there is such a backup."""
    one, two = copied.client("user", 1), copied.client("user", 2)
    (copy,) = one.get("/database/backups/one.db/copies").json()["copies"]
    assert (tmp_path / "nas" / copy["manifest"]).is_file()
    assert (tmp_path / "nas" / copy["pack_list"]).is_file()
    event = copied.client().get(f"/database/audit/events/{copy['event_position']}").json()
    assert event["event_type"] == "backup_offsite.copy_completed"
    assert event["details"]["packs_root"] == copy["packs_root"]
    assert two.get("/database/backups/one.db/copies").status_code == 404


def test_verifying_takes_no_key_from_a_request(copied: Place, tmp_path: Path) -> None:
    """What needs one answers 409 until the service has its own."""
    client = copied.client("auditor")
    path = "/database/offsite/nas/verify"
    done = finished(client, client.post(path, json={"level": "digest"}))
    assert done["result"]["ok"] is True
    refused = client.post(path, json={"level": "drill"})
    assert refused.status_code == 409
    assert "offsite_identity" in refused.json()["detail"]
    assert client.post(path, json={"identity": IDENTITIES[0]}).status_code == 422
    assert client.post(path, json={"part": 3, "parts": 2}).status_code == 422
    with_identity(copied, tmp_path)
    done = finished(client, client.post(path, json={"level": "drill"}))
    assert [each["level"] for each in done["result"]["copies"]] == ["drill"]
    assert finished(client, client.post(path, json={"due": True}))["result"]["copies"] == []


def test_collecting_says_what_would_go(copied: Place) -> None:
    """With `dry_run` nothing is done; an auditor may do neither."""
    client, path = copied.client(), "/database/offsite/nas/collect"
    before = copied.world.site.ledger.log_recorder.head().size
    planned = finished(client, client.post(path, json={"dry_run": True}))["result"]
    assert (planned["dry_run"], planned["condemned_copies"]) == (True, [])
    done = finished(client, client.post(path))["result"]
    assert (done["dry_run"], done["deleted_copies"]) == (False, 0)
    events = copied.world.site.ledger.recorded(after=before)
    assert [each.event.event_type for each in events if "token" not in each.event.event_type] == []


def test_a_restore_from_a_copy_uses_the_configured_key(copied: Place, tmp_path: Path) -> None:
    """409 without it; a destination or a backup that is not there is said before the job."""
    client, path = copied.client(), "/database/backups/one.db/restore"
    refused = client.post(path, json={"from": "nas"})
    assert refused.status_code == 409, refused.text
    assert (
        client.post(
            "/database/restore", json={"backup_filename": "one.db", "from": "nas"}
        ).status_code
        == 409
    )
    with_identity(copied, tmp_path)
    assert client.post(path, json={"from": "elsewhere"}).status_code == 404
    assert client.post("/database/backups/two.db/restore", json={"from": "nas"}).status_code == 404
    before = titles_in(copied.world.database)
    (copied.world.backups / "one.db").unlink()
    done = finished(client, client.post(path, json={"from": "nas"}))
    assert done["state"] == "done", done
    assert done["result"]["restored"] is True
    restored = client.post("/database/restore", json={"backup_filename": "one.db", "from": "nas"})
    assert restored.status_code == 200, restored.text
    assert titles_in(copied.world.database) == before


def test_no_answer_and_no_record_has_a_key(copied: Place, tmp_path: Path) -> None:
    with_identity(copied, tmp_path)
    client = copied.client()
    finished(client, client.post("/database/offsite/nas/verify", json={"level": "drill"}))
    text = json.dumps(
        [client.get(f"/database{path}").json() for path in ("/offsite", "/offsite/nas", "/jobs")]
    )
    records = [row.record for row in copied.world.site.ledger.records() if row.record]
    assert IDENTITIES[0] not in text
    assert not any(IDENTITIES[0].encode() in each for each in records)
