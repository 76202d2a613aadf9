"""ledger copy, ledger roles: the ledger on a server, and who may do what there."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any, NamedTuple

import psycopg
import pytest
from sqlalchemy.engine import make_url

from tests.acceptance.place import (
    CONFLICT,
    FAILED,
    NOT_FOUND,
    USAGE,
    Ended,
    Place,
    require_clear,
)
from tests.postgresql_server import Server

_NUMBERS = count(1)
FORBIDDEN = (
    "UPDATE ledger_events SET stream = 'x'",
    "DELETE FROM ledger_events",
    "TRUNCATE ledger_events",
    "ALTER TABLE ledger_events DISABLE TRIGGER ALL",
    "DROP TABLE ledger_events",
    "DROP TABLE ledger_head CASCADE",
    "DELETE FROM ledger_head",
    "UPDATE ledger_nodes SET number = 7",
    "DELETE FROM ledger_checkpoints",
    "UPDATE ledger_meta SET ledger_id = 'x'",
)
READS_ONLY = (
    "INSERT INTO ledger_names VALUES ('a', 'b', 'c')",
    "UPDATE ledger_head SET size = 0",
    "DELETE FROM ledger_leases",
    "DELETE FROM public_read_models.audit_trail",
    "CREATE TABLE public_read_models.mine (a int)",
    "CREATE TABLE mine (a int)",
)


NAMING = (("audit", "log"), ("audit", "history", "one.db"), ("backup", "list"), ("status",))
"""Commands that name the only backup there is."""


class Logins(NamedTuple):
    """Where each login finds the ledger."""

    admin: str
    appender: str
    auditor: str
    prefix: str


@pytest.fixture
def logins(postgresql: Server, place: Place) -> Logins:
    """A new ledger with roles, and a login for two of them."""
    prefix = f"house{next(_NUMBERS)}"
    admin = postgresql.new_database()
    place.done("--ledger", admin, "--projections", admin, "ledger", "init", "--roles",
               "--prefix", prefix)  # fmt: skip
    for role in ("appender", "auditor"):
        login = f"{prefix}_{role}_login"
        postgresql.run(f"CREATE ROLE {login} LOGIN IN ROLE {prefix}_{role}")
        postgresql.run(f"ALTER ROLE {login} SET role = '{prefix}_{role}'")
    url = make_url(admin)
    appender, auditor = (
        url.set(username=f"{prefix}_{role}_login").render_as_string(hide_password=False)
        for role in ("appender", "auditor")
    )
    return Logins(admin, appender, auditor, prefix)


def on(url: str, place: Place, *args: str) -> Ended:
    return place.done("--ledger", url, "--projections", url, *args)


def require_refused(url: str, statement: str) -> None:
    with closing(psycopg.connect(url, autocommit=True)) as connection:
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute(statement.encode())
        connection.execute("SELECT count(*) FROM ledger_events")


def test_the_appender_does_all_work(place: Place, logins: Logins) -> None:
    """Settings, backups, retention, a scheduler's check, a rebuild."""
    url = logins.appender
    on(url, place, "settings", "set", "1", "--keep", "1")
    on(url, place, "backup", "create", "one")
    on(url, place, "run", "--once")
    on(url, place, "retention", "apply", "1", "--user", "1")
    on(url, place, "projections", "rebuild")
    assert on(url, place, "audit", "verify").code == 0


def test_the_appender_changes_no_history(logins: Logins) -> None:
    """No record, no node, no checkpoint, no guard, no table."""
    for statement in FORBIDDEN:
        require_refused(logins.appender, statement)


def test_the_auditor_reads_everything(place: Place, logins: Logins) -> None:
    """Also what was written after the roles were made, and rebuilt since; nothing complains."""
    on(logins.appender, place, "backup", "create", "one")
    on(logins.appender, place, "projections", "rebuild")
    for command in (("audit", "log"), ("audit", "verify"), ("backup", "list"), ("status",)):
        ended = on(logins.auditor, place, *command)
        assert "Warning" not in ended.err
    copied = place.json("ledger", "copy", logins.auditor, str(place.folder / "copy.sqlite"))
    assert copied["size"] > 0
    require_clear(
        place.run("--ledger", logins.auditor, "backup", "create", "two"),
        FAILED,
        "this login is not allowed to do that",
    )


def test_an_auditors_verification_counts_although_it_cannot_be_remembered(
    place: Place, logins: Logins
) -> None:
    """It says so, changes nothing, and ends well; the appender's is remembered for `status`."""
    on(logins.appender, place, "backup", "create", "one")
    ended = on(logins.auditor, place, "audit", "verify")
    assert "The history is whole" in ended.out
    assert "`status` will not know of it" in ended.err
    assert "never verified" in on(logins.auditor, place, "status").out
    assert "`status` will not know" not in on(logins.appender, place, "audit", "verify").err
    assert "last verified" in on(logins.auditor, place, "status").out


def test_the_auditor_reads_when_the_read_models_are_behind(place: Place, logins: Logins) -> None:
    """Then answers are folded in memory; nothing is made or written."""
    on(logins.appender, place, "backup", "create", "one")
    place.done("--ledger", logins.admin, "--projections", str(place.folder / "other.sqlite"),
               "backup", "create", "two")  # fmt: skip
    assert "two.db" in on(logins.auditor, place, "audit", "log", "--json").out


def test_the_auditor_changes_nothing(logins: Logins) -> None:
    """Neither history nor anything beside it."""
    for statement in FORBIDDEN + READS_ONLY:
        require_refused(logins.auditor, statement)


def test_roles_can_be_made_again_and_by_hand(
    place: Place, logins: Logins, postgresql: Server
) -> None:
    """`init --roles` twice, and the printed script, change nothing more."""
    again = on(logins.admin, place, "ledger", "init", "--roles", "--prefix", logins.prefix)
    assert "already existed" in again.out
    script = on(logins.admin, place, "ledger", "roles", "--prefix", logins.prefix).out
    with closing(psycopg.connect(logins.admin, autocommit=True)) as connection:
        connection.execute(script.encode())
    on(logins.appender, place, "backup", "create", "one")
    require_refused(logins.appender, "DELETE FROM ledger_events")


def test_making_roles_again_makes_nobody_the_owner(place: Place, logins: Logins) -> None:
    """A function of the appender's stays the appender's, and is never beside the ledger."""
    require_refused(logins.appender, "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'")
    with closing(psycopg.connect(logins.appender, autocommit=True)) as connection:
        connection.execute(
            "CREATE FUNCTION public_read_models.ledger_evil() RETURNS void LANGUAGE plpgsql "
            "SECURITY DEFINER AS $$ "
            "BEGIN ALTER TABLE public.ledger_events DISABLE TRIGGER USER; END $$"
        )
    on(logins.admin, place, "ledger", "init", "--roles", "--prefix", logins.prefix)
    require_refused(logins.appender, "SELECT public_read_models.ledger_evil()")


def test_a_table_of_the_sessions_own_does_not_deceive_the_guard(
    place: Place, logins: Logins
) -> None:
    """The trigger looks into the ledger's table, and into no other of that name."""
    on(logins.appender, place, "settings", "set", "1")
    copied = "event_type, record, leaf_hash, recorded_at FROM public.ledger_events LIMIT 1"
    out_of_order = f"INSERT INTO public.ledger_events SELECT 999, 'x', 1, {copied}".encode()
    with closing(psycopg.connect(logins.appender, autocommit=True)) as connection:
        connection.execute("CREATE TEMP TABLE ledger_events (position bigint)")
        connection.execute("INSERT INTO pg_temp.ledger_events VALUES (998)")
        with pytest.raises(psycopg.errors.RaiseException, match="out of order"):
            connection.execute(out_of_order)


def test_generations_of_read_models_become_the_appenders_too(place: Place, logins: Logins) -> None:
    """What the administrator rebuilt, the appender can rebuild and the auditor can read."""
    on(logins.appender, place, "settings", "set", "1")
    on(logins.admin, place, "projections", "rebuild")
    on(logins.admin, place, "ledger", "init", "--roles", "--prefix", logins.prefix)
    on(logins.appender, place, "projections", "rebuild")
    on(logins.auditor, place, "projections", "list")


def test_a_file_has_no_roles(place: Place) -> None:
    """Said before anything is made."""
    for command in (("ledger", "roles"), ("ledger", "init", "--roles")):
        require_clear(place.run(*command), USAGE, "a ledger in SQLite has no roles")
    assert not place.backups.exists()


def test_a_prefix_is_a_name(place: Place) -> None:
    """Nothing else reaches the script."""
    for prefix in ("", "A", "a b", "a;drop", "pg_own", "a" * 51):
        ended = place.run("--ledger", "postgresql://x/y", "ledger", "roles", "--prefix", prefix)
        require_clear(ended, USAGE, "not a prefix of a role's name")


def test_work_goes_on_on_the_copy(place: Place, postgresql: Server) -> None:
    """Settings, backups and read models of the file are those of the server, and back."""
    place.schedule(1, datetime.now(UTC) - timedelta(days=3))
    place.done("backup", "create", "one")
    url = postgresql.new_database()
    copied = place.json("ledger", "copy", str(place.ledger), url)
    assert (copied["size"], copied["began_at"]) == (len(place.events()), 0)
    assert "one.db" in on(url, place, "backup", "list").out
    on(url, place, "run", "--once")
    on(url, place, "projections", "rebuild")
    assert on(url, place, "audit", "verify").code == 0
    back = place.json("ledger", "copy", url, str(place.ledger))
    assert back["began_at"] == copied["size"]
    assert back["copied"] > 0
    assert place.done("audit", "verify").code == 0
    assert place.json("status")["ledger"]["root"] == back["root"]


def test_a_copy_onto_itself_is_refused(place: Place) -> None:
    """However the place is written."""
    place.done("ledger", "init")
    for same in (
        str(place.ledger),
        f"sqlite:///{place.ledger}",
        "backups/../backups/ledger.sqlite",
    ):
        ended = place.run("ledger", "copy", str(place.ledger), same)
        require_clear(ended, CONFLICT, "the same ledger")
    require_clear(place.run("ledger", "copy", str(place.ledger), ""), USAGE, "TO is empty")


@pytest.mark.parametrize(
    ("change", "code", "says"),
    [
        ({"username": "nobody_at_all"}, FAILED, "check user and password"),
        ({"database": "not_there"}, NOT_FOUND, "make it with createdb"),
        ({"query": {"bogus": "1"}}, FAILED, "check the URL"),
        ({"query": {"sslmode": "bogus"}}, FAILED, "check the URL"),
        (
            {"host": "127.0.0.1", "port": 9, "query": {}},
            CONFLICT,
            "check that the server is running",
        ),
    ],
    ids=["user", "database", "option", "value", "port"],
)
def test_what_trying_again_does_not_help_is_not_called_busy(
    place: Place, postgresql: Server, change: dict[str, Any], code: int, says: str
) -> None:
    """A script that goes on as long as it is told 5 would go on for ever."""
    url = make_url(postgresql.new_database())
    wrong = url.set(**change).render_as_string(hide_password=False)
    require_clear(
        place.run("--ledger", wrong, "--projections", wrong, "settings", "list"), code, says
    )
    status = place.run("--ledger", wrong, "--projections", wrong, "status")
    assert (status.code, says in status.err) == (code, True), status


def test_an_administrators_rebuild_leaves_the_read_models_to_the_appender(
    place: Place, logins: Logins
) -> None:
    """Who works on tables that belong to a role works as that role."""
    on(logins.appender, place, "settings", "set", "1")
    on(logins.admin, place, "projections", "rebuild")
    on(logins.admin, place, "settings", "set", "2")
    on(logins.appender, place, "settings", "set", "3")
    on(logins.appender, place, "projections", "rebuild")
    on(logins.auditor, place, "status")


def test_an_auditor_needs_nothing_but_the_address(
    place: Place, logins: Logins, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No database, no folder: on a machine of their own, and nothing is made there."""
    on(logins.admin, place, "backup", "create", "one")
    elsewhere = place.folder / "auditors"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    auditor = {"BACKUP_LEDGER_DATABASE": None, "BACKUP_LEDGER_LEDGER": logins.auditor}
    auditor |= {"BACKUP_LEDGER_PROJECTIONS": logins.auditor}
    others = (("audit", "verify"), ("settings", "list"), ("projections", "diff"))
    for words in (*NAMING, *others):
        ended = place.done(*words, **auditor)
        assert ("one.db" in ended.out) == (words in NAMING), ended
    assert list(elsewhere.iterdir()) == []
