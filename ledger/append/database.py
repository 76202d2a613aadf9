"""Connecting to the ledger's database, making one, and recognizing one."""

from __future__ import annotations

import os
import re
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import Connection, insert, select
from sqlalchemy.engine import Engine, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, InterfaceError, OperationalError

from ledger.append import tables
from ledger.append.backend import BUSY_SECONDS, WRITE, Backend, Opening, Tables, backend_of
from ledger.append.databases.postgresql import PostgreSQLBackend
from ledger.append.databases.sqlite import SQLiteBackend
from ledger.append.software import is_newer, software_version
from ledger.clock import format_instant
from ledger.errors import (
    LedgerBroken,
    LedgerBusy,
    LedgerError,
    LedgerMissing,
    LedgerTooNew,
    LedgerUnreachable,
    NotALedger,
)
from ledger.masking import masked
from ledger.tree.merkle import EMPTY_ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from sqlalchemy.engine import URL

DRIVERS = ("sqlite", "sqlite+pysqlite", "postgresql+psycopg")

_CUT_OFF = ("57P01", "57P02", "57P03", "57P05", "25P03")
"""SQL states of a server that shuts down, crashed, begins, or ends who idles too long."""

_REFUSED = ("42501", "25006")
"""SQLSTATE: insufficient privilege, read-only transaction."""

_BACKENDS: dict[str, Backend] = {each.name: each for each in (SQLiteBackend(), PostgreSQLBackend())}
_IF_DAMAGED = (
    "`backup-ledger audit verify` reports what can still be read and what to do next; to restore "
    "before that: backup-ledger backup restore FILE --without-ledger --sha256 HEX"
)


@dataclass(frozen=True, slots=True)
class LedgerMeta:
    """Which ledger this is."""

    ledger_id: str
    schema_version: int
    software_version: str | None = None


def database_url(text: str) -> URL:
    """A database URL; `postgresql://` means psycopg 3.

    Raises:
        LedgerError: the text is not a database URL.
    """
    shown = masked(text)
    if re.match(r"^postgres[^/]*//[^/?]*@[^/?]*@", text):
        raise LedgerError(
            f"{shown!r} has more than one @ before the server's name; write %40 for one in a "
            "user's name or password"
        )
    try:
        url = make_url(re.sub(r"^postgres(ql)?://", "postgresql+psycopg://", text))
    except (ArgumentError, ValueError) as error:
        raise LedgerError(
            f"{shown!r} is not a valid database URL; give something like "
            "sqlite:////srv/ledger.sqlite, and write %2F for a / in a password"
        ) from error
    if url.drivername not in DRIVERS:
        raise LedgerError(
            f"{shown!r} names a database that is not supported; use sqlite:// or postgresql://"
        )
    return url


def backend_for(url: URL) -> Backend:
    """What the kind of database at a URL does differently.

    Raises:
        LedgerError: it is neither SQLite nor PostgreSQL.
    """
    backend = _BACKENDS.get(url.get_backend_name())
    if backend is None:
        raise LedgerError(
            f"{url.get_backend_name()} is not supported; use sqlite:// or postgresql://"
        )
    return backend


def file_of(url: URL) -> str | None:
    """The path of a database's file; None of one on a server."""
    return backend_for(url).file_of(url)


def place_of(url: URL) -> str:
    """Where a database is, for messages: a file's path, or a server's address; no password."""
    return backend_for(url).place_of(url)


def open_engine(
    url: URL,
    *,
    busy_seconds: float = BUSY_SECONDS,
    durable: bool = True,
    own_cache_kib: int | None = None,
    for_read_models: bool = False,
) -> Engine:
    """An engine whose transactions begin when they are told to, with its backend (`Opening`).

    Raises:
        LedgerError: the database's driver is not installed.
    """
    options = Opening(busy_seconds, durable, own_cache_kib, for_read_models)
    backend = backend_for(url)
    tables.redactions.dialect_kwargs[f"{backend.name}_where"] = tables.IS_REDACTION
    return backend.open(url, options)


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """A transaction that writes: the database's lock is taken at once, or waited for.

    Raises:
        LedgerBusy: another process held the lock for too long.
    """
    with (
        translated_errors(engine),
        engine.connect().execution_options(**{WRITE: True}) as connection,
        connection.begin(),
    ):
        yield connection


@contextmanager
def reading_snapshot(engine: Engine) -> Iterator[Connection]:
    """A connection whose statements all see one moment: SQLite's do, a server's when told."""
    with backend_of(engine).snapshot_engine(engine).connect() as connection:
        yield connection


def create_ledger(engine: Engine, ledger_id: str, now: datetime) -> LedgerMeta:
    """Make the tables of a new, empty ledger.

    Raises:
        NotALedger: the database is not empty.
    """
    backend = backend_of(engine)
    with translated_errors(engine):
        with engine.connect() as connection:
            _require_room(connection, backend)
        backend.prepare_new(engine)
        with engine.connect().execution_options(**{WRITE: True}) as connection:
            connection.begin()
            backend.make_alone(connection)
            _require_room(connection, backend)
            tables.metadata.create_all(connection)
            connection.execute(
                insert(tables.meta).values(
                    ledger_id=ledger_id,
                    schema_version=tables.SCHEMA_VERSION,
                    created_at=format_instant(now),
                    software_version=software_version(),
                )
            )
            connection.execute(
                insert(tables.head).values(
                    id=1, size=0, root=EMPTY_ROOT, frontier=b"", recorded_at=0
                )
            )
            connection.commit()
    return LedgerMeta(ledger_id, tables.SCHEMA_VERSION, software_version())


def _require_room(connection: Connection, backend: Backend) -> None:
    """A file is a ledger's alone; on a server only our tables must not be there."""
    found = Tables(connection).names()
    if not backend.is_ours_alone:
        if tables.meta.name in found:
            raise LedgerBusy(
                f"{_place(connection.engine)}: another process has just begun the ledger there; "
                "run the command again"
            )
        found &= set(tables.metadata.tables)
    if found:
        raise NotALedger(f"{_place(connection.engine)} already has tables; nothing was changed")


def read_meta(engine: Engine, newest: int = tables.SCHEMA_VERSION) -> LedgerMeta:
    """Recognize the ledger behind an engine, whose tables may be of an older version.

    Raises:
        LedgerMissing: there is no such file; none is made.
        NotALedger: it is something else, or empty.
        LedgerTooNew: newer software wrote it.
    """
    if _is_missing_file(engine.url):
        raise LedgerMissing(f"there is no ledger at {_place(engine)}; check the path")
    with translated_errors(engine), engine.connect() as connection:
        if not Tables(connection).has(tables.meta.name):
            raise NotALedger(
                f"{_place(engine)} is not a ledger; check the path, nothing was changed"
            )
        rows = connection.execute(
            select(tables.meta.c.ledger_id, tables.meta.c.schema_version)
        ).all()
        if len(rows) != 1:
            raise LedgerBroken(f"{_place(engine)}: ledger_meta has {len(rows)} rows, not one")
        (ledger_id, version) = rows[0]
        if version > newest:
            raise LedgerTooNew(
                f"{_place(engine)} has schema version {version}, this software knows {newest}; "
                "update backup-ledger"
            )
        software = None
        if version >= tables.meta.c.software_version.info[tables.SINCE]:
            software = connection.execute(select(tables.meta.c.software_version)).scalar_one()
    if is_newer(software, software_version()):
        raise LedgerTooNew(
            f"{_place(engine)} was written by backup-ledger {software}, and this is "
            f"{software_version()}; update backup-ledger"
        )
    return LedgerMeta(ledger_id, version, software)


def may_not_write(error: DBAPIError) -> bool:
    """Whether a server refused because of who asked: a login that may only read."""
    return getattr(error.orig, "sqlstate", None) in _REFUSED


class translated_errors:  # noqa: N801  (reads as a statement: with translated_errors(...))
    """Turn the database's errors into the ledger's, naming the place."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def __enter__(self) -> None:
        return None

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if not isinstance(error, DBAPIError):
            return
        text = (str(error.orig).splitlines() or [type(error.orig).__name__])[0]
        if is_lost(error):
            raise _why_lost(self._engine, text) from error
        if isinstance(error, OperationalError) and ("locked" in text or _is_refused_lock(error)):
            raise LedgerBusy(
                f"{_place(self._engine)} is locked by another process; try again"
            ) from error
        if may_not_write(error):
            raise LedgerError(
                f"{_place(self._engine)}: {text}; this login is not allowed to do that, use another"
            ) from error
        if "invalid connection option" in text:
            raise _why_lost(self._engine, text) from error
        if "not a database" in text:
            raise NotALedger(
                f"{_place(self._engine)} is not a ledger, or its header is damaged: {text}; check "
                f"the path. {_IF_DAMAGED}"
            ) from error
        if "malformed" in text:
            raise LedgerBroken(
                f"{_place(self._engine)} is damaged: {text}. {_IF_DAMAGED}"
            ) from error
        if isinstance(error, OperationalError):
            advice = _what_to_do(self._engine, text)
            raise LedgerError(f"{_place(self._engine)}: {text}; {advice}") from error


FULL_BELOW = 65_536
"""With fewer bytes free SQLite cannot even read: beside the file it keeps others that it writes."""


def _what_to_do(engine: Engine, text: str) -> str:
    path = file_of(engine.url)
    if path is None or not re.search("disk I/O error|disk is full", text):
        return "check the path"
    with suppress(OSError):
        found = os.statvfs(os.path.dirname(path) or ".")
        free = found.f_bavail * found.f_frsize
        if free < FULL_BELOW:
            return f"its disk is full ({free} bytes free): free some space, then try again"
    return "its disk or file system failed: look into the system's log, and check the disk"


def is_lost(error: DBAPIError) -> bool:
    """Whether a server is gone, or took the connection away; nothing uncommitted stands then."""
    if error.connection_invalidated:
        return True
    is_of_connection = isinstance(error, OperationalError | InterfaceError)
    if not is_of_connection or not hasattr(error.orig, "sqlstate"):
        return False
    state: str | None = getattr(error.orig, "sqlstate", None)
    return state is None or state.startswith("08") or state in _CUT_OFF


_WRONG_URL = r"invalid (port|sslmode|connection option|integer|URI)|does not support SSL"
_WRONG_LOGIN = (
    r"authentication failed|no password supplied|role .* (does not exist|is not permitted)"
)
_NOT_BY_WAITING = (
    ("database .* does not exist", LedgerMissing, "make it with createdb, or check the URL"),
    (_WRONG_LOGIN, LedgerError, "check user and password in the URL, or in ~/.pgpass"),
    ("no pg_hba.conf entry", LedgerError, "the server does not let this machine or user in"),
    (_WRONG_URL, LedgerError, "check the URL"),
)
"""What a server or its driver says that trying again does not help, and what does."""


def _why_lost(engine: Engine, text: str) -> LedgerError:
    for pattern, kind, what_to_do in _NOT_BY_WAITING:
        if re.search(pattern, text):
            return kind(f"{_place(engine)} cannot be used: {text}; {what_to_do}")
    return LedgerUnreachable(
        f"{_place(engine)} cannot be reached: {text}; check that the server is running and that "
        "the URL is right, then try again"
    )


def _is_refused_lock(error: OperationalError) -> bool:
    """A lock that was waited for in vain, on a server."""
    return getattr(error.orig, "sqlstate", None) in ("55P03", "57014", "40P01")


def _is_missing_file(url: URL) -> bool:
    """SQLite would make the file that it was only asked to look into."""
    path = file_of(url)
    if not path or "uri" in url.query:
        return False
    return path != ":memory:" and not os.path.lexists(path)


def _place(engine: Engine) -> str:
    return place_of(engine.url)
