"""Start the helper process, hand it its job, follow it, and raise what it could not do."""

from __future__ import annotations

import json
import os
import select
from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, NoReturn

from commands.offsite import errors
from commands.offsite.errors import OffsiteError
from commands.offsite.worker.jobs import CopyJob, CopyResult, FetchJob, FetchResult
from commands.offsite.worker.send import BackupChangedError
from commands.sqlite.programs import ProgramNotStarted, program

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import IO

Progress = Callable[[int, int], None]
"""Told (bytes done, bytes in all)."""
MODULE = "commands.offsite.worker.process"
LISTENING_SECONDS = 1.0
"""After so long without a word the last progress is told again: whoever is told may stop it."""
SMALL_HEAP = {
    "MALLOC_ARENA_MAX": "2",
    "MALLOC_MMAP_THRESHOLD_": "1000000",
    "MALLOC_TRIM_THRESHOLD_": "16000000",
}
"""For glibc (mallopt(3)): packs are given back to the system at once, frames are not: taking their
memory anew each time would be a tenth of the work."""


class HelperFailed(OffsiteError):
    """The helper process ended without an answer."""


def run_copy(
    job: CopyJob, on_progress: Progress | None = None, pass_fds: Sequence[int] = ()
) -> CopyResult:
    """Make a copy in a process of its own; `pass_fds` are inherited, as a lock.

    Raises:
        BackupChangedError: the local file is not what was recorded.
        OffsiteError: what the destination said; HelperFailed where nothing was said.
    """
    return CopyResult(**_run("copy", job, on_progress, pass_fds))


def run_fetch(
    job: FetchJob, on_progress: Progress | None = None, pass_fds: Sequence[int] = ()
) -> FetchResult:
    """Fetch a copy in a process of its own.

    Raises:
        OffsiteError: as `run_copy`.
    """
    return FetchResult(**_run("fetch", job, on_progress, pass_fds))


def _run(
    action: str, job: CopyJob | FetchJob, on_progress: Progress | None, pass_fds: Sequence[int]
) -> dict[str, Any]:
    text = json.dumps(asdict(job)).encode()
    try:
        with program(
            "-m", MODULE, action, job=text, pass_fds=pass_fds, environment=SMALL_HEAP
        ) as output:
            return _follow(output, on_progress)
    except ProgramNotStarted as error:
        raise HelperFailed("the helper process for off-site copies did not start") from error


def _follow(output: IO[bytes], on_progress: Progress | None) -> dict[str, Any]:
    last = 0, 0
    for line in _lines(output):
        if line is None:
            if on_progress is not None:
                on_progress(*last)
            continue
        answer: dict[str, Any] = json.loads(line)
        if "done" in answer:
            return dict(answer["done"])
        if "error" in answer:
            _raise(answer["error"]["kind"], answer["error"]["message"])
        last = int(answer["progress"][0]), int(answer["progress"][1])
        if on_progress is not None:
            on_progress(*last)
    raise HelperFailed(
        "the helper process for off-site copies ended without an answer; it is tried again"
    )


def _lines(output: IO[bytes]) -> Iterator[bytes | None]:
    """What it says, line by line; None where it has said nothing for a while."""
    descriptor, unread = output.fileno(), b""
    while True:
        if not select.select([descriptor], [], [], LISTENING_SECONDS)[0]:
            yield None
            continue
        said = os.read(descriptor, 65_536)
        if not said:
            return
        *lines, unread = (unread + said).split(b"\n")
        yield from lines


def _raise(kind: str, message: str) -> NoReturn:
    if kind == BackupChangedError.__name__:
        raise BackupChangedError(message)
    found = getattr(errors, kind, None)
    if isinstance(found, type) and issubclass(found, OffsiteError):
        raise found(message)
    raise OffsiteError(message)
