"""Times of a schedule stand in its zone, marked where clocks change; a visitor chooses another."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from commands.http import create_app
from commands.schedules.settings import pause, resume
from ledger.clock import ManualClock
from projections.folds.run import Run
from projections.queries.schedules import runs_page
from tests.commands.world import World, make_database
from tests.http.conftest import Place
from tests.http.test_console import fields_of, log_in

SPRING = datetime(2025, 3, 28, 12, tzinfo=UTC)
"""Two days before the clocks of Europe are put forward."""


@pytest.fixture
def spring(tmp_path: Path) -> Iterator[Place]:
    make_database(tmp_path / "app.db", users=3)
    world = World(tmp_path, ManualClock(SPRING))
    app = create_app(world.open())
    world.configure(1, backup_time="02:30", timezone="Europe/Berlin")
    yield Place(world, app)
    app.state.served.close()
    world.close()


def rows_of(client: httpx.Client, path: str) -> list[str]:
    """The next runs as text, a line each."""
    page = client.get(path).text.partition('id="runs"')[2].partition("</table>")[0]
    rows = page.split("<tr>")[1:]
    return [" ".join(re.sub(r"<[^>]*>", " ", each).split()) for each in rows]


def test_runs_are_in_the_schedules_zone_with_utc_beside(spring: Place) -> None:
    """The hour that the clocks skip is marked on its day, and on no other."""
    client = log_in(spring, "user", 1)
    heading, *runs = rows_of(client, "/console/schedules/1")
    assert heading.startswith("Europe/Berlin, and UTC")
    assert runs[0].startswith("Sat 2025-03-29 02:30 CET 03-29 01:30 UTC in ")
    assert runs[1].startswith(
        "Sun 2025-03-30 03:00 CEST 03-30 01:00 UTC the clocks skip 02:30 that day"
    )
    assert runs[2].startswith("Mon 2025-03-31 02:30 CEST 03-31 00:30 UTC")
    assert (
        "In Europe/Berlin it is 13:00 CET now (12:00 UTC)"
        in client.get("/console/schedules/1").text
    )


def test_a_preview_marks_the_hour_that_comes_twice_and_explains_months(spring: Place) -> None:
    spring.world.advance(days=211)  # 25 October, 12:00
    client = log_in(spring, "operator")
    asked = "enabled=yes&frequency=daily&backup_time=02:30&keep_count=3&timezone=Europe/Berlin"
    path = f"/console/schedules/2/preview?{asked}"
    assert "02:30 comes twice that day: the first" in rows_of(client, path)[1]
    assert "every 30 days" not in client.get(path).text
    assert "every 30 days" in client.get(path.replace("daily", "monthly")).text
    site = spring.world.site
    site.configuration = site.configuration.model_copy(update={"calendar_months": True})
    monthly = path.replace("daily", "monthly")
    assert "every 30 days" not in client.get(monthly).text
    spring.world.advance(days=98)  # 31 January
    client = log_in(spring, "operator")
    assert "the month has no day 31" in rows_of(client, monthly)[1]


def test_a_run_and_its_backup_are_in_the_zone_of_their_user(spring: Place) -> None:
    """For an operator too; in the list, each run in its own."""
    spring.world.advance(days=1)
    spring.world.check()
    [run] = runs_of(spring.world)
    [backup] = spring.world.present(1)
    client = log_in(spring, "operator")
    assert ">2025-03-29 02:30 CET<" in client.get("/console/runs").text
    assert ">2025-03-29 02:30:00 CET<" in client.get(f"/console/runs/{run.run_id}").text
    assert ">2025-03-29 13:00:00 CET<" in client.get(f"/console/backups/{backup.filename}").text


def runs_of(world: World) -> list[Run]:
    with world.site.read_models.reading() as connection:
        return runs_page(connection, None, None, before=None, limit=10)[0]


def test_a_visitor_chooses_in_whose_zone_times_are(spring: Place) -> None:
    """The schedule's at first, UTC, or the browser's; kept in a cookie, and named."""
    client = log_in(spring, "user", 1)
    session = client.headers["Cookie"]
    path = "/console/schedules/1"

    def choose(**form: str) -> str:
        hidden = fields_of(client, path)
        referer = {"Referer": f"http://localhost{path}"}
        answer = client.post("/console/times", data=form | hidden, headers=referer)
        if answer.status_code == 303:
            assert answer.headers["location"] == path
            client.headers["Cookie"] = (
                f"{session}; {answer.headers['set-cookie'].partition(';')[0]}"
            )
        return client.get(path).text if answer.status_code == 303 else answer.text

    next_run = re.compile(r"<dt>Next run</dt><dd><time[^>]*>([^<]*)<")

    def shown(page: str) -> str:
        found = next_run.search(page)
        assert found is not None
        return found[1]

    assert shown(client.get(path).text) == "2025-03-29 02:30 CET"
    utc = choose(times="utc")
    assert shown(utc) == "2025-03-29 01:30"
    assert "times are UTC" in utc
    tokyo = choose(times="local", zone="Asia/Tokyo")
    assert shown(tokyo) == "2025-03-29 10:30 JST"
    assert "times are yours, Asia/Tokyo" in tokyo
    assert "03-29 10:30" in rows_of(client, path)[1]  # and the schedule's own zone stays
    points = client.get("/console/restore-points?until=2025-03-28").text
    assert "Moment (Asia/Tokyo)" in points
    assert "2025-03-28 14:59 UTC" in points  # the end of that day in Tokyo
    assert "is not known here" in choose(times="local", zone="<b>")
    assert "is not a choice" in choose(times="mars")
    assert shown(choose(times="schedule")) == "2025-03-29 02:30 CET"
    client.headers["Cookie"] = f"{session}; backup_ledger_times=local:../../x"
    assert shown(client.get(path).text) == "2025-03-29 02:30 CET"


def test_typed_times_are_in_the_readers_zone_and_a_date_is_all_of_its_day(spring: Place) -> None:
    """In the audit log and the time machine: 13:00 in Berlin is 12:00 in UTC."""
    auditor = log_in(spring, "auditor")
    audit = "/console/audit?type=backup_scheduler.settings_created"
    for asked, is_found in (
        ("since=2025-03-28+12:00", True),
        ("since=2025-03-28+12:01", False),
        ("since=2025-03-28&until=2025-03-28", True),
        ("since=2025-03-01&until=2025-03-27", False),
    ):
        text = auditor.get(f"{audit}&{asked}").text
        assert ("Nothing of this is recorded" not in text) is is_found, asked
        assert ("Verify the whole ledger</b>" in text) is not is_found
    auditor.headers["Cookie"] += "; backup_ledger_times=local:Europe/Berlin"
    text = auditor.get(f"{audit}&since=2025-03-28+13:00").text
    assert "Since (Europe/Berlin)" in text
    assert "2025-03-28 12:00 UTC" in text
    assert "Nothing of this is recorded" not in text
    assert "Nothing of this" in auditor.get(f"{audit}&since=2025-03-28+13:01").text
    before = auditor.get("/console/time-machine?at=2025-03-28+12:59").text
    assert "before the first event" in before
    assert "2025-03-28 12:00 UTC" in auditor.get("/console/time-machine?at=2025-03-28").text


def test_a_schedule_says_since_when_and_why_it_stands_still(spring: Place) -> None:
    """Paused with its note, disabled, failing: the event, its actor and its time."""
    world, client = spring.world, log_in(spring, "operator")
    where = re.compile(r'<p class="notice (\w+) wrap">(.*?)</p>', re.DOTALL)

    def reason(of: httpx.Client) -> tuple[str, str] | None:
        found = where.search(of.get("/console/schedules/1").text.partition("state-title")[2])
        return None if found is None else (found[1], re.sub(r"<[^>]*>", "", found[2]))

    assert reason(client) is None
    pause(world.site, world.context(), 1, "moving house")
    found = reason(client)
    assert found is not None
    assert found[0] == "warn"
    assert found[1].startswith("2025-03-28 13:00:00 CET, ")
    assert "moving house" in found[1]
    own = reason(log_in(spring, "user", 1))
    assert own is not None
    assert own[1].startswith("2025-03-28 13:00:00 CET, an operator: ")
    resume(world.site, world.context(), 1)
    assert reason(client) is None
    world.configure(1, enabled=False)
    disabled = reason(client)
    assert disabled is not None
    assert "enabled" in disabled[1]
    world.configure(1, enabled=True)
    world.database.rename(world.folder / "away.db")
    world.advance(days=1)
    world.check()
    (world.folder / "away.db").rename(world.database)
    client = log_in(spring, "operator")
    failing = reason(client)
    assert failing is not None
    assert failing[0] == "bad"
    assert "there is no database" in failing[1]
