"""A FastAPI application that backs itself up while it is served.

    APP_DATABASE=/var/lib/app/app.db uvicorn --factory application:create_app

It needs `backup-ledger[http]`. The routes of Backup Ledger are at /database, its console is at
/backups, the application's own pages are beside them. Start one worker process with the scheduler;
a second one would do no harm (a slot is claimed once), and no good either.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Annotated
from urllib.parse import parse_qs

from fastapi import Cookie, FastAPI, Header, HTTPException, Request
from fastapi.responses import HTMLResponse, RedirectResponse

from commands import BackupService
from commands.http import Caller, create_console, create_router

SCHEMA = """
CREATE TABLE IF NOT EXISTS notes (id INTEGER PRIMARY KEY, text TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS users (
    id INTEGER PRIMARY KEY, token_sha256 TEXT NOT NULL UNIQUE, is_admin INTEGER NOT NULL
);
"""
SIGN_IN = """<!doctype html><title>Sign in</title>
<form method="post"><label>Token <input name="token" type="password"></label>
<button>Sign in</button></form>"""


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

    def user_of(token: str) -> Caller:
        """Who has a token, by the application's own users."""
        digest = hashlib.sha256(token.encode()).hexdigest()
        with database() as connection:
            user = connection.execute(
                "SELECT id, is_admin FROM users WHERE token_sha256 = ?", (digest,)
            ).fetchone()
        if user is None:
            raise HTTPException(401, "unknown token", {"WWW-Authenticate": "Bearer"})
        user_id, is_admin = user
        # Users see and change only what is theirs; operators do everything.
        return Caller(str(user_id), "operator") if is_admin else Caller.user(user_id)

    def caller(authorization: Annotated[str, Header()] = "") -> Caller:
        """Who asks the API. Backup Ledger believes what this returns."""
        return user_of(authorization.removeprefix("Bearer "))

    def visitor(notes_token: Annotated[str, Cookie()] = "") -> Caller:
        """Who looks at the console. Forged forms are refused by its own pages."""
        return user_of(notes_token)

    def sign_out(_request: object) -> RedirectResponse:
        """What the console's "Log out" does."""
        answer = RedirectResponse("/sign-in", 303)
        answer.delete_cookie("notes_token")
        return answer

    app = FastAPI(title="Notes")

    @app.get("/notes")
    def notes() -> list[str]:
        with database() as connection:
            return [text for (text,) in connection.execute("SELECT text FROM notes ORDER BY id")]

    @app.get("/sign-in")
    def ask() -> HTMLResponse:
        return HTMLResponse(SIGN_IN)

    @app.post("/sign-in")
    async def sign_in(request: Request) -> RedirectResponse:
        form = parse_qs((await request.body()).decode())
        token = form.get("token", [""])[0]
        user_of(token)
        answer = RedirectResponse("/backups/", 303)
        answer.set_cookie("notes_token", token, httponly=True, samesite="strict", secure=True)
        return answer

    service = BackupService(path)
    # The scheduler starts and ends with the application. At the end a running backup finishes.
    app.include_router(create_router(service, caller, with_scheduler=True))
    app.mount("/backups", create_console(service, visitor, sign_in="/sign-in", sign_out=sign_out))
    return app
