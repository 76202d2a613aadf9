"""Three roles on PostgreSQL: who owns the ledger, who appends to it, who only reads.

Nobody can log in as one of them; logins are made members. The appender can neither UPDATE,
DELETE nor TRUNCATE what was recorded, and since it owns no table of the ledger, it cannot drop
one, alter one or disable a trigger either. Nor can it make anything in the ledger's schema: the
read models, which it must be able to make, have a schema of their own, and nobody with more
rights works there. The script can be run again: it changes nothing then.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from sqlalchemy.exc import ProgrammingError

from ledger.append import tables
from ledger.append.backend import backend_of
from ledger.append.database import backend_for
from ledger.append.databases.guards import FUNCTION_NAMES
from ledger.append.databases.postgresql import PIN_SEARCH_PATH, READ_MODELS
from ledger.errors import LedgerError
from ledger.vocabulary import ROLE_PREFIX

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sqlalchemy.engine import URL, Engine

READ_MODEL_FAMILY = "ledger_projection_"
"""How the names of read models' generations begin; no table of the ledger's own does."""

_SCHEMA = "backup_ledger.schema"
_LEDGERS = f"current_setting('{_SCHEMA}')"
_OWN = f"current_setting('{_SCHEMA}') || '{READ_MODELS}'"

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
    tables.schedulers: "SELECT, INSERT, UPDATE, DELETE",
    tables.snapshots: "SELECT, INSERT, DELETE",
    tables.verified: "SELECT, INSERT, DELETE",
}
"""What the appender may do with each table of the ledger."""


def role_statements(
    prefix: str = ROLE_PREFIX, read_models: Sequence[str] = (), schema: str | None = None
) -> list[str]:
    """The script, a statement each; in one transaction.

    `read_models`: names of tables that, where they are there, move to the read models' schema, as
    do their generations: whoever folds read models makes, exchanges and drops their tables.
    `schema`: the ledger's; by default the one that the session's search path names first.

    Raises:
        ValueError: the prefix is not a lower-case name.
    """
    if _PREFIX.fullmatch(prefix) is None or prefix.startswith("pg_"):
        raise ValueError(
            f"{prefix!r} is not a prefix of a role's name; give lower-case letters, digits and _, "
            "such as backup_ledger"
        )
    owner, appender, auditor = (f"{prefix}_{each}" for each in ("owner", "appender", "auditor"))
    ledgers = "pg_catalog.current_schema()" if schema is None else _literal(schema)
    return [
        # Whatever others made in a schema that we use: it is not found, and not called.
        f"SELECT pg_catalog.set_config('{_SCHEMA}', {ledgers}, true)",
        PIN_SEARCH_PATH.replace("false", "true"),
        *(_made(role) for role in (owner, appender, auditor)),
        _members_for_handing_over(owner, appender),
        *_schemas(owner, appender, auditor),
        _on_each_table([table.name for table in APPENDER_MAY], f"OWNER TO {owner}"),
        *_functions_guarded(owner),
        *_rights(owner, appender, auditor),
        _moved(read_models, appender),
        _readable(auditor),
        _on_schema(
            f"ALTER DEFAULT PRIVILEGES FOR ROLE {appender} IN SCHEMA %2$I "
            f"GRANT SELECT ON TABLES TO {auditor}"
        ),
    ]


def role_script(prefix: str = ROLE_PREFIX, read_models: Sequence[str] = ()) -> str:
    """The script as text for psql, in one transaction."""
    statements = role_statements(prefix, read_models)
    return "\n".join(["BEGIN;", *(f"{each};" for each in statements), "COMMIT;"]) + "\n"


def make_roles(engine: Engine, prefix: str = ROLE_PREFIX, read_models: Sequence[str] = ()) -> None:
    """Run the script.

    Raises:
        ValueError: the prefix is not a lower-case name, or the ledger is not on PostgreSQL.
        LedgerError: this login may not make roles, or does not own the tables.
    """
    require_server(engine.url)
    try:
        # Without parameters, or the driver would look for some at every "%".
        with engine.connect().execution_options(no_parameters=True) as connection:
            schema = backend_of(connection).schema_of(connection)
            for statement in role_statements(prefix, read_models, schema):
                connection.exec_driver_sql(statement)
            connection.commit()
    except ProgrammingError as error:
        raise _not_made(error) from error


def require_server(url: URL) -> None:
    """Raises ValueError where the ledger is a file: it has no roles."""
    if backend_for(url).is_of_one_machine:
        raise ValueError(
            "a ledger in SQLite has no roles: anyone who can write its file can do everything. "
            "Roles need a ledger on PostgreSQL: --ledger postgresql://..."
        )


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _made(role: str) -> str:
    return (
        f"DO $$ BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{role}'::name) "
        f"THEN CREATE ROLE {role} NOLOGIN; END IF; END $$"
    )


def _members_for_handing_over(owner: str, appender: str) -> str:
    """Whoever hands tables over must belong to the role that gets them, or be a superuser."""
    return (
        "DO $$ BEGIN IF NOT (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) "  # noqa: S608
        f"THEN GRANT {owner}, {appender} TO CURRENT_USER; END IF; END $$"
    )


def _on_schema(statement: str) -> str:
    """%1$I is the ledger's schema, %2$I that of the read models."""
    return f"DO $$ BEGIN EXECUTE format('{statement}', {_LEDGERS}, {_OWN}); END $$"


def _schemas(owner: str, appender: str, auditor: str) -> Iterator[str]:
    """Only the owner makes anything where the ledger is; what is read as code is there."""
    yield _on_schema(f"REVOKE CREATE ON SCHEMA %1$I FROM PUBLIC, {appender}, {auditor}")
    yield _on_schema(f"GRANT USAGE, CREATE ON SCHEMA %1$I TO {owner}")
    yield _on_schema(f"GRANT USAGE ON SCHEMA %1$I TO {appender}, {auditor}")
    yield _on_schema(f"CREATE SCHEMA IF NOT EXISTS %2$I AUTHORIZATION {appender}")
    yield _on_schema(f"ALTER SCHEMA %2$I OWNER TO {appender}")
    yield _on_schema("REVOKE ALL ON SCHEMA %2$I FROM PUBLIC")
    yield _on_schema(f"GRANT USAGE ON SCHEMA %2$I TO {auditor}")


def _rights(owner: str, appender: str, auditor: str) -> Iterator[str]:
    for table, rights in APPENDER_MAY.items():
        name = f"%1$I.{table.name}"
        yield _on_schema(f"REVOKE ALL ON {name} FROM PUBLIC, {appender}, {auditor}")
        yield _on_schema(f"GRANT ALL ON {name} TO {owner}")
        yield _on_schema(f"GRANT {rights} ON {name} TO {appender}")
        yield _on_schema(f"GRANT SELECT ON {name} TO {auditor}")
    sequence = f"%1$I.{tables.checkpoints.name}_id_seq"
    yield _on_schema(f"GRANT USAGE ON SEQUENCE {sequence} TO {appender}")


def _on_each_table(names: Sequence[str], change: str) -> str:
    """Change those of the ledger's tables that are there."""
    wanted = ", ".join(f"'{name}'" for name in names)
    return (  # every name is ours, and the prefix was looked at
        "DO $$ DECLARE found name; BEGIN FOR found IN SELECT tablename FROM pg_tables "  # noqa: S608
        f"WHERE schemaname = {_LEDGERS}::name AND tablename = ANY (ARRAY[{wanted}]::name[]) "
        f"LOOP EXECUTE format('ALTER TABLE %I.%I {change}', {_LEDGERS}, found); "
        "END LOOP; END $$"
    )


def _moved(names: Sequence[str], appender: str) -> str:
    """Read models that are beside the ledger, as older software kept them; not the former ones."""
    wanted = ", ".join(f"'{name}'" for name in names)
    return (
        "DO $$ DECLARE found name; BEGIN "  # noqa: S608
        f"IF to_regclass(format('%I.{READ_MODEL_FAMILY}progress', {_LEDGERS})) IS NOT NULL THEN "
        "FOR found IN SELECT t.tablename FROM pg_tables AS t "
        f"WHERE t.schemaname = {_LEDGERS}::name AND (t.tablename = ANY (ARRAY[{wanted}]::name[]) "
        f"OR starts_with(t.tablename::text, '{READ_MODEL_FAMILY}')) "
        f"AND NOT EXISTS (SELECT FROM pg_tables AS there WHERE there.schemaname = {_OWN}::name "
        "AND there.tablename = t.tablename) "
        f"LOOP EXECUTE format('ALTER TABLE %I.%I OWNER TO {appender}', {_LEDGERS}, found); "
        f"EXECUTE format('ALTER TABLE %I.%I SET SCHEMA %I', {_LEDGERS}, found, {_OWN}); "
        "END LOOP; END IF; END $$"
    )


def _readable(auditor: str) -> str:
    return _on_schema(f"GRANT SELECT ON ALL TABLES IN SCHEMA %2$I TO {auditor}")


def _functions_guarded(owner: str) -> Iterator[str]:
    """The triggers' functions: whoever owns one could make it do nothing.

    Only these, each by its signature: others might be somebody's who would like to be the owner.
    """
    for name in FUNCTION_NAMES:
        yield _on_schema(f"ALTER FUNCTION %1$I.{name}() OWNER TO {owner}")


def _not_made(error: ProgrammingError) -> LedgerError:
    said = str(error.orig).partition("\n")[0]
    return LedgerError(
        f"the roles could not be made: {said}; nothing was changed. Run it as a login that owns "
        "the ledger's tables and may make roles (CREATEROLE), or give the script of "
        "`backup-ledger ledger roles` to the server's administrator"
    )
