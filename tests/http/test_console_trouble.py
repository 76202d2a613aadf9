"""Trouble: each cause once, with what to do, and the buttons that a role has."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import commands.health
from commands.backups.take import take_backup
from commands.http import create_app
from commands.http.console.watching.advice import ADVICE
from commands.verification.verify import verify_backup
from ledger.clock import ManualClock
from tests.commands.world import MIDNIGHT, World, make_database
from tests.http.conftest import Place
from tests.http.test_console import fields_of, job_page, log_in


@pytest.fixture
def failed(tmp_path: Path) -> Iterator[Place]:
    """Two users whose run failed, and a damaged backup of nobody."""
    make_database(tmp_path / "app.db")
    world = World(tmp_path, ManualClock(MIDNIGHT))
    app = create_app(world.open())
    for user in (1, 2):
        world.configure(user)
    bad = take_backup(world.site, world.context(), filename="bad")
    path = world.site.store.path("bad.db")
    path.chmod(0o600)
    path.write_bytes(b"x" * path.stat().st_size)
    verify_backup(world.site, world.context(), bad, "digest")
    world.due_again(1)
    hidden = world.database.rename(tmp_path / "elsewhere.db")
    world.check()
    hidden.rename(world.database)
    yield Place(world, app)
    app.state.served.close()
    world.close()


def test_an_operator_mends_it_from_the_page(failed: Place) -> None:
    """Cause, damaged backup and advice are there; running what waits ends the first of them."""
    client = log_in(failed, "operator")
    text = client.get("/console/trouble").text
    assert "backup-ledger " not in text.partition("<main")[2]
    assert "No scheduler runs: nothing is backed up by itself" in text
    assert "2 runs of 2 users failed on 1 January, for one cause: there is no database" in text
    assert "2 users still fail" in text
    assert 'action="/console/backups/bad.db/verify"' in text
    for path, told in (("run", "2 backups made."), ("verify", "was due"), ("reconcile", "agree.")):
        form = fields_of(client, "/console/trouble")
        started = client.post(f"/console/trouble/{path}", data=form)
        assert told in job_page(client, started)
    text = client.get("/console/trouble").text
    assert "still fail" not in text
    assert text.index("Over: the last 30 days") < text.index("2 runs of 2 users failed")
    api = failed.client("auditor").get("/database/trouble").json()
    assert [each["still_failing"] for each in api["causes"]] == [0]
    assert "corrupt" in [each["kind"] for each in api["findings"]]


def test_each_role_sees_its_own_trouble_and_the_buttons_it_may_press(failed: Place) -> None:
    """An auditor verifies and changes nothing; a user learns of nobody else's."""
    auditor, user = log_in(failed, "auditor"), log_in(failed, "user", 2)
    text = auditor.get("/console/trouble").text
    assert 'action="/console/backups/bad.db/verify"' in text
    assert 'action="/console/trouble/run"' not in text
    form = fields_of(auditor, "/console/trouble")
    for path, status in (("run", 403), ("reconcile", 403), ("verify", 303)):
        answer = auditor.post(f"/console/trouble/{path}", data=form | {"form_key": path})
        assert answer.status_code == status
    text = user.get("/console/trouble").text
    assert "1 run of 1 user failed" in text
    assert "bad.db" not in text
    api = failed.client("user", 2)
    run = api.get("/database/runs").json()["runs"][0]
    assert run["error_message"].startswith("there is no database at app.db")
    for path in ("trouble", "runs", "runs.csv", f"runs/{run['run_id']}"):
        page = user.get(f"/console/{path}").text
        assert "no database at app.db" in page, path
        assert str(failed.world.folder) not in page, path
    assert str(failed.world.folder) not in api.get(f"/database/runs/{run['run_id']}").text
    assert str(failed.world.folder) in auditor.get("/console/runs").text
    assert 'href="/console/trouble"' in user.get("/console").text
    assert failed.client("user", 2).get("/database/trouble").status_code == 403


def test_every_kind_of_finding_has_advice_of_the_consoles_own() -> None:
    """A kind of `status` that is new needs words here too."""
    health = Path(commands.health.__path__[0])
    text = "".join(each.read_text(encoding="utf-8") for each in health.glob("*.py"))
    kinds = set(re.findall(r'Finding\(\s*"(\w+)"', text))
    assert len(kinds) > 15
    assert kinds <= set(ADVICE)
    assert not [each for each in ADVICE.values() if "backup-ledger" in each]
