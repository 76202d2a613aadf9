"""Copy a ledger, and be killed after some steps: python -m ... FROM TO STEPS."""

from __future__ import annotations

import os
import signal
import sys

from sqlalchemy import event

from ledger.append import copy as copying
from ledger.append.database import database_url, open_engine


def main(source: str, target: str, steps: int) -> None:
    """Each statement on the target is a step; the one that comes then is never made."""
    copying.BATCH_RECORDS = 50
    left = iter(range(steps))
    reading, writing = open_engine(database_url(source)), open_engine(database_url(target))

    def step(*_: object) -> None:
        if next(left, None) is None:
            os.kill(os.getpid(), signal.SIGKILL)

    event.listen(writing, "before_cursor_execute", step)
    event.listen(writing, "commit", step)
    event.listen(writing, "begin", step)
    copying.copy_ledger(reading, writing)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
