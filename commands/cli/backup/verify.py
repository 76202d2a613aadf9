"""backup-ledger backup verify."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from commands.cli.errors import FAILED, FOUND_SOMETHING
from commands.cli.options import JsonOption, parse_part
from commands.cli.session import Session, opened
from commands.reporting.humanize import count
from commands.reporting.terminal import progress_bar, say, write_json

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from commands.verification.verify import Verification
    from ledger.vocabulary import Level
    from projections.folds.backup import Backup

Work = list[tuple["Level", list["Backup"]]]
"""Which backups are checked how closely."""


class VerifyLevel(StrEnum):
    """How closely to look."""

    EXISTS = "exists"
    DIGEST = "digest"
    INTEGRITY = "integrity"
    DRILL = "drill"


def verify(
    ctx: typer.Context,
    names: Annotated[list[str] | None, typer.Argument(metavar="NAME", help="The backups.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="All that should be there.")] = False,
    due: Annotated[
        bool,
        typer.Option(
            "--due",
            help="Those last checked longer ago than verify_digest_days, verify_integrity_days or "
            "drill_days, each at the level that is due; with --level: only at that level.",
        ),
    ] = False,
    part: Annotated[
        str | None,
        typer.Option(metavar="N/T", help="The Nth of T parts; T runs cover everything."),
    ] = None,
    level: Annotated[
        VerifyLevel | None,
        typer.Option(
            help="exists: the file and its size; digest: its SHA-256 too; integrity: SQLite's "
            "integrity_check as well; drill: restored into a scratch file, tables and rows "
            "counted.  [default: integrity; with --due: what is due]",
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Check that backups are still what was recorded.

    Each check is recorded at once, so an interrupted command loses nothing. The exit code is 3 if a
    backup is damaged or missing, 1 if one could not be checked.

    \b
    Examples:
      backup-ledger backup verify --all
      backup-ledger backup verify before-cleanup.db --level drill
      backup-ledger backup verify --due
      backup-ledger backup verify --part 2/7 --level digest
    """
    chosen_by = bool(names) + everything + due
    if chosen_by > 1 or (chosen_by == 0 and part is None):
        raise typer.BadParameter("give either names or --all or --due", param_hint="NAME")
    if names and part is not None:
        raise typer.BadParameter("a part is one of --all or --due", param_hint="--part")
    share = parse_part(part)
    with opened(ctx, "act", adopt=True) as session:
        work = _due(session, level, share) if due else _chosen(session, names, level, share)
        found = list(_verified(session, work, due=due))
        if as_json:
            from commands.shapes.verification import VerificationShape

            write_json([VerificationShape.of(each) for each in found])
        elif found or not ctx.obj.quiet:
            _say_verified(found)
    if any(each.problem is not None for each in found):
        raise typer.Exit(FOUND_SOMETHING)
    if not all(each.is_good for each in found):
        raise typer.Exit(FAILED)


def _chosen(
    session: Session,
    names: Sequence[str] | None,
    level: VerifyLevel | None,
    part: tuple[int, int],
) -> Work:
    from commands.backups.find import find_backup
    from commands.backups.naming import filename_of
    from commands.verification.plan import is_in_part
    from projections.queries.catalog import PRESENT, backups_of_store

    site, chosen = session.site, level or VerifyLevel.INTEGRITY
    wanted: Level = chosen.value
    if names:
        meant = [filename_of(site, name) for name in names]
        return [(wanted, [find_backup(site, name) for name in dict.fromkeys(meant)])]
    with site.read_models.reading() as connection:
        there = backups_of_store(connection, site.store.store_id, (*PRESENT, "missing"))
    return [(wanted, [each for each in there if is_in_part(each, *part)])]


def _due(session: Session, level: VerifyLevel | None, part: tuple[int, int]) -> Work:
    from commands.verification.daily_drills import due_backups

    wanted: Level | None = None if level is None else level.value
    return due_backups(session.site, session.context.now, wanted, part)


def _verified(session: Session, work: Work, *, due: bool) -> Iterator[Verification]:
    from commands.verification.verify import verify_backups

    for level, backups in work:
        with progress_bar(f"{level}, {count(len(backups), 'backup')}", in_bytes=True) as progress:
            yield from verify_backups(
                session.site,
                session.context,
                backups,
                level,
                trigger="due" if due else "command",
                on_progress=progress,
            )


def _say_verified(found: Sequence[Verification]) -> None:
    for each in found:
        if each.is_good:
            beside = f"; not checked: {', '.join(each.unchecked)}" if each.unchecked else ""
            say(f"ok   {each.backup.filename} ({each.level}{beside})", style="green")
        elif each.failure is not None:
            say(f"?    {each.failure}", style="yellow")
        else:
            say(f"BAD  {each.backup.filename}: {each.problem}", style="red")
    bad = sum(each.problem is not None for each in found)
    unknown = sum(each.failure is not None for each in found)
    if not found:
        say("There is nothing to verify.")
    elif bad:
        say(f"{bad} of {count(len(found), 'backup')} not as recorded; do not restore from there.")
    elif not unknown:
        whole = "all" if not any(each.unchecked for each in found) else "all that can be checked"
        say(f"{count(len(found), 'backup')} checked; {whole} is as recorded.")
    if unknown:
        say(f"{unknown} of {count(len(found), 'backup')} could not be checked; see above.")
