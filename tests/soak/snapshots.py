"""Snapshot after snapshot under writers in other processes; each must be one state of the source.

The writers move amounts between accounts (the sum never changes), count their moves in another
table, and chain each move's row to the one before. One checkpoints passively after each commit,
one restarts the log, one truncates it.
"""

from __future__ import annotations

import itertools
import time
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

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
