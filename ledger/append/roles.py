"""Three roles on PostgreSQL: who owns the ledger, who appends to it, who only reads.

Nobody can log in as one of them; logins are made members. The appender can neither UPDATE,
DELETE nor TRUNCATE what was recorded, and since it owns no table of the ledger, it cannot drop
one, alter one or disable a trigger either. The script can be run again: it changes nothing then.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from sqlalchemy.exc import ProgrammingError

from ledger.append import tables
from ledger.append.database import backend_for
from ledger.errors import LedgerError
from ledger.vocabulary import ROLE_PREFIX

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sqlalchemy.engine import URL, Engine

READ_MODEL_FAMILY = "ledger_projection_"
"""How the names of read models' generations begin; no table of the ledger's own does."""

_PREFIX = re.compile(r"[a-z_][a-z0-9_]{0,49}")

APPENDER_MAY = {
    tables.events: "SELECT, INSERT",
    # UPDATE, because each append locks the head and writes it.
    tables.head: "SELECT, UPDATE",
    tables.meta: "SELECT",
    tables.nodes: "SELECT, INSERT",
    tables.checkpoints: "SELECT, INSERT",
    # No history: made again from the ledger.
    tables.leases: "SELECT, INSERT, UPDATE, DELETE",
    tables.names: "SELECT, INSERT, UPDATE, DELETE",
    tables.snapshots: "SELECT, INSERT, DELETE",
    tables.verified: "SELECT, INSERT, DELETE",
}
"""What the appender may do with each table of the ledger."""


def role_statements(prefix: str = ROLE_PREFIX, read_models: Sequence[str] = ()) -> list[str]:
    """The script, a statement each; for the schema that the session's search path names first.

    `read_models`: names of tables that, where they are there, become the appender's own, as do
    their generations: whoever folds read models makes, exchanges and drops their tables.

    Raises:
        ValueError: the prefix is no lower-case name.
    """
    if _PREFIX.fullmatch(prefix) is None or prefix.startswith("pg_"):
        raise ValueError(
            f"{prefix!r} is no prefix of a role's name; give lower-case letters, digits and _, "
            "such as backup_ledger"
        )
    owner, appender, auditor = (f"{prefix}_{each}" for each in ("owner", "appender", "auditor"))
    return [
        *(_made(role) for role in (owner, appender, auditor)),
        # Whoever hands tables over must belong to the role that gets them.
        f"GRANT {owner}, {appender} TO CURRENT_USER",
        _on_schema(f"GRANT USAGE, CREATE ON SCHEMA %I TO {owner}, {appender}"),
        _on_schema(f"GRANT USAGE ON SCHEMA %I TO {auditor}"),
        _handed_over([table.name for table in APPENDER_MAY], owner),
        *_functions_guarded(owner),
        *_rights(owner, appender, auditor),
        _handed_over(read_models, appender, READ_MODEL_FAMILY),
        _readable(read_models, auditor, READ_MODEL_FAMILY),
        _on_schema(
            f"ALTER DEFAULT PRIVILEGES FOR ROLE {appender} IN SCHEMA %I "
            f"GRANT SELECT ON TABLES TO {auditor}"
        ),
    ]


def role_script(prefix: str = ROLE_PREFIX, read_models: Sequence[str] = ()) -> str:
    """The same as text for psql, in one transaction."""
    statements = role_statements(prefix, read_models)
    return "\n".join(["BEGIN;", *(f"{each};" for each in statements), "COMMIT;"]) + "\n"


def make_roles(engine: Engine, prefix: str = ROLE_PREFIX, read_models: Sequence[str] = ()) -> None:
    """Run the script.

    Raises:
        ValueError: the prefix is no lower-case name, or the ledger is not on PostgreSQL.
        LedgerError: this login may not make roles, or does not own the tables.
    """
    require_server(engine.url)
    statements = role_statements(prefix, read_models)
    try:
        # Without parameters, or the driver would look for some at every "%".
        with engine.connect().execution_options(no_parameters=True) as connection:
            for statement in statements:
                connection.exec_driver_sql(statement)
            connection.commit()
    except ProgrammingError as error:
        raise _not_made(error) from error


def require_server(url: URL) -> None:
    """Raises ValueError where the ledger is a file: it has no roles."""
    if backend_for(url).is_of_one_machine:
        raise ValueError(
            "a ledger in SQLite has no roles: who may write its file may do everything. Roles "
            "need a ledger on PostgreSQL: --ledger postgresql://..."
        )


def _made(role: str) -> str:
    return (
        f"DO $$ BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{role}') "
        f"THEN CREATE ROLE {role} NOLOGIN; END IF; END $$"
    )


def _on_schema(statement: str) -> str:
    return f"DO $$ BEGIN EXECUTE format('{statement}', current_schema()); END $$"


def _rights(owner: str, appender: str, auditor: str) -> Iterator[str]:
    for table, rights in APPENDER_MAY.items():
        yield f"REVOKE ALL ON {table.name} FROM PUBLIC, {appender}, {auditor}"
        yield f"GRANT ALL ON {table.name} TO {owner}"
        yield f"GRANT {rights} ON {table.name} TO {appender}"
        yield f"GRANT SELECT ON {table.name} TO {auditor}"
    yield f"GRANT USAGE ON SEQUENCE {tables.checkpoints.name}_id_seq TO {appender}"


def _handed_over(names: Sequence[str], role: str, family: str | None = None) -> str:
    return _for_each_table(names, f"ALTER TABLE %I OWNER TO {role}", family)


def _readable(names: Sequence[str], role: str, family: str | None = None) -> str:
    return _for_each_table(names, f"GRANT SELECT ON %I TO {role}", family)


def _for_each_table(names: Sequence[str], statement: str, family: str | None = None) -> str:
    """`family`: tables whose names begin so are meant as well."""
    wanted = ", ".join(f"'{name}'" for name in names)
    is_wanted = f"tablename = ANY (ARRAY[{wanted}]::text[])"
    if family is not None:
        is_wanted = f"({is_wanted} OR starts_with(tablename, '{family}'))"
    return (  # every name is ours, and the prefix was looked at
        "DO $$ DECLARE found text; BEGIN FOR found IN SELECT tablename FROM pg_tables "  # noqa: S608
        f"WHERE schemaname = current_schema() AND {is_wanted} "
        f"LOOP EXECUTE format('{statement}', found); END LOOP; END $$"
    )


def _functions_guarded(owner: str) -> Iterator[str]:
    """The triggers' functions: whoever owns one could make it do nothing.

    Only these, each by its signature: others might be somebody's who would like to be the owner.
    Whatever tables a session made for itself, they look into those of the ledger.
    """
    for name in tables.POSTGRESQL_FUNCTIONS:
        yield _on_schema(f"ALTER FUNCTION %1$I.{name}() OWNER TO {owner}")
        yield _on_schema(f"ALTER FUNCTION %1$I.{name}() SET search_path = %1$I, pg_temp")


def _not_made(error: ProgrammingError) -> LedgerError:
    said = str(error.orig).partition("\n")[0]
    return LedgerError(
        f"the roles could not be made: {said}; nothing was changed. Run it as a login that owns "
        "the ledger's tables and may make roles (CREATEROLE), or give the script of "
        "`backup-ledger ledger roles` to the server's administrator"
    )
