"""The demo from beginning to end."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
import time
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

from commands.demo.beginning import choose_schedules, tell_the_database
from commands.demo.disaster import lose_and_restore
from commands.demo.folder import demo_folder
from commands.demo.keeping import hold_the_oldest, show_retention
from commands.demo.narrator import Narrator
from commands.demo.nights import (
    live_through_a_bad_night,
    live_two_ordinary_weeks,
    live_without_the_machine,
)
from commands.demo.office import Office, open_office
from commands.demo.proof import tell_the_ledger
from commands.errors import CommandError
from commands.offsite.extra import require_extra
from commands.reporting.terminal import console as terminal

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import Console

LIVED_DAYS: Final = 41
"""How long the story is."""
STARTED_DAYS_AGO: Final = 43
"""It ends yesterday or the day before, so that `run --once` has something to do afterwards."""


def run_demo(folder: Path | None = None, console: Console | None = None) -> None:
    """Simulate six weeks of backups in seconds, and describe them.

    `folder`: where; it must be new or empty. None for a free name in this directory.
    `console`: who listens; None for the terminal.

    Raises:
        FolderTaken: the folder holds something; nothing was touched.
    """
    began = time.monotonic()
    chosen = demo_folder(folder)
    tell = Narrator(console or terminal())
    tell.say(f"Six weeks of backups, simulated in seconds, in {chosen}/.", style="bold")
    with _living_in(chosen) as office:
        _tell(office, tell)
    seconds = time.monotonic() - began
    tell.chapter("Try it yourself")
    tell.say(
        f"The six weeks took {seconds:.1f} seconds. Everything is still in {chosen}/: the database "
        "office.db, and in backups/ the backup files, ledger.sqlite and projections.sqlite. Try:"
    )
    tell.commands(_suggestions(chosen))


def _tell(office: Office, tell: Narrator) -> None:
    tell_the_database(office, tell)
    choose_schedules(office, tell)
    live_two_ordinary_weeks(office, tell)
    held = hold_the_oldest(office, tell)
    live_through_a_bad_night(office, tell)
    with tell.waiting("going on"):
        office.live_until(office.day(22))
    live_without_the_machine(office, tell, days=4)
    with tell.waiting("going on"):
        office.live_until(office.day(33))
    show_retention(office, tell, held)
    office.live_until(office.day(36) + timedelta(hours=2))
    lose_and_restore(office, tell)
    _burn_and_recover(office, tell)
    with tell.waiting("going on"):
        office.live_until(office.day(LIVED_DAYS))
    tell_the_ledger(office, tell)


def _burn_and_recover(office: Office, tell: Narrator) -> None:
    """Needs the libraries of off-site copies; without them it is said how to get them."""
    try:
        require_extra()
    except CommandError as error:
        tell.say(f"A chapter is left out (a fire, and a new machine): {error}")
        return
    from commands.demo.fire import burn_and_recover  # noqa: PLC0415 (needs the extra)

    burn_and_recover(office, tell)


@contextmanager
def _living_in(folder: Path) -> Iterator[Office]:
    today = datetime.now(UTC).replace(hour=9, minute=0, second=0, microsecond=0)
    office = open_office(folder, today - timedelta(days=STARTED_DAYS_AGO))
    try:
        yield office
    finally:
        office.close()


def _suggestions(folder: Path) -> list[tuple[str, str]]:
    """Commands that work as they stand, from the directory where the demo was started."""
    start = f"{shlex.quote(_program())} --database {shlex.quote(str(folder / 'office.db'))}"
    return [
        (f"{start} status", "is all well?"),
        (f"{start} run --once", "back up what has become due since"),
        (f"{start} backup list", "every backup"),
        (f"{start} settings preview 1", "Anna's next runs"),
        (f"{start} retention preview 3 --user 1", "what retention would delete, and why"),
        (f"{start} audit log --failed", "everything that went wrong"),
        (f"{start} audit history schedule/1", "Anna's schedule, event by event"),
        (f"{start} projections diff", "do the read models match the ledger?"),
    ]


def _program() -> str:
    """How the person can start the command again."""
    started = sys.argv[0] if sys.argv else ""
    if Path(started).name == "backup-ledger" and shutil.which("backup-ledger") is None:
        return os.path.relpath(started)
    return "backup-ledger"
