"""backup-ledger backup create."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from commands.cli.backup.table import backup_json
from commands.cli.options import JsonOption, RateOption, parse_user_id
from commands.cli.session import configured, opened
from commands.reporting import humanize as moments
from commands.reporting.humanize import count
from commands.reporting.terminal import note, progress_bar, say, write_json

if TYPE_CHECKING:
    from commands.site.configuration import Configuration
    from commands.site.site import Site
    from projections.folds.backup import Backup


_CHECKED = {
    "ok": "integrity checked",
    "unchecked": "integrity checked in part",
    "flawed": "flawed: the database itself has an integrity finding",
}


def create(
    ctx: typer.Context,
    name: Annotated[
        str | None,
        typer.Argument(metavar="NAME", help="The file name [default: one with the time]."),
    ] = None,
    user: Annotated[
        int | None,
        typer.Option(
            "--user", metavar="N", parser=parse_user_id, help="The user who owns the backup."
        ),
    ] = None,
    pre_migration: Annotated[
        bool, typer.Option("--pre-migration", help="Protect it: retention never deletes it.")
    ] = False,
    max_mb_per_second: RateOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a verified backup now.

    The copy is consistent while the application keeps writing. It is checked with SQLite's
    integrity_check, hashed and flushed to disk before it counts.

    \b
    Examples:
      backup-ledger backup create
      backup-ledger backup create before-cleanup --user 1
    """
    from commands.backups.take import take_backup
    from ledger.vocabulary import BackupKind

    ctx.obj.max_mb_per_second = max_mb_per_second
    _require_something_to_back_up(configured(ctx), name)
    kind = BackupKind.PRE_MIGRATION if pre_migration else BackupKind.MANUAL
    with opened(ctx, "begin") as session:
        site = session.site
        with progress_bar("backing up", in_bytes=True) as progress:
            backup = take_backup(
                site,
                session.context,
                filename=name,
                kind=kind,
                user_id=user,
                on_progress=progress,
            )
        if as_json:
            write_json(backup_json(site, backup))
        else:
            _say_created(site, backup)


def _require_something_to_back_up(configuration: Configuration, name: str | None) -> None:
    """A typing error must not leave a new folder and a new ledger behind."""
    from commands.site.opening import look_around
    from commands.sqlite.connections import require_database_file
    from projections.folds.backup_names import person_backup_name

    path = configuration.database_path
    if look_around(configuration).is_whole:
        return  # then the failure is recorded
    require_database_file(path)
    if name is not None:
        person_backup_name(name)


def _say_created(site: Site, backup: Backup) -> None:
    from ledger.events.catalog import BackupCreated
    from ledger.vocabulary import EVERYTHING, NOT_CHECKED_ANEW, backup_stream

    details = site.ledger.stream(backup_stream(backup.backup_id))[0].details
    assert isinstance(details, BackupCreated)
    say(f"Made {backup.filename}", style="green")
    cipher = "encrypted, " if details.cipher else ""
    if EVERYTHING in details.unchecked:
        inside = "nothing inside was checked"
    else:
        tables, rows = count(details.table_count, "table"), count(details.row_count, "row")
        inside = f"{tables}, {rows}; {_CHECKED[details.condition]}"
        if NOT_CHECKED_ANEW in details.engine_reason:
            inside += " earlier, and unchanged since"
    say(f"{moments.size(backup.size)}, {cipher}{inside}, SHA-256 recorded.")
    say(f"In {site.store.folder}", style="dim")
    for warning in details.warnings:
        note(f"Warning: {warning}")
