"""backup-ledger tokens: made once, shown once, listed without themselves, revoked."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from tests.commands.world import make_database
from tests.http.test_server import PROGRAM


def test_a_token_is_shown_once_and_can_be_revoked(tmp_path: Path) -> None:
    """The token alone on the last line; its id afterwards; and errors that say what to do."""
    database = make_database(tmp_path / "app.db")

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [str(PROGRAM), "--database", str(database), *arguments]
        return subprocess.run(command, check=False, capture_output=True, text=True)

    run("ledger", "init")
    made = run("tokens", "create", "--role", "user", "--user", "1", "--expires", "2999-01-01")
    token = made.stdout.splitlines()[-1]
    assert token.startswith("blt_")
    (listed,) = json.loads(run("tokens", "list", "--json").stdout)
    assert (listed["role"], listed["user"], listed["is_valid"]) == ("user", 1, True)
    assert token not in run("tokens", "list").stdout
    assert run("tokens", "revoke", listed["token_id"]).returncode == 0
    assert "revoked" in run("tokens", "list").stdout
    assert run("tokens", "revoke", listed["token_id"]).returncode == 2
    assert run("tokens", "revoke", "nothing").returncode == 4
    for wrong in (["--role", "boss"], ["--role", "user"], ["--role", "auditor", "--user", "1"]):
        refused = run("tokens", "create", *wrong)
        assert (refused.returncode, refused.stderr.count("\n")) == (2, 1)
