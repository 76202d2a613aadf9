"""backup-ledger status: is everything all right?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from commands.cli.errors import FOUND_SOMETHING
from commands.cli.options import JsonOption
from commands.cli.session import configured, opened
from commands.cli.sites import for_each_site
from commands.cli.status.lines import lines, style_of
from commands.reporting.terminal import say, show_facts, write_json

if TYPE_CHECKING:
    from datetime import datetime

    from commands.site.configuration import Configuration

MAX_NAMES_SHOWN = 5


@for_each_site
def status(
    ctx: typer.Context,
    watch: Annotated[bool, typer.Option("--watch", help="Keep refreshing; q ends it.")] = False,
    every: Annotated[
        float,
        typer.Option(
            "--every", metavar="SECONDS", min=0.2, max=3600, help="How often --watch refreshes."
        ),
    ] = 5.0,
    check: Annotated[
        bool, typer.Option("--check", help="Exit code 3 if something needs attention.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Show at a glance whether all is well, and what to do about each problem.

    Checks the database's header, the backups folder, the schedulers, and when the ledger was last
    verified. The exit code is 0; with --check it is 3 if there is a problem. Programs read
    `findings` in --json.

    \b
    Examples:
      backup-ledger status
      backup-ledger status --watch
      backup-ledger status --check --json
    """
    from commands.errors import InvalidArgument
    from commands.health.facts import status_facts
    from ledger.errors import LedgerMissing

    if watch and check:
        raise InvalidArgument(
            "--watch does not end, and --check sets the exit code; give one of the two"
        )

    if watch:
        from commands.cli.status.watch import watch_status

        watch_status(ctx, every, as_json=as_json)
        return
    try:
        with opened(ctx, "read") as session:
            facts = status_facts(session.site, session.context.now)
            if as_json:
                write_json(facts)
            else:
                _show(facts, session.context.now)
    except LedgerMissing:
        _show_without_ledger(configured(ctx), as_json=as_json)
        raise
    if check and facts["findings"]:
        raise typer.Exit(FOUND_SOMETHING)


def _show(facts: dict[str, Any], now: datetime) -> None:
    say(facts["verdict"], style=style_of(facts))
    for each in facts["warnings"]:
        say(f"- {each}", style="yellow")
    say()
    show_facts(lines(facts, now))


def _show_without_ledger(configuration: Configuration, *, as_json: bool) -> None:
    """What is there all the same: whoever lost the ledger needs it most."""
    from commands.health.folder import facts_without_ledger

    facts = facts_without_ledger(configuration)
    if as_json:
        write_json(facts)
        return
    files = facts["unrecorded"]
    database = facts["database"]
    names = ", ".join(files["names"][:MAX_NAMES_SHOWN])
    more = " and more" if files["count"] > MAX_NAMES_SHOWN else ""
    say("There is no ledger here.", style="bold yellow")
    say()
    show_facts(
        [
            ("database", _place(database) if database else "not given (--database)"),
            ("folder", facts["store"]["path"] or "not given (--backups)"),
            ("files in it", f"{files['count']}: {names}{more}" if files["count"] else "none"),
        ]
    )


def _place(database: dict[str, Any]) -> str:
    return database["path"] if database["exists"] else f"{database['path']} (missing)"
