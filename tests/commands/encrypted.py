"""Encrypted databases for tests, and an application that keeps one open and writes to it.

Run as a program: `python -m tests.commands.encrypted PATH KEY`. It moves amounts between accounts,
checkpoints at random, prints `ready`, and ends when its standard input is closed.
"""

from __future__ import annotations

import random
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from commands.sqlite.cipher.driver import connect
from commands.sqlite.connections import database_uri

KEY = f"x'{'5a' * 32}'"
"""Raw keys: a passphrase costs a fifth of a second each time that a database is opened."""
OTHER_KEY = f"x'{'a5' * 32}'"
ACCOUNTS = 300
TOTAL = ACCOUNTS * 1_000


def opened(path: Path, key: str = KEY) -> sqlite3.Connection:
    return connect(database_uri(path, "mode=rwc"), 10.0, key)


def make_encrypted(path: Path, rows: int = 20, *, key: str = KEY, journal: str = "wal") -> Path:
    """An application's encrypted database: cases, and accounts whose balances add up to TOTAL."""
    with closing(opened(path, key)) as connection:
        connection.execute(f"PRAGMA journal_mode={journal}")
        connection.execute("BEGIN")
        connection.execute("CREATE TABLE cases (id INTEGER PRIMARY KEY, title TEXT)")
        titles = [(f"case {number}",) for number in range(rows)]
        connection.executemany("INSERT INTO cases (title) VALUES (?)", titles)
        connection.execute("CREATE TABLE accounts (id INTEGER PRIMARY KEY, balance INT, pad BLOB)")
        accounts = [(number, 1_000, b"." * 900) for number in range(ACCOUNTS)]
        connection.executemany("INSERT INTO accounts VALUES (?, ?, ?)", accounts)
        connection.execute("COMMIT")
    return path


def add_secret_case(path: Path, title: str, key: str = KEY) -> None:
    with closing(opened(path, key)) as connection:
        connection.execute("INSERT INTO cases (title) VALUES (?)", (title,))


def secret_titles(path: Path, key: str = KEY) -> list[str]:
    with closing(opened(path, key)) as connection:
        return [row[0] for row in connection.execute("SELECT title FROM cases ORDER BY id")]


def total_of(path: Path, key: str = KEY) -> int:
    """The sum of all balances; every page is looked at as well."""
    with closing(opened(path, key)) as connection:
        assert connection.execute("PRAGMA cipher_integrity_check").fetchall() == []
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        total: int = connection.execute("SELECT sum(balance) FROM accounts").fetchone()[0]
    return total


def rekey(path: Path, before: str, after: str) -> None:
    with closing(opened(path, before)) as connection:
        connection.execute("PRAGMA journal_mode=DELETE")
        connection.execute(f'PRAGMA rekey="{after}"')


@contextmanager
def application(path: Path, key: str = KEY) -> Iterator[subprocess.Popen[str]]:
    """Another process that has the database open and writes to it."""
    command = [sys.executable, "-m", "tests.commands.encrypted", str(path), key]
    root = Path(__file__).parents[2]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, cwd=root) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        try:
            yield process
        finally:
            process.stdin.close()
            process.wait(30)


def _write(path: str, key: str) -> None:
    ended = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), ended.set()), daemon=True).start()
    rng = random.Random(7)
    with closing(opened(Path(path), key)) as connection:
        connection.execute("PRAGMA synchronous=OFF")
        connection.execute("PRAGMA wal_autocheckpoint=20")
        said = False
        while not ended.is_set():
            connection.execute("BEGIN IMMEDIATE")
            for _move in range(5):
                payer, payee = rng.sample(range(ACCOUNTS), 2)
                change = "UPDATE accounts SET balance = balance + ? WHERE id = ?"
                connection.execute(change, (-1, payer))
                connection.execute(change, (1, payee))
            connection.execute("COMMIT")
            time.sleep(0.001)  # else nobody else would ever get the lock of a rollback journal
            if not said:
                sys.stdout.write("ready\n")
                sys.stdout.flush()
                said = True


if __name__ == "__main__":
    _write(*sys.argv[1:])
