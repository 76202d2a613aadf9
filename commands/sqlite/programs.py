"""Starting a program of ours and hearing what it says: lines on its standard output.

A process of its own where ours must not do it: closing a plain descriptor of a database drops
every lock that a process holds on it, and encrypting would stop every thread.
"""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path


class ProgramNotStarted(OSError):
    """It could not be started, or ended before it had read its job."""


@contextmanager
def program(
    *arguments: str | Path,
    job: bytes = b"",
    pass_fds: Sequence[int] = (),
    is_silent: bool = False,
    environment: Mapping[str, str] | None = None,
) -> Iterator[IO[bytes]]:
    """Run Python with these arguments, isolated; yields its output, and ends it with the block.

    `job`: what it reads. `pass_fds` are inherited by it, as a lock that must outlive us.
    `is_silent`: nothing of its errors is shown, as the answer says all that matters.
    `environment`: what it gets besides ours, which goes before.

    Raises:
        ProgramNotStarted: see there.
    """
    try:
        process = subprocess.Popen(  # noqa: S603 - our own program, no shell
            [sys.executable, "-I", *arguments],
            stdin=subprocess.PIPE if job else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL if is_silent else None,
            pass_fds=pass_fds,
            env=None if environment is None else {**environment, **os.environ},
        )
    except OSError as error:
        raise ProgramNotStarted(error.errno, error.strerror) from error
    with process:
        try:
            _hand_over(process, job)
            assert process.stdout is not None
            yield process.stdout
        finally:
            process.kill()  # it has said its last word, or nobody listens any more


def _hand_over(process: subprocess.Popen[bytes], job: bytes) -> None:
    if process.stdin is None:
        return
    try:
        process.stdin.write(job)
        process.stdin.close()
    except BrokenPipeError as error:
        raise ProgramNotStarted(error.errno, error.strerror) from error
