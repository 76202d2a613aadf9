"""The process that copies a live database and its write-ahead log, byte by byte.

Started by `sqlite_copy` as a program of its own, because closing a plain descriptor of a
database would drop every lock that the process holds on it (see `sqlite_connections`); this
one holds none. The parent keeps a read transaction open on the source the whole time, which
makes the copy right:

- Rollback-journal mode: the parent's SHARED lock keeps every writer from the file.
- WAL mode, the parent reads some of the log: a checkpoint writes only frames up to the parent's
  read mark into the database, and the log cannot restart. So the copied log still has every
  frame that a checkpoint may have written under our hands; newer frames do no harm, and a torn
  one at the end fails its checksum. They are not needed either: the log is copied up to where it
  ended when the copy began, or a writer faster than the copy would never let it end.
- WAL mode, the parent reads nothing of the log (all of it is in the database): no checkpoint may
  touch the database, but the log may restart. Then a mix of old and new frames could have been
  copied, and the old ones alone would take pages back in time. The header (it has the salts)
  is written before any frame of a new log, so: header in the copy = header now, or the log is
  dropped. Without it the copy is exactly what the parent's transaction sees.

Source: https://www.sqlite.org/wal.html and https://www.sqlite.org/fileformat2.html#walformat.

An encrypted database cannot be read without its key, so the parent has no transaction on it. Then
this process holds SQLite's own locks (mode `locked`), which need no key: SHARED on the database
keeps writers of a rollback journal from it, and the last connection from removing a log; the lock
of checkpoints keeps every checkpoint from the database. The log is copied as above; where none
was there and one appears meanwhile, the copy is of no use. Offsets: `os.h` (PENDING_BYTE) and
`wal.c` (WAL_CKPT_LOCK) in SQLite's sources; they are part of its file format.

    python -I -S copy_process.py SOURCE STAGED (wal|none|locked) DEVICE INODE
        [BYTES_A_SECOND NICENESS [WAIT_SECONDS]]

STAGED exists and is empty; 0 bytes a second means no limit. Lines on stdout: `progress DONE TOTAL`,
then `done (whole|dropped)` (the log), or `error ERRNO TEXT`; in mode `locked` also `busy`,
`journal` (a crashed writer's is there) and `again`. Standard library only: it must start fast.
"""

import contextlib
import errno
import fcntl
import math
import os
import sys
import threading
import time
from collections.abc import Callable

FICLONE = 0x40049409  # linux/fs.h: share the blocks, where the file system can
CHUNK_BYTES = 16 * 1024 * 1024  # one progress line each
BRAKED_CHUNK_BYTES = 256 * 1024  # a limit on the rate must not come in bursts
PLAIN_CHUNK_BYTES = 1024 * 1024
WAL_HEADER_BYTES = 32
NOT_OFFERED = (
    errno.EXDEV,
    errno.ENOSYS,
    errno.EOPNOTSUPP,
    errno.EINVAL,
    errno.EPERM,
    errno.ENOTTY,
    errno.EBADF,
)


PENDING_BYTE = 0x40000000
RESERVED_BYTE = PENDING_BYTE + 1
SHARED_BYTES = (PENDING_BYTE + 2, 510)
CHECKPOINT_BYTE = 121
"""In the log's index, the `-shm` file."""
LOOK_AGAIN_SECONDS = 0.01


class Unsteady(Exception):
    """The database could not be held still; the message is the word for the parent."""


class EarlyFlush(threading.Thread):
    """Brings a file to the disk while it is being written, so that the last flush is short."""

    PAUSE_SECONDS = 0.005

    def __init__(self, descriptor: int) -> None:
        super().__init__(daemon=True)
        self.descriptor = descriptor
        self.ended = threading.Event()

    def run(self) -> None:
        """Flush again and again; an error ends it, as the parent flushes too and reports."""
        with contextlib.suppress(OSError):
            while not self.ended.wait(self.PAUSE_SECONDS):
                os.fsync(self.descriptor)

    def end(self) -> None:
        """Stop after the flush under way."""
        self.ended.set()
        self.join()


class RateLimiter:
    """Keeps a copy under a rate in bytes a second, on the average since it was made; 0: none."""

    def __init__(
        self,
        bytes_per_second: float,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.bytes_per_second = bytes_per_second
        self.monotonic = monotonic
        self.sleep = sleep
        self.begun = monotonic()

    @property
    def chunk_bytes(self) -> int:
        """How much to copy between two looks at the clock."""
        return BRAKED_CHUNK_BYTES if self.bytes_per_second else CHUNK_BYTES

    def wait(self, done: int) -> None:
        """Sleep until this many bytes may have been copied."""
        if self.bytes_per_second:
            early = done / self.bytes_per_second - (self.monotonic() - self.begun)
            if early > 0:
                self.sleep(early)


UNLIMITED = RateLimiter(0)


class Meter:
    """Says how far the copy is; a broken pipe (the parent is gone) ends this process."""

    def __init__(self, total: int, brake: RateLimiter = UNLIMITED) -> None:
        self.done = 0
        self.total = total
        self.brake = brake
        self.told = 0

    def add(self, count: int) -> None:
        """Count bytes, say so now and then, and keep under the rate."""
        self.done += count
        self.brake.wait(self.done)
        if self.done - self.told >= CHUNK_BYTES // 16 or self.done >= self.total:
            self.told = self.done
            say(f"progress {self.done} {max(self.done, self.total)}")


def say(line: str) -> None:
    """One line to the parent, at once."""
    os.write(1, line.encode("utf-8", "backslashreplace") + b"\n")


def copy(source: int, staged: int, meter: Meter, limit: float = math.inf) -> None:
    """Copy `source` up to its end, or up to `limit` bytes of it, the fastest way that works."""
    if clone(source, staged):
        meter.add(os.fstat(staged).st_size)
        return
    # Some kernels end early without an error; reading on proves the end, or finishes.
    done = copy_in_kernel(source, staged, meter, limit)
    copy_plainly(source, staged, meter, limit - done)


def clone(source: int, staged: int) -> bool:
    """Share the blocks of `source`: at once, and no space used. Says whether it could."""
    try:
        fcntl.ioctl(staged, FICLONE, source)
    except OSError as error:
        if error.errno not in NOT_OFFERED:
            raise
        return False
    return True


def copy_in_kernel(source: int, staged: int, meter: Meter, limit: float) -> int:
    """Copy with copy_file_range, as far as it goes; says how many bytes that was."""
    done = 0
    try:
        while count := os.copy_file_range(
            source, staged, int(min(meter.brake.chunk_bytes, limit - done))
        ):
            done += count
            meter.add(count)
    except AttributeError:  # not this platform
        return done
    except OSError as error:
        if error.errno not in NOT_OFFERED:
            raise
    return done


def copy_plainly(source: int, staged: int, meter: Meter, limit: float) -> None:
    """Copy with read and write from where the descriptors stand."""
    chunk = min(PLAIN_CHUNK_BYTES, meter.brake.chunk_bytes)
    while piece := os.read(source, int(min(chunk, limit))):
        limit -= len(piece)
        rest = memoryview(piece)
        while rest:
            rest = rest[os.write(staged, rest) :]
        meter.add(len(piece))


def copy_log(source: int, staged_path: str, meter: Meter, log_bytes: int) -> bool:
    """Copy so much of the log; removes the copy and says False when the log restarted meanwhile."""
    staged = os.open(staged_path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        os.fchmod(staged, 0o600)
        copy(source, staged, meter, log_bytes)
        header = os.pread(staged, WAL_HEADER_BYTES, 0)
        whole = header == os.pread(source, WAL_HEADER_BYTES, 0)
    finally:
        os.close(staged)
    if not whole:
        os.unlink(staged_path)
    return whole


def open_log(path: str) -> int | None:
    """The descriptor of the log, or None where there is none."""
    try:
        return os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return None


def lock_shared(descriptor: int, start: int, length: int = 1) -> bool:
    """Share a lock of SQLite's until this process ends; whether it could."""
    try:
        fcntl.lockf(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB, length, start)
    except OSError as error:
        if error.errno not in (errno.EACCES, errno.EAGAIN):
            raise
        return False
    return True


def lock_against_writers(source: int) -> bool:
    """SQLite's SHARED lock, as a reader takes it: not while a writer waits for readers to go."""
    if not lock_shared(source, PENDING_BYTE):
        return False
    try:
        return lock_shared(source, *SHARED_BYTES)
    finally:
        fcntl.lockf(source, fcntl.LOCK_UN, 1, PENDING_BYTE)


def has_hot_journal(source: int, path: str) -> bool:
    """Whether a crashed writer left a rollback journal; a living one holds RESERVED."""
    try:
        with open(path + "-journal", "rb") as journal:
            is_used = journal.read(1) not in (b"", b"\0")
    except FileNotFoundError:
        return False
    if not is_used or not lock_shared(source, RESERVED_BYTE):
        return False
    fcntl.lockf(source, fcntl.LOCK_UN, 1, RESERVED_BYTE)
    return True


def hold_still(source: int, path: str, wait_seconds: float) -> bool:
    """Take the locks that keep a database's file as it is; says whether there is a log's index.

    Raises:
        Unsteady: others keep theirs, or the file is not consistent without its journal.
    """
    deadline = time.monotonic() + wait_seconds
    index: int | None = None
    steps: list[Callable[[], bool]] = [lambda: lock_against_writers(source)]
    with contextlib.suppress(FileNotFoundError):
        index = os.open(path + "-shm", os.O_RDONLY)
        steps.append(lambda: lock_shared(index or 0, CHECKPOINT_BYTE))
    for is_done in steps:
        while not is_done():
            if time.monotonic() >= deadline:
                raise Unsteady("busy")
            time.sleep(LOOK_AGAIN_SECONDS)
    if has_hot_journal(source, path):
        raise Unsteady("journal")
    return index is not None


def copy_database(
    source_path: str,
    staged_path: str,
    mode: str,
    identity: tuple[int, int],
    bytes_per_second: float = 0,
    wait_seconds: float = 0,
) -> bool:
    """Copy database, then log. Says whether the log was whole (or none was needed).

    Raises:
        Unsteady: mode `locked`, and it could not be held still.
        OSError: anything the system said; EBUSY when the file at the path is not `identity`.
    """
    source = os.open(source_path, os.O_RDONLY)
    found = os.fstat(source)
    if (found.st_dev, found.st_ino) != identity:
        if mode == "locked":
            raise Unsteady("again")
        raise OSError(errno.EBUSY, "the database was replaced meanwhile")
    has_index = mode == "locked" and hold_still(source, source_path, wait_seconds)
    log = None if mode == "none" else open_log(source_path + "-wal")
    log_bytes = os.fstat(log).st_size if log is not None else 0
    meter = Meter(found.st_size + log_bytes, RateLimiter(bytes_per_second))
    staged = os.open(staged_path, os.O_WRONLY)
    early = EarlyFlush(staged)
    early.start()
    copy(source, staged, meter)
    early.end()
    if mode == "locked" and not has_index and os.path.exists(source_path + "-shm"):
        raise Unsteady("again")
    return log is None or copy_log(log, staged_path + "-wal", meter, log_bytes)


def main(arguments: list[str]) -> int:
    """Do what the command line says; see the top of this file."""
    source, staged, mode, device, inode, *pace = arguments
    rate, niceness, wait_seconds = (*pace, *("0", "0", "0")[len(pace) :])
    try:
        # Linux takes a process's rank at the disk from its niceness, where none was given.
        os.nice(int(niceness))
        identity = (int(device), int(inode))
        whole = copy_database(source, staged, mode, identity, float(rate), float(wait_seconds))
    except Unsteady as word:
        say(str(word))
        return 1
    except OSError as error:
        say(f"error {error.errno} {error.strerror}")
        return 1
    say("done whole" if whole else "done dropped")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
