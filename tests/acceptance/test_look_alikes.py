"""Attacks by a login that may only append: nothing of its own runs with anybody else's rights."""

from __future__ import annotations

from contextlib import closing

import psycopg
import pytest

from tests.acceptance.place import Ended, Place
from tests.acceptance.test_ledger_places import Logins
from tests.acceptance.test_ledger_places import logins as logins  # noqa: PLC0414  (the fixture)

TYPES = """bigint integer smallint numeric text name bytea boolean oid regclass char varchar json
timestamp timestamptz float8"""
OPERATORS = "= <> < > <= >= + - * / || >> << & ~~"
FUNCTIONS = """count max min sum length octet_length sha256 format starts_with current_setting
set_config to_regclass pg_has_role concat encode substring convert_from string_to_array pg_notify
clock_timestamp pg_try_advisory_lock pg_advisory_xact_lock pg_database_size lower date_part abs"""
PLANT = """
CREATE TABLE {schema}.loot (who name, what text);
GRANT ALL ON {schema}.loot TO PUBLIC;
DO $plant$
DECLARE one text; other text; what text;
BEGIN
  FOREACH one IN ARRAY ARRAY[{types}] LOOP
    FOREACH what IN ARRAY ARRAY[{functions}] LOOP
      PERFORM {schema}.trap(what, one);
    END LOOP;
    FOREACH other IN ARRAY ARRAY[{types}] LOOP
      FOREACH what IN ARRAY ARRAY[{functions}] LOOP
        PERFORM {schema}.trap(what, one || ', ' || other);
      END LOOP;
      FOREACH what IN ARRAY ARRAY[{operators}] LOOP
        PERFORM {schema}.trap('op' || md5(what), one || ', ' || other);
        EXECUTE format(
          'CREATE OPERATOR {schema}.%s (LEFTARG = %s, RIGHTARG = %s, FUNCTION = {schema}.%I)',
          what, one, other, 'op' || md5(what));
      END LOOP;
    END LOOP;
  END LOOP;
END $plant$
"""
TRAP = """
CREATE FUNCTION {schema}.trap(what text, arguments text) RETURNS void LANGUAGE plpgsql AS $made$
BEGIN
  EXECUTE format($text$CREATE FUNCTION {schema}.%I(%s) RETURNS boolean LANGUAGE plpgsql AS $body$
    BEGIN INSERT INTO {schema}.loot VALUES (session_user, %L); RETURN true; END $body$ $text$,
    what, arguments, what || '(' || arguments || ')');
END $made$
"""


def run(url: str, *statements: str) -> list[tuple[object, ...]]:
    """Statements as a login; what the last one found."""
    with closing(psycopg.connect(url, autocommit=True)) as connection:
        for statement in statements[:-1]:
            connection.execute(statement.encode())
        found = connection.execute(statements[-1].encode())
        return found.fetchall() if found.description else []


def listed(words: str) -> str:
    return ", ".join(f"'{word}'" for word in words.split())


def plant(url: str, schema: str) -> None:
    """Look-alikes of all functions and operators that are used, for all pairs of types."""
    values = {
        "schema": schema,
        "types": listed(TYPES),
        "functions": listed(FUNCTIONS),
        "operators": listed(OPERATORS),
    }
    quickly = "SET check_function_bodies = off"
    run(url, quickly, TRAP.format(**values), PLANT.format(**values))


def used(url: str, place: Place, *args: str) -> Ended:
    return place.run("--ledger", url, "--projections", url, *args)


QUESTIONS = (
    ("audit", "verify"),
    ("audit", "log"),
    ("backup", "list"),
    ("status",),
    ("projections", "list"),
    ("settings", "list"),
)


@pytest.mark.parametrize("schema", ["public", "public_read_models"])
def test_look_alikes_of_an_appender_run_with_nobodys_rights(
    place: Place, logins: Logins, schema: str
) -> None:
    """Where 0.1.0 let it make them, and where it makes its read models now."""
    used(logins.appender, place, "settings", "set", "1")
    run(logins.admin, f"GRANT CREATE ON SCHEMA public TO {logins.prefix}_appender")
    plant(logins.appender, schema)
    trapped = f"SET search_path TO {schema}"
    run(logins.admin, trapped, "SELECT starts_with('a'::name, 'b'::text)")
    assert run(logins.admin, f"DELETE FROM {schema}.loot RETURNING what") == [
        ("starts_with(name, text)",)
    ], "the trap works"
    key = place.folder / "key"
    place.done("audit", "keygen", "example/log", "--out", str(key))
    for url in (logins.admin, logins.auditor):
        for question in QUESTIONS:
            assert used(url, place, *question).code in (0, 3), question
    for command in (
        ("ledger", "init", "--roles", "--prefix", logins.prefix),
        ("settings", "set", "2"),
        ("backup", "create", "two"),
        ("audit", "checkpoint", "--key", str(key)),
        ("run", "--once"),
    ):
        ended = used(logins.admin, place, *command)
        assert ended.code == 0, ended
    copied = place.run("ledger", "copy", logins.admin, str(place.folder / "copy.sqlite"))
    assert copied.code == 0, copied
    script = used(logins.admin, place, "ledger", "roles", "--prefix", logins.prefix).out
    run(logins.admin, script)
    assert run(logins.admin, f"SELECT DISTINCT who, what FROM {schema}.loot") == []


@pytest.mark.parametrize(
    "trap",
    [
        "CREATE TRIGGER trap BEFORE INSERT OR UPDATE OR DELETE ON public_read_models.{table} "  # noqa: ISC004
        "FOR EACH ROW EXECUTE FUNCTION public_read_models.trap()",
        "ALTER TABLE public_read_models.{table} RENAME TO aside; "  # noqa: ISC004
        "CREATE VIEW public_read_models.{table} AS SELECT * FROM public_read_models.aside "
        "WHERE public_read_models.look()",
        "ALTER TABLE public_read_models.{table} ENABLE ROW LEVEL SECURITY; "  # noqa: ISC004
        "CREATE POLICY p ON public_read_models.{table} USING (public_read_models.look())",
    ],
    ids=["trigger", "view", "policy"],
)
@pytest.mark.parametrize("table", ["ledger_projection_progress", "audit_trail"])
def test_read_models_that_became_traps_are_not_sprung(
    place: Place, logins: Logins, trap: str, table: str
) -> None:
    """The appender owns its read models; whoever has more rights folds in memory instead."""
    used(logins.appender, place, "settings", "set", "1")
    looted = "INSERT INTO public_read_models.loot VALUES (session_user);"
    run(
        logins.appender,
        "CREATE TABLE public_read_models.loot (who name)",
        "GRANT ALL ON public_read_models.loot TO PUBLIC",
        "CREATE FUNCTION public_read_models.trap() RETURNS trigger LANGUAGE plpgsql AS "  # noqa: ISC003
        + f"$$ BEGIN {looted} RETURN NEW; END $$",
        "CREATE FUNCTION public_read_models.look() RETURNS boolean LANGUAGE plpgsql AS "  # noqa: ISC003
        + f"$$ BEGIN {looted} RETURN true; END $$",
        f"GRANT SELECT ON ALL TABLES IN SCHEMA public_read_models TO {logins.prefix}_auditor",
        trap.format(table=table),
        f"GRANT SELECT ON ALL TABLES IN SCHEMA public_read_models TO {logins.prefix}_auditor",
    )
    for url in (logins.admin, logins.auditor):
        for question in QUESTIONS:
            ended = used(url, place, *question)
            assert "Traceback" not in ended.err, ended
    assert used(logins.admin, place, "settings", "set", "2").code == 0
    assert used(logins.admin, place, "projections", "rebuild").code in (0, 1)
    assert run(logins.admin, "SELECT DISTINCT who FROM public_read_models.loot") == []
