"""A server's ledger of 0.1.0, with roles and its read models in `public`, is upgraded."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
from sqlalchemy.engine import make_url

from ledger.append.tables import SCHEMA_VERSION
from tests.acceptance.place import Ended, Place
from tests.postgresql_server import Server

DUMP = Path(__file__).parents[1] / "golden" / "0.1.0-server" / "dump.sql"
STORE = re.compile(r"INTO public.ledger_names VALUES \('([0-9a-f-]{36})', 'one.db'")
PREFIX = "house010"


@pytest.fixture
def place(tmp_path: Path, postgresql: Server) -> Iterator[tuple[Place, str, str, str]]:
    """The folder, and the addresses of administrator, appender and auditor."""
    admin, dump = postgresql.new_database(), DUMP.read_text()
    for role in ("owner", "appender", "auditor"):
        postgresql.run(f"CREATE ROLE {PREFIX}_{role}")
    for role in ("appender", "auditor"):
        login, group = f"{PREFIX}_{role}_login", f"{PREFIX}_{role}"
        postgresql.run(f"CREATE ROLE {login} LOGIN IN ROLE {group}")
        postgresql.run(f"ALTER ROLE {login} SET role = '{group}'")
    with closing(psycopg.connect(admin, autocommit=True)) as connection:
        connection.execute(dump.encode())
    folder = tmp_path / "backups"
    folder.mkdir(mode=0o700)
    store = STORE.search(dump)
    assert store is not None
    (folder / ".store").write_text(f"{store[1]}\n")
    logins = (
        make_url(admin).set(username=f"{PREFIX}_{role}_login").render_as_string(hide_password=False)
        for role in ("appender", "auditor")
    )
    yield (Place(tmp_path), admin, *logins)
    postgresql.run(f"DROP DATABASE {make_url(admin).database} WITH (FORCE)")
    for name in ("appender_login", "auditor_login", "appender", "auditor", "owner"):
        postgresql.run(f"DROP OWNED BY {PREFIX}_{name}")
        postgresql.run(f"DROP ROLE {PREFIX}_{name}")


def on(place: Place, url: str, *args: str) -> Ended:
    """A command without the database: what the folder and the ledger know is enough."""
    options = ("--backups", str(place.backups), "--ledger", url, "--projections", url)
    return place.run(*options, *args, BACKUP_LEDGER_DATABASE=None)


def test_roles_made_again_bring_a_server_of_0_1_0_along(
    place: tuple[Place, str, str, str],
) -> None:
    """Until then whoever acts is told; then all is as it was, and nobody makes things in public."""
    here, admin, appender, auditor = place
    early = on(here, appender, "settings", "set", "1", "--keep", "5")
    assert early.code == 1
    assert "use another" in early.err
    for url in (appender, auditor):
        shown = on(here, url, "audit", "log", "--json")
        assert (shown.code, len(shown.lines)) == (0, 4), shown.err
    upgraded = on(here, admin, "ledger", "init", "--roles", "--prefix", PREFIX)
    assert upgraded.code == 0, upgraded.err
    changed = on(here, appender, "settings", "set", "1", "--keep", "5", "--json")
    assert (changed.code, changed.json["keep_count"], changed.json["backup_time"]) == (
        0,
        5,
        "03:00",
    )
    for url in (appender, auditor):
        assert on(here, url, "audit", "verify").code == 0
        assert "one.db" in on(here, url, "backup", "list", "--all").out
    assert on(here, appender, "projections", "diff").code == 0
    with closing(psycopg.connect(admin, autocommit=True)) as connection:
        tables = connection.execute(
            "SELECT table_schema FROM information_schema.tables WHERE table_name = 'backup_catalog'"
        ).fetchall()
        version = connection.execute("SELECT schema_version FROM public.ledger_meta").fetchone()
    assert tables == [("public_read_models",)]
    assert version == (SCHEMA_VERSION,)
    with (
        closing(psycopg.connect(appender, autocommit=True)) as connection,
        pytest.raises(psycopg.errors.InsufficientPrivilege),
    ):
        connection.execute("CREATE TABLE public.loot (x int)")
