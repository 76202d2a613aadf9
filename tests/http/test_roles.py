"""Who may do what: three roles, two users who see nothing of each other, and nobody."""

from __future__ import annotations

from datetime import timedelta

import httpx
import pytest

from commands.site import actors
from commands.upkeep.tokens import create_token, revoke_token
from ledger.events.catalog import HoldReleased
from ledger.events.retention import RetentionApplied
from tests.http.conftest import Place, finished
from tests.http.in_process import client_of

WRITES = [
    ("POST", "/database/backup"),
    ("POST", "/database/optimize"),
    ("POST", "/database/restore"),
    ("DELETE", "/database/backups/a.db"),
    ("POST", "/database/backups/a.db/hold"),
    ("DELETE", "/database/backups/a.db/hold"),
    ("POST", "/database/backups/a.db/accept"),
    ("POST", "/database/backups/a.db/restore"),
    ("POST", "/database/backups/a.db/download"),
    ("POST", "/database/backups/a.db/tables/restore"),
    ("POST", "/database/retention"),
    ("POST", "/database/retention/cleanup-empty"),
    ("POST", "/database/retention/cleanup-protected"),
    ("POST", "/database/backup/schedule"),
    ("DELETE", "/database/backup/schedule"),
    ("PUT", "/database/settings/1"),
    ("POST", "/database/settings/1/pause"),
    ("POST", "/database/settings/1/resume"),
    ("POST", "/database/projections/audit_trail/rebuild"),
    ("POST", "/database/offsite/nas/copy"),
    ("POST", "/database/offsite/nas/collect"),
    ("POST", "/database/trouble/run"),
    ("POST", "/database/trouble/reconcile"),
]
WRITTEN = {"reason": "x", "backup_filename": "a.db", "tables": ["cases"]}
BEYOND_A_USER = [
    ("GET", "/database/stats"),
    ("POST", "/database/optimize"),
    ("POST", "/database/restore"),
    ("POST", "/database/backups/a.db/accept"),
    ("GET", "/database/scheduler/stats"),
    ("GET", "/database/settings"),
    ("GET", "/database/audit/log"),
    ("GET", "/database/audit/follow"),
    ("GET", "/database/audit/events/1"),
    ("GET", "/database/audit/events/1/proof"),
    ("GET", "/database/audit/checkpoint"),
    ("POST", "/database/audit/checkpoint"),
    ("POST", "/database/audit/verify"),
    ("POST", "/database/audit/export"),
    ("GET", "/database/projections"),
    ("GET", "/database/offsite"),
    ("GET", "/database/offsite/nas"),
    ("POST", "/database/offsite/nas/verify"),
    ("POST", "/database/projections/audit_trail/diff"),
    ("GET", "/database/trouble"),
    ("POST", "/database/trouble/run"),
    ("POST", "/database/trouble/verify"),
    ("POST", "/database/trouble/reconcile"),
    ("POST", "/database/retention/cleanup-empty"),
    ("GET", "/metrics"),
]


def test_an_auditor_changes_nothing(place: Place) -> None:
    """Every route that writes refuses, and the ledger stays as long as it was."""
    client = place.client("auditor")
    before = place.world.site.ledger.log_recorder.head().size
    for method, path in WRITES:
        answer = client.request(method, path, json=WRITTEN)
        assert answer.status_code == 403, (method, path, answer.text)
    assert place.world.site.ledger.log_recorder.head().size == before


def test_a_user_is_refused_what_is_everybodys(place: Place) -> None:
    """403 beyond the role, as problem+json."""
    client = place.client("user", 1)
    for method, path in BEYOND_A_USER:
        answer = client.request(method, path, json={})
        assert answer.status_code == 403, (method, path, answer.text)
        assert answer.headers["content-type"] == "application/problem+json"


def test_another_users_things_are_not_there(place: Place) -> None:
    """404 for the backup, the settings, the runs and the job of somebody else; empty lists."""
    one, two = place.client("user", 1), place.client("user", 2)
    name = one.post("/database/backup").json()["filename"]
    one.post("/database/backup/schedule", json={})
    job = one.post(f"/database/backups/{name}/verify").json()["job_id"]
    for method, path in [
        ("GET", f"/database/backups/{name}"),
        ("GET", f"/database/backups/{name}/details"),
        ("DELETE", f"/database/backups/{name}"),
        ("POST", f"/database/backups/{name}/hold"),
        ("POST", f"/database/backups/{name}/verify"),
        ("GET", "/database/settings/1"),
        ("PUT", "/database/settings/1"),
        ("POST", "/database/settings/1/pause"),
        ("GET", "/database/settings/1/preview"),
        ("GET", "/database/backup/schedule?user_id=1"),
        ("GET", "/database/runs?user_id=1"),
        ("GET", "/database/retention?user_id=1"),
        ("POST", "/database/retention?user_id=1"),
        ("GET", f"/database/jobs/{job}"),
        ("GET", f"/database/jobs/{job}/events"),
    ]:
        body = {"reason": "mine now"} if path.endswith("/hold") else {}
        answer = two.request(method, path, json=body if method in ("POST", "PUT") else None)
        assert answer.status_code == 404, (method, path, answer.text)
    assert two.get("/database/backups?all=true").json()["backups"] == []
    assert two.get("/database/jobs").json()["jobs"] == []
    assert two.post("/database/backup", json={"user_id": 1}).status_code == 403
    assert one.get(f"/database/backups/{name}").status_code == 200


def test_a_user_gets_names_and_no_path_of_the_server(place: Place) -> None:
    """In lists, single backups and problems; an operator gets the paths."""
    one, folder = place.client("user", 1), str(place.world.folder)
    made = one.post("/database/backup", json={"filename": "mine"}).json()
    assert (made["path"], made["metadata"]["filepath"]) == ("mine.db", "mine.db")
    for path in ("", "?all=true", "/mine.db", "/mine.db/details", "/mine.db/copies"):
        assert folder not in one.get(f"/database/backups{path}").text
    place.world.database.rename(place.world.folder / "moved.db")
    refused = one.post("/database/backup", json={"filename": "again"})
    assert (refused.status_code >= 400, folder in refused.text) == (True, False), refused.text
    assert folder in place.client().get("/database/backups/mine.db").json()["filepath"]


def test_rows_are_compared_for_operators_only(place: Place) -> None:
    """An auditor gets the counts; what stands in the tables is everybody's data."""
    place.client().post("/database/backup", json={"filename": "first"})
    auditor, path = place.client("auditor"), "/database/backups/first.db/diff"
    counted = finished(auditor, auditor.post(path))
    (table,) = counted["result"]["tables"]
    assert (table["name"], table["changed"], "rows" in table) == ("cases", 0, False)
    assert auditor.post(path, json={"table": "cases"}).status_code == 403
    assert place.client("user", 1).post(path).status_code == 403


def test_the_tokens_owner_is_the_actor_in_the_ledger(place: Place) -> None:
    """A user acts under the user's id, an operator under the token's."""
    site = place.world.site
    text, token = create_token(site, site.context(actors.operator()), "operator")
    operator = place.stranger()
    operator.headers["Authorization"] = f"Bearer {text}"
    operator.post("/database/backup", json={"user_id": 7})
    place.client("user", 3).post("/database/backup")
    wanted = "/database/audit/log?type=backup_catalog.backup_created"
    events = operator.get(wanted).json()["events"]
    assert [each["record"]["actor"] for each in events] == [
        {"id": "3", "kind": "user"},
        {"id": token.token_id, "kind": "operator"},
    ]
    assert [each["record"]["user_id"] for each in events] == ["3", "7"]


def test_a_token_that_is_no_good_gets_a_challenge_and_then_a_pause(place: Place) -> None:
    """401 with WWW-Authenticate; after ten tries 429, which does not lock out who is right."""
    good = place.client("operator")
    bad = place.stranger()
    bad.headers["Authorization"] = "Bearer blt_wrong"
    answers = [bad.get("/database/stats") for _ in range(11)]
    assert {each.status_code for each in answers[:10]} == {401}
    assert "Bearer" in answers[0].headers["www-authenticate"]
    assert answers[10].status_code == 429
    assert int(answers[10].headers["retry-after"]) > 0
    assert good.get("/database/stats").status_code == 200
    assert place.stranger().get("/database/stats").status_code == 401


def test_a_token_ends_when_it_is_revoked_and_when_it_expires(place: Place) -> None:
    """At once, also at this machine."""
    site = place.world.site
    context = site.context(actors.operator())
    text, token = create_token(site, context, "auditor", expires=context.now + timedelta(days=1))
    client = place.stranger()
    client.headers["Authorization"] = f"bearer {text}"
    assert client.get("/database/stats").status_code == 200
    revoke_token(site, context, token.token_id)
    assert client.get("/database/stats").status_code == 401
    assert place.stranger().get("/database/stats").status_code == 401


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "192.0.2.1"])
def test_nobody_is_let_in_without_a_token_not_even_at_this_machine(
    place: Place, address: str
) -> None:
    """Before a token was made and after; whatever a request claims of itself; health answers."""
    for _ in range(2):
        stranger = client_of(place.app, address=address)
        for headers in ({}, {"Origin": "http://localhost"}, {"X-Forwarded-For": "127.0.0.1"}):
            assert stranger.get("/database/backups", headers=headers).status_code == 401
            asked = stranger.post("/database/retention?keep_count=3", headers=headers)
            assert asked.status_code == 401
        assert stranger.get("/console").headers["location"] == "/console/login"
        assert stranger.get("/console/api/jobs").status_code == 401
        assert stranger.get("/metrics").status_code == 401
        assert stranger.get("/health").status_code == 200
        place.token("operator")
    assert place.world.recorded(RetentionApplied) == []


def test_a_user_verifies_and_holds_what_is_the_users_own(place: Place) -> None:
    """Own backups can be looked after."""
    client = place.client("user", 5)
    name = client.post("/database/backup").json()["filename"]
    job = finished(client, client.post(f"/database/backups/{name}/verify", json={"level": "drill"}))
    assert (job["state"], job["result"]["ok"]) == ("done", True)
    held = client.post(f"/database/backups/{name}/hold", json={"reason": "needed"})
    assert held.status_code == 201
    assert client.delete(f"/database/backups/{name}").status_code == 403
    assert client.delete(f"/database/backups/{name}/hold").json()["released_count"] == 1
    assert client.delete(f"/database/backups/{name}").status_code == 200


def test_a_user_does_not_undo_an_operators_hold(place: Place) -> None:
    """403 for the release and for the delete, over the API and on the console's page."""
    operator, user = place.client("operator"), place.client("user", 1)
    operator.post("/database/backup", json={"filename": "case-0117", "user_id": 1})
    hold = "/database/backups/case-0117.db/hold"
    assert operator.post(hold, json={"reason": "order of the court"}).status_code == 201
    refused = user.delete(hold)
    assert refused.status_code == 403
    assert "operator" in refused.json()["detail"]
    assert user.delete("/database/backups/case-0117.db?force=true").status_code == 403
    assert place.world.recorded(HoldReleased) == []
    assert operator.delete(hold).json()["released_count"] == 1


@pytest.mark.parametrize("role", ["user", "operator"])
@pytest.mark.parametrize("name", ["pre_migration_x", "pre_restore_backup_x", "auto_backup_user2_x"])
def test_no_name_makes_a_backup_protected_or_another_users(
    place: Place, role: str, name: str
) -> None:
    """The beginnings are reserved for everybody who chooses a name."""
    client = place.client(role, 1 if role == "user" else None)
    refused = client.post("/database/backup", json={"filename": name})
    assert refused.status_code == 422
    assert "reserved" in refused.json()["detail"]
    assert place.world.files() == set()


def test_a_name_in_use_does_not_say_whose(place: Place) -> None:
    """Names are one space for all users: the refusal tells that, and nothing of the other."""
    place.client("user", 1).post("/database/backup", json={"filename": "plan"})
    two = place.client("user", 2)
    refused = two.post("/database/backup", json={"filename": "plan"})
    assert refused.status_code == 409
    assert refused.json()["detail"] == "the name 'plan.db' is in use; choose another name"
    assert two.get("/database/backups/plan.db").status_code == 404


def test_every_route_needs_a_caller(place: Place) -> None:
    """Whatever is added: without a token nothing but health answers."""
    client = place.stranger()
    paths = client.get("/database/openapi.json").json()["paths"]
    assert len(paths) > 30
    for path, methods in paths.items():
        for method in methods:
            answer: httpx.Response = client.request(method, path.replace("{position}", "1"))
            expected = 200 if path in ("/health", "/ready") else 401
            assert answer.status_code == expected, (method, path)
