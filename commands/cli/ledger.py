"""backup-ledger ledger: begin one, where no other command may."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from commands.cli.errors import EXIT_CODES
from commands.cli.options import JsonOption
from commands.cli.output import count, say, show_facts, write_json
from commands.cli.session import configured, opened, place_of

app = typer.Typer(no_args_is_help=True, epilog=EXIT_CODES)


@app.callback()
def ledger() -> None:
    """Begin a ledger."""


@app.command(epilog=EXIT_CODES)
def init(
    ctx: typer.Context,
    new: Annotated[
        bool,
        typer.Option(
            "--new",
            help="Also where a ledger is there without its folder's .store file, or the other way "
            "round: what is missing is made anew.",
        ),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Make the ledger of a backups folder.

    And its .store file; old backups in the folder are adopted. `settings set`, `backup create`
    and `backup list` do this by themselves in a folder that has neither. The scheduler,
    retention and restore never do: an unmounted folder looks empty, too.

    \b
    Examples:
      backup-ledger ledger init
      backup-ledger ledger init --new
    """
    from commands.opening import begin, look_around
    from ledger.clock import SystemClock

    configuration = configured(ctx)
    was_there = look_around(configuration).is_whole
    begin(configuration, SystemClock(), new=new)
    with opened(ctx, "act", adopt=True) as session:
        site = session.site
        adopted = session.found.adopted if session.found else []
        facts: dict[str, Any] = {
            "ledger_id": site.ledger.meta.ledger_id,
            "ledger": place_of(site.configuration.ledger_url),
            "store_id": site.store.store_id,
            "store": str(site.store.folder),
            "created": not was_there,
            "adopted": adopted,
        }
        if as_json:
            write_json(facts)
            return
        say("The ledger was there already." if was_there else "The ledger has begun.")
        show_facts(
            [
                ("ledger", facts["ledger"]),
                ("folder", facts["store"]),
                ("adopted", count(len(adopted), "backup")),
            ]
        )
