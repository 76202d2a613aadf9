"""backup-ledger offsite copy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from commands.cli.errors import FAILED
from commands.cli.offsite.options import ToOption, require_extra
from commands.cli.options import JsonOption
from commands.cli.session import opened
from commands.reporting.humanize import count, size
from commands.reporting.terminal import note, progress_bar, say, write_json

if TYPE_CHECKING:
    from commands.offsite.copy_all import CopyOutcome


def copy(
    ctx: typer.Context,
    names: Annotated[
        list[str] | None, typer.Argument(metavar="NAME", help="The backup's name.")
    ] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Include backups whose copy was deleted.")
    ] = False,
    to: ToOption = None,
    as_json: JsonOption = False,
) -> None:
    """Copy backups off-site.

    Without a name, all good backups that have no copy yet are copied. Only pages that the
    destination lacks are sent. An interrupted copy sends the rest next time.

    \b
    Examples:
      backup-ledger offsite copy
      backup-ledger offsite copy before-cleanup.db --to nas
    """
    require_extra()
    from commands.offsite.copy_all import copy_missing
    from commands.shapes.offsite import MadeCopy

    with opened(ctx, "act", adopt=True) as session, progress_bar("copying", in_bytes=True) as bar:
        outcomes = copy_missing(
            session.site,
            session.context,
            names=names,
            to=to,
            even_deleted=everything,
            on_progress=bar,
        )
    if as_json:
        write_json([MadeCopy.of(each.destination, each.copy) for each in outcomes if each.copy])
    for outcome in outcomes:
        _say(outcome, as_json=as_json)
    if any(each.error is not None for each in outcomes):
        raise typer.Exit(FAILED)
    if not outcomes and not as_json:
        say(
            "Nothing to copy: by the ledger every good backup has its copy. To look at what is "
            "there: backup-ledger offsite verify"
        )


def _say(outcome: CopyOutcome, *, as_json: bool) -> None:
    if outcome.error is not None:
        note(
            f"{outcome.backup.filename} was not copied to {outcome.destination.name}: "
            f"{outcome.error}"
        )
    elif not as_json and outcome.copy is not None:
        copy = outcome.copy
        say(
            f"{copy.filename} copied to {outcome.destination.name}: {size(copy.sent_bytes or 0)} "
            f"sent, {copy.new_pages} of {count(copy.pages or 0, 'page')} new"
        )
