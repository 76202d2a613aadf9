"""Erased records over HTTP and in the console: told from others, and never given as their bytes."""

from __future__ import annotations

from commands.erasure.find import Person
from commands.schedules.settings import pause
from tests.commands.erasure.office import USER, erase_all
from tests.http.conftest import Place
from tests.http.test_console import log_in


def erased(place: Place) -> int:
    """User 1's pause was erased; its position."""
    site = place.world.site
    place.world.configure(1)
    pause(site, site.context(USER), 1, "on holiday in Rome")
    done = erase_all(site, Person(user=1))
    return done.plan.positions[-1]


def test_an_erased_record_is_gone(place: Place) -> None:
    """410, which says where to look; also for a cache that has its ETag."""
    client = place.client("auditor")
    place.world.configure(1)
    site = place.world.site
    pause(site, site.context(USER), 1, "on holiday in Rome")
    position = site.ledger.log_recorder.head().size
    url = f"/database/audit/events/{position}"
    tag = client.get(url).headers["etag"]
    erase_all(site, Person(user=1))
    for headers in ({}, {"If-None-Match": tag}):
        answer = client.get(url, headers=headers)
        assert answer.status_code == 410
        assert "ledger.record_redacted" in answer.json()["detail"]
    assert client.get(f"{url}/proof").status_code in (200, 404, 409)


def test_lists_and_followers_are_told(place: Place) -> None:
    """What stands in for the record, and that it does."""
    position = erased(place)
    client = place.client("auditor")
    events = client.get("/database/audit/log?limit=100").json()["events"]
    marked = [each for each in events if each.get("erased")]
    assert position in [each["position"] for each in marked]
    assert "Rome" not in str(events)
    told = client.get(f"/database/audit/follow?after={position - 1}&limit=1").text
    assert f"id: {position}\nevent: erased\n" in told


def test_the_console_says_that_it_was_erased(place: Place) -> None:
    """With what was kept, and not as the record."""
    position = erased(place)
    page = log_in(place, "operator").get(f"/console/audit/events/{position}").text
    assert "This record was erased on request" in page
    assert "What was kept of the erased record" in page
    assert "Rome" not in page
