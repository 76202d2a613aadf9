"""backup-ledger backup list, and show for one of them."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Annotated

import typer

from commands.cli.backup.table import (
    backup_json,
    checked,
    disk_json,
    filepath,
    origin,
    show_backups,
    state,
)
from commands.cli.options import JsonOption, NameArgument
from commands.cli.session import Session, adopt_files, configured, opened
from commands.reporting import humanize as moments
from commands.reporting.humanize import count
from commands.reporting.terminal import note, say, show_facts, write_json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from commands.site.site import Site
    from projections.folds.backup import Backup


def list_backups(
    ctx: typer.Context,
    everything: Annotated[
        bool, typer.Option("--all", help="Deleted and missing ones too.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """List what is there, newest first.

    Files in the folder that nobody knew are adopted. Without a folder, where only the ledger on a
    server is named, those of all folders are listed.

    \b
    Examples:
      backup-ledger backup list
      backup-ledger backup list --all --json
    """
    from projections.queries.catalog import PRESENT, backups_of_store

    has_folder = configured(ctx).names_a_folder or configured(ctx).ledger is None
    with opened(ctx, "begin" if has_folder else "read", adopt=has_folder) as session:
        site = session.site
        with site.read_models.reading() as connection:
            statuses = None if everything else PRESENT
            backups = backups_of_store(connection, site.store_id, statuses)
        if as_json:
            write_json([backup_json(site, each) for each in backups])
            return
        _say_adopted(session)
        if backups:
            show_backups(backups, session.context.now)
        say(_summary(backups, site))


def show(ctx: typer.Context, name: NameArgument, as_json: JsonOption = False) -> None:
    """Show all that is known of one backup.

    \b
    Example:
      backup-ledger backup show before-cleanup.db
    """
    with opened(ctx, "read") as session:
        backup = _known_or_adopted(session, name)
        if as_json:
            write_json(backup_json(session.site, backup) | disk_json(session.site, backup))
            return
        show_facts(_facts(session, backup))
        say(f"Its story: backup-ledger audit history {shlex.quote(name)}", style="dim")


def _say_adopted(session: Session) -> None:
    adopted = session.found.adopted if session.found else []
    if adopted:
        note(f"Adopted {count(len(adopted), 'file')} that nobody knew.", style="dim")
    for name in session.found.left_alone if session.found else []:
        note(f"Left alone: {name} (still being written, or cannot be read)")


def _summary(backups: Sequence[Backup], site: Site) -> str:
    if not site.configuration.names_a_folder:
        return f"{count(len(backups), 'backup')}, in all folders of the ledger"
    if not backups:
        return f"No backups in {site.store.folder} yet; make one: backup-ledger backup create"
    total = moments.size(sum(each.size for each in backups if each.is_present))
    on_disk = moments.size(site.store.bytes_on_disk())
    return f"{count(len(backups), 'backup')}, {total}, {on_disk} on disk, in {site.store.folder}"


def _known_or_adopted(session: Session, name: str) -> Backup:
    from commands.backups.find import find_backup
    from commands.errors import BackupNotFound

    try:
        return find_backup(session.site, name)
    except BackupNotFound:
        if session.site.store.look_at(name) is None:
            raise
    adopt_files(session.site, session.context)
    return find_backup(session.site, name)


def _on_disk(site: Site, backup: Backup) -> str:
    found = disk_json(site, backup)
    if found["size_on_disk"] is None:
        return "nothing"
    others = (found["links"] or 1) - 1
    shared = f", shared with {count(others, 'other')}" if others else ""
    return moments.size(found["size_on_disk"]) + shared


def _facts(session: Session, backup: Backup) -> list[tuple[str, object]]:
    from ledger.clock import parse_instant

    now = session.context.now
    facts: list[tuple[str, object]] = [
        ("backup", backup.filename),
        ("state", state(backup, now)),
        ("made", moments.both(backup.created_at, now)),
        ("kind", origin(backup)),
        ("size", f"{moments.size(backup.size)} ({backup.size:,} bytes)"),
        ("on disk", _on_disk(session.site, backup)),
        ("sha256", backup.sha256),
        ("verified", checked(backup, now)),
        ("file", filepath(session.site, backup) or "in another store"),
        ("backup id", backup.backup_id),
    ]
    optional = [("run", backup.run_id), ("shares its file with", backup.shared_with)]
    facts += [(name, value) for name, value in optional if value is not None]
    for hold in backup.holds_at(now):
        end = hold["until"] and f", until {moments.both(parse_instant(hold['until']), now)}"
        facts.append(("held", f"{hold['reason']}{end or ''}"))
    return facts
