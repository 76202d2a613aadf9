"""A process that acts: its name, its staging folder, and the lock that shows it is alive.

The lock is an flock on `.staging/<owner>/lock`. The kernel frees it when the process and
every helper that inherited it are gone, whatever killed them, so a free lock means that
nobody will finish what that owner began.
"""

from __future__ import annotations

import fcntl
import os
import re
import secrets
import socket
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from commands.sqlite.files import file_error, flush_directory

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LOCK_NAME = "lock"


def owner_name() -> str:
    """Host, process and a random part that no later process can repeat."""
    host = re.sub(r"[^A-Za-z0-9.-]", "-", socket.gethostname())[:64].strip(".") or "host"
    return f"{host}-{os.getpid()}-{secrets.token_hex(4)}"


class Owner:
    """This process's staging folder, locked from construction to `close`."""

    def __init__(self, staging: Path, name: str) -> None:
        self.name = name
        self.folder = staging / name
        try:
            staging.mkdir(mode=0o700, exist_ok=True)
            # A recovery that looks before we have the lock takes us for dead and clears our folder.
            while (descriptor := _locked(self.folder)) is None:
                continue
        except OSError as error:
            raise file_error(error, self.folder) from error
        self.lock_descriptor = descriptor
        self.at_work_on: set[str] = set()
        self.leases: set[str] = set()
        """Of what this process is doing: not over, however long ago they were renewed."""
        flush_directory(staging)
        flush_directory(staging.parent)

    @contextmanager
    def staging(self, backup_id: str) -> Iterator[Path]:
        """Where a backup is made before it is published; recovery keeps off meanwhile."""
        self.at_work_on.add(backup_id)
        try:
            yield self.folder / backup_id
        finally:
            self.at_work_on.discard(backup_id)

    @contextmanager
    def working_under(self, lease: str) -> Iterator[None]:
        """Do something that has a lease; nobody takes it for over meanwhile."""
        self.leases.add(lease)
        try:
            yield
        finally:
            self.leases.discard(lease)

    def close(self) -> None:
        """Give up the lock; what is still staged is left to recovery."""
        if self.lock_descriptor < 0:
            return
        with suppress(OSError):
            if not [name for name in os.listdir(self.folder) if name != LOCK_NAME]:
                (self.folder / LOCK_NAME).unlink(missing_ok=True)
                self.folder.rmdir()
        os.close(self.lock_descriptor)
        self.lock_descriptor = -1


def _locked(folder: Path) -> int | None:
    """Make the folder and its lock, and take it; None where it was removed meanwhile."""
    folder.mkdir(mode=0o700, exist_ok=True)
    path = folder / LOCK_NAME
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except FileNotFoundError:
        return None
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    with suppress(FileNotFoundError):
        if os.path.samestat(os.fstat(descriptor), os.stat(path)):
            return descriptor
    os.close(descriptor)
    return None


@contextmanager
def dead_owner(folder: Path) -> Iterator[bool]:
    """Hold the lock of an owner's staging folder; yields False where the owner lives."""
    try:
        descriptor = os.open(folder / LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except FileNotFoundError:
        yield True  # the folder is gone, and with it every trace of the owner
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        yield False
        return
    try:
        yield True
    finally:
        os.close(descriptor)


def is_alive(staging: Path, name: str) -> bool:
    """Whether an owner's lock is held by somebody."""
    folder = staging / name
    if not (folder / LOCK_NAME).exists():
        return False
    with dead_owner(folder) as dead:
        return not dead
