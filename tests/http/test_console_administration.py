"""Tokens and notifications in the browser: seen by operators and auditors, managed by operators."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest

from commands.http import create_app
from commands.upkeep.tokens import TokenBook
from ledger.clock import SystemClock
from ledger.events.housekeeping import TokenCreated, TokenRevoked
from tests.commands.world import World, make_database
from tests.http.conftest import Place
from tests.http.in_process import client_of
from tests.http.test_console import fields_of, log_in


def test_an_operator_makes_a_token_that_is_shown_once_and_revokes_it(place: Place) -> None:
    """It lets in at once, its use is seen, and after its end it lets nobody in."""
    client = log_in(place, "operator")
    wanted = {"role": "user", "user": "1", "expires": "2999-01-01"}
    form = fields_of(client, "/console/tokens") | wanted
    made = client.post("/console/tokens", data=form)
    assert made.status_code == 200
    assert made.headers["cache-control"] == "no-store"
    [text] = re.findall(r"blt_[\w-]{43}", made.text)
    assert client.post("/console/tokens", data=form).status_code == 303  # sent twice: made once
    page = client.get("/console/tokens").text
    assert text not in page
    assert "2999-01-01 00:00" in page
    token = TokenBook(place.world.site.ledger).all()[-1]
    assert (token.role, token.user) == ("user", 1)
    assert token.created_by.startswith("operator ")
    row = re.compile(rf'title="{token.token_id}".*?</tr>', re.DOTALL)
    assert "not since then" in row.findall(page)[0]
    reader = client_of(place.app)
    reader.headers["Authorization"] = f"Bearer {text}"
    assert reader.get("/database/settings/1").status_code == 404  # let in; there are none
    assert "not since then" not in row.findall(client.get("/console/tokens").text)[0]
    path = f"/console/tokens/{token.token_id}/revoke"
    for told in ("was revoked: it lets nobody in", "was revoked before"):
        client.post(path, data=fields_of(client, "/console/tokens"))
        assert told in client.get("/console/tokens").text
    assert reader.get("/database/settings/1").status_code == 401
    assert len(place.world.recorded(TokenRevoked)) == 1
    unknown = client.post("/console/tokens/x/revoke", data=fields_of(client, "/console"))
    assert unknown.status_code == 404


@pytest.mark.parametrize(
    ("wanted", "told"),
    [
        ({"role": "user"}, "Give the user&#39;s number"),
        ({"role": "operator", "user": "1"}, "Give the user&#39;s number"),
        ({"role": "user", "user": "99999999999999999999"}, "is not the number of a user"),
        ({"role": "operator", "expires": "2001-01-01"}, "which has passed"),
        ({"role": "operator", "expires": "soon"}, "&#39;soon&#39; is no"),
        ({"role": "king"}, "is not a role"),
    ],
)
def test_a_wrong_token_is_not_made(place: Place, wanted: dict[str, str], told: str) -> None:
    client = log_in(place, "operator")
    before = len(place.world.recorded(TokenCreated))
    answer = client.post("/console/tokens", data=fields_of(client, "/console/tokens") | wanted)
    assert answer.status_code == 422
    assert told in answer.text
    assert len(place.world.recorded(TokenCreated)) == before


def test_an_auditor_sees_and_a_user_does_not(place: Place) -> None:
    auditor, user = log_in(place, "auditor"), log_in(place, "user", 1)
    for name in ("tokens", "notifications"):
        assert auditor.get(f"/console/{name}").status_code == 200
        assert user.get(f"/console/{name}").status_code == 403
    for path in ("tokens", "tokens/x/revoke", "notifications/test"):
        hidden = fields_of(auditor, "/console")
        assert auditor.post(f"/console/{path}", data=hidden).status_code == 403
    assert "Make a token" not in auditor.get("/console/tokens").text
    assert "No one is notified" in auditor.get("/console/notifications").text


def test_a_test_message_says_why_it_did_not_arrive(tmp_path: Path) -> None:
    """Each target's last result is shown, and nothing of its address."""
    make_database(tmp_path / "app.db")
    urls = ("json://reader:s3cret@127.0.0.1:9/hush",)  # this port takes nothing
    options = {"notify_urls": urls, "ping_failure_url": "https://ping.example/s3cret"}
    world = World(tmp_path, SystemClock(), options)
    place = Place(world, create_app(world.open()))
    client = log_in(place, "operator")
    page = client.get("/console/notifications").text
    assert "target 1 (json)" in page
    assert "not tried" in page
    job = client.post("/console/notifications/test", data=fields_of(client, "/console"))
    for _ in range(500):
        found = client.get(job.headers["location"]).text
        if "did not take" in found:
            break
        time.sleep(0.02)
    assert "1 of 1 target did not take the message. target 1 (json): NotDelivered" in found
    page = client.get("/console/notifications").text
    assert "not taken" in page
    assert "NotDelivered" in page
    assert "ping.example" in page
    assert not {"s3cret", "hush", "reader"} & set(re.findall(r"\w+", page + found))
    place.app.state.served.close()
    world.close()
