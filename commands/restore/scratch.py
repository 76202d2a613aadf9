"""Folders for files that are on their way to their place, where no ledger knows of them.

Whoever works in one holds an flock on it. One whose lock is free was left by a killed process, and
the next restore or recovery removes it.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from commands.sqlite.files import file_error, flush_directory

if TYPE_CHECKING:
    from collections.abc import Iterator

PREFIX = ".backup-ledger-bare-"


@contextmanager
def scratch_folder(parent: Path) -> Iterator[Path]:
    """A new folder beside the place of its files, 0700 and locked; gone afterwards.

    Raises:
        SQLiteFileError: none can be made there.
    """
    try:
        folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=parent))
        lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        fcntl.flock(lock, fcntl.LOCK_EX)
    except OSError as error:
        raise file_error(error, parent) from error
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)
        with suppress(OSError):
            flush_directory(parent)


def clear_scratch(parent: Path) -> list[str]:
    """Remove what killed processes left in a folder; the names of their folders."""
    removed = []
    for folder in sorted(parent.glob(f"{PREFIX}*")):
        with suppress(OSError), _dead(folder) as is_dead:
            if is_dead:
                shutil.rmtree(folder)
                removed.append(folder.name)
    return removed


@contextmanager
def _dead(folder: Path) -> Iterator[bool]:
    """Whether nobody works in a folder; it stays locked meanwhile. Raises OSError."""
    lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
    finally:
        os.close(lock)
