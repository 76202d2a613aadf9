"""The ledger over HTTP: pages, records verbatim, proofs that check, jobs."""

from __future__ import annotations

import io
import json
import zipfile
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from commands.audit import log as audit_log
from commands.audit.keys import parse_public_key
from commands.audit.watch import look
from commands.audit.watched_places import LedgerService
from commands.health.facts import status_facts
from commands.http.callers import Caller
from commands.http.console.watching.job_outcome import outcome_of
from commands.http.jobs import Job
from commands.http.routes import audit as audit_routes
from commands.scheduler.check import check as check_due
from ledger.clock import ManualClock
from ledger.errors import LedgerError
from ledger.tree.checkpoint import Checkpoint
from ledger.tree.signed_note import Note
from ledger.verify_evidence import Key, check
from tests.http.conftest import Place, finished


def test_pages_join_without_a_gap_in_both_directions(place: Place) -> None:
    """Cursor pages give every event once; an unfiltered and a filtered walk agree."""
    client = place.client()
    for user in range(1, 6):
        place.world.configure(user)
        place.world.configure(user, keep_count=3)
    everything = client.get("/database/audit/log?limit=1000&order=oldest").json()["events"]
    assert [each["position"] for each in everything] == list(range(1, len(everything) + 1))
    for order in ("newest", "oldest"):
        for extra, wanted in (
            ("", everything),
            (
                "&type=backup_scheduler.",
                [each for each in everything if "scheduler." in each["record"]["event_type"]],
            ),
            ("&user_id=3", [each for each in everything if each["record"]["user_id"] == "3"]),
            (
                "&text=KEEP_count",
                [each for each in everything if "keep_count" in json.dumps(each["record"])],
            ),
        ):
            walked, cursor = [], ""
            while True:
                url = f"/database/audit/log?limit=2&order={order}{extra}{cursor}"
                page = client.get(url).json()
                walked += page["events"]
                if page["next_cursor"] is None:
                    break
                cursor = f"&cursor={page['next_cursor']}"
            assert walked == (wanted if order == "oldest" else wanted[::-1]), (order, extra)


def test_a_record_is_given_byte_for_byte_and_never_changes(place: Place) -> None:
    """The stored bytes, an ETag, and 304 for who has them."""
    place.world.configure(1)
    client = place.client()
    stored = next(iter(place.world.site.ledger.records(after=0, up_to=1)))
    answer = client.get("/database/audit/events/1")
    assert answer.content == stored.record
    assert answer.headers["cache-control"] == "private, no-cache"  # it may be erased
    tag = answer.headers["etag"]
    again = client.get("/database/audit/events/1", headers={"If-None-Match": tag})
    assert (again.status_code, again.content) == (304, b"")
    assert client.get("/database/audit/events/99").status_code == 404
    assert client.get("/database/audit/events/99999999999999999999").status_code == 422


def test_checkpoint_and_proof_are_signed_by_the_key_that_is_set(place: Place) -> None:
    """As the command line writes them; the public key comes beside."""
    place.world.configure(1)
    client = place.client("auditor")
    key = parse_public_key(client.get("/database/audit/public-key").text.strip())
    answer = client.post("/database/audit/checkpoint")
    assert client.get("/database/audit/checkpoint").content == answer.content
    assert answer.headers["content-type"].startswith("text/plain")
    note = Note.from_bytes(answer.content)
    note.verify([key])
    checkpoint = Checkpoint.from_text(note.text)
    assert checkpoint.size == place.world.site.ledger.log_recorder.head().size
    proof = client.get("/database/audit/events/1/proof")
    assert proof.text.startswith("c2sp.org/tlog-proof@v1\n")


def test_asking_for_a_checkpoint_or_a_proof_signs_nothing(place: Place) -> None:
    """What was signed last is answered; what came later says how it gets signed."""
    place.world.configure(1)
    client = place.client("auditor")
    for path in ("checkpoint", "events/1/proof"):
        unsigned = client.get(f"/database/audit/{path}")
        assert unsigned.status_code == 404
        assert "POST /audit/checkpoint" in unsigned.json()["detail"]
    signed = client.post("/database/audit/checkpoint").text
    assert client.post("/database/audit/checkpoint").text == signed
    place.world.configure(2)
    last = place.world.site.ledger.log_recorder.head().size
    assert client.get("/database/audit/checkpoint").text == signed
    later = client.get(f"/database/audit/events/{last}/proof")
    assert later.status_code == 409
    assert f"position {last} is not signed yet" in later.json()["detail"]
    with place.world.site.ledger.engine.connect() as connection:
        kept = connection.execute(text("SELECT count(*) FROM ledger_checkpoints")).scalar_one()
    assert kept == 1
    assert client.post("/database/audit/checkpoint").text != signed
    assert client.get(f"/database/audit/events/{last}/proof").status_code == 200


def test_a_damaged_ledger_is_verified_page_by_page(place: Place) -> None:
    """As the command line does it: what is lost, what can be read, and what helps."""
    for user in range(1, 40):
        place.world.configure(user)
    client = place.client("auditor")
    ledger = place.world.backups / "ledger.sqlite"
    engine = place.world.site.ledger.engine
    with engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    engine.dispose()
    page = ledger.read_bytes().index(b'"stream":"schedule/20"') // 4096
    with ledger.open("r+b") as file:
        file.seek(page * 4096)
        file.write(b"\xee" * 4096)
    job = finished(client, client.post("/database/audit/verify"))
    assert job["state"] == "done", job
    assert job["result"]["ok"] is False
    assert job["result"]["findings"][0]["problem"] == "the ledger's file is damaged"
    assert "records can be read" in " ".join(job["result"]["notes"])
    assert "ledger salvage" in " ".join(job["result"]["notes"])


def test_no_problem_shows_a_password(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a driver says of its URL: in the answer of a request, and of a job."""
    secret = "hunter2/x"  # noqa: S105
    urls = f"postgresql://ada:{secret}@db/x and postgresql://db/x?password={secret}"

    def fails(*_: object, **__: object) -> None:
        raise LedgerError(f"cannot open {urls}: no route to host")

    monkeypatch.setattr(audit_routes, "audit_page", fails)
    monkeypatch.setattr(audit_routes, "verify_ledger", fails)
    client = place.client("auditor")
    asked = client.get("/database/audit/log").json()["detail"]
    job = finished(client, client.post("/database/audit/verify"))
    for told in (asked, job["problem"]["detail"]):
        assert "hunter2" not in told
        assert told.endswith("no route to host")


def test_an_auditor_verifies_and_exports_a_bundle_that_checks(place: Place) -> None:
    """Both as jobs; the export is recorded with the auditor as its actor."""
    place.world.configure(1)
    client = place.client("auditor")
    verified = finished(client, client.post("/database/audit/verify"))
    assert verified["result"]["ok"] is True
    assert "no signature, and nothing from outside" in verified["result"]["verdict"]
    job = finished(client, client.post("/database/audit/export", json={}))
    assert job["state"] == "done", job
    answer = client.get(f"/database/jobs/{job['job_id']}/file")
    bundle = place.world.folder / "bundle.zip"
    bundle.write_bytes(answer.content)
    assert zipfile.is_zipfile(io.BytesIO(answer.content))
    assert check(str(bundle), Key(job["result"]["public_key"]))
    newest = client.get("/database/audit/log?type=ledger.evidence_exported").json()["events"][0]
    assert newest["record"]["actor"]["kind"] == "auditor"


def test_read_models_are_listed_compared_and_folded_anew(place: Place) -> None:
    """As the command line does it; an unknown one is not found."""
    place.world.configure(1)
    client = place.client()
    names = [each["name"] for each in client.get("/database/projections").json()["projections"]]
    assert "audit_trail" in names
    compared = finished(client, client.post("/database/projections/audit_trail/diff"))
    assert compared["result"]["ok"] is True
    rebuilt = finished(client, client.post("/database/projections/audit_trail/rebuild"))
    assert rebuilt["result"][0]["name"] == "audit_trail"
    assert client.post("/database/projections/nothing/rebuild").status_code == 404


def test_a_restore_runs_as_a_job_and_says_what_it_kept(place: Place) -> None:
    """Its plan first; its progress as server-sent events; what failed is a problem."""
    client = place.client()
    name = client.post("/database/backup").json()["filename"]
    plan = client.get(f"/database/backups/{name}/restore").json()
    assert (plan["mode"], plan["keeps_current"]) == ("transaction", True)
    started = client.post(f"/database/backups/{name}/restore")
    job = finished(client, started)
    assert job["result"]["restored"] is True
    told = client.get(f"/database/jobs/{job['job_id']}/events").text
    assert told.startswith("event: end\ndata: ")
    place.world.site.store.path(name).write_bytes(b"rotten" * 100)
    failed = finished(client, client.post(f"/database/backups/{name}/restore"))
    assert failed["state"] == "failed"
    assert "damaged" in failed["problem"]["detail"]


def test_following_begins_after_the_last_event_that_was_seen(place: Place) -> None:
    """Last-Event-ID wins over the address; ids are positions."""
    for user in (1, 2, 3):
        place.world.configure(user)
    client = place.client()
    told = client.get("/database/audit/follow?after=0&limit=2", headers={"Last-Event-ID": "1"}).text
    assert [line for line in told.splitlines() if line.startswith("id:")] == ["id: 2", "id: 3"]


def test_metrics_and_readiness_answer(place: Place) -> None:
    """Numbers for an auditor's scraper; 503 where the folder is gone."""
    client = place.client("auditor")
    answer = client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert "# TYPE backup_ledger_" in answer.text
    assert client.get("/ready").json()["status"] == "ready"
    place.world.site._store = None
    refused = client.get("/ready")
    assert (refused.status_code, refused.headers["content-type"]) == (
        503,
        "application/problem+json",
    )


def test_runs_are_paged_newest_first_with_each_filter(place: Place) -> None:
    """Everybody's, a user's, and those of an outcome; one by its id."""
    world = place.world
    for user in (1, 2, 3):
        world.configure(user)
    site = world.site
    later = site.clock.now() + timedelta(days=2)
    due = ManualClock(later)
    site.clock = site.ledger.clock = due
    check_due(site)
    client = place.client()
    page = client.get("/database/runs?limit=2").json()
    rest = client.get(f"/database/runs?limit=2&cursor={page['next_cursor']}").json()
    all_users = page["runs"] + rest["runs"]
    assert sorted(each["user_id"] for each in all_users) == [1, 2, 3]
    own = place.client("user", 2).get("/database/runs").json()["runs"]
    assert [each["user_id"] for each in own] == [2]
    operator = place.client("operator")
    assert len(operator.get("/database/runs?outcome=completed").json()["runs"]) == 3
    assert operator.get("/database/runs?outcome=failed").json()["runs"] == []
    assert operator.get(f"/database/runs/{own[0]['run_id']}").json() == own[0]
    assert place.client("user", 1).get(f"/database/runs/{own[0]['run_id']}").status_code == 404


def test_a_resource_is_a_stream_a_type_or_an_id(place: Place) -> None:
    """Each finds the events of the thing, and nothing else's."""
    for user in (1, 2):
        place.world.configure(user)
    client = place.client()
    name = client.post("/database/backup").json()["metadata"]["backup_id"]
    for resource, count in (
        ("schedule/2", 1),
        ("2", 1),
        ("backup_scheduler", 2),
        (name, 1),
        ("ledger", 2),
        ("nothing", 0),
    ):
        found = client.get(f"/database/audit/log?resource={resource}").json()
        assert found["count"] == count, resource


def test_a_verification_says_what_it_checked_and_the_console_says_the_same(place: Place) -> None:
    """The configured key is used; the sentence names the signatures that were checked."""
    place.world.configure(1)
    client = place.client("auditor")
    assert client.post("/database/audit/checkpoint").status_code == 200
    job = finished(client, client.post("/database/audit/verify"))
    verdict = job["result"]["verdict"]
    assert "1 checkpoint kept in the ledger, 1 of 1 signatures checked" in verdict
    auditor = Caller("a", "auditor")
    done = Job("verify_ledger", auditor, place.world.clock.now(), state="done")
    done.result = job["result"]
    outcome = outcome_of(done, auditor)
    assert outcome is not None
    assert (outcome.tone, outcome.text) == ("ok", verdict)
    with place.world.site.ledger.engine.begin() as connection:
        connection.execute(text("UPDATE ledger_checkpoints SET size = size + 1"))
    job = finished(client, client.post("/database/audit/verify"))
    assert job["result"]["ok"] is False
    assert job["result"]["verdict"].startswith("The ledger is NOT what it was: 1 problem found")
    last = status_facts(place.world.site, place.world.clock.now())["ledger"]
    assert last["verified_findings"] == 1


def test_a_search_says_how_far_it_looked(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """And goes on from there."""
    monkeypatch.setattr(audit_log, "TEXT_LOOKS", 2)
    for user in range(1, 6):
        place.world.configure(user)
    client = place.client()
    page = client.get("/database/audit/log?text=no+such+text").json()
    assert (page["count"], page["looked_at"]) == (0, 2)
    assert page["next_cursor"] is not None
    assert "looked_at" not in client.get("/database/audit/log").json()


def test_a_watcher_follows_the_service(place: Place, tmp_path: Path) -> None:
    """Checkpoint and proof come from the routes; another history is found by them."""
    client = place.client("auditor")

    def fetch(path: str) -> bytes | None:
        answer = client.get(f"/database/{path}")
        return answer.content if answer.status_code == 200 else None

    service, state = LedgerService("the service", fetch), tmp_path / "watcher" / "state"
    key = parse_public_key(client.get("/database/audit/public-key").text.strip())
    sizes = []
    for user in range(1, 4):
        place.world.configure(user)
        assert client.post("/database/audit/checkpoint").status_code == 200
        found = look(service, key, state, place.world.clock.now(), timedelta(hours=48))
        sizes.append((found.before, found.size))
    assert sizes[0][0] is None
    assert [before for before, _ in sizes[1:]] == [size for _, size in sizes[:-1]]
    size = sizes[-1][1]
    assert client.get(f"/database/audit/consistency?first=1&second={size + 9}").status_code == 404
    assert client.get("/database/audit/consistency?first=0&second=1").status_code == 422
    assert (
        place.client("user", 1).get("/database/audit/consistency?first=1&second=2").status_code
        == 403
    )
