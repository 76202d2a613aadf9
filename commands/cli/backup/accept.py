"""backup-ledger backup accept."""

from __future__ import annotations

from typing import Annotated

import typer

from commands.cli.backup.table import backup_json
from commands.cli.options import JsonOption, NameArgument
from commands.cli.session import opened
from commands.reporting.humanize import count
from commands.reporting.terminal import say, write_json


def accept(
    ctx: typer.Context,
    name: NameArgument,
    reason: Annotated[
        str | None, typer.Option("--reason", metavar="TEXT", help="Why; kept in the ledger.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Accept a backup that has much less data, or is flawed.

    When a database loses tables or most of its rows, retention keeps the last backup from before
    until you accept a later one. Accepting a flawed backup silences warnings about the same
    integrity findings; it stays flawed.

    \b
    Example:
      backup-ledger backup accept auto_backup_user1_2025-01-13T03-00-00.db --reason "archive moved"
    """
    from commands.backups.accept import accept_backup
    from commands.backups.find import find_backup
    from commands.backups.naming import filename_of

    with opened(ctx, "act", adopt=True) as session:
        name = filename_of(session.site, name)
        accepted = accept_backup(session.site, session.context, name, reason)
        if as_json:
            backup = find_backup(session.site, name)
            names = [each.filename for each in accepted]
            write_json(backup_json(session.site, backup) | {"accepted": names})
            return
        others = len(accepted) - 1
        say(f"Accepted {name}" + (f" and {count(others, 'other')} like it" if others else ""))
