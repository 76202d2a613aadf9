"""backup-ledger offsite set, remove, attach."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from commands.cli.offsite.options import DestinationArgument, require_extra
from commands.cli.offsite.policy import with_policy
from commands.cli.options import JsonOption, YesOption
from commands.cli.session import confirm, opened
from commands.reporting.terminal import say, write_json


@with_policy
def set_(
    ctx: typer.Context,
    name: DestinationArgument,
    upload_mb_per_second: Annotated[
        float | None,
        typer.Option(metavar="N", min=0, help="Limit the upload speed; 0: no limit."),
    ] = None,
    window: Annotated[
        str | None,
        typer.Option(
            metavar="FROM-UNTIL",
            help="When the scheduler copies there, UTC, such as 22:00-06:00; none: at any time.",
        ),
    ] = None,
    settings: Any = None,
    stated: Any = None,
    as_json: JsonOption = False,
) -> None:
    """Change settings of a destination.

    The number 0 removes a setting. Without --keep every copy is kept.

    \b
    Examples:
      backup-ledger offsite set nas --keep 7 --keep-daily 30 --keep-monthly 12
      backup-ledger offsite set nas --upload-mb-per-second 2
      backup-ledger offsite set cloud --window 22:00-06:00
    """
    require_extra()
    from commands.offsite.change import change_destination
    from commands.offsite.destinations import find_destination
    from commands.offsite.worker.pace import PACE, WINDOW, require_window

    changes = settings | stated
    if upload_mb_per_second is not None:
        changes[PACE] = round(upload_mb_per_second * 1_000)
    if window is not None:
        changes[WINDOW] = None if window == "none" else require_window(window)
    with opened(ctx, "act") as session:
        destination = find_destination(session.site, name)
        changed = change_destination(session.site, session.context, destination, changes)
        if as_json:
            write_json(
                {"name": name, "changed": changed, "settings": destination.settings | changes}
            )
        else:
            say("Changed." if changed else "Nothing changed.")


def remove(
    ctx: typer.Context,
    name: DestinationArgument,
    yes: YesOption = False,
    as_json: JsonOption = False,
) -> None:
    """Stop using a destination.

    Nothing there is deleted; it can be added again.

    \b
    Example:
      backup-ledger offsite remove nas
    """
    require_extra()
    from commands.offsite.change import remove_destination
    from commands.offsite.destinations import find_destination

    with opened(ctx, "act") as session:
        destination = find_destination(session.site, name)
        confirm(f"Stop copying to {name} ({destination.url})?", yes=yes)
        remove_destination(session.site, session.context, destination)
        if as_json:
            write_json({"name": name, "removed": True, "url": destination.url})
        else:
            say(f"Destination {name} is not used any more; what is at {destination.url} stays.")


def attach(ctx: typer.Context, name: DestinationArgument, as_json: JsonOption = False) -> None:
    """Let this ledger copy to a destination that it only reads.

    A ledger that `offsite recover` made only reads, because the machine that it replaces may still
    run. Attach it once you are sure that no other machine uses the destination.

    \b
    Example:
      backup-ledger offsite attach nas
    """
    require_extra()
    from commands.offsite.change import attach_destination
    from commands.offsite.destinations import find_destination

    with opened(ctx, "act") as session:
        destination = find_destination(session.site, name)
        changed = attach_destination(session.site, session.context, destination)
        if as_json:
            write_json({"name": name, "attached": True, "changed": changed})
        else:
            say(f"Destination {name} is used by this ledger." if changed else "Nothing changed.")
