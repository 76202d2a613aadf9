"""Standard output and error that fail in one way, whoever writes to them.

A closed pipe and a full disk come up as OSError in the middle of whatever prints, and libraries
each make something else of it (rich ends with 1, the interpreter with 120). Here a failed write to
standard output is `OutputFailed`, which nothing takes for an error of its own. Standard error
holds remarks: where they cannot be written, the command goes on.
"""

from __future__ import annotations

import io
import os
import sys
from contextlib import suppress
from typing import Any

STDOUT, STDERR = 1, 2


class OutputFailed(Exception):
    """Standard output takes no more. `reason`: what the system said."""

    def __init__(self, error: OSError) -> None:
        """Keep what the system said."""
        super().__init__(error.strerror or str(error))
        self.is_closed = isinstance(error, BrokenPipeError)


class _Output(io.FileIO):
    def write(self, data: Any, /) -> int:
        try:
            return super().write(data)
        except OSError as error:
            raise OutputFailed(error) from error


class _Remarks(io.FileIO):
    def write(self, data: Any, /) -> int:
        with suppress(OSError):
            return super().write(data)
        return len(memoryview(data).cast("B"))


def guard_streams() -> None:
    """Make writing fail in one way; a character that cannot be shown becomes its number."""
    sys.stdout = _guarded(sys.stdout, STDOUT, _Output)
    sys.stderr = _guarded(sys.stderr, STDERR, _Remarks)


def discard_output() -> None:
    """Nobody reads our output any more: keep the interpreter from complaining at its end."""
    with suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
    with suppress(Exception):  # what is still in its buffer has nowhere to go
        sys.stdout.flush()


def flush_or_discard() -> None:
    """After a failure: write what is left of the answer, or be done with it."""
    try:
        sys.stdout.flush()
    except (OutputFailed, OSError, ValueError):
        discard_output()


def _guarded(stream: Any, descriptor: int, kind: type[io.FileIO]) -> Any:
    if stream is None:  # closed by whoever started us
        return open(os.devnull, "w", encoding="utf-8")
    try:
        is_ours = isinstance(stream, io.TextIOWrapper) and stream.fileno() == descriptor
    except (OSError, ValueError):
        is_ours = False
    if not is_ours:  # a test's, or somebody's who calls us
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")
        return stream
    if isinstance(getattr(stream.buffer, "raw", stream.buffer), kind):
        return stream
    stream.flush()
    raw = kind(descriptor, "w", closefd=False)
    is_buffered = isinstance(stream.buffer, io.BufferedWriter)
    return io.TextIOWrapper(
        io.BufferedWriter(raw) if is_buffered else raw,
        encoding=stream.encoding,
        errors="backslashreplace",
        line_buffering=stream.line_buffering,
        write_through=not is_buffered,
    )
