"""Giving a finished file or folder its name, whole or not at all, and never another's.

A hard link does that in one step. Where the file system has none (vfat, exFAT, some network
shares), the name is taken first by an empty file or folder of ours, in whose place the finished
one is then renamed. A kill between the two leaves an empty file, which the next attempt takes over.
"""

from __future__ import annotations

import errno
import os
import stat
from contextlib import suppress
from pathlib import Path

from commands.sqlite.errors import FileInTheWay, SQLiteFileError, shown
from commands.sqlite.files import create_private, file_error, flush_directory

_NO_LINKS = (errno.EPERM, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK)
"""What systems say that have no hard links, or no more of them for this file."""


def publish_new(finished: Path, final: Path) -> None:
    """Give `finished` the name `final`, on the same file system; its old name is gone afterwards.

    Raises:
        FileInTheWay: something stands there; it was left alone.
        SQLiteFileError: it cannot be; `finished` is as it was.
    """
    try:
        if finished.is_dir():
            final.mkdir(mode=0o700)
            os.rename(finished, final)  # takes the place of the empty folder
        else:
            _publish_file(finished, final)
        flush_directory(final.absolute().parent)
    except FileExistsError as error:
        raise FileInTheWay(f"{shown(final)} already exists; choose another name") from error
    except OSError as error:
        if isinstance(error, SQLiteFileError):
            raise
        raise file_error(error, final) from error


def link(finished: Path, final: Path) -> bool:
    """Give a file a second name; False where the file system has no hard links.

    Raises:
        FileExistsError: something stands there, and is not a name that a kill left empty.
        OSError: it cannot be for another reason.
    """
    try:
        os.link(finished, final)
    except FileExistsError:
        if _is_empty_file(final) and not _has_links(finished):
            return False
        raise
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        return False
    return True


def _has_links(finished: Path) -> bool:
    probe = finished.with_name(f".{finished.name}.link")
    try:
        os.link(finished, probe)
    except OSError as error:
        return error.errno not in _NO_LINKS
    os.unlink(probe)
    return True


def _publish_file(finished: Path, final: Path) -> None:
    if link(finished, final):
        os.unlink(finished)
        return
    if not _is_empty_file(final):
        os.close(create_private(final))
    try:
        os.rename(finished, final)
    except BaseException:
        with suppress(OSError):
            if _is_empty_file(final):
                os.unlink(final)
        raise


def _is_empty_file(path: Path) -> bool:
    try:
        found = os.lstat(path)
    except FileNotFoundError:
        return False
    return stat.S_ISREG(found.st_mode) and found.st_size == 0
