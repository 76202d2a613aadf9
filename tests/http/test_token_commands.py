"""backup-ledger tokens: made once, shown once, listed without themselves, revoked."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.acceptance.place import Ended, Place, make_database


def test_a_token_is_shown_once_and_can_be_revoked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The token alone on the last line; its id afterwards; and errors that say what to do."""
    monkeypatch.chdir(tmp_path)
    place = Place(tmp_path)
    make_database(place.database)

    def tokens(*arguments: str) -> Ended:
        return place.run("tokens", *arguments)

    place.done("ledger", "init")
    made = tokens("create", "--role", "user", "--user", "1", "--expires", "2999-01-01")
    token = made.out.splitlines()[-1]
    assert token.startswith("blt_")
    (listed,) = tokens("list", "--json").json
    assert (listed["role"], listed["user"], listed["is_valid"]) == ("user", 1, True)
    assert token not in tokens("list").out
    assert tokens("revoke", listed["token_id"]).code == 0
    assert "revoked" in tokens("list").out
    assert tokens("revoke", listed["token_id"]).code == 2
    assert tokens("revoke", "nothing").code == 4
    for wrong in (["--role", "boss"], ["--role", "user"], ["--role", "auditor", "--user", "1"]):
        refused = tokens("create", *wrong)
        assert (refused.code, refused.err.count("\n")) == (2, 1)
