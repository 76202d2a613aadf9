"""What to do is said in routes: nobody can type a command over HTTP."""

from __future__ import annotations

import pytest

from commands.http.advice import over_http, without_folders
from tests.http.conftest import Place


@pytest.mark.parametrize(
    ("told", "over"),
    [
        (
            "there is no backup 'a' in /srv; see: backup-ledger backup list",
            "there is no backup 'a' in /srv; see: GET /backups",
        ),
        ("see: backup-ledger backup list --all", "see: GET /backups?all=true"),
        ("run `backup-ledger audit verify`, and see", "run POST /audit/verify, and see"),
        ("make some: backup-ledger settings set 7", "make some: PUT /settings/{user_id}"),
        ("begin: backup-ledger ledger init [--new]", "begin: the command line on the server"),
        ("(or backup-ledger audit checkpoint --key FILE)", "(or POST /audit/checkpoint)"),
        ("was written by backup-ledger 0.9.0", "was written by backup-ledger 0.9.0"),
    ],
)  # fmt: skip
def test_a_command_becomes_its_route(told: str, over: str) -> None:
    """The rest of the message stays."""
    assert over_http(told) == over


@pytest.mark.parametrize(
    ("told", "shown"),
    [
        ("there is no database at /srv/my app/app.db", "there is no database at app.db"),
        ("/srv/my app cannot be written", "the server's folder cannot be written"),
        ("it was at '/old/place/app.db' before", "it was at 'app.db' before"),
        ("1/2 of it; see https://example.com/a/b", "1/2 of it; see https://example.com/a/b"),
    ],
)
def test_a_path_becomes_its_last_name(told: str, shown: str) -> None:
    """Also one that no setting names any more; addresses and fractions stay."""
    assert without_folders(told, ("/srv/my app",)) == shown


def test_no_problem_names_a_command(place: Place) -> None:
    """Those that people meet."""
    client = place.client()
    for method, path in (
        ("GET", "/backups/none.db"),
        ("GET", "/backups/none.db/restore"),
        ("POST", "/backups/none.db/download"),
        ("GET", "/settings/9"),
        ("POST", "/projections/none/rebuild"),
        ("GET", "/audit/events/99999"),
        ("GET", "/audit/events/99999/proof"),
        ("POST", "/offsite/none/copy"),
    ):
        answer = client.request(method, f"/database{path}")
        assert answer.status_code in (404, 409), (path, answer.text)
        assert "backup-ledger " not in answer.json()["detail"], (path, answer.text)
    stranger = place.stranger()
    stranger.headers["Authorization"] = "Bearer blt_none"
    assert "backup-ledger " not in stranger.get("/database/stats").json()["detail"]
