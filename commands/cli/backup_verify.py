"""backup-ledger backup verify."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from commands.cli.errors import FOUND_SOMETHING
from commands.cli.options import JsonOption
from commands.cli.output import count, progress_bar, say, write_json
from commands.cli.session import Session, opened

if TYPE_CHECKING:
    from collections.abc import Sequence

    from commands.verify_backups import Verification
    from projections.backup import Backup


class VerifyLevel(StrEnum):
    """How closely to look."""

    EXISTS = "exists"
    DIGEST = "digest"
    INTEGRITY = "integrity"


def verify(
    ctx: typer.Context,
    names: Annotated[list[str] | None, typer.Argument(metavar="NAME", help="Which ones.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="All that should be there.")] = False,
    level: Annotated[
        VerifyLevel,
        typer.Option(
            help="exists: the file and its size; digest: its SHA-256 too; integrity: SQLite's "
            "integrity_check as well."
        ),
    ] = VerifyLevel.INTEGRITY,
    as_json: JsonOption = False,
) -> None:
    """Check that backups still are what was recorded.

    Each check is recorded. Exit code 3 when one is damaged or gone.

    \b
    Examples:
      backup-ledger backup verify --all
      backup-ledger backup verify before-cleanup.db --level digest
    """
    if bool(names) == everything:
        raise typer.BadParameter("give either names or --all", param_hint="NAME")
    with opened(ctx, "act", adopt=True) as session:
        chosen = _chosen(session, names)
        found = [_verified(session, each, level) for each in chosen]
        if as_json:
            write_json([_verification_json(each) for each in found])
        else:
            _say_verified(found)
    if not all(each.is_good for each in found):
        raise typer.Exit(FOUND_SOMETHING)


def _chosen(session: Session, names: Sequence[str] | None) -> list[Backup]:
    from commands.delete_backup import find_backup
    from projections.catalog_queries import PRESENT, backups_of_store

    site = session.site
    if names:
        return [find_backup(site, name) for name in dict.fromkeys(names)]
    with site.read_models.reading() as connection:
        return backups_of_store(connection, site.store.store_id, (*PRESENT, "missing"))


def _verified(session: Session, backup: Backup, level: VerifyLevel) -> Verification:
    from commands.verify_backups import verify_backup

    with progress_bar(f"verifying {backup.filename}") as progress:
        return verify_backup(
            session.site, session.context, backup, level.value, on_progress=progress
        )


def _verification_json(found: Verification) -> dict[str, Any]:
    return {
        "backup_id": found.backup.backup_id,
        "filename": found.backup.filename,
        "level": found.level,
        "ok": found.is_good,
        "problem": found.problem,
        "expected_sha256": found.backup.sha256,
        "found_sha256": found.found_sha256,
    }


def _say_verified(found: Sequence[Verification]) -> None:
    for each in found:
        if each.is_good:
            say(f"ok   {each.backup.filename} ({each.level})", style="green")
        else:
            say(f"BAD  {each.backup.filename}: {each.problem}", style="red")
    bad = sum(not each.is_good for each in found)
    if not found:
        say("There is nothing to verify.")
    elif bad:
        say(f"{bad} of {count(len(found), 'backup')} not as recorded; do not restore from there.")
    else:
        say(f"{count(len(found), 'backup')} checked; all is as recorded.")
