"""Free space, looked at before anything is made."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

from commands.sqlite.errors import NotEnoughSpace, shown
from commands.sqlite.files import file_error

FreeBytes = Callable[[Path], int]

RESERVE_BYTES = 1024 * 1024
"""Room left for directories, journals and the ledger."""


def free_bytes(folder: Path) -> int:
    """Bytes that we may still write on the file system of a folder.

    Raises:
        SQLiteFileError: there is no such folder, or it cannot be looked at.
    """
    try:
        return shutil.disk_usage(folder).free
    except OSError as error:
        raise file_error(error, folder) from error


def require_space(
    folder: Path, needed: int, what: str, free: FreeBytes = free_bytes, *, remedy: str = ""
) -> None:
    """See that `what` has room.

    Raises:
        NotEnoughSpace: it has not, with both numbers.
    """
    found = free(folder)
    if found < needed:
        advice = remedy or "free some, or let retention keep fewer backups"
        raise NotEnoughSpace(
            f"{shown(folder)} has {found} bytes free, the {what} needs {needed}; "
            f"{advice}; nothing was changed"
        )


def on_one_file_system(one: Path, other: Path) -> bool:
    """Whether what one folder takes is missing in the other."""
    return os.stat(one).st_dev == os.stat(other).st_dev
