"""backup-ledger backup list, and show for one of them."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from commands.cli.backup.table import (
    backup_json,
    checked,
    disk_json,
    origin,
    show_backups,
    show_unrecorded,
    state,
    unrecorded_json,
)
from commands.cli.options import JsonOption, NameArgument, UserOption, parse_moment
from commands.cli.session import Session, configured, opened
from commands.reporting import humanize as moments
from commands.reporting.humanize import count
from commands.reporting.terminal import note, say, show_facts, write_json
from ledger.vocabulary import BackupKind, BackupStatus

if TYPE_CHECKING:
    from collections.abc import Sequence

    from commands.backups.unrecorded import UnrecordedFile
    from commands.site.configuration import Configuration
    from commands.site.site import Site
    from projections.folds.backup import Backup


EverythingOption = Annotated[bool, typer.Option("--all", help="Include deleted and missing ones.")]
SinceOption = Annotated[
    datetime | None,
    typer.Option(metavar="TIME", parser=parse_moment, help="Made at or after this time, UTC."),
]
LimitOption = Annotated[int | None, typer.Option(metavar="N", min=1, help="At most the N newest.")]
KindOption = Annotated[BackupKind | None, typer.Option(help="Only of this kind.")]
StatusOption = Annotated[
    BackupStatus | None, typer.Option(help="Only this status, even deleted or missing.")
]
NONE_FITS = "No backup fits; without options, all are listed."


def list_backups(  # noqa: PLR0917  (options)
    ctx: typer.Context,
    everything: EverythingOption = False,
    user: UserOption = None,
    since: SinceOption = None,
    limit: LimitOption = None,
    kind: KindOption = None,
    status: StatusOption = None,
    as_json: JsonOption = False,
) -> None:
    """List backups, newest first.

    Nothing is recorded. Files in the folder that are not in the ledger yet are listed, too, even if
    there is no ledger. With a ledger on a server and no folder, the backups of all folders are
    listed.

    \b
    Examples:
      backup-ledger backup list
      backup-ledger backup list --user 1 --since 2025-01-01 --limit 5
      backup-ledger backup list --all --json
    """
    from commands.backups.unrecorded import unrecorded_files, without_gone
    from commands.errors import StoreUnknown
    from commands.site.opening import half_there, look_around
    from ledger.errors import LedgerMissing
    from projections.queries.catalog import PRESENT, backups_of_store

    wanted = Wanted(user, since, limit, kind)
    try:
        with opened(ctx, "read") as session:
            site = session.site
            with site.read_models.reading() as connection:
                statuses = (status,) if status else None if everything else PRESENT
                backups = wanted.of(backups_of_store(connection, site.store_id, statuses))
            files = [] if status else wanted.of(unrecorded_files(site))
            if not everything and status is None:
                backups, gone = without_gone(site, backups)
                for filename in gone:
                    note(f"The file of backup {filename} is gone; see: backup-ledger status")
            if as_json:
                listed = [backup_json(site, each) for each in backups]
                write_json(newest_first([*listed, *map(unrecorded_json, files)])[:limit])
                return
            if backups:
                show_backups(backups, session.context.now, _others(site))
            _say_unrecorded(files, session.context.now)
            is_empty = not backups and (wanted.is_narrow or status is not None)
            say(NONE_FITS if is_empty else _summary(backups, site))
    except (LedgerMissing, StoreUnknown):
        configuration = configured(ctx)
        _list_without_ledger(configuration, as_json=as_json)
        found = look_around(configuration)
        if found.store_id or found.has_ledger:
            raise StoreUnknown(half_there(configuration, found)) from None
        raise


Listed = TypeVar("Listed", "Backup", "UnrecordedFile")


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which backups a list shows."""

    user: int | None
    since: datetime | None
    limit: int | None
    kind: str | None

    @property
    def is_narrow(self) -> bool:
        return any(each is not None for each in (self.user, self.since, self.kind))

    def of(self, listed: Sequence[Listed]) -> list[Listed]:
        """Those that fit, newest first; at most so many."""
        found = [
            each
            for each in listed
            if (self.user is None or each.user_id == self.user)
            and (self.since is None or each.created_at >= self.since)
            and (self.kind is None or each.kind == self.kind)
        ]
        found.sort(key=lambda each: each.created_at, reverse=True)
        return found[: self.limit]


def newest_first(listed: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(listed, key=lambda each: each["created_at"], reverse=True)


def show(ctx: typer.Context, name: NameArgument, as_json: JsonOption = False) -> None:
    """Show everything that is known about one backup.

    \b
    Example:
      backup-ledger backup show before-cleanup.db
    """
    from commands.backups.find import find_recorded
    from commands.backups.naming import filename_of
    from commands.backups.unrecorded import unrecorded_file

    with opened(ctx, "read") as session:
        site = session.site
        name = filename_of(site, name)
        file = unrecorded_file(site, name)
        if file is not None:
            _show_unrecorded(session, file, as_json=as_json)
            return
        backup = find_recorded(site, name)
        if as_json:
            write_json(backup_json(site, backup) | disk_json(site, backup))
            return
        show_facts(_facts(session, backup))
        say(f"Its history: backup-ledger audit history {shlex.quote(name)}", style="dim")


def _show_unrecorded(session: Session, file: UnrecordedFile, *, as_json: bool) -> None:
    if as_json:
        write_json(
            unrecorded_json(file)
            | {"size_on_disk": file.found.bytes_on_disk, "links": file.found.links}
        )
        return
    _say_unrecorded([file], session.context.now)


def _list_without_ledger(configuration: Configuration, *, as_json: bool) -> None:
    """Name what is there all the same: whoever lost the ledger needs it most."""
    from datetime import UTC, datetime

    from commands.backups.unrecorded import files_without_ledger

    files = files_without_ledger(configuration) if configuration.names_a_folder else []
    if as_json:
        write_json([unrecorded_json(each) for each in files])
    elif files:
        show_unrecorded(files, datetime.now(UTC))


def _say_unrecorded(files: Sequence[UnrecordedFile], now: datetime) -> None:
    if not files:
        return
    show_unrecorded(files, now)
    note(
        f"{count(len(files), 'file')} not in the ledger yet; record "
        f"{'it' if len(files) == 1 else 'them'}: backup-ledger backup reconcile"
    )


def _others(site: Site) -> dict[str, str]:
    """Databases that 0.1.0 let share the folder: source id -> file name."""
    if not site.has_store:
        return {}
    return {each.source_id: Path(each.path).name for each in site.folder_source.others()}


def _summary(backups: Sequence[Backup], site: Site) -> str:
    if not site.configuration.names_a_folder:
        return f"{count(len(backups), 'backup')}, in all folders of the ledger"
    owner = site.folder_source.owner()
    of = "" if owner is None else f" of {owner.path}"
    if not backups:
        from projections.queries.restore_points import last_good_backup

        none = f"No backups{of} in {site.store.folder} yet"
        with site.read_models.reading() as connection:
            newest = last_good_backup(connection, None)
        if newest is not None and newest.store != site.store.store_id:
            return (
                f"{none}. The ledger's newest, {newest.filename}, was made in another backups "
                f"folder; to restore its off-site copy: backup-ledger backup restore "
                f"{newest.filename} --from DESTINATION --identity FILE"
            )
        return f"{none}; make one: backup-ledger backup create"
    total = moments.size(sum(each.size for each in backups if each.is_present))
    on_disk = moments.size(site.store.bytes_on_disk())
    number = count(len(backups), "backup")
    return f"{number}{of}, {total}, {on_disk} on disk, in {site.store.folder}"


def _on_disk(site: Site, backup: Backup) -> str:
    found = disk_json(site, backup)
    if found["size_on_disk"] is None:
        return "nothing"
    others = (found["links"] or 1) - 1
    shared = f", shared with {count(others, 'other')}" if others else ""
    return moments.size(found["size_on_disk"]) + shared


def _facts(session: Session, backup: Backup) -> list[tuple[str, object]]:
    from commands.shapes.backups import path_of
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
        ("file", path_of(session.site, backup) or _elsewhere(session.site, backup)),
        ("made of", _made_of(session.site, backup)),
        ("backup id", backup.backup_id),
    ]
    optional = [("run", backup.run_id), ("shares its file with", backup.shared_with)]
    facts += [(name, value) for name, value in optional if value is not None]
    facts += [("warning", each) for each in backup.warnings]
    facts += [("finding", each) for each in backup.findings]
    if backup.unchecked:
        facts.append(("not checked", ", ".join(backup.unchecked)))
    if backup.accepted_at is not None:
        facts.append(("accepted", moments.both(backup.accepted_at, now)))
    for hold in backup.holds_at(now):
        end = hold["until"] and f", until {moments.both(parse_instant(hold['until']), now)}"
        facts.append(("held", f"{hold['reason']}{end or ''}"))
    return facts


def _made_of(site: Site, backup: Backup) -> str:
    from commands.site.sources import SourceBook

    return SourceBook(site.ledger).path_of(backup.source) or "not known: a file that was adopted"


def _elsewhere(site: Site, backup: Backup) -> str:
    if site.has_store or not site.configuration.names_a_folder:
        return f"in another folder (store {backup.store})"
    return f"cannot be read: {site.configuration.backups_folder} has no .store file"
