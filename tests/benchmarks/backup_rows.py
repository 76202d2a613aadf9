"""Snapshots, verified backups, and a herd of users due at once."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import count
from pathlib import Path
from random import Random

from commands.backups.take import take_backup
from commands.scheduler.check import check
from commands.schedules.settings import configure
from commands.site.actors import operator
from commands.site.configuration import load_configuration
from commands.site.opening import open_site
from commands.sqlite.files import flush_file, sha256_of
from commands.sqlite.snapshot import stage_copy, take_snapshot
from ledger.clock import ManualClock
from tests.benchmarks.measuring import Row, Sizes, take_turns

MEGABYTE = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of database: what its rows are named by, and how so many megabytes are made."""

    suffix: str
    make: Callable[[Path, int], None]


def make_database(path: Path, megabytes: int) -> None:
    """Many rows with an index, half text and half blobs."""
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(
            "PRAGMA journal_mode=WAL; CREATE TABLE documents"
            " (id INTEGER PRIMARY KEY, title TEXT, body BLOB);"
            "CREATE INDEX titles ON documents (title)"
        )
        for number in range(megabytes):
            rows = [(f"Document {number}-{part}", os.urandom(8_000)) for part in range(128)]
            connection.executemany("INSERT INTO documents (title, body) VALUES (?, ?)", rows)
            connection.commit()


MIXED = Kind("", make_database)


def make_blobs(path: Path, megabytes: int) -> None:
    """Few rows, each of a megabyte."""
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(
            "PRAGMA journal_mode=WAL; CREATE TABLE scans (id INTEGER PRIMARY KEY, content BLOB)"
        )
        for _ in range(megabytes):
            connection.execute("INSERT INTO scans (content) VALUES (?)", (os.urandom(MEGABYTE),))
            connection.commit()


def make_rows(path: Path, megabytes: int) -> None:
    """Many small rows, with three indexes that take more than the rows."""
    random = Random(1)
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(
            "PRAGMA journal_mode=WAL; CREATE TABLE bookings (id INTEGER PRIMARY KEY, account INT,"
            " day INT, cents INT, reference TEXT)"
        )
        for _ in range(megabytes):
            numbers = ((random.getrandbits(32), random.getrandbits(40)) for _ in range(10_500))
            rows = [(one, one % 3_650, two, f"{two:x}-{one:x}") for one, two in numbers]
            connection.executemany(
                "INSERT INTO bookings (account, day, cents, reference) VALUES (?, ?, ?, ?)", rows
            )
            connection.commit()
        connection.executescript(
            "CREATE INDEX by_account ON bookings (account, day);"
            "CREATE INDEX by_day ON bookings (day, cents);"
            "CREATE UNIQUE INDEX by_reference ON bookings (reference, id);"
        )


def make_text(path: Path, megabytes: int) -> None:
    """Mostly text, some pages a row, with one index."""
    random = Random(1)
    words = [f"{random.getrandbits(28):x}" for _ in range(5_000)]
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(
            "PRAGMA journal_mode=WAL;"
            "CREATE TABLE letters (id INTEGER PRIMARY KEY, subject TEXT, body TEXT);"
            "CREATE INDEX subjects ON letters (subject)"
        )
        for _ in range(megabytes):
            rows = [
                (" ".join(random.choices(words, k=6)), " ".join(random.choices(words, k=500)))
                for _ in range(260)
            ]
            connection.executemany("INSERT INTO letters (subject, body) VALUES (?, ?)", rows)
            connection.commit()


def snapshot(folder: Path, sizes: Sizes, kind: Kind = MIXED) -> Row:
    """A consistent copy and its fsync, beside the backup API and its fsync."""
    source = _database(folder, sizes, kind)
    names = count()

    def ours() -> None:
        staged = folder / f"ours{next(names)}"
        stage_copy(source, staged, engine="copy")
        flush_file(staged)
        staged.unlink()

    def theirs() -> None:
        target = folder / f"theirs{next(names)}"
        with closing(sqlite3.connect(source)) as one, closing(sqlite3.connect(target)) as other:
            one.backup(other)
        flush_file(target)
        target.unlink()

    taken = take_turns(ours, theirs, rounds=sizes.rounds)
    return taken.row(
        f"backup_snapshot{kind.suffix}",
        (taken.seconds_of(), "s"),
        "backup API + fsync",
        lambda mine, api: api / mine,
        2.5,
    )


def verified_backup(folder: Path, sizes: Sizes, kind: Kind = MIXED) -> Row:
    """With integrity check and SHA-256; the limit is cp + fsync + the slower check."""
    source = _database(folder, sizes, kind)
    names = count()
    copied = folder / "copied.db"

    def ours() -> None:
        staged = folder / f"verified{next(names)}"
        take_snapshot(source, staged)
        staged.unlink()

    def copy() -> None:
        copied.unlink(missing_ok=True)
        shutil.copyfile(source, copied)
        flush_file(copied)

    def integrity() -> None:
        with closing(sqlite3.connect(copied)) as connection:
            connection.execute("PRAGMA integrity_check").fetchall()

    taken = take_turns(ours, copy, integrity, lambda: sha256_of(copied), rounds=sizes.rounds)
    return taken.row(
        f"backup_verified{kind.suffix}",
        (taken.seconds_of(), "s"),
        "cp + fsync + the slower check",
        lambda mine, copying, checking, hashing: (copying + max(checking, hashing)) / mine,
        0.8,
    )


def shared_herd(folder: Path, sizes: Sizes, kind: Kind = MIXED) -> Row:
    """Everybody due in one check, in times of one verified backup; at most ten."""
    source = _database(folder, sizes, kind)
    clock = ManualClock(datetime(2025, 1, 13, 2, tzinfo=UTC))
    site = open_site(
        load_configuration(database=source, backups=folder / "herd"), "begin", clock=clock
    )
    for user_id in range(1, sizes.users + 1):
        configure(site, site.context(operator()), user_id, {})

    def everybody() -> None:
        clock.advance(timedelta(days=1))
        assert check(site).completed == sizes.users

    def one() -> None:
        take_backup(site, site.context(operator()))

    taken = take_turns(everybody, one, rounds=1, most=sizes.rounds)
    site.close()
    against = f"10 verified backups, {sizes.users} users"
    return taken.row(
        f"shared_herd{kind.suffix}",
        (taken.seconds_of(), "s"),
        against,
        lambda herd, single: 10 * single / herd,
        1.0,
    )


def _database(folder: Path, sizes: Sizes, kind: Kind) -> Path:
    source = folder / "source.db"
    if not source.exists():
        kind.make(source, sizes.database_mb)
    return source


KINDS = (Kind("_blobs", make_blobs), Kind("_rows", make_rows), Kind("_text", make_text))

BY_KIND: dict[str, Callable[[Path, Sizes], Row]] = {
    f"{name}{kind.suffix}": partial(measure, kind=kind)
    for name, measure in (
        ("shared_herd", shared_herd),
        ("backup_snapshot", snapshot),
        ("backup_verified", verified_backup),
    )
    for kind in KINDS
}
"""The same three figures for other kinds of database."""
