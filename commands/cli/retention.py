"""backup-ledger retention: what is kept, what may go, and why."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from commands.cli.errors import EXIT_CODES, FAILED
from commands.cli.options import JsonOption, UserOption, parse_integer
from commands.cli.session import Session, opened
from commands.reporting import humanize as moments
from commands.reporting.terminal import add_row, new_table, note, say, show_table, write_json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from commands.backups.delete import Deletion
    from commands.retention.apply import RetentionOutcome

app = typer.Typer(no_args_is_help=True, epilog=EXIT_CODES)

MAX_NAME_COLUMNS = 44
"""Longer names are folded, so that the reasons have room."""
KeepArgument = Annotated[
    int, typer.Argument(metavar="KEEP", parser=parse_integer, help="How many to keep, 1 to 30.")
]
GlobalOption = Annotated[bool, typer.Option("--global", help="The backups of all users.")]


@app.command(epilog=EXIT_CODES)
def preview(
    ctx: typer.Context,
    keep: KeepArgument,
    user: UserOption = None,
    everybody: GlobalOption = False,
    as_json: JsonOption = False,
) -> None:
    """Show what `apply` would keep and delete.

    Shows the reasons; changes nothing.

    \b
    Examples:
      backup-ledger retention preview 7 --user 1
      backup-ledger retention preview 7 --global
    """
    from commands.retention.apply import preview_retention

    _require_scope(user, everybody=everybody)
    with opened(ctx, "plan") as session:
        outcome = preview_retention(session.site, session.context, keep, user)
        if as_json:
            from commands.shapes.retention import RetentionShape

            write_json(RetentionShape.of(outcome, outcome.deletions))
        else:
            _show_outcome(session, outcome, outcome.deletions)
            say(f"{len(outcome.deletions)} would be deleted; nothing was done.")


@app.command(epilog=EXIT_CODES)
def apply(
    ctx: typer.Context,
    keep: KeepArgument,
    user: UserOption = None,
    everybody: GlobalOption = False,
    as_json: JsonOption = False,
) -> None:
    """Delete the oldest backups beyond KEEP.

    Never deletes the last good backup, nor one that is protected, held or being restored. Damaged
    backups do not count as kept. Each decision is recorded with its reasons.

    \b
    Examples:
      backup-ledger retention apply 7 --user 1
      backup-ledger retention apply 30 --global
    """
    from commands.retention.apply import apply_retention

    _require_scope(user, everybody=everybody)
    with opened(ctx, "act", adopt=True) as session:
        outcome = apply_retention(session.site, session.context, keep, user)
        deleted, failed = _carried_out(session, outcome.deletions)
        if as_json:
            from commands.shapes.retention import RetentionShape

            write_json(RetentionShape.of(outcome, deleted))
        else:
            _show_outcome(session, outcome, deleted)
            say(f"{len(deleted)} deleted.")
    for each in failed:
        note(f"{each.backup.filename} could not be deleted; it is tried again", style="red")
    if failed:
        raise typer.Exit(FAILED)


@app.command("cleanup-empty", epilog=EXIT_CODES)
def cleanup_empty(ctx: typer.Context, as_json: JsonOption = False) -> None:
    """Delete backups of zero bytes, even protected ones.

    \b
    Example:
      backup-ledger retention cleanup-empty
    """
    from commands.retention.cleanup import clean_up_empty

    with opened(ctx, "act", adopt=True) as session:
        _say_cleaned(
            clean_up_empty(session.site, session.context), as_json=as_json, quiet=ctx.obj.quiet
        )


@app.command("cleanup-protected", epilog=EXIT_CODES)
def cleanup_protected(
    ctx: typer.Context,
    days: Annotated[
        int, typer.Option(metavar="N", parser=parse_integer, help="Older than this many days.")
    ] = 90,
    as_json: JsonOption = False,
) -> None:
    """Delete old protected backups.

    Protected backups are those made before a migration or a restore.

    \b
    Example:
      backup-ledger retention cleanup-protected --days 180
    """
    from commands.retention.cleanup import clean_up_old_protected

    with opened(ctx, "act", adopt=True) as session:
        deleted = clean_up_old_protected(session.site, session.context, days)
        _say_cleaned(deleted, as_json=as_json, quiet=ctx.obj.quiet)


def _require_scope(user: int | None, *, everybody: bool) -> None:
    if (user is None) != everybody:
        raise typer.BadParameter(
            "give either --user N or --global, so that no backups are deleted by mistake",
            param_hint="--user / --global",
        )


def _carried_out(
    session: Session, deletions: Sequence[Deletion]
) -> tuple[list[Deletion], list[Deletion]]:
    """Which of the announced deletes are done, and which stay open."""
    from projections.queries.catalog import backups_with_ids

    with session.site.read_models.reading() as connection:
        now_found = backups_with_ids(connection, [each.backup.backup_id for each in deletions])
    gone = {each.backup_id for each in now_found.values() if each.status == "deleted"}
    deleted = [each for each in deletions if each.backup.backup_id in gone]
    return deleted, [each for each in deletions if each.backup.backup_id not in gone]


def _show_outcome(session: Session, outcome: RetentionOutcome, deleted: Sequence[Deletion]) -> None:
    if not outcome.plan.kept and not deleted:
        say("There are no backups of that scope.")
        return
    table = new_table("", "Backup", "Age", "Why")
    shown = [each.filename for each in outcome.backups.values()]
    table.columns[1].width = min(max(map(len, shown)), MAX_NAME_COLUMNS)
    now = session.context.now
    for kept in outcome.plan.kept:
        backup = outcome.backups[kept.backup_id]
        reasons = tuple(reason.replace("_", " ") for reason in kept.reasons)
        add_row(table, "keep", backup.filename, moments.duration(now - backup.created_at), reasons)
    for each in deleted:
        age = moments.duration(now - each.backup.created_at)
        add_row(table, "delete", each.backup.filename, age, f"beyond {each.rule}", style="red")
    show_table(table)


def _say_cleaned(deleted: Sequence[Deletion], *, as_json: bool, quiet: bool) -> None:
    if as_json:
        from commands.shapes.retention import DeletedBackups

        write_json(DeletedBackups.of(deleted))
        return
    for each in deleted:
        say(f"deleted {each.backup.filename} ({each.rule})")
    if deleted or not quiet:
        say(f"{len(deleted)} deleted." if deleted else "There was nothing to clean up.")
