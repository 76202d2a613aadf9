"""The page of a job says what was done, with the way on; never what a program would want."""

from __future__ import annotations

import re
from typing import get_args

from commands.http.console.watching.job_outcome import KINDS
from commands.reporting.json_values import as_json
from commands.shapes.jobs import AnyJob, JobList
from tests.http.conftest import Place
from tests.http.test_console import fields_of, job_page, log_in


def test_each_kind_of_job_is_told_in_sentences_with_links(place: Place) -> None:
    """Taken, verified, restored with its undo, compared, rebuilt, exported; damage is said."""
    client = log_in(place, "operator")
    form = fields_of(client, "/console/backups")
    site = place.world.site

    def did(path: str, **fields: str) -> str:
        started = client.post(path, data=form | {"form_key": ""} | fields)
        assert started.status_code == 303, started.text
        text = job_page(client, started)
        shown = re.sub(r"<[^>]*>", " ", text.partition("<main")[2])
        for sign in ("{", "}", "None", "_id", "True", "[", "null"):
            assert sign not in shown, (path, sign, shown)
        return text

    taken = did("/console/backups", filename="mine")
    assert "mine.db was made and checked." in taken
    assert 'class="button" href="/console/backups/mine.db"' in taken
    refused = did("/console/backups", filename="mine")
    assert "choose another name" in refused
    assert "The backup is good." in did("/console/backups/mine.db/verify", level="integrity")
    restored = did("/console/backups/mine.db/restore", confirmation="mine.db")
    (kept,) = (each for each in place.world.present() if each.kind == "pre_restore")
    assert f'href="/console/backups/{kept.filename}/restore">Undo' in restored
    assert "row for row" in did("/console/projections/backup_catalog/diff")
    assert "folded anew" in did("/console/projections/backup_catalog/rebuild")
    verified = did("/console/audit/verify")
    assert "whole" in verified
    assert "on the page Projections" in verified
    assert 'href="/console/audit" aria-current="page"' in verified
    for sign in ("--", "`"):
        assert sign not in re.sub(r"<[^>]*>", " ", verified.partition("<main")[2])
    assert "was restored into" in did("/console/backups/mine.db/beside", filename="copy")
    chosen = {"number": "1", "names": '["mine.db"]', "confirmed": "yes", "reason": "audit"}
    assert "1 backup held" in did("/console/backups/bulk", act="hold", **chosen)
    raw = client.get("/console/api/jobs").json()
    typed = [as_json(each.result) for each in JobList.model_validate(raw).jobs]
    assert typed == [each["result"] for each in raw["jobs"]]
    path = site.store.path("mine.db")
    path.chmod(0o600)
    path.write_bytes(b"x" * path.stat().st_size)
    damaged = did("/console/backups/mine.db/verify", level="digest")
    assert "The backup is not good: " in damaged
    assert 'href="/console/trouble"' in damaged


def test_a_backup_that_cannot_be_is_refused_before_a_job_begins(place: Place) -> None:
    """A name that is not a name, a user whom nobody knows, a role that may not."""
    client, auditor = log_in(place, "operator"), log_in(place, "auditor")
    for fields, status in (({"filename": "../x"}, 422), ({"user": "x"}, 422)):
        form = fields_of(client, "/console/backups") | fields
        assert client.post("/console/backups", data=form).status_code == status
    form = fields_of(auditor, "/console/backups")
    assert auditor.post("/console/backups", data=form).status_code == 403
    user = log_in(place, "user", 1)
    form = fields_of(user, "/console/backups") | {"user": "2"}
    assert user.post("/console/backups", data=form).status_code == 403
    assert client.get("/console/api/jobs").json()["jobs"] == []


def test_every_kind_of_job_has_a_type_in_the_schema() -> None:
    """Also those that only pages of the console start."""
    typed = [get_args(each.model_fields["kind"].annotation) for each in get_args(AnyJob)]
    assert sorted(kind for (kind,) in typed) == sorted(KINDS)
