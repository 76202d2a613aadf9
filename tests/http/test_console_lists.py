"""Lists of the console: filters, order, pages, names of users, CSV, and acts on many rows."""

from __future__ import annotations

import csv
import html
import io
import re
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest

from commands.http import create_app
from ledger.clock import SystemClock
from ledger.events.scheduling import SchedulePaused
from tests.commands.world import World, make_database
from tests.http.conftest import Place
from tests.http.in_process import client_of
from tests.http.test_console import fields_of, log_in

USERS = 60


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """Sixty users with names and schedules, three of them with a backup."""
    folder = tmp_path_factory.mktemp("office")
    database: Path = make_database(folder / "app.db", users=USERS)
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("ALTER TABLE users ADD COLUMN name TEXT")
        connection.execute("UPDATE users SET name = 'Person ' || id")
        connection.execute("UPDATE users SET name = '=Ada 100%' WHERE id = 7")
        connection.commit()
    world = World(folder, SystemClock(), {"user_name_column": "name"})
    for user in range(1, USERS + 1):
        world.configure(user)
    place = Place(world, create_app(world.open()))
    owner = place.client("operator")
    for name, user in (("beta", 7), ("alpha", 8), ("gamma", 9)):
        assert owner.post("/database/backup", json={"filename": name, "user_id": user}).is_success
    yield place
    place.app.state.served.close()
    world.close()


@pytest.fixture(scope="module")
def operator(office: Place) -> httpx.Client:
    return log_in(office, "operator")


def rows(page: httpx.Response) -> list[str]:
    """The first cell of each row of a list, as text."""
    assert page.status_code == 200, page.text
    cells = re.findall(r'<th scope="row"[^>]*>.*?<a href="[^"]*">(.*?)</a>', page.text, re.DOTALL)
    return [re.sub("<[^>]*>", "", each) for each in cells]


def link(page: httpx.Response, rel: str) -> str:
    found = re.search(rf'href="([^"]*)" rel="{rel}"', page.text)
    assert found is not None
    return found[1].replace("&amp;", "&")


def test_pages_go_forwards_and_back_in_any_order(operator: httpx.Client) -> None:
    """Every row once; and back to where one came from."""
    orders = (("", range(1, 61)), ("-user", range(60, 0, -1)), ("next", None), ("-last", None))
    for sort, expected in orders:
        first = operator.get(f"/console/schedules?sort={sort}")
        assert "60 schedules" in first.text
        second = operator.get(link(first, "next"))
        both = [int(each) for each in rows(first) + rows(second)]
        assert sorted(both) == list(range(1, 61))
        assert expected is None or both == list(expected)
        assert 'rel="next"' not in second.text
        back = operator.get(link(second, "prev"))
        assert rows(back) == rows(first)
        assert 'rel="prev"' not in back.text


@pytest.mark.parametrize(
    ("sort", "expected"),
    [("name", "abg"), ("-name", "gba"), ("made", "bag"), ("-made", "gab"), ("user", "bag")],
)
def test_backups_are_sorted_by_their_columns(
    operator: httpx.Client, sort: str, expected: str
) -> None:
    page = operator.get(f"/console/backups?sort={sort}")
    assert "".join(each[0] for each in rows(page)) == expected
    direction = "descending" if sort.startswith("-") else "ascending"
    assert page.text.count(f'aria-sort="{direction}"') == 1


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("user=8", ["alpha.db"]),
        ("user=PERSON+8", ["alpha.db"]),
        ("user=100%25", ["beta.db"]),
        ("user=_", []),
        ("user=nobody", []),
        ("name=BET", ["beta.db"]),
        ("name=bet&user=8", []),
        ("status=deleted", []),
    ],
)
def test_backups_are_found_by_name_and_user(
    operator: httpx.Client, query: str, expected: list[str]
) -> None:
    """A user by number or by name; `%` and `_` are signs like others."""
    page = operator.get(f"/console/backups?{query}")
    assert rows(page) == expected
    assert f"{len(expected)} backup" in page.text


def test_a_wrong_filter_is_named_and_the_others_are_kept(operator: httpx.Client) -> None:
    """What was typed stands in the form; nothing is listed as if it had been asked for."""
    for page, field, value in (
        ("backups", "status", "x"),
        ("backups", "sort", "x"),
        ("backups", "after", "x~y"),
        ("schedules", "state", "<b>"),
        ("runs", "outcome", "x"),
        ("runs", "before", "99999999999999999999~1"),
    ):
        answer = operator.get(f"/console/{page}", params={"user": "Person", field: value})
        assert answer.status_code == 422
        assert 'name="user" value="Person"' in answer.text
        assert '<th scope="row"' not in answer.text
        assert "Nothing is listed until this is corrected" in answer.text
        saved = operator.get(f"/console/{page}.csv", params={field: value})
        assert saved.status_code == (200 if field in ("after", "before") else 422)


def test_a_wrong_filter_of_the_log_keeps_the_others(operator: httpx.Client) -> None:
    """A time or a user that is none."""
    for field, value in (("since", "yesterday"), ("user", "Person 7")):
        answer = operator.get("/console/audit", params={"resource": "schedule/1", field: value})
        assert answer.status_code == 422
        assert 'name="resource" value="schedule/1"' in answer.text
        assert f'value="{value}"' in answer.text
        assert '<th scope="row"' not in answer.text


def test_a_list_is_saved_as_csv_with_its_filters(office: Place, operator: httpx.Client) -> None:
    """All rows, and no cell that a spreadsheet would compute; a user gets the user's own."""
    answer = operator.get("/console/schedules.csv?sort=-user")
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.headers["content-disposition"] == 'attachment; filename="schedules.csv"'
    found = list(csv.DictReader(io.StringIO(answer.text)))
    assert [int(each["user_id"]) for each in found] == list(range(60, 0, -1))
    assert found[53]["user_name"] == "'=Ada 100%"
    assert found[0]["next_backup_at"].endswith("Z")
    answer = operator.get("/console/backups.csv?user=Ada")
    assert [each["filename"] for each in csv.DictReader(io.StringIO(answer.text))] == ["beta.db"]
    assert operator.get("/console/runs.csv").text.count("\n") == 1
    log = operator.get("/console/audit.csv?resource=schedule/7&type=backup_scheduler.")
    assert log.text.splitlines()[1].split(",")[2:4] == ["backup_scheduler.settings_created", "7"]
    assert operator.get("/console/audit.csv?since=x").status_code == 422
    visitor = log_in(office, "user", 8)
    own = list(csv.DictReader(io.StringIO(visitor.get("/console/backups.csv").text)))
    assert [each["filename"] for each in own] == ["alpha.db"]
    assert visitor.get("/console/backups.csv?user=7").status_code == 404
    assert visitor.get("/console/schedules.csv").status_code == 403
    assert "Person" not in str(visitor.get("/console/backups?user=Person").text.split("<table")[1:])


def test_pages_are_shown_while_names_cannot_be_read(office: Place) -> None:
    """The application's database is away: numbers are shown, and a search by name says why not."""
    database = office.world.database
    away = database.with_name("away.db")
    client = client_of(office.app)
    client.headers["Cookie"] = log_in(office, "operator").headers["Cookie"]
    database.rename(away)
    try:
        assert len(rows(client.get("/console/schedules"))) == 50
        answer = client.get("/console/schedules?user=Ada")
        assert answer.status_code == 422
        assert "names cannot be read now" in answer.text
    finally:
        away.rename(database)


def chosen(client: httpx.Client, path: str, **fields: str) -> httpx.Response:
    """What the page that asks once more says of some rows."""
    return client.post(f"{path}/bulk", data=fields_of(client, path) | fields)


def confirmed(client: httpx.Client, page: httpx.Response, path: str, **fields: str) -> Any:
    """The job that the form of that page starts."""
    hidden = dict(re.findall(r'type="hidden" name="([^"]*)" value="([^"]*)"', page.text))
    hidden = {name: html.unescape(value) for name, value in hidden.items()} | fields
    answer = client.post(f"{path}/bulk", data=hidden)
    if answer.status_code != 303:
        return answer
    return job_of(client, answer)


def job_of(client: httpx.Client, answer: httpx.Response) -> dict[str, Any]:
    """What a job came to, with its page."""
    assert answer.status_code == 303, answer.text
    place = answer.headers["location"]
    for _ in range(2000):
        found: dict[str, Any] = client.get(f"/console/api/jobs/{place.rpartition('/')[2]}").json()
        if found["state"] in ("done", "failed"):
            return found | {"page": client.get(place).text}
        time.sleep(0.01)
    raise AssertionError("the job does not end")


def test_all_that_was_found_is_paused_and_resumed(office: Place, operator: httpx.Client) -> None:
    """Every row by the same command as alone, under one correlation."""
    path = "/console/schedules"
    page = chosen(operator, path, scope="all", act="pause", query="user=Person+1")
    assert "Pause 11 schedules" in page.text
    assert not office.world.schedule(10).paused
    job = confirmed(operator, page, path, note="moving")
    assert job["result"]["message"] == "11 schedules paused."
    assert "user_id" not in job["page"]
    events = office.world.events_of(SchedulePaused)
    assert len({each.correlation_id for each in events}) == 1
    assert sorted(int(each.resource_id) for each in events) == [1, *range(10, 20)]
    page = chosen(operator, path, act="resume", **{"pick.1": "yes", "pick.99": "yes"})
    job = confirmed(operator, page, path)
    assert [each["ok"] for each in job["result"]["rows"]] == [False, True]
    assert "99" in job["result"]["rows"][0]["text"]
    assert "1 schedule resumed, 1 not: see below." in job["page"]
    assert not office.world.schedule(1).paused


def test_backups_are_held_verified_and_deleted_many_at_once(
    office: Place, operator: httpx.Client
) -> None:
    """What is held stays, and the result says of each row what became of it."""
    path = "/console/backups"
    page = chosen(operator, path, act="hold", **{"pick.alpha.db": "yes"})
    assert confirmed(operator, page, path, reason=" ").status_code == 422
    page = chosen(operator, path, act="hold", **{"pick.alpha.db": "yes"})
    assert confirmed(operator, page, path, reason="a case")["result"]["ok"]
    page = chosen(operator, path, act="verify", scope="all")
    job = confirmed(operator, page, path, level="digest")
    assert {each["text"] for each in job["result"]["rows"]} == {"good: digest"}
    both = {"pick.alpha.db": "yes", "pick.gamma.db": "yes"}
    page = chosen(operator, path, act="delete", **both)
    assert "delete 2 backups" in page.text
    refused = confirmed(operator, page, path, confirmation="delete 3 backups")
    assert refused.status_code == 422
    assert len(office.world.present()) == 3
    job = confirmed(
        operator,
        chosen(operator, path, act="delete", **both),
        path,
        confirmation="delete 2 backups",
    )
    held, gone = job["result"]["rows"]
    assert (held["name"], held["ok"], gone["name"], gone["ok"]) == (
        "alpha.db",
        False,
        "gamma.db",
        True,
    )
    assert "held" in held["text"]
    assert [each.filename for each in office.world.present()] == ["alpha.db", "beta.db"]
    saved = operator.get(f"/console/api/jobs/{job['job_id']}/file").text
    assert "gamma.db,True,deleted" in saved


def test_a_list_that_changed_since_it_was_looked_at_is_looked_at_again(
    office: Place, operator: httpx.Client
) -> None:
    """All that was found means what was found: nothing that came later is deleted with it."""
    path = "/console/backups"
    page = chosen(operator, path, act="delete", scope="all")
    number = len(office.world.present())
    owner = office.client("operator")
    assert owner.post("/database/backup", json={"filename": "later"}).is_success
    typed = f"delete {number} backups"
    assert owner.delete("/database/backups/beta.db").is_success
    answer = confirmed(operator, page, path, confirmation=typed)
    assert answer.status_code == 422
    assert "has changed in the meantime" in answer.text
    assert "later.db" in [each.filename for each in office.world.present()]


def test_who_may_not_do_it_alone_may_not_do_it_to_many(office: Place) -> None:
    """An auditor verifies; a user acts on the user's own; nothing chosen is said."""
    path = "/console/backups"
    auditor = log_in(office, "auditor")
    assert chosen(auditor, path, act="delete", scope="all").status_code == 403
    assert "Verify" in chosen(auditor, path, act="verify", scope="all").text
    assert chosen(auditor, "/console/schedules", act="pause", scope="all").status_code == 403
    visitor = log_in(office, "user", 7)
    page = chosen(visitor, path, act="hold", **{"pick.alpha.db": "yes"})
    job = confirmed(visitor, page, path, reason="mine")
    assert not job["result"]["ok"]
    assert "there is no backup" in job["result"]["rows"][0]["text"]
    answer = chosen(visitor, path, act="hold")
    assert answer.status_code == 422
    assert "no backup was chosen" in answer.text
    assert chosen(visitor, path, act="x", scope="all").status_code == 422


def test_the_time_machine_folds_what_would_be_long(operator: httpx.Client) -> None:
    """Sixty schedules: fifteen are open, the others fold out; none is lost."""
    page = operator.get("/console/time-machine?position=61").text
    settings = page.partition('id="schedules-title"')[2].partition("</section>")[0]
    shown, _details, folded = settings.partition("<details>")
    assert shown.count('<th scope="row"') == 15
    assert "<summary>45 more</summary>" in settings
    assert folded.count('<th scope="row"') == 45
    assert "give a user to see" not in settings
