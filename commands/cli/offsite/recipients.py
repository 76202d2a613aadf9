"""backup-ledger offsite recipients."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from commands.cli.offsite.add import ask_code
from commands.cli.offsite.options import (
    DestinationArgument,
    IdentityOption,
    identities_in,
    require_extra,
)
from commands.cli.options import JsonOption
from commands.cli.session import is_interactive, opened
from commands.reporting.terminal import note, say, write_json


class RecipientAction(StrEnum):
    """What to do with a recipient."""

    ADD = "add"
    REMOVE = "remove"


def recipients(
    ctx: typer.Context,
    name: DestinationArgument,
    action: Annotated[RecipientAction, typer.Argument(help="add or remove.")],
    recipient: Annotated[str, typer.Argument(metavar="age1...", help="The public key.")],
    identity: IdentityOption = None,
    force: Annotated[
        bool, typer.Option("--force", help="Remove it even if copies need it; recorded.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Change who can read new copies.

    A new recipient is tested first, as with `offsite add`; the next copy of each database is then
    sent whole, once. Removing a recipient changes nothing at the destination: its key still reads
    old copies and the pages that new ones share with them.

    \b
    Examples:
      backup-ledger offsite recipients nas add age1... --identity key3.txt
      backup-ledger offsite recipients nas remove age1...
    """
    require_extra()
    from commands.offsite.destinations import find_destination
    from commands.offsite.upkeep.recipients import add_recipient, remove_recipient

    with opened(ctx, "act") as session:
        site, context = session.site, session.context
        destination = find_destination(site, name)
        if action is RecipientAction.ADD:
            ask = ask_code if is_interactive() and not as_json else None
            now = add_recipient(
                site,
                context,
                destination,
                recipient,
                identities=identities_in(identity),
                ask_code=ask,
            )
        else:
            now = remove_recipient(site, context, destination, recipient, force=force)
    if as_json:
        write_json({"name": name, "recipients": now})
        return
    say(f"Copies to {name} can be read by:")
    for each in now:
        say(f"  {each}")
    if action is RecipientAction.ADD:
        note("The next copy of each database is sent whole, so that it can read that, too.")
