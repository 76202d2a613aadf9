"""Every step after which the world is different, and a process that dies at one of them.

Steps are what changes a directory, the making of a ledger, each append just before and just
after its commit, each page of a restore, and each turn of the read models. Between two steps a
kill changes nothing more.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from commands.restore import restore, tables
from commands.site import opening
from commands.site.site import Site
from commands.sqlite import restore_into as sqlite_restore
from ledger.append.ledger import Ledger

CHANGES = ("link", "unlink", "rename", "replace", "mkdir", "rmdir")
RESTORE_STEP_BYTES = 4_096
"""One page at a time, so that there is a middle to be killed in."""


class Steps:
    """Counts steps, writes their labels, and kills this process at one of them."""

    def __init__(self, labels: Path, acknowledged: Path, kill_at: int | None) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        self._labels = os.open(labels, flags, 0o600)
        self._acknowledged = os.open(acknowledged, flags, 0o600)
        self._kill_at = kill_at
        self._lock = threading.Lock()
        self._count = 0

    def passed(self, label: str) -> None:
        """One more step; perhaps the last one of this process."""
        with self._lock:
            self._count += 1
            os.write(self._labels, f"{label}\n".encode())
            if self._count == self._kill_at:
                os.kill(os.getpid(), signal.SIGKILL)

    def install(self) -> None:
        """Put a step around everything; this process does nothing else afterwards."""
        for name in CHANGES:
            setattr(os, name, self._around(name, getattr(os, name)))
        for name in ("_make_private_file", "create_ledger", "make_store"):
            setattr(opening, name, self._around(name, getattr(opening, name)))
        self._around_appends()
        self._around_restore()
        catch_up = Site.catch_up

        def caught_up(site: Site) -> None:
            catch_up(site)
            self.passed("after read models")

        Site.catch_up = caught_up  # type: ignore[method-assign]

    def _around(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def stepped(*arguments: Any, **options: Any) -> Any:
            result = function(*arguments, **options)
            self.passed(f"after {name}")
            return result

        return stepped

    def _around_appends(self) -> None:
        append_locked, decide = Ledger.append_locked, Ledger.decide_with_result

        def inserted(ledger: Ledger, *arguments: Any) -> Any:
            recorded = append_locked(ledger, *arguments)
            for each in recorded[-1:]:
                self.passed(f"before commit of {each.event.event_type}")
            return recorded

        def committed(ledger: Ledger, *arguments: Any, **options: Any) -> Any:
            recorded, result = decide(ledger, *arguments, **options)
            for each in recorded:
                os.write(self._acknowledged, f"{each.position} {each.event.event_id}\n".encode())
            for each in recorded[-1:]:
                self.passed(f"after commit of {each.event.event_type}")
            return recorded, result

        Ledger.append_locked = inserted  # type: ignore[method-assign]
        Ledger.decide_with_result = committed  # type: ignore[method-assign]

    def _around_restore(self) -> None:
        for module, name in ((tables, "_put_back"), (restore, "restore_tables")):
            setattr(module, name, self._around(name, getattr(module, name)))
        sqlite_restore.STEP_BYTES = RESTORE_STEP_BYTES
        tell = sqlite_restore._Step._tell

        def told(step: Any, *seen: Any) -> None:
            self.passed("page of a restore")
            tell(step, *seen)

        sqlite_restore._Step._tell = told  # type: ignore[method-assign]


def kill_after(seconds: float) -> None:
    """Kill this process at a moment that has nothing to do with what it does."""

    def kill() -> None:
        time.sleep(seconds)
        os.kill(os.getpid(), signal.SIGKILL)

    threading.Thread(target=kill, daemon=True).start()
