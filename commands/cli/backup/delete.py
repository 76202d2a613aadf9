"""backup-ledger backup delete, and hold and release that keep it from happening."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from commands.cli.backup.table import backup_json
from commands.cli.options import JsonOption, NameArgument, YesOption, parse_moment
from commands.cli.session import Session, confirm, opened
from commands.reporting import humanize as moments
from commands.reporting.humanize import count
from commands.reporting.terminal import say, write_json

if TYPE_CHECKING:
    from projections.folds.backup import Backup


def delete(
    ctx: typer.Context,
    name: NameArgument,
    force: Annotated[
        bool, typer.Option("--force", help="Delete a protected one, too; never a held one.")
    ] = False,
    yes: YesOption = False,
    as_json: JsonOption = False,
) -> None:
    """Delete one backup. Asks for confirmation unless --yes is given.

    \b
    Example:
      backup-ledger backup delete before-cleanup.db --yes
    """
    from commands.backups.delete import delete_backup
    from commands.backups.find import find_backup
    from commands.backups.naming import filename_of

    with opened(ctx, "act", adopt=True) as session:
        name = filename_of(session.site, name)
        backup = find_backup(session.site, name)
        age = moments.relative(backup.created_at, session.context.now)
        confirm(f"Delete {name} ({moments.size(backup.size)}, made {age})?", yes=yes)
        delete_backup(session.site, session.context, name, force=force)
        if as_json:
            write_json(backup_json(session.site, _as_of_now(session, backup)))
        else:
            say(f"Deleted {name}")


def hold(
    ctx: typer.Context,
    name: NameArgument,
    reason: Annotated[str, typer.Option("--reason", help="The reason, for the auditor.")],
    until: Annotated[
        datetime | None,
        typer.Option(
            "--until", metavar="TIME", parser=parse_moment, help=f"{moments.MOMENT_HELP}."
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Keep a backup from being deleted by anyone.

    The hold lasts until it is released, or until its end.

    \b
    Example:
      backup-ledger backup hold before-cleanup.db --reason "audit 2025" --until 2026-01-01
    """
    from commands.backups.find import find_backup
    from commands.backups.hold import place_hold
    from commands.backups.naming import filename_of

    with opened(ctx, "act", adopt=True) as session:
        name = filename_of(session.site, name)
        hold_id = place_hold(session.site, session.context, name, reason, until)
        if as_json:
            backup = find_backup(session.site, name)
            write_json(backup_json(session.site, backup) | {"hold_id": hold_id})
        else:
            say(f"Held {name}" + (f" until {moments.exact(until)} UTC" if until else ""))


def release(ctx: typer.Context, name: NameArgument, as_json: JsonOption = False) -> None:
    """Release all holds of a backup, so that it can be deleted again.

    \b
    Example:
      backup-ledger backup release before-cleanup.db
    """
    from commands.backups.find import find_backup
    from commands.backups.hold import release_holds
    from commands.backups.naming import filename_of

    with opened(ctx, "act", adopt=True) as session:
        name = filename_of(session.site, name)
        released = release_holds(session.site, session.context, name)
        if as_json:
            backup = find_backup(session.site, name)
            write_json(backup_json(session.site, backup) | {"released_count": released})
        elif released:
            say(f"Released {count(released, 'hold')} of {name}")
        else:
            say(f"{name} was not held; nothing to release")


def _as_of_now(session: Session, backup: Backup) -> Backup:
    from projections.queries.catalog import backup_with_id

    with session.site.read_models.reading() as connection:
        found = backup_with_id(connection, backup.backup_id)
    assert found is not None
    return found
