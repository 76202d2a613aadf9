"""backup-ledger status: is everything all right?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from commands.cli.options import JsonOption
from commands.cli.session import opened
from commands.cli.status.lines import lines, verdict
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
    as_json: JsonOption = False,
) -> None:
    """Answer at a glance: is everything all right? What is not is named, with what to do.

    Ends with exit code 0 whatever it finds; programs read `warnings` of --json.

    \b
    Examples:
      backup-ledger status
      backup-ledger status --watch
    """
    from commands.health.facts import status_facts

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


def _show(facts: dict[str, Any], now: datetime) -> None:
    line, style = verdict(facts["warnings"])
    say(line, style=style)
    for each in facts["warnings"]:
        say(f"- {each}", style="yellow")
    say()
    show_facts(lines(facts, now))
