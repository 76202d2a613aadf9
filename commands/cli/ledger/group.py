"""backup-ledger ledger: begin one, where no other command may; copy it; who may do what."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from commands.cli.erasure import redact
from commands.cli.errors import EXIT_CODES
from commands.cli.ledger import copy as ledger_places
from commands.cli.ledger.copy import PrefixOption
from commands.cli.ledger.publish import publish
from commands.cli.ledger.salvage import salvage
from commands.cli.ledger.split import split
from commands.cli.options import JsonOption
from commands.cli.session import configured, opened
from commands.reporting.humanize import count
from commands.reporting.terminal import say, show_facts, write_json
from ledger.vocabulary import ROLE_PREFIX

app = typer.Typer(no_args_is_help=True, epilog=EXIT_CODES)


@app.callback()
def ledger() -> None:
    """Begin a ledger, copy it, publish it, save a damaged one, give it roles, erase records."""


@app.command(epilog=EXIT_CODES)
def init(
    ctx: typer.Context,
    new: Annotated[
        bool,
        typer.Option(
            "--new",
            help="Create whichever is missing: the ledger, or the folder's .store file.",
        ),
    ] = False,
    roles: Annotated[
        bool,
        typer.Option(
            "--roles",
            help="On PostgreSQL: also create the roles of `ledger roles`; can be repeated.",
        ),
    ] = False,
    prefix: PrefixOption = ROLE_PREFIX,
    as_json: JsonOption = False,
) -> None:
    """Create the ledger of a backups folder.

    Also creates its .store file and adopts old backups in the folder. `settings set` and `backup
    create` do this automatically in a folder that has neither. Other commands never do, because an
    unmounted folder looks empty, too.

    \b
    Examples:
      backup-ledger ledger init
      backup-ledger ledger init --new
      backup-ledger --ledger postgresql://db.example/backups ledger init --roles
    """
    from commands.site.opening import begin, look_around
    from commands.upkeep.ledger_roles import give_roles, script_of
    from ledger.append.database import place_of
    from ledger.clock import SystemClock

    configuration = configured(ctx)
    if roles:
        script_of(configuration, prefix)  # what cannot be done is said before anything is made
    was_there = look_around(configuration).is_whole
    begin(configuration, SystemClock(), new=new)
    with opened(ctx, "act", adopt=True) as session:
        site = session.site
        if roles:
            give_roles(site, prefix)
        adopted = session.found.adopted if session.found else []
        facts: dict[str, Any] = {
            "ledger_id": site.ledger.meta.ledger_id,
            "ledger": place_of(site.configuration.ledger_url),
            "store_id": site.store.store_id,
            "store": str(site.store.folder),
            "created": not was_there,
            "adopted": adopted,
            "roles": prefix if roles else None,
        }
        if as_json:
            write_json(facts)
            return
    _show(facts)


def _show(facts: dict[str, Any]) -> None:
    prefix = facts["roles"]
    say("The ledger has begun." if facts["created"] else "The ledger already existed.")
    show_facts(
        [
            ("ledger", facts["ledger"]),
            ("folder", facts["store"]),
            ("adopted", count(len(facts["adopted"]), "backup")),
            *([("roles", f"{prefix}_owner, _appender, _auditor")] if prefix else []),
        ]
    )


app.command(epilog=EXIT_CODES)(ledger_places.copy)
app.command(epilog=EXIT_CODES)(ledger_places.roles)
app.command(epilog=EXIT_CODES)(publish)
app.command(epilog=EXIT_CODES)(salvage)
app.command(epilog=EXIT_CODES)(split)
app.command(epilog=EXIT_CODES)(redact)
