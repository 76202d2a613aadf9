"""A law office's database: a small case-management schema, filled and then worked on daily."""

from __future__ import annotations

import sqlite3
from datetime import date, datetime, timedelta
from random import Random
from typing import TYPE_CHECKING, Final

from commands.demo.sample_texts import (
    ACTIVITIES,
    CASE_KINDS,
    CITIES,
    DEADLINES,
    DOCUMENTS,
    FIRST_NAMES,
    LAST_NAMES,
    NOTES,
    PARAGRAPHS,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SCHEMA: Final = """
CREATE TABLE users (
    id INTEGER PRIMARY KEY, name TEXT NOT NULL, email TEXT NOT NULL UNIQUE,
    role TEXT NOT NULL CHECK (role IN ('partner', 'associate', 'paralegal')));
CREATE TABLE clients (
    id INTEGER PRIMARY KEY, name TEXT NOT NULL, city TEXT NOT NULL, since TEXT NOT NULL);
CREATE TABLE cases (
    id INTEGER PRIMARY KEY, reference TEXT NOT NULL UNIQUE, title TEXT NOT NULL,
    client_id INTEGER NOT NULL REFERENCES clients(id),
    lead_id INTEGER NOT NULL REFERENCES users(id),
    status TEXT NOT NULL CHECK (status IN ('open', 'waiting', 'closed')),
    opened_on TEXT NOT NULL);
CREATE TABLE documents (
    id INTEGER PRIMARY KEY, case_id INTEGER NOT NULL REFERENCES cases(id) ON DELETE CASCADE,
    title TEXT NOT NULL, body TEXT NOT NULL, filed_at TEXT NOT NULL);
CREATE TABLE deadlines (
    id INTEGER PRIMARY KEY, case_id INTEGER NOT NULL REFERENCES cases(id) ON DELETE CASCADE,
    what TEXT NOT NULL, due_on TEXT NOT NULL, is_met INTEGER NOT NULL DEFAULT 0);
CREATE TABLE notes (
    id INTEGER PRIMARY KEY, case_id INTEGER NOT NULL REFERENCES cases(id) ON DELETE CASCADE,
    author_id INTEGER NOT NULL REFERENCES users(id), text TEXT NOT NULL, written_at TEXT NOT NULL);
CREATE TABLE time_entries (
    id INTEGER PRIMARY KEY, case_id INTEGER NOT NULL REFERENCES cases(id) ON DELETE CASCADE,
    user_id INTEGER NOT NULL REFERENCES users(id), minutes INTEGER NOT NULL CHECK (minutes > 0),
    activity TEXT NOT NULL, worked_on TEXT NOT NULL);
CREATE INDEX cases_of_client ON cases(client_id);
CREATE INDEX documents_of_case ON documents(case_id, filed_at);
CREATE INDEX deadlines_to_meet ON deadlines(is_met, due_on);
CREATE INDEX notes_of_case ON notes(case_id, written_at);
CREATE INDEX time_of_user ON time_entries(user_id, worked_on);
"""
TABLES: Final = (
    "users",
    "clients",
    "cases",
    "documents",
    "deadlines",
    "notes",
    "time_entries",
)
USERS: Final = (
    (1, "Anna Weber", "anna@example.com", "partner"),
    (2, "Ben Carter", "ben@example.com", "associate"),
    (3, "Chandra Iyer", "chandra@example.com", "paralegal"),
)
CLIENTS, CASES = 90, 140
FILED: Final = {"documents": 700, "deadlines": 420, "notes": 1_100, "time_entries": 1_500}
"""Rows that the office starts with."""
WORKED: Final = {"documents": 4, "deadlines": 3, "notes": 12, "time_entries": 16}
"""Rows that a working day adds."""

_INSERTS: Final = {
    "documents": "INSERT INTO documents (case_id, title, body, filed_at) VALUES (?, ?, ?, ?)",
    "deadlines": "INSERT INTO deadlines (case_id, what, due_on) VALUES (?, ?, ?)",
    "notes": "INSERT INTO notes (case_id, author_id, text, written_at) VALUES (?, ?, ?, ?)",
    "time_entries": "INSERT INTO time_entries (case_id, user_id, minutes, activity, worked_on) "
    "VALUES (?, ?, ?, ?, ?)",
}


def make_database(path: Path, now: datetime, random: Random) -> None:
    """Make the office's database as of now, in WAL mode."""
    connection = connect(path)
    try:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.executescript(SCHEMA)
        with connection:
            connection.executemany("INSERT INTO users VALUES (?, ?, ?, ?)", USERS)
            connection.executemany("INSERT INTO clients VALUES (?, ?, ?, ?)", _clients(now, random))
            connection.executemany(
                "INSERT INTO cases VALUES (?, ?, ?, ?, ?, ?, ?)", _cases(now, random)
            )
            for table, rows in FILED.items():
                _add(connection, table, rows, now, random, days_back=700)
    finally:
        connection.close()


def connect(path: Path) -> sqlite3.Connection:
    """The office's own connection, as an application would have it."""
    connection = sqlite3.connect(path, check_same_thread=False)
    connection.execute("PRAGMA foreign_keys=ON")
    connection.execute("PRAGMA synchronous=NORMAL")
    return connection


def work(connection: sqlite3.Connection, now: datetime, random: Random, share: float = 1.0) -> int:
    """A day's work, or a share of it; how many rows were added."""
    added = 0
    with connection:
        for table, rows in WORKED.items():
            count = max(1, round(rows * share))
            _add(connection, table, count, now, random, days_back=0)
            added += count
        connection.execute(
            "UPDATE deadlines SET is_met = 1 WHERE due_on < ?", (now.date().isoformat(),)
        )
    return added


def count_rows(connection: sqlite3.Connection) -> dict[str, int]:
    """Rows in every table."""
    return {
        table: connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]  # noqa: S608
        for table in TABLES
    }


def _clients(now: datetime, random: Random) -> Iterator[tuple[object, ...]]:
    for number in range(1, CLIENTS + 1):
        name = f"{random.choice(FIRST_NAMES)} {random.choice(LAST_NAMES)}"
        yield number, name, random.choice(CITIES), _earlier(now, random, 2_000).isoformat()


def _cases(now: datetime, random: Random) -> Iterator[tuple[object, ...]]:
    for number in range(1, CASES + 1):
        opened = _earlier(now, random, 700)
        title = f"{random.choice(LAST_NAMES)} v. {random.choice(LAST_NAMES)}"
        yield (
            number,
            f"{opened.year}-{number:04}",
            f"{title}: {random.choice(CASE_KINDS)}",
            random.randint(1, CLIENTS),
            random.randint(1, len(USERS)),
            random.choice(("open", "open", "waiting", "closed")),
            opened.isoformat(),
        )


def _add(
    connection: sqlite3.Connection,
    table: str,
    count: int,
    now: datetime,
    random: Random,
    days_back: int,
) -> None:
    rows = [_row(table, now, random, days_back) for _ in range(count)]
    connection.executemany(_INSERTS[table], rows)


def _row(table: str, now: datetime, random: Random, days_back: int) -> tuple[object, ...]:
    case, user = random.randint(1, CASES), random.randint(1, len(USERS))
    day = _earlier(now, random, days_back)
    stamp = f"{day.isoformat()}T{random.randint(8, 17):02}:{random.randint(0, 59):02}:00Z"
    if table == "documents":
        body = "\n\n".join(random.choices(PARAGRAPHS, k=random.randint(2, 6)))
        return case, random.choice(DOCUMENTS), body, stamp
    if table == "deadlines":
        due = day + timedelta(days=random.randint(3, 60))
        return case, random.choice(DEADLINES), due.isoformat()
    if table == "notes":
        return case, user, random.choice(NOTES), stamp
    minutes = random.choice((6, 12, 18, 30, 45, 60, 90, 120))
    return case, user, minutes, random.choice(ACTIVITIES), day.isoformat()


def _earlier(now: datetime, random: Random, days_back: int) -> date:
    return now.date() - timedelta(days=random.randint(0, days_back))
