"""A FastAPI application that backs itself up while it is served.

    APP_DATABASE=/var/lib/app/app.db uvicorn --factory application:create_app

It needs `backup-ledger[http]`. The routes of Backup Ledger are at /database, the application's own
beside them. Start one worker process with the scheduler; a second one would do no harm (a slot
is claimed once), and no good either.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Annotated

from fastapi import FastAPI, Header, HTTPException

from commands import BackupService
from commands.http import Caller, create_router

SCHEMA = """
CREATE TABLE IF NOT EXISTS notes (id INTEGER PRIMARY KEY, text TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS users (
    id INTEGER PRIMARY KEY, token_sha256 TEXT NOT NULL UNIQUE, is_admin INTEGER NOT NULL
);
"""


def create_app() -> FastAPI:
    """The application, with its database opened and its backups wired in."""
    path = Path(os.environ.get("APP_DATABASE", "/var/lib/app/app.db"))

    @contextmanager
    def database() -> Iterator[sqlite3.Connection]:
        with closing(sqlite3.connect(path)) as connection, connection:
            yield connection

    with database() as connection:
        connection.execute("PRAGMA journal_mode=WAL")  # readers and backups never block a writer
        connection.executescript(SCHEMA)

    def caller(authorization: Annotated[str, Header()] = "") -> Caller:
        """Who asks, by the application's own users: Backup Ledger believes what this returns."""
        digest = hashlib.sha256(authorization.removeprefix("Bearer ").encode()).hexdigest()
        with database() as connection:
            user = connection.execute(
                "SELECT id, is_admin FROM users WHERE token_sha256 = ?", (digest,)
            ).fetchone()
        if user is None:
            raise HTTPException(401, "unknown token", {"WWW-Authenticate": "Bearer"})
        user_id, is_admin = user
        # Users see and change only what is theirs; operators do everything.
        return Caller(str(user_id), "operator") if is_admin else Caller.user(user_id)

    app = FastAPI(title="Notes")

    @app.get("/notes")
    def notes() -> list[str]:
        with database() as connection:
            return [text for (text,) in connection.execute("SELECT text FROM notes ORDER BY id")]

    # The scheduler starts and ends with the application. At the end a running backup finishes.
    app.include_router(create_router(BackupService(path), caller, with_scheduler=True))
    return app
