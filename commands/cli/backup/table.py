"""Backups as people and programs see them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from commands.reporting import humanize as moments
from commands.reporting.terminal import (
    add_row,
    is_wide,
    new_table,
    say,
    show_table,
    tell,
    terminal_width,
)
from ledger.vocabulary import EVERYTHING, BackupStatus

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from rich.table import Table

    from commands.backups.unrecorded import UnrecordedFile
    from commands.site.site import Site
    from projections.folds.backup import Backup

BESIDE_A_NAME = 30
"""Columns that a table needs beside its names."""
_STYLES = {"corrupt": "red", "missing": "red", "deleting": "yellow", "deleted": "dim"}


def backup_json(site: Site, backup: Backup) -> dict[str, Any]:
    from commands.shapes.backups import BackupShape

    return BackupShape.of(site, backup).model_dump()


def unrecorded_json(file: UnrecordedFile) -> dict[str, Any]:
    from commands.shapes.backups import BackupShape

    return BackupShape.of_unrecorded(file).model_dump()


def show_unrecorded(files: Sequence[UnrecordedFile], now: datetime) -> None:
    """Name the files that the ledger does not know."""
    table = new_table("File, not in the ledger", "Size", "Changed", right=("Size",))
    for each in files:
        add_row(table, each.filename, moments.size(each.size), moments.both(each.created_at, now))
    show_table(table)


def disk_json(site: Site, backup: Backup) -> dict[str, int | None]:
    """What the file takes now, in bytes, and how many names share it; null where there is none."""
    is_here = site.has_store and backup.store == site.store.store_id
    found = site.store.look_at(backup.filename) if is_here else None
    if found is None:
        return {"size_on_disk": None, "links": None}
    return {"size_on_disk": found.bytes_on_disk, "links": found.links}


def backups_table(
    backups: Sequence[Backup], now: datetime, others: Mapping[str, str] | None = None
) -> Table:
    """One backup a row, on one line where there is room, else on two.

    `others`: id and name of databases that the folder does not belong to: their backups say so.
    """
    others = others or {}
    if is_wide():
        return _wide_table(backups, now, others)
    table = new_table("Backup", "Size", "State", right=("Size",))
    for each in backups:
        made = f"  {moments.both(each.created_at, now)}"
        standing = (state(each, now, others), origin(each))
        cells = ((each.filename, made), moments.size(each.size), standing)
        add_row(table, *cells, style=_STYLES.get(each.status))
    return table


def show_backups(
    backups: Sequence[Backup], now: datetime, others: Mapping[str, str] | None = None
) -> None:
    """A table; where a name would not stay in one piece, names on lines of their own."""
    longest = max((len(each.filename) for each in backups), default=0)
    if terminal_width() >= longest + BESIDE_A_NAME:
        show_table(backups_table(backups, now, others))
        return
    for each in backups:
        say(each.filename, _STYLES.get(each.status, "bold"))
        facts = (moments.size(each.size), state(each, now, others), origin(each))
        tell(f"{', '.join(facts)}; {moments.both(each.created_at, now)}")


def state(backup: Backup, now: datetime, others: Mapping[str, str] | None = None) -> str:
    """Where it stands, in a word or two."""
    words = [str(backup.status)]
    if backup.condition == "flawed":
        words.append("flawed")
    if backup.is_collapse:
        words.append("collapsed")
    if backup.unchecked:
        words.append("unchecked" if EVERYTHING in backup.unchecked else "partly unchecked")
    if backup.cipher:
        words.append("encrypted")
    if backup.is_held(now):
        words.append("held")
    if backup.is_protected:
        words.append("protected")
    if others and backup.source is not None and backup.source in others:
        words.append(f"of {others[backup.source]}")
    return ", ".join(words)


def origin(backup: Backup) -> str:
    """What made it, and for whom."""
    kind = backup.kind.replace("_", "-")
    return kind if backup.user_id is None else f"{kind}, user {backup.user_id}"


def checked(backup: Backup, now: datetime) -> str:
    """When it was last verified, and how closely."""
    if backup.status == BackupStatus.CORRUPT:
        return "found damaged"
    if backup.verified_at is None:
        return "never"
    return f"{backup.verified_level}, {moments.both(backup.verified_at, now)}"


def _wide_table(backups: Sequence[Backup], now: datetime, others: Mapping[str, str]) -> Table:
    table = new_table("Backup", "Made (UTC)", "Age", "Size", "Kind", "State", right=("Size",))
    for each in backups:
        add_row(
            table,
            each.filename,
            moments.exact(each.created_at),
            moments.relative(each.created_at, now),
            moments.size(each.size),
            origin(each),
            state(each, now, others),
            style=_STYLES.get(each.status),
        )
    return table
