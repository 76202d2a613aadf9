"""One error of the operating system, at the k-th call of a process and of those it starts.

Standard library only, because the copying processes load this file too.
"""

from __future__ import annotations

import errno
import os
import threading
from dataclasses import dataclass
from typing import Any

from tests.faults.boundary import Boundary, Perform

LINE_BYTES = 120
FILLS_THE_DISK = (
    "open",
    "write",
    "pwrite",
    "mkdir",
    "link",
    "rename",
    "replace",
    "fsync",
    "fdatasync",
    "ftruncate",
    "copy_file_range",
    "sendfile",
)
SHORT = "short"
"""Instead of an error's name: every transfer moves at most half of what it is asked to."""

FILE_SIZE = "file size"
"""No file may grow beyond `at` bytes, whoever writes it (RLIMIT_FSIZE): SQLite's writes too."""
SIGNALS = "signals"
"""A signal every `at` microseconds, so that calls that wait are interrupted (EINTR) for real."""


@dataclass(frozen=True)
class Fault:
    """`error`: an errno's name, SHORT, FILE_SIZE or SIGNALS.

    `lasts`: also at every call after the k-th.
    """

    at: int
    error: str
    lasts: bool = False


class Injection:
    """Counts the calls on files below a folder, over all processes, and spoils some."""

    def __init__(self, folder: str, calls: str, fault: Fault) -> None:
        self._boundary = Boundary(folder, self._call)
        self._folder = folder
        self._write, self._fstat = os.write, os.fstat
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        self._calls = os.open(calls, flags, 0o600)
        self._fault = fault
        self._lock = threading.Lock()
        self.is_on = True

    def install(self) -> None:
        """This process does nothing else afterwards."""
        self._boundary.install()

    def _call(
        self, name: str, paths: list[str], perform: Perform, arguments: tuple[Any, ...]
    ) -> Any:
        if not self.is_on:
            return perform(*arguments)
        if self._is_hit(name, paths):
            if self._fault.error == SHORT:
                return perform(*_halved(name, arguments))
            number = getattr(errno, self._fault.error)
            raise OSError(number, os.strerror(number), paths[0])
        return perform(*arguments)

    def _is_hit(self, name: str, paths: list[str]) -> bool:
        label = f"{name} {os.path.relpath(paths[-1], self._folder)}"
        with self._lock:
            line = label.encode()[: LINE_BYTES - 1].ljust(LINE_BYTES - 1) + b"\n"
            self._write(self._calls, line)
            count = self._fstat(self._calls).st_size // LINE_BYTES
        at, error = self._fault.at, self._fault.error
        if error == "ENOSPC" and name not in FILLS_THE_DISK:
            return False
        return count >= at if self._fault.lasts else count == at


def _halved(name: str, arguments: tuple[Any, ...]) -> tuple[Any, ...]:
    if name in ("write", "pwrite"):
        descriptor, data, *rest = arguments
        whole = memoryview(data)
        return (descriptor, whole[: max(1, len(whole) // 2)], *rest)
    if name == "readv":
        descriptor, (buffer,) = arguments
        return (descriptor, [buffer[: max(1, len(buffer) // 2)]])
    if name in ("read", "copy_file_range", "sendfile"):
        position = {"read": 1, "copy_file_range": 2, "sendfile": 3}[name]
        halved = max(1, arguments[position] // 2)
        return (*arguments[:position], halved, *arguments[position + 1 :])
    return arguments
