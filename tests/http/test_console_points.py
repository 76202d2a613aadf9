"""Restore points: the calendar, what differs, and other ways to a backup's content."""

from __future__ import annotations

import html
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from commands.http import create_app
from ledger.clock import ManualClock
from ledger.events.catalog import BackupDownloaded
from ledger.events.restoring import TableRestored
from tests.commands.world import World, add_case, make_database, titles_in
from tests.http.conftest import Place
from tests.http.test_console import fields_of, log_in
from tests.http.test_console_lists import job_of

START = datetime(2025, 1, 30, 9, 0, tzinfo=UTC)


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """Four days over the end of a month: a backup each day, and a row more after each."""
    folder = tmp_path_factory.mktemp("points")
    make_database(folder / "app.db", rows=2, users=2)
    clock = ManualClock(START)
    world = World(folder, clock)
    place = Place(world, create_app(world.open()))
    owner = place.client("operator")
    for day in range(4):
        name, user = f"day{day}", day % 2 + 1
        answer = owner.post("/database/backup", json={"filename": name, "user_id": user})
        assert answer.is_success
        add_case(world.database, f"after {name}")
        clock.advance(timedelta(days=1))
    yield place
    place.app.state.served.close()
    world.close()


@pytest.fixture(scope="module")
def operator(office: Place) -> httpx.Client:
    return log_in(office, "operator")


def squares(page: httpx.Response) -> dict[str, int]:
    """The days of the calendar that have backups, and how many."""
    found = re.findall(r'aria-label="\w+ ([0-9-]+): ([0-9]+) good backup', page.text)
    return {day: int(number) for day, number in found}


def test_the_calendar_shows_the_days_that_have_good_backups(
    office: Place, operator: httpx.Client
) -> None:
    """Month by month, of everybody or of one; a chosen day names its backups."""
    page = operator.get("/console/restore-points")
    assert "February 2025" in page.text
    assert squares(page) == {"2025-02-01": 1, "2025-02-02": 1}
    earlier = html.unescape(re.findall(r'href="([^"]*)" rel="prev"', page.text)[0])
    page = operator.get(earlier)
    assert squares(page) == {"2025-01-30": 1, "2025-01-31": 1}
    day = html.unescape(re.findall(r'href="([^"]*)#day"', page.text)[0])
    assert "day=2025-01-30" in day
    page = operator.get(day)
    assert "day0.db</a>" in page.text
    assert 'aria-current="date"' in page.text
    assert squares(operator.get("/console/restore-points?month=2025-01&user=1")) == {
        "2025-01-30": 1
    }
    assert squares(operator.get("/console/restore-points?month=2024-12")) == {}
    later = operator.get("/console/restore-points?until=2025-04-01")
    assert squares(later) == {"2025-02-01": 1, "2025-02-02": 1}
    own = log_in(office, "user", 2).get("/console/restore-points?month=2025-01")
    assert squares(own) == {"2025-01-31": 1}
    assert "day0.db" not in own.text


@pytest.mark.parametrize(
    ("until", "expected"),
    [
        ("2025-01-31", "day1.db"),
        ("2025-01-31 08:59", "day0.db"),
        ("2025-02-02T09:00Z", "day3.db"),
        ("2025-01-29", None),
    ],
)
def test_the_last_good_backup_before_a_moment_is_found(
    operator: httpx.Client, until: str, expected: str | None
) -> None:
    """A date means its end."""
    page = operator.get("/console/restore-points", params={"until": until})
    found = re.search(r'href="/console/backups/([^"/]*)/restore"', page.text)
    assert (None if found is None else found[1]) == expected
    assert ("no good backup before that" in page.text) is (expected is None)


@pytest.mark.parametrize("field", ["until", "month", "day"])
def test_a_wrong_moment_keeps_the_other_fields(operator: httpx.Client, field: str) -> None:
    page = operator.get("/console/restore-points", params={field: "2025-13-01", "user": "2"})
    assert page.status_code == 422
    assert 'name="user" value="2"' in page.text
    assert squares(page) == {}


def test_two_backups_are_compared_then_the_rows_of_a_table(
    office: Place, operator: httpx.Client
) -> None:
    """Tables are counted for an auditor too; rows take an operator."""
    compare = "/console/compare"
    form = fields_of(operator, compare) | {"older": "day0.db", "newer": "@2025-02-01"}
    job = job_of(operator, operator.post(compare, data=form))
    assert (job["result"]["older"], job["result"]["newer"]) == ("day0.db", "day2.db")
    counted = {each["name"]: each["added"] for each in job["result"]["tables"]}
    assert counted == {"cases": 2, "users": 0}
    hidden = fields_of(operator, compare)
    form = {"older": "latest", "newer": "live", "table": "cases"}
    job = job_of(operator, operator.post(compare, data=hidden | form))
    assert job["result"]["tables"][0]["rows"][0]["after"]["title"] == "after day3"
    assert "after day3" in job["page"]
    assert "/console/backups/day3.db/tables?table=cases" in job["page"]
    auditor = log_in(office, "auditor")
    form = fields_of(auditor, compare) | {"older": "day0.db", "newer": "live"}
    assert "Put back" not in job_of(auditor, auditor.post(compare, data=form))["page"]
    form = fields_of(auditor, compare) | {"older": "day0.db", "table": "cases"}
    assert auditor.post(compare, data=form).status_code == 403
    form = fields_of(operator, compare) | {"older": "nothing", "newer": "live"}
    refused = operator.post(compare, data=form)
    assert refused.status_code == 422
    assert 'value="nothing"' in refused.text
    assert log_in(office, "user", 1).get(compare).status_code == 403


def test_a_table_is_put_back_after_it_was_counted_and_its_name_typed(
    office: Place, operator: httpx.Client
) -> None:
    path = "/console/backups/day1.db/tables"
    with closing(sqlite3.connect(office.world.database)) as connection:
        connection.execute("UPDATE cases SET title = 'spoilt' WHERE id = 1")
        connection.commit()
    page = operator.get(path)
    assert "<option>cases</option>" in page.text
    wanted = {"table": "cases", "mode": "in_place"}
    job = job_of(operator, operator.post(path, data=fields_of(operator, path) | wanted))
    assert job["result"]["tables"][0]["rows_changed"] == 1
    assert titles_in(office.world.database)[0] == "spoilt"
    wrong = fields_of(operator, path) | wanted | {"confirmation": "case"}
    assert operator.post(path, data=wrong).status_code == 422
    assert office.world.recorded(TableRestored) == []
    typed = fields_of(operator, path) | wanted | {"confirmation": "cases"}
    job = job_of(operator, operator.post(path, data=typed))
    assert job["result"]["message"] == "1 table put back from day1.db"
    assert job["result"]["pre_restore_backup"]["filename"] in job["page"]
    titles = titles_in(office.world.database)
    assert titles[0] == "case 0"
    assert "after day3" in titles
    assert log_in(office, "auditor").get(path).status_code == 403


def test_a_backup_is_restored_beside_and_downloaded(office: Place, operator: httpx.Client) -> None:
    """A new file, never over another; a download is recorded and its address works once."""
    here = "/console/backups/day0.db"
    form = fields_of(operator, here) | {"filename": "look"}
    job = job_of(operator, operator.post(f"{here}/beside", data=form))
    assert "The database is as it was" in job["page"]
    look = office.world.database.with_name("look.db")
    assert titles_in(look) == ["case 0", "case 1"]
    for name in ("look", "../x", "app"):
        form = fields_of(operator, here) | {"filename": name}
        refused = operator.post(f"{here}/beside", data=form)
        assert refused.status_code in (409, 422), (name, refused.status_code)
    assert titles_in(look) == ["case 0", "case 1"]
    answer = operator.post(f"{here}/download", data=fields_of(operator, here))
    assert answer.status_code == 303
    fetched = operator.get(answer.headers["location"])
    assert fetched.content == office.world.site.store.path("day0.db").read_bytes()
    assert "attachment" in fetched.headers["content-disposition"]
    assert operator.get(answer.headers["location"]).status_code == 404
    assert len(office.world.recorded(BackupDownloaded)) == 1
    auditor = log_in(office, "auditor")
    assert auditor.post(f"{here}/download", data=fields_of(auditor, here)).status_code == 403
