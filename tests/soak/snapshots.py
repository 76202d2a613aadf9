"""Snapshot after snapshot under writers in other processes; each must be one state of the source.

The writers move amounts between accounts (the sum never changes), count their moves in another
table, and chain each move's row to the one before. One checkpoints passively after each commit,
one restarts the log, one truncates it.
"""

from __future__ import annotations

import hashlib
import itertools
import shutil
import sqlite3
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event

from commands.sqlite.snapshot import Engine, take_snapshot
from tests.commands.sqlite_writers import build, is_consistent, process

CHECKPOINTS = ("passive", "restart", "truncate")
ENGINES: tuple[Engine, ...] = ("copy", "copy", "backup_api")
PIECE_BYTES = 64 * 1024


@dataclass
class Soaked:
    """What came of it: snapshots by engine, how many differed, and which were no state."""

    taken: Counter[str] = field(default_factory=Counter)
    digests: set[str] = field(default_factory=set)
    inconsistent: list[Path] = field(default_factory=list)

    @property
    def count(self) -> int:
        return self.taken.total()


def soak(folder: Path, seconds: float, at_least: int) -> Soaked:
    """For so many seconds, and until so many were taken; what is inconsistent is left there."""
    source = build(folder / "source.db")
    soaked = Soaked()
    end = time.monotonic() + seconds
    with ExitStack() as writers:
        for checkpoint in CHECKPOINTS:
            writers.enter_context(process("write", source, checkpoint))
        for number, engine in enumerate(itertools.cycle(ENGINES)):
            if soaked.count >= at_least and time.monotonic() >= end:
                break
            staged = folder / f"{number}.db"
            taken = take_snapshot(source, staged, engine=engine)
            soaked.taken[taken.engine] += 1
            soaked.digests.add(taken.sha256)
            if is_consistent(staged):
                staged.unlink()
            else:
                soaked.inconsistent.append(staged)
    return soaked


def soak_swapped(folder: Path, at_least: int) -> Counter[str]:
    """Snapshots of a path where one database takes the place of another all the time.

    Each must be the one or the other, whole; how many were of which, by a digest of the content.
    """
    place = folder / "swapped.db"
    both = [build(folder / f"{name}.db", journal="delete") for name in ("one", "other")]
    shutil.copy(both[0], place)
    stop, found = Event(), Counter[str]()

    def swap() -> None:
        for database in itertools.cycle(both):
            if stop.is_set():
                return
            shutil.copy(database, folder / "next.db")
            (folder / "next.db").replace(place)

    with ThreadPoolExecutor(1) as pool:
        swapping = pool.submit(swap)
        try:
            for number, engine in enumerate(itertools.islice(itertools.cycle(ENGINES), at_least)):
                staged = folder / f"swapped{number}.db"
                take_snapshot(place, staged, engine=engine)
                found[content_of(staged)] += 1
                staged.unlink()
        finally:
            stop.set()
        swapping.result()
    assert set(found) <= {content_of(each) for each in both}
    return found


def content_of(database: Path) -> str:
    """All of a database as SQL, hashed."""
    digest = hashlib.sha256()
    with closing(sqlite3.connect(database)) as connection:
        for line in connection.iterdump():
            digest.update(line.encode())
    return digest.hexdigest()


def copy_plainly(source: Path, copy: Path) -> None:
    """The mistake: database and log read as files, with a commit and a checkpoint in between."""
    with source.open("rb") as reading, copy.open("wb") as writing:
        writing.write(reading.read(PIECE_BYTES))
        with process("write", source, "truncate"):
            pass  # one commit and one checkpoint at least
        writing.write(reading.read())
    log = source.with_name(f"{source.name}-wal")
    if log.exists():
        copy.with_name(f"{copy.name}-wal").write_bytes(log.read_bytes())
