"""backup-ledger status: is everything all right?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from commands.cli.errors import FOUND_SOMETHING
from commands.cli.options import JsonOption
from commands.cli.session import opened
from commands.cli.status.lines import lines, style_of
from commands.reporting.terminal import say, show_facts, write_json

if TYPE_CHECKING:
    from datetime import datetime


def status(
    ctx: typer.Context,
    watch: Annotated[
        bool, typer.Option("--watch", help="Stay, and look again and again; q ends it.")
    ] = False,
    every: Annotated[
        float,
        typer.Option(
            "--every", metavar="SECONDS", min=0.2, max=3600, help="How often --watch looks."
        ),
    ] = 5.0,
    check: Annotated[
        bool, typer.Option("--check", help="Exit code 3 where something needs attention.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Answer at a glance: is everything all right? What is not is named, with what to do.

    Looks at the database's header, the backups folder, the schedulers, and when the ledger was
    last verified. Ends with exit code 0 whatever it finds, with --check in 3 where it found
    something. Programs read `findings` of --json.

    \b
    Examples:
      backup-ledger status
      backup-ledger status --watch
      backup-ledger status --check --json
    """
    from commands.errors import InvalidArgument
    from commands.health.facts import status_facts

    if watch and check:
        raise InvalidArgument("--watch goes on and on; --check needs an end: give one of the two")

    if watch:
        from commands.cli.status.watch import watch_status

        watch_status(ctx, every, as_json=as_json)
        return
    with opened(ctx, "read") as session:
        facts = status_facts(session.site, session.context.now)
        if as_json:
            write_json(facts)
        else:
            _show(facts, session.context.now)
    if check and facts["findings"]:
        raise typer.Exit(FOUND_SOMETHING)


def _show(facts: dict[str, Any], now: datetime) -> None:
    say(facts["verdict"], style=style_of(facts))
    for each in facts["warnings"]:
        say(f"- {each}", style="yellow")
    say()
    show_facts(lines(facts, now))
