"""A schema of its own for a ledger on a server that keeps several: named in its URL."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

from sqlalchemy import create_engine, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from ledger.errors import LedgerUnreachable
from ledger.masking import masked

if TYPE_CHECKING:
    from sqlalchemy.engine import URL


def in_schema(url: URL, schema: str) -> URL:
    """The URL with which everything is looked for, and made, in a schema."""
    before = url.query.get("options", "")
    given = before if isinstance(before, str) else " ".join(before)
    return url.update_query_dict({"options": f'{given} -csearch_path="{schema}"'.strip()})


def has_schema(url: URL, schema: str) -> bool:
    """Whether the server has it.

    Raises:
        LedgerUnreachable: the server does not answer.
    """
    asked = "SELECT count(*) FROM pg_catalog.pg_namespace WHERE nspname = :schema"
    return bool(_ask(url, asked, schema=schema))


def make_schema(url: URL, schema: str) -> None:
    """Make the schema where it is not there.

    Raises:
        LedgerUnreachable: the server does not answer, or its role may not make one.
    """
    if not has_schema(url, schema):
        _ask(url, f'CREATE SCHEMA IF NOT EXISTS "{schema}"')


def _ask(url: URL, sql: str, **values: str) -> int:
    engine = create_engine(url, poolclass=NullPool)
    try:
        with closing(engine.connect()) as connection, connection.begin():
            answer = connection.execute(text(sql), values)
            return int(answer.scalar_one()) if answer.returns_rows else 0
    except DBAPIError as error:
        reason = masked(str(error.orig).strip().splitlines()[0])
        raise LedgerUnreachable(f"the server of the ledger cannot be used: {reason}") from error
    finally:
        engine.dispose()
