"""How long a person waits for --help, and for a scheduler to be at work."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from contextlib import closing
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

from commands.site.actors import operator
from commands.site.configuration import load_configuration
from commands.site.opening import open_site
from ledger.append.ledger import Draft
from tests.benchmarks.ledger_rows import created
from tests.benchmarks.measuring import FULL, Rounds, Row, Sizes, limit_row, take_turns
from tests.load.place import Size, build

CHUNK = 1_000
PROGRAM = (sys.executable, "-c", "from commands.cli import main; main()")


def help_text(folder: Path, sizes: Sizes) -> Row:
    """`backup-ledger --help`, beside importing typer; at most 2.5 times."""

    def run(*arguments: str) -> None:
        subprocess.run([sys.executable, *arguments], check=True, capture_output=True, cwd=folder)

    taken = take_turns(
        lambda: run("-c", "from commands.cli import main; main()", "--help"),
        lambda: run("-c", "import typer"),
        rounds=sizes.rounds + 2,
    )
    value = taken.seconds_of() * 1_000, "ms"
    return taken.row(
        "help", value, "2.5 x import typer", lambda ours, theirs: 2.5 * theirs / ours, 1.0
    )


def scheduler_start(folder: Path, sizes: Sizes) -> Row:
    """From nothing to the end of the first check, of very many settings of which none is due."""
    taken = _checks_with_nothing_due(folder, sizes.settings, sizes.rounds)
    return limit_row("scheduler_start", taken, 1.0, f"1 s at {sizes.settings} settings")


def run_once_start(folder: Path, sizes: Sizes) -> Row:
    """`run --once` as cron calls it, with nothing due."""
    taken = _checks_with_nothing_due(folder, CHUNK, sizes.rounds)
    return limit_row("run_once_start", taken, 0.3, f"0.3 s at {CHUNK} settings")


def status_start(folder: Path, sizes: Sizes) -> Row:
    """`status` from nothing, after years of use: every backup that is kept has its file."""
    use = Size(sizes.events, 500, 20) if sizes is FULL else Size(sizes.events, 50, 5)
    events, _ = build(folder, use)
    command = [*PROGRAM, "--database", folder / "app.db", "status"]
    taken = take_turns(
        lambda: subprocess.run(command, check=True, capture_output=True, cwd=folder),
        rounds=sizes.rounds,
    )
    return limit_row("status_start", taken, 0.5, f"0.5 s at {events} events")


def _checks_with_nothing_due(folder: Path, settings: int, rounds: int) -> Rounds:
    source = folder / "application.db"
    with closing(sqlite3.connect(source)) as connection:
        connection.executescript("CREATE TABLE cases (id INTEGER PRIMARY KEY, title TEXT)")
    site = open_site(load_configuration(database=source), "begin")
    context, now = site.context(operator()), site.clock.now()
    for start in range(1, settings, CHUNK):
        users = range(start, start + CHUNK)
        site.ledger.append(context, *(_later(user, now + timedelta(days=30)) for user in users))
    site.catch_up()
    site.close()
    command = [*PROGRAM, "--database", source, "run", "--once"]
    return take_turns(
        lambda: subprocess.run(command, check=True, capture_output=True, cwd=folder),
        rounds=rounds,
    )


def _later(user_id: int, moment: datetime) -> Draft:
    draft = created(user_id)
    return replace(draft, details=draft.details.model_copy(update={"next_backup_at": moment}))
