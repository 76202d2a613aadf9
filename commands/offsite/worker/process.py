"""Run by exec: make or fetch one copy, in a process without connections to any database.

    python -m commands.offsite.worker.process copy|fetch    (a job as JSON on standard input)

Answers in lines of JSON: {"progress": [done, total]}, then {"done": {...}} or {"error": {...}}.
Encrypting keeps Python's interpreter lock, so it would stop every thread of the process that
serves; and this one can be nicer than its parent. Identities come through the pipe only.
"""

from __future__ import annotations

import gc
import json
import os
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from commands.offsite.errors import OffsiteError
from commands.offsite.repository.opening import open_store
from commands.offsite.worker.fetch import fetch_copy
from commands.offsite.worker.jobs import CopyJob, FetchJob
from commands.offsite.worker.send import BackupChangedError, make_copy

if TYPE_CHECKING:
    from commands.offsite.worker.jobs import CopyResult, FetchResult

PROGRESS_STEPS = 200


class _Progress:
    """Says how far the work is, now and then; a broken pipe ends this process."""

    def __init__(self) -> None:
        self._said = -1

    def __call__(self, done: int, total: int) -> None:
        step = PROGRESS_STEPS * done // max(total, 1)
        if step != self._said:
            self._said = step
            say({"progress": [done, total]})


def say(line: dict[str, Any]) -> None:
    os.write(1, json.dumps(line).encode() + b"\n")


def main(action: str) -> int:
    """Do the job on standard input; 0 when done."""
    gc.disable()  # nothing here goes in circles, and this process ends with its job
    fields = json.load(sys.stdin.buffer)
    os.nice(fields["niceness"])
    result: CopyResult | FetchResult
    try:
        store = open_store(fields["url"], fields["options"])
        if action == "copy":
            result = make_copy(store, CopyJob(**fields), _Progress())
        else:
            result = fetch_copy(store, FetchJob(**fields), _Progress())
    except BrokenPipeError:
        return 1
    except (OffsiteError, BackupChangedError, OSError) as error:
        say({"error": {"kind": type(error).__name__, "message": str(error)}})
        return 1
    say({"done": asdict(result)})
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
