"""Who may do what: three roles, two users who see nothing of each other, and nobody."""

from __future__ import annotations

from datetime import timedelta

import httpx

from commands.site import actors
from commands.upkeep.tokens import create_token, revoke_token
from tests.http.conftest import Place, finished
from tests.http.in_process import client_of

WRITES = [
    ("POST", "/database/backup"),
    ("POST", "/database/optimize"),
    ("POST", "/database/restore"),
    ("DELETE", "/database/backups/a.db"),
    ("POST", "/database/backups/a.db/hold"),
    ("DELETE", "/database/backups/a.db/hold"),
    ("POST", "/database/backups/a.db/restore"),
    ("POST", "/database/retention"),
    ("POST", "/database/retention/cleanup-empty"),
    ("POST", "/database/retention/cleanup-protected"),
    ("POST", "/database/backup/schedule"),
    ("DELETE", "/database/backup/schedule"),
    ("PUT", "/database/settings/1"),
    ("POST", "/database/settings/1/pause"),
    ("POST", "/database/settings/1/resume"),
    ("POST", "/database/projections/audit_trail/rebuild"),
]
BEYOND_A_USER = [
    ("GET", "/database/stats"),
    ("POST", "/database/optimize"),
    ("POST", "/database/restore"),
    ("GET", "/database/scheduler/stats"),
    ("GET", "/database/settings"),
    ("GET", "/database/audit/log"),
    ("GET", "/database/audit/follow"),
    ("GET", "/database/audit/events/1"),
    ("GET", "/database/audit/events/1/proof"),
    ("GET", "/database/audit/checkpoint"),
    ("POST", "/database/audit/verify"),
    ("POST", "/database/audit/export"),
    ("GET", "/database/projections"),
    ("POST", "/database/projections/audit_trail/diff"),
    ("POST", "/database/retention/cleanup-empty"),
    ("GET", "/metrics"),
]


def test_an_auditor_changes_nothing(place: Place) -> None:
    """Every route that writes refuses, and the ledger stays as long as it was."""
    client = place.client("auditor")
    before = place.world.site.ledger.log_recorder.head().size
    for method, path in WRITES:
        answer = client.request(method, path, json={"reason": "x", "backup_filename": "a.db"})
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


def test_the_tokens_owner_is_the_actor_in_the_ledger(place: Place) -> None:
    """A user acts under the user's id, an operator under the token's."""
    site = place.world.site
    text, token = create_token(site, site.context(actors.operator()), "operator")
    operator = place.client()
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
    bad = place.client()
    bad.headers["Authorization"] = "Bearer blt_wrong"
    answers = [bad.get("/database/stats") for _ in range(11)]
    assert {each.status_code for each in answers[:10]} == {401}
    assert "Bearer" in answers[0].headers["www-authenticate"]
    assert answers[10].status_code == 429
    assert int(answers[10].headers["retry-after"]) > 0
    assert good.get("/database/stats").status_code == 200
    assert place.client().get("/database/stats").status_code == 401


def test_a_token_ends_when_it_is_revoked_and_when_it_expires(place: Place) -> None:
    """At once; and from then on one is needed, also at this machine."""
    site = place.world.site
    context = site.context(actors.operator())
    text, token = create_token(site, context, "auditor", expires=context.now + timedelta(days=1))
    client = place.client()
    client.headers["Authorization"] = f"bearer {text}"
    assert client.get("/database/stats").status_code == 200
    revoke_token(site, context, token.token_id)
    assert client.get("/database/stats").status_code == 401
    assert place.client().get("/database/stats").status_code == 401


def test_without_a_token_only_this_machine_is_believed(place: Place) -> None:
    """No forged request, no name that was bent to 127.0.0.1, no proxy's guests."""
    client = place.client()
    for headers, status in (
        ({}, 200),
        ({"Origin": "http://localhost"}, 200),
        ({"Content-Type": "application/json; charset=utf-8"}, 200),
        ({"Host": "evil.example"}, 401),
        ({"X-Forwarded-For": "192.0.2.1"}, 401),
        ({"Forwarded": "for=192.0.2.1"}, 401),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Content-Type": "text/plain"}, 415),
        ({"Content-Type": "application/x-www-form-urlencoded"}, 415),
    ):
        answer = client.post("/database/retention?keep_count=3", headers=headers)
        assert answer.status_code == status, (headers, answer.text)
    assert client.post("/database/retention?keep_count=3", content=b"{}").status_code == 415


def test_without_a_token_another_machine_is_refused(place: Place) -> None:
    """An address that is not loopback needs a token."""
    far = client_of(place.app, address="192.0.2.1")
    assert far.get("/database/backups").status_code == 401
    assert far.get("/health").status_code == 200
    assert far.get("/metrics").status_code == 401


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


def test_every_route_needs_a_caller(place: Place) -> None:
    """Whatever is added: without a token nothing but health answers."""
    place.token("operator")
    client = place.client()
    paths = client.get("/database/openapi.json").json()["paths"]
    assert len(paths) > 30
    for path, methods in paths.items():
        for method in methods:
            answer: httpx.Response = client.request(method, path.replace("{position}", "1"))
            expected = 200 if path in ("/health", "/ready") else 401
            assert answer.status_code == expected, (method, path)
