"""Private files of ours that survive a power cut: made, flushed, copied, removed.

Never for a database that somebody may be using: see `sqlite_connections`.
"""

import errno
import hashlib
import os
import select
import stat
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from commands.sqlite.connections import SIDECAR_SUFFIXES, sidecar
from commands.sqlite.errors import (
    FileAccessFailed,
    FileInTheWay,
    FolderMissing,
    NotEnoughSpace,
    SourceMissing,
    SQLiteFileError,
    shown,
)

PRIVATE_MODE = 0o600
_GONE = (errno.ENOTDIR, errno.ESTALE)
CHUNK_BYTES = 4 * 1024 * 1024  # large enough that a call costs nothing beside its work
PIPE_SECONDS = 10
"""How long a pipe that a person names may give nothing."""

Progress = Callable[[str, int, int], None]
"""Told (step, bytes done, bytes in all); may be called from another thread."""


def file_error(error: OSError, path: Path) -> SQLiteFileError:
    """The error of ours for what the operating system said about `path`."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return NotEnoughSpace(f"no space left while writing {shown(path)}; free some, try again")
    if isinstance(error, FileExistsError):
        return FileInTheWay(f"{shown(path)} already exists and is left alone; choose another name")
    if isinstance(error, FileNotFoundError) or error.errno in _GONE:
        folder = missing_folder(path)
        if folder is not None or error.errno == errno.ESTALE:
            return FolderMissing(
                f"there is no folder {shown(folder or path.parent)}; check the path, and that its "
                "file system is mounted"
            )
        return SourceMissing(f"there is no {shown(path)}; check the path")
    return FileAccessFailed(f"{shown(path)} cannot be read or written: {error.strerror or error}")


def missing_folder(path: Path) -> Path | None:
    """The uppermost folder above `path` that is not there; None where all are."""
    missing = None
    for folder in path.absolute().parents:
        if os.path.isdir(folder):
            break
        missing = folder
    return missing


def create_private(path: Path) -> int:
    """Make a new file, 0600 whatever the umask, and return its descriptor.

    Raises:
        SQLiteFileError: it exists (`FileInTheWay`), or cannot be made.
    """
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
    try:
        descriptor = os.open(path, flags, PRIVATE_MODE)
    except OSError as error:
        raise file_error(error, path) from error
    try:
        os.fchmod(descriptor, PRIVATE_MODE)  # a umask may have taken bits of the owner's
    except OSError as error:
        os.close(descriptor)
        with suppress(OSError):
            os.unlink(path)
        raise file_error(error, path) from error
    return descriptor


def take_room(descriptor: int, size: int, path: Path) -> None:
    """Give a new file its size in bytes, and its room on the disk at once.

    Raises:
        SQLiteFileError: `NotEnoughSpace` where there is no room.
    """
    try:
        if size and hasattr(os, "posix_fallocate"):
            os.posix_fallocate(descriptor, 0, size)
        else:  # macOS has no such call
            os.truncate(descriptor, size)
    except OSError as error:
        raise file_error(error, path) from error


def write_private(path: Path, content: bytes) -> None:
    """Write a new file, 0600 and durable; nothing is left of it where that fails.

    Raises:
        SQLiteFileError: it already exists (never overwritten), or cannot be written.
    """
    descriptor = create_private(path)
    try:
        os.write(descriptor, content)
        os.fsync(descriptor)
    except OSError as error:
        path.unlink(missing_ok=True)
        raise file_error(error, path) from error
    finally:
        os.close(descriptor)
    flush_directory(path.absolute().parent)


def read_given(path: Path, max_bytes: int) -> bytes:
    """The beginning of a file that a person names, a key or a checkpoint; never waits forever.

    It may be a pipe, as shells make one for `<(command)`: that is read to its end.

    Raises:
        OSError: it cannot be read, or a pipe gives nothing for 10 seconds.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        found, arrivals = b"", select.poll()
        arrivals.register(descriptor, select.POLLIN)
        while len(found) < max_bytes:
            if not arrivals.poll(PIPE_SECONDS * 1_000):
                raise TimeoutError(
                    errno.ETIMEDOUT, f"it is a pipe, and gives nothing for {PIPE_SECONDS} seconds"
                )
            read = os.read(descriptor, max_bytes - len(found))
            if not read:
                break
            found += read
        return found
    finally:
        os.close(descriptor)


def leave_page_cache(path: Path) -> None:
    """Let the system forget a file that is on the disk and that nobody reads soon.

    A large copy must not stay in memory in the place of what the application works with.
    """
    if hasattr(os, "posix_fadvise"):  # not on every platform
        with suppress(OSError):
            descriptor = os.open(path, os.O_RDONLY)
            try:
                os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
            finally:
                os.close(descriptor)


def flush_file(path: Path) -> None:
    """Bring the file's content and metadata to the disk."""
    _flush(path, os.O_RDONLY)


def flush_directory(path: Path) -> None:
    """Bring the names in the directory to the disk."""
    _flush(path, os.O_RDONLY | os.O_DIRECTORY)


def _flush(path: Path, flags: int) -> None:
    descriptor = os.open(path, flags | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove_database(path: Path) -> None:
    """Remove a staged file of ours and every sidecar, whichever of them exist."""
    for suffix in ("", *SIDECAR_SUFFIXES):
        sidecar(path, suffix).unlink(missing_ok=True)


def sha256_of(path: Path, on_progress: Progress | None = None) -> str:
    """SHA-256 of a file of ours in hex, read in pieces. Tells progress as `hash`."""
    try:
        with path.open("rb", buffering=0) as file:
            return _digest(file.fileno(), None, "hash", on_progress)
    except OSError as error:
        raise file_error(error, path) from error


def copy_file(source_backup: Path, destination: Path, on_progress: Progress | None = None) -> str:
    """Copy one of our finished files to a new path, durable and 0600; returns its SHA-256 in hex.

    Raises:
        SQLiteFileError: `destination` exists, the source is missing, no space; nothing is left.
    """
    target = create_private(destination)
    try:
        digest = _copy_into(source_backup, target, on_progress)
        flush_directory(destination.parent)
    except BaseException as error:
        with suppress(OSError):  # what went wrong before is what the caller must hear of
            destination.unlink(missing_ok=True)
        if isinstance(error, OSError) and not isinstance(error, SQLiteFileError):
            raise file_error(error, source_backup if error.filename else destination) from error
        raise
    finally:
        os.close(target)
    return digest


def _copy_into(source: Path, target: int, on_progress: Progress | None) -> str:
    descriptor = os.open(source, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise FileAccessFailed(f"{shown(source)} is not a regular file; choose a backup")
        digest = _digest(descriptor, target, "copy", on_progress)
    finally:
        os.close(descriptor)
    os.fsync(target)
    return digest


def _digest(source: int, target: int | None, step: str, on_progress: Progress | None) -> str:
    digest, done, total = hashlib.sha256(), 0, os.fstat(source).st_size
    buffer = memoryview(bytearray(CHUNK_BYTES))
    while count := os.readv(source, [buffer]):
        digest.update(buffer[:count])
        written = 0
        while target is not None and written < count:
            written += os.write(target, buffer[written:count])
        done += count
        if on_progress is not None:
            on_progress(step, done, total)
    return digest.hexdigest()
