"""The console's door: sessions, forged forms, what is done twice, and what is escaped."""

from __future__ import annotations

import re
import time
from datetime import timedelta
from typing import Any

import httpx
import pytest

from commands.site import actors
from commands.upkeep.tokens import revoke_token, token_id_of
from ledger.events.catalog import BackupCreated, HoldPlaced
from tests.http.conftest import Place
from tests.http.in_process import client_of

FORM = {"content-type": "application/x-www-form-urlencoded"}


def log_in(place: Place, role: str, user: int | None = None) -> httpx.Client:
    """A visitor with a session."""
    client = client_of(place.app)
    answer = client.post("/console/login", data={"token": place.token(role, user)})
    assert answer.status_code == 303
    assert answer.headers["location"] == "/console"
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    client.headers["Cookie"] = cookie.partition(";")[0]
    return client


def job_page(client: httpx.Client, started: httpx.Response) -> str:
    """The page of a job that a form started, once it is over."""
    path = started.headers["location"]
    for _ in range(2000):
        if client.get(f"/console/api{path.removeprefix('/console')}").json()["ended_at"]:
            return client.get(path).text
        time.sleep(0.01)
    raise AssertionError(f"the job does not end: {path}")


def fields_of(client: httpx.Client, path: str) -> dict[str, Any]:
    """The hidden fields that a page's forms have."""
    text = client.get(path).text
    found = {name: re.search(rf'name="{name}" value="([^"]*)"', text) for name in _HIDDEN}
    return {name: match[1] for name, match in found.items() if match is not None}


_HIDDEN = ("csrf", "form_key")


def test_nobody_comes_in_without_a_session(place: Place) -> None:
    """Every page leads to the login, and back to where one wanted to go."""
    place.token("operator")
    stranger = client_of(place.app)
    answer = stranger.get("/console/runs?outcome=failed")
    assert answer.status_code == 303
    assert answer.headers["location"] == "/console/login?next=%2Fconsole%2Fruns%3Foutcome%3Dfailed"
    assert stranger.get("/console/api/jobs").status_code == 401
    asked = {"token": place.token("operator"), "next": "/console/runs?outcome=failed"}
    answer = stranger.post("/console/login", data=asked)
    assert answer.headers["location"] == "/console/runs?outcome=failed"
    assert stranger.get("/").headers["location"] == "/console"


@pytest.mark.parametrize("onward", ["//evil.example", "https://evil.example", "/database", "x"])
def test_a_login_leads_nowhere_else(place: Place, onward: str) -> None:
    asked = {"token": place.token("operator"), "next": onward}
    answer = client_of(place.app).post("/console/login", data=asked)
    assert answer.headers["location"] == "/console"


def test_a_session_ends_with_its_token(place: Place) -> None:
    """Revoked: the next page asks for another one. So does a session that was left alone."""
    client = log_in(place, "operator")
    assert client.get("/console").status_code == 200
    site = place.world.site
    token_id = token_id_of(place.token("operator"))
    for token in {token_id, *_tokens_of(place)}:
        assert token is not None
        revoke_token(site, site.context(actors.operator()), token)
    assert client.get("/console").headers["location"] == "/console/login"


def test_saving_a_schedule_keeps_its_cron_expression(place: Place) -> None:
    """The form has it; emptied, frequency and time take its place again."""
    place.world.configure(3, cron="0 3 * * MON#1")
    client = log_in(place, "operator")
    assert 'value="0 3 * * MON#1"' in client.get("/console/schedules/3").text
    form = {"frequency": "weekly", "backup_time": "04:00", "timezone": "UTC", "enabled": "yes"}
    form |= {"keep_count": "5", "cron": "0 3 * * MON#1"}
    for cron, frequency in [("0 3 * * MON#1", "monthly"), ("", "weekly")]:
        hidden = fields_of(client, "/console/schedules/3")
        saved = client.post("/console/schedules/3", data=form | hidden | {"cron": cron})
        assert saved.status_code == 303
        schedule = place.world.schedule(3)
        assert (schedule.cron, schedule.frequency) == (cron or None, frequency)


def test_logging_out_ends_the_session(place: Place) -> None:
    client = log_in(place, "auditor")
    hidden = fields_of(client, "/console")
    assert client.post("/console/logout", data=hidden).headers["location"] == "/console/login"
    assert client.get("/console").status_code == 303


def test_failed_logins_are_slowed_down_with_those_of_the_api(place: Place) -> None:
    """Ten tries a minute from one address, wherever they were made."""
    place.token("operator")
    stranger = client_of(place.app)
    for _ in range(5):
        refused = stranger.post("/console/login", data={"token": "blt_wrong"})
        assert refused.status_code == 401
        assert "blt_wrong" not in refused.text
        wrong = {"Authorization": "Bearer blt_wrong"}
        assert stranger.get("/database/stats", headers=wrong).status_code == 401
    answer = stranger.post("/console/login", data={"token": "blt_wrong"})
    assert answer.status_code == 429
    assert "too many" in answer.text


def test_a_forged_form_does_nothing(place: Place) -> None:
    """Without the page's own secret, with another session's, from another site, or as JSON."""
    place.client("operator").post("/database/backup", json={"filename": "kept"})
    client, other = log_in(place, "operator"), log_in(place, "operator")
    path, reason = "/console/backups/kept.db/hold", {"reason": "x"}
    good = fields_of(client, "/console/backups/kept.db")
    assert client.post(path, data=reason).status_code == 403
    assert client.post(path, data=reason | {"csrf": good["csrf"] + "x"}).status_code == 403
    assert other.post(path, data=reason | good).status_code == 403
    for headers in ({"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}):
        assert client.post(path, data=reason | good, headers=headers).status_code == 403
    assert client.post(path, json=reason | good).status_code == 415
    assert client.post("/console/api/backup", data=good).status_code == 405
    assert place.world.recorded(HoldPlaced) == []
    assert client.post(path, data=reason | good).status_code == 303
    assert len(place.world.recorded(HoldPlaced)) == 1


def test_a_form_that_is_sent_twice_is_done_once(place: Place) -> None:
    """An impatient second click takes no second backup, and says so."""
    client = log_in(place, "operator")
    form = fields_of(client, "/console/backups")
    first = client.post("/console/backups", data=form)
    again = client.post("/console/backups", data=form)
    assert again.status_code == 303
    shown = job_page(client, first)
    assert "nothing was done twice" in shown
    assert "was made and checked." in shown
    assert len(place.world.recorded(BackupCreated)) == 1


def test_whatever_was_stored_is_shown_as_text(place: Place) -> None:
    """Names, reasons and errors with markup in them stay text on every page that shows them."""
    place.world.configure(1)
    name = "<img src=x onerror=alert(1)>.db"
    owner = place.client("operator")
    made = owner.post("/database/backup", json={"filename": name, "user_id": 1})
    assert made.json()["filename"] == name
    client = log_in(place, "operator")
    shown = f"/console/backups/{httpx.URL('', params={'n': name}).query.decode()[2:]}"
    page = shown.replace("+", "%20")
    hold = fields_of(client, page) | {"reason": "<script>alert(2)</script>"}
    assert client.post(f"{page}/hold", data=hold).status_code == 303
    for path in (page, f"{page}/restore", "/console/backups", "/console/backups/<b>nothing</b>"):
        text = client.get(path).text
        assert "<img src=x" not in text
        assert "<script>alert" not in text
        assert "<b>nothing" not in text
    assert "&lt;script&gt;alert(2)" in client.get(page).text


@pytest.mark.parametrize(
    "path",
    [
        "/console/schedules?state=x",
        "/console/schedules?user=%2B5",
        "/console/schedules?user=%D9%A1",
        "/console/schedules/0",
        "/console/backups?cursor=99999999999999999999",
        "/console/backups?cursor=999999999999999999-1",
        "/console/backups?cursor=x",
        "/console/backups?status=x",
        "/console/runs?cursor=-1",
        "/console/runs?outcome=x",
        "/console/schedules/new?user=",
    ],
)
def test_nonsense_in_an_address_is_a_page_that_says_so(place: Place, path: str) -> None:
    answer = log_in(place, "operator").get(path)
    assert answer.status_code == 422
    assert answer.headers["content-type"].startswith("text/html")


def test_pages_are_not_kept_and_load_nothing_from_elsewhere(place: Place) -> None:
    answer = log_in(place, "operator").get("/console")
    assert answer.headers["cache-control"] == "no-store"
    policy = answer.headers["content-security-policy"]
    assert "unsafe" not in policy
    assert "default-src 'none'" in policy
    assert re.search(r'(src|href)="(https?:)?//', answer.text) is None
    assert " style=" not in answer.text
    static = re.findall(r'(?:src|href)="(/console/static/[^"]+)"', answer.text)
    assert static
    for each in static:
        assert "immutable" in place.stranger().get(each).headers["cache-control"]
    assert log_in(place, "operator").get("/console/static/..%2Fpage.py").status_code == 404


def test_a_session_that_is_left_alone_ends(place: Place) -> None:
    """Twelve hours by the clock that does not jump."""
    from commands.http.console.session import IDLE_SECONDS, Sessions  # noqa: PLC0415

    sessions = Sessions()
    text, made = sessions.begin("token", 0.0)
    assert sessions.find(text, IDLE_SECONDS) is made
    assert sessions.find(text, 2 * IDLE_SECONDS + timedelta(seconds=1).total_seconds()) is None
    assert sessions.find(text, 0.0) is None


def _tokens_of(place: Place) -> list[str]:
    from commands.upkeep.tokens import TokenBook  # noqa: PLC0415

    return [each.token_id for each in TokenBook(place.world.site.ledger).all()]


def test_an_event_that_is_not_signed_yet_can_be_signed_there(place: Place) -> None:
    """Looking signs nothing; the button does."""
    place.world.configure(1)
    client = log_in(place, "auditor")
    path = "/console/audit/events/1"
    page = client.get(path).text
    assert "No checkpoint is signed yet" in page
    assert "Prove it</button>" not in page
    assert client.get("/console/api/audit/checkpoint").status_code == 404
    assert client.post(f"{path}/sign", data=fields_of(client, path)).status_code == 303
    assert "Prove it</button>" in client.get(path).text
    place.world.configure(2)
    last = place.world.site.ledger.log_recorder.head().size
    assert "this event came later" in client.get(f"/console/audit/events/{last}").text


def test_what_is_kept_longer_is_set_in_the_form(place: Place) -> None:
    """By weeks and years; an empty field stays as it is, a wrong one is named."""
    client = log_in(place, "operator")
    path = "/console/schedules/1"
    form = fields_of(client, path) | {"enabled": "yes", "keep_count": "5"}
    assert (
        client.post(path, data=form | {"keep_weekly": "4", "keep_yearly": "2"}).status_code == 303
    )
    schedule = place.world.schedule()
    assert (schedule.keep_weekly, schedule.keep_yearly, schedule.keep_daily) == (4, 2, 0)
    page = client.get(path).text
    assert re.search(r'name="keep_weekly" type="number" min="0" max="1000" value="4"', page)
    form = fields_of(client, path) | {"enabled": "yes", "keep_count": "6", "keep_weekly": ""}
    assert client.post(path, data=form).status_code == 303
    assert (place.world.schedule().keep_count, place.world.schedule().keep_weekly) == (6, 4)
    form = fields_of(client, path) | {"enabled": "yes", "keep_daily": "1001"}
    refused = client.post(path, data=form)
    assert refused.status_code == 422
    assert "keep_daily" in refused.text
