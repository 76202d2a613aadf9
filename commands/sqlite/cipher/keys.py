"""Where the key of an encrypted database comes from: a command's output, or a private file.

One key a line: the database's own first, then those that older backups were made with. A line is
a passphrase, or a raw key as SQLCipher writes it (x'64 hex digits'). Keys stay in this process's
memory for a minute at most; no argument, environment, event, log or message ever holds one.
"""

from __future__ import annotations

import os
import shlex
import stat
import subprocess
import time
from threading import Lock
from typing import TYPE_CHECKING

from commands.sqlite.errors import KeyMissing, shown

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

COMMAND_SECONDS = 60.0
"""A key command that takes longer is ended."""
REMEMBERED_SECONDS = 60.0
"""After this time the command or the file is asked again, since the key may have been changed."""
MAX_KEY_FILE_BYTES = 64 * 1024
NOT_CONFIGURED = "no key is set; give key_command or key_file"


class Keys:
    """The keys of one database, read when a connection needs them."""

    def __init__(
        self,
        command: str | None = None,
        file: Path | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._command = command
        self._file = file
        self._monotonic = monotonic
        self._lock = Lock()
        self._keys: tuple[str, ...] = ()
        self._read_at = 0.0

    @property
    def is_configured(self) -> bool:
        return self._command is not None or self._file is not None

    def read(self) -> tuple[str, ...]:
        """The keys, the one of now first; at least one.

        Raises:
            KeyMissing: none is configured, or none can be had now.
        """
        with self._lock:
            now = self._monotonic()
            if not self._keys or now - self._read_at > REMEMBERED_SECONDS:
                self._keys = _keys_in(self._text())
                self._read_at = now
            return self._keys

    def forget(self) -> None:
        """Ask anew the next time: the keys did not fit."""
        with self._lock:
            self._keys = ()

    def _text(self) -> bytes:
        if self._command is not None:
            return _output_of(self._command)
        if self._file is not None:
            return _content_of(self._file)
        raise KeyMissing(NOT_CONFIGURED)


def _keys_in(text: bytes) -> tuple[str, ...]:
    try:
        keys = tuple(line for line in text.decode().splitlines() if line)
    except UnicodeDecodeError:
        raise KeyMissing("the key is not UTF-8 text; write a raw key as x'64 hex digits'") from None
    if not keys:
        raise KeyMissing("the key is empty; see key_command or key_file")
    return keys


def _output_of(command: str) -> bytes:
    """What a command prints; what it complains of is not repeated, for it may quote the key."""
    try:
        words = shlex.split(command)
        finished = subprocess.run(  # noqa: S603 - the operator's own command, without a shell
            words,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
            timeout=COMMAND_SECONDS,
        )
    except subprocess.TimeoutExpired:
        raise KeyMissing(f"key_command did not end within {COMMAND_SECONDS:.0f} s") from None
    except (OSError, ValueError, IndexError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not a command line"
        raise KeyMissing(f"key_command cannot be run: {why}") from None
    if finished.returncode:
        raise KeyMissing(
            f"key_command failed with exit code {finished.returncode}; run it by hand to see why"
        )
    return finished.stdout


def _content_of(file: Path) -> bytes:
    try:
        descriptor = os.open(file, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise KeyMissing(f"key_file {shown(file)} cannot be read: {error.strerror}") from None
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise KeyMissing(f"key_file {shown(file)} is not a regular file")
        if found.st_uid not in (0, os.geteuid()):
            raise KeyMissing(f"key_file {shown(file)} belongs to another account")
        if stat.S_IMODE(found.st_mode) & (stat.S_IRWXG | stat.S_IRWXO):
            raise KeyMissing(
                f"key_file {shown(file)} can be read by others; run: chmod 600 {shown(file)}"
            )
        return os.read(descriptor, MAX_KEY_FILE_BYTES)
    finally:
        os.close(descriptor)
