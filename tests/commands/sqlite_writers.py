"""Other processes for the SQLite tests: writers, holders of locks, readers, victims.

Run as a program: `python -m tests.commands.sqlite_writers ROLE PATH ...`. A role prints lines and
ends when its stdin is closed. The database holds accounts whose balances always add up to the
same sum, and a counter that equals the number of rows in `moves`, each of which has the hash of
itself and the one before.
"""

import hashlib
import os
import random
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from commands.sqlite import restore_into as sqlite_restore
from commands.sqlite.errors import SQLiteFileError
from commands.sqlite.snapshot import take_snapshot

ROOT = Path(__file__).parents[2]
ACCOUNTS = 400
BALANCE = 1000
TIMEOUT_SECONDS = 60.0  # far beyond what anything here takes


def build(path: Path, *, journal: str = "wal", page_size: int = 4096, padding: int = 3000) -> Path:
    """Make a database with the invariant, about `padding` * 400 bytes, nothing in the log."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(f"PRAGMA page_size={page_size}")
        connection.execute(f"PRAGMA journal_mode={journal}")
        connection.execute("PRAGMA synchronous=OFF")
        connection.execute("BEGIN")
        connection.execute("CREATE TABLE accounts (id INTEGER PRIMARY KEY, balance INT, pad BLOB)")
        connection.execute("CREATE TABLE counter (id INTEGER PRIMARY KEY, moves INT)")
        connection.execute("CREATE TABLE moves (id INTEGER PRIMARY KEY, pad BLOB, chain BLOB)")
        connection.execute("INSERT INTO counter VALUES (1, 0)")
        rows = ((number, BALANCE, os.urandom(padding)) for number in range(ACCOUNTS))
        connection.executemany("INSERT INTO accounts VALUES (?, ?, ?)", rows)
        connection.execute("COMMIT")
    return path


def is_consistent(path: Path) -> bool:
    """Whether the finished file keeps the invariant and SQLite finds nothing wrong."""
    with closing(sqlite3.connect(f"file:{path}?immutable=1", uri=True)) as connection:
        return holds(connection)


def holds(connection: sqlite3.Connection) -> bool:
    """Whether the invariant holds, and the pages are sound."""
    try:
        (total,) = connection.execute("SELECT sum(balance) FROM accounts").fetchone()
        (moves,) = connection.execute("SELECT moves FROM counter").fetchone()
        (rows,) = connection.execute("SELECT count(*) FROM moves").fetchone()
        (sound,) = connection.execute("PRAGMA integrity_check").fetchone()
        chained = is_chained(connection)
    except sqlite3.DatabaseError:
        return False
    return bool(total == ACCOUNTS * BALANCE and moves == rows and sound == "ok" and chained)


def is_chained(connection: sqlite3.Connection) -> bool:
    """Whether each move follows from the one before."""
    before = b""
    for pad, chain in connection.execute("SELECT pad, chain FROM moves ORDER BY id"):
        before = hashlib.sha256(before + pad).digest()
        if before != chain:
            return False
    return True


def move(connection: sqlite3.Connection, rng: random.Random) -> None:
    """One transaction that touches pages all over the file and keeps the invariant."""
    connection.execute("BEGIN IMMEDIATE")
    for _ in range(5):
        giver, taker = rng.sample(range(ACCOUNTS), 2)
        pad = rng.randbytes(rng.randrange(1000, 5000))
        change = "UPDATE accounts SET balance = balance + ?, pad = ? WHERE id = ?"
        connection.execute(change, (-7, pad, giver))
        connection.execute(change, (7, pad, taker))
    connection.execute("UPDATE counter SET moves = moves + 1")
    last = connection.execute("SELECT chain FROM moves ORDER BY id DESC LIMIT 1").fetchone()
    pad = rng.randbytes(200)
    chain = hashlib.sha256((last[0] if last else b"") + pad).digest()
    connection.execute("INSERT INTO moves (pad, chain) VALUES (?, ?)", (pad, chain))
    connection.execute("COMMIT")


@contextmanager
def process(role: str, *arguments: object) -> Iterator["subprocess.Popen[str]"]:
    """Start a role and wait for its first line; it ends with the block."""
    command = [sys.executable, "-m", "tests.commands.sqlite_writers", role, *map(str, arguments)]
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        try:
            assert child.stdout is not None
            child.first_line = child.stdout.readline().strip()  # type: ignore[attr-defined]
            yield child
        finally:
            if child.stdin is not None:
                child.stdin.close()
            child.wait(TIMEOUT_SECONDS)


def ask(role: str, *arguments: object) -> str:
    """Run a role to its end; what it printed."""
    command = [sys.executable, "-m", "tests.commands.sqlite_writers", role, *map(str, arguments)]
    done = subprocess.run(command, cwd=ROOT, input="", capture_output=True, text=True, check=False)
    return done.stdout.strip() or done.stderr.strip()


def say(line: object) -> None:
    """One line to the test."""
    print(line, flush=True)  # noqa: T201 - it is how the roles answer


def stdin_closed() -> threading.Event:
    """Set when the test wants the role to end."""
    closed = threading.Event()

    def wait() -> None:
        sys.stdin.read()
        closed.set()

    threading.Thread(target=wait, daemon=True).start()
    return closed


def role_write(path: str, checkpoint: str) -> None:
    """Commit all the time; checkpoint (passive, restart, truncate, none) after each commit."""
    closed, rng = stdin_closed(), random.Random(1)
    with closing(sqlite3.connect(path, isolation_level=None, timeout=60)) as connection:
        connection.execute("PRAGMA synchronous=OFF")
        connection.execute("PRAGMA busy_timeout=60000")
        move(connection, rng)
        say("ready")
        while not closed.is_set():
            move(connection, rng)
            if checkpoint != "none":
                connection.execute("PRAGMA busy_timeout=1")  # a checkpoint need not wait
                connection.execute(f"PRAGMA wal_checkpoint({checkpoint})").fetchall()
                connection.execute("PRAGMA busy_timeout=60000")


def role_hold(path: str, statement: str) -> None:
    """Begin a transaction and keep it."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(statement)
        connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        say("ready")
        sys.stdin.read()


def role_try_lock(path: str, begin: str = "BEGIN IMMEDIATE") -> None:
    """Say whether the write lock (or another) can be had now."""
    with closing(sqlite3.connect(path, isolation_level=None, timeout=0)) as connection:
        try:
            connection.execute(begin)
        except sqlite3.OperationalError as error:
            say(error.sqlite_errorname)
        else:
            say("free")


def role_crash(path: str) -> None:
    """Leave a transaction half written in the file, with its hot journal."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA cache_size=5")  # so that it spills
    connection.execute("BEGIN IMMEDIATE")
    connection.execute("UPDATE accounts SET balance = 0, pad = randomblob(3000)")
    say("written")
    os.kill(os.getpid(), signal.SIGKILL)


def role_watch(path: str) -> None:
    """Read all the time; say each state that differs from the one before."""
    closed, last = stdin_closed(), ""
    with closing(sqlite3.connect(path, isolation_level=None, timeout=60)) as connection:
        while not closed.is_set():
            connection.execute("BEGIN")
            (moves,) = connection.execute("SELECT moves FROM counter").fetchone()
            state = f"{moves} {holds(connection)}"
            connection.execute("COMMIT")
            if state != last:
                say(state)
            last = state


def role_restore(target: str, backup: str, last_call: str) -> None:
    """Restore page by page; killed at progress call number `last_call` (0: not at all)."""
    sqlite_restore.STEP_BYTES = 1
    calls = 0

    def count(_step: str, _done: int, _total: int) -> None:
        nonlocal calls
        calls += 1
        if calls == 1:
            say("begun")
        if calls == int(last_call):
            os.kill(os.getpid(), signal.SIGKILL)

    sqlite_restore.restore_into(Path(target), Path(backup), on_progress=count)
    say(calls)


def role_snapshot(source: str, staged: str, umask: str, user: str = "") -> None:
    """Take a snapshot, as another user if named; say its engine, or the error."""
    os.umask(int(umask, 8))
    if user:
        os.setgroups([])
        os.setgid(int(user))
        os.setuid(int(user))
    try:
        say(take_snapshot(Path(source), Path(staged), wait_seconds=0.1).engine)
    except SQLiteFileError as error:
        say(f"{type(error).__name__}: {error}")


def role_sha256(path: str) -> None:
    """The file's hash, from a process that holds no lock."""
    say(hashlib.sha256(Path(path).read_bytes()).hexdigest())


ROLES: dict[str, Callable[..., None]] = {
    "write": role_write,
    "hold": role_hold,
    "try_lock": role_try_lock,
    "crash": role_crash,
    "watch": role_watch,
    "restore": role_restore,
    "snapshot": role_snapshot,
    "sha256": role_sha256,
}

if __name__ == "__main__":
    ROLES[sys.argv[1]](*sys.argv[2:])
