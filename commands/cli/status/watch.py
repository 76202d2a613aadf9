"""backup-ledger status --watch: the same answer, looked at again and again, on a whole screen."""

from __future__ import annotations

import select
import signal
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from commands.cli.session import opened
from commands.cli.status.lines import lines, style_of
from commands.errors import CommandError, InvalidArgument
from commands.health.facts import status_facts
from commands.reporting import humanize as moments
from commands.reporting.sentences import told_with_subject
from commands.reporting.terminal import add_row, console, new_table, plain
from commands.sqlite.space import free_bytes
from ledger.errors import LedgerError
from projections.errors import ProjectionError
from projections.queries.audit import AuditFilter, newest_matching

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    import typer
    from rich.console import Group

    from commands.site.site import Site

FAILURES_SHOWN = 3
_QUIT = ("q", "Q", "\x03", "\x04")


def watch_status(ctx: typer.Context, every: float, *, as_json: bool) -> None:
    """Show and refresh until q or Ctrl-C.

    Raises:
        InvalidArgument: with --json, or where nobody can watch.
    """
    if as_json:
        raise InvalidArgument("--watch is for people; for programs call status --json at intervals")
    if not sys.stdout.isatty():
        raise InvalidArgument("--watch needs a terminal; without one call status at intervals")
    from rich.live import Live

    with (
        opened(ctx, "read") as session,
        _keys() as wait_for_key,
        Live(console=console(), screen=True, auto_refresh=False) as live,
    ):
        while True:
            live.update(_screen(session.site, every), refresh=True)
            if wait_for_key(every) in _QUIT:
                return


@contextmanager
def _keys() -> Iterator[Any]:
    """A function that waits for a key: its letter, "q" on Ctrl-C or SIGTERM, None on none."""
    asked: list[int] = []

    def on_signal(number: int, _frame: object) -> None:
        asked.append(number)

    def wait(seconds: float) -> str | None:
        deadline = time.monotonic() + seconds
        while not asked and (left := deadline - time.monotonic()) > 0:
            # In short steps: a signal alone does not end the waiting.
            if select.select([sys.stdin] if is_terminal else [], [], [], min(left, 0.1))[0]:
                return sys.stdin.read(1) or "q"
        return "q" if asked else None

    is_terminal = sys.stdin.isatty()
    before = {each: signal.signal(each, on_signal) for each in (signal.SIGINT, signal.SIGTERM)}
    try:
        with _unbuffered() if is_terminal else _as_it_is():
            yield wait
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


@contextmanager
def _as_it_is() -> Iterator[None]:
    yield


@contextmanager
def _unbuffered() -> Iterator[None]:
    """Keys come at once and are not shown."""
    import termios
    import tty

    settings = termios.tcgetattr(sys.stdin)
    try:
        tty.setcbreak(sys.stdin)
        yield
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, settings)


def _screen(site: Site, every: float) -> Group:
    """Verdict, facts, last failures, storage; or why nothing can be read at the moment."""
    from rich.console import Group
    from rich.text import Text

    now = site.clock.now()
    footer = Text(f"{moments.exact(now)} UTC, again every {every:g} s; q ends it", style="dim")
    try:
        facts = status_facts(site, now)
        failures = _failures(site, now)
    except (LedgerError, ProjectionError, CommandError, OSError) as error:
        return Group(Text(f"It cannot be read now: {plain(error)}", style="bold red"), "", footer)
    warnings = [Text(plain(f"- {each}"), style="yellow") for each in facts["warnings"]]
    table = new_table("", "")
    table.show_header = False
    for name, value in [*lines(facts, now), ("free", _free(site)), *failures]:
        add_row(table, name, value)
    first = Text(plain(facts["verdict"]), style=style_of(facts))
    return Group(first, *warnings, "", table, "", footer)


def _failures(site: Site, now: datetime) -> list[tuple[str, str]]:
    """The last things that went wrong, the newest first."""
    with site.read_models.reading() as connection:
        failed = AuditFilter(failed_only=True)
        positions = newest_matching(connection, failed, FAILURES_SHOWN)
    told = []
    for position in reversed(positions):
        for recorded in site.ledger.recorded(after=position - 1, up_to=position):
            when = moments.relative(recorded.event.timestamp, now)
            told.append(("failed", f"{when}: {told_with_subject(recorded.event, {})}"))
    return told


def _free(site: Site) -> str:
    try:
        return f"{moments.size(free_bytes(site.configuration.backups_folder))} on the disk"
    except OSError as error:
        return plain(error)
