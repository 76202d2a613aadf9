"""What an application left beside its database that SQLite here must not act on.

An application that locks with the VFS `unix-dotfile` makes the folder `<database>.lock` while it
reads or writes. SQLite's usual locks do not see it, so its open transaction looks like one of a
crashed writer, whose journal would be rolled back: half of its work would be undone.

A journal may name a super-journal (https://www.sqlite.org/fileformat2.html#rollbackjournal, by
SQLite's sources: page number, name, length, checksum, magic), and SQLite deletes the file of that
name after rolling back. In a folder of another account that may be any file; so only names that
SQLite itself gives, in the folder of the database, are followed.
"""

from __future__ import annotations

import os
import re
import stat
from typing import TYPE_CHECKING

from commands.sqlite.errors import FileAccessFailed, LockedByDotfile, shown
from commands.sqlite.raw_files import end_of

if TYPE_CHECKING:
    from pathlib import Path

DOTFILE_SUFFIX = ".lock"
JOURNAL_SUFFIX = "-journal"
MAGIC = bytes.fromhex("d9d505f920a163d7")
TRAILER_BYTES = 16
"""Length of the name, checksum, magic."""

_OWN_NAME = re.compile(rb".+-mj[0-9A-F]{9}", re.DOTALL)


def require_no_foreign_locks(database: Path) -> None:
    """See that SQLite may open a live database; looked at without SQLite.

    Raises:
        LockedByDotfile: its application locks in a way that SQLite here does not see.
        FileAccessFailed: its journal names a file that SQLite would delete.
    """
    path = database.resolve()
    lock = path.with_name(path.name + DOTFILE_SUFFIX)
    if _is_folder(lock):  # a file of this name is of somebody's own locking
        raise LockedByDotfile(
            f"{shown(path)} is in use by an application that locks with unix-dotfile "
            f"({shown(lock.name)} is there), which nobody else's locks see; nothing was opened. "
            "Let it use SQLite's default VFS, or back it up while it is stopped; if no "
            f"application is running, remove {shown(lock)}"
        )
    journal = path.with_name(path.name + JOURNAL_SUFFIX)
    try:
        is_there = os.lstat(journal).st_size > TRAILER_BYTES
    except OSError:
        return
    if is_there:
        _require_own_super_journal(path, journal)


def _is_folder(path: Path) -> bool:
    try:
        return stat.S_ISDIR(os.lstat(path).st_mode)
    except OSError:
        return False


def _require_own_super_journal(path: Path, journal: Path) -> None:
    end = end_of(journal)
    if not end.endswith(MAGIC):
        return  # or it is gone: a transaction that was under way has ended
    length = int.from_bytes(end[-TRAILER_BYTES : -TRAILER_BYTES + 4])
    name = end[-TRAILER_BYTES - length : -TRAILER_BYTES]
    folder, own = os.path.split(name)
    is_here = os.path.realpath(folder or b".") == os.fsencode(path.parent)
    if len(name) == length and is_here and _OWN_NAME.fullmatch(own):
        return
    raise FileAccessFailed(
        f"the journal {shown(journal)} names another file, {shown(os.fsdecode(name))}, which "
        "SQLite would delete; nothing was opened. If the application crashed, let it open the "
        "database once; otherwise find out who made the journal"
    )
