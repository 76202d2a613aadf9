"""backup-ledger backup restore."""

from __future__ import annotations

import grp
import pwd
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from commands.cli.backup.restore_bare import BareOptions, how, restore_bare
from commands.cli.backup.restore_tables import (
    BesideOption,
    ExactOption,
    TableOption,
    TableOptions,
    restore_tables_of,
)
from commands.cli.offsite.options import FromOption, IdentityOption
from commands.cli.offsite.restore import (
    CopyWanted,
    find_copy,
    needs_copy,
    restore_copy,
    show_fetch,
)
from commands.cli.options import JsonOption, NameArgument, YesOption
from commands.cli.session import Session, confirm, opened
from commands.reporting import humanize as moments
from commands.reporting.terminal import note, progress_bar, say, show_facts, write_json

if TYPE_CHECKING:
    from commands.restore.plan import RestorePlan
    from commands.restore.restore import Arrived, RestoreOutcome
    from projections.folds.backup import Backup

ToOption = Annotated[
    Path | None, typer.Option("--to", metavar="PATH", help="Write a new file instead.")
]
PlanOption = Annotated[bool, typer.Option("--plan", help="Only show what would happen.")]
ForceOption = Annotated[
    bool, typer.Option("--force", help="Restore even a backup of another database.")
]
WithoutLedgerOption = Annotated[
    bool,
    typer.Option("--without-ledger", help="NAME is a file; neither read nor write the ledger."),
]
DigestOption = Annotated[
    str | None,
    typer.Option(metavar="HEX", help="With --without-ledger: the digest that was recorded."),
]


def restore(  # noqa: PLR0913, PLR0917 - one parameter an option
    ctx: typer.Context,
    name: NameArgument,
    to: ToOption = None,
    plan: PlanOption = False,
    tables: TableOption = None,
    beside: BesideOption = False,
    exact: ExactOption = False,
    source: FromOption = None,
    identity: IdentityOption = None,
    force: ForceOption = False,
    without_ledger: WithoutLedgerOption = False,
    sha256: DigestOption = None,
    yes: YesOption = False,
    as_json: JsonOption = False,
) -> None:
    """Restore a backup, or some of its tables.

    It replaces the database's content, or writes a new file with --to. An off-site copy is fetched
    first with --from, or with --identity if the backup's own file is missing or damaged.

    The backup is verified first. What the database holds now is first kept as a protected backup.
    The command asks for confirmation unless --yes or --to is given.

    If the ledger is lost or damaged, --without-ledger restores a file whose SHA-256 you know, just
    as carefully. Nothing is recorded, and the command reports what it could not check.

    \b
    Examples:
      backup-ledger backup restore before-cleanup.db --plan
      backup-ledger backup restore before-cleanup.db
      backup-ledger backup restore before-cleanup.db --to /tmp/look.db
      backup-ledger backup restore @2025-01-12 --table invoices --plan
      backup-ledger backup restore before-cleanup.db --without-ledger --sha256 3f0a...
      backup-ledger backup restore before-cleanup.db --from nas --identity key.txt
    """
    is_alone = not (to or source or identity or without_ledger or sha256)
    wanted_tables = TableOptions(tables, beside, exact).wanted(is_alone=is_alone)
    if without_ledger or sha256 is not None:
        options = BareOptions(to=to, plan=plan, force=force, yes=yes, as_json=as_json)
        restore_bare(ctx, Path(name), sha256, options, without_ledger=without_ledger)
        return
    from commands.backups.naming import filename_of

    with opened(ctx, "plan" if plan else "act", adopt=not plan) as session:
        name = filename_of(session.site, name)
        if wanted_tables is not None:
            restore_tables_of(
                session, name, wanted_tables, plan=plan, force=force, yes=yes, as_json=as_json
            )
            return
        wanted = CopyWanted(name, source, identity, to, force=force)
        if needs_copy(session, wanted):
            _from_copy(session, wanted, plan=plan, yes=yes, as_json=as_json)
            return
        _from_file(session, wanted, plan=plan, yes=yes, as_json=as_json)


def _from_file(
    session: Session, wanted: CopyWanted, *, plan: bool, yes: bool, as_json: bool
) -> None:
    """Restore the backup's own file."""
    from commands.backups.find import find_backup
    from commands.restore.plan import plan_restore
    from commands.restore.restore import restore_backup

    site, name, to = session.site, wanted.name, wanted.to
    if plan:
        _show_plan(session, plan_restore(site, name, to), as_json=as_json)
        return
    if to is None:
        # Looked at as little as possible: what fails from here on is recorded.
        confirm(_question(session, find_backup(site, name)), yes=yes)
    with progress_bar("restoring", in_bytes=True) as progress:
        outcome = restore_backup(
            site, session.context, name, to=to, force=wanted.force, on_progress=progress
        )
    if as_json:
        write_json(_outcome_json(session, outcome))
    else:
        _say_restored(outcome)


def _from_copy(
    session: Session, wanted: CopyWanted, *, plan: bool, yes: bool, as_json: bool
) -> None:
    """Fetch an off-site copy, and restore it."""
    backup, destination, copy = found = find_copy(session, wanted)
    if plan:
        show_fetch(session, found, as_json=as_json)
        return
    if wanted.to is None:
        confirm(_question(session, backup), yes=yes)
    outcome = restore_copy(session, wanted)
    if as_json:
        write_json(_outcome_json(session, outcome) | {"copy_id": copy.copy_id})
    else:
        _say_restored(outcome)
        say(f"Its off-site copy was fetched from {destination.name}.")


def _show_plan(session: Session, plan: RestorePlan, *, as_json: bool) -> None:
    if as_json:
        from commands.shapes.restore import PlanShape

        write_json(PlanShape.of(plan))
        return
    backup, now = plan.backup, session.context.now
    made = moments.both(backup.created_at, now)
    facts = [
        ("backup", f"{backup.filename}, {moments.size(backup.size)}, made {made}"),
        ("made of", plan.source or "not known: a file that was adopted"),
        ("into", str(plan.target)),
        ("how", how(plan.mode, plan.reason)),
        ("kept first", _kept(plan)),
        ("room", _room(session, plan)),
    ]
    if plan.warning is not None:
        facts.append(("warning", plan.warning))
    if plan.is_foreign:
        facts.append(("refused", f"{plan.foreign}; see --force"))
    if plan.erased_since:
        facts.append(("erased", plan.erased_since))
    show_facts(facts)
    say("Nothing was done.", style="dim")


def _kept(plan: RestorePlan) -> str:
    if plan.keeps_current:
        return "what is there now, as a protected backup"
    return "nothing: there is nothing to lose"


def _room(session: Session, plan: RestorePlan) -> str:
    from commands.sqlite.errors import SQLiteFileError

    needed = f"{moments.size(plan.needed_bytes)} at most"
    try:
        free = session.site.free_bytes(plan.target.parent)
    except SQLiteFileError:
        return needed
    enough = "" if free >= plan.needed_bytes else ": too little"
    return f"{needed}, {moments.size(free)} free{enough}"


def _question(session: Session, backup: Backup) -> str:
    age = moments.relative(backup.created_at, session.context.now)
    return f"Replace the content of {session.site.database} by {backup.filename}, made {age}?"


def _outcome_json(session: Session, outcome: RestoreOutcome) -> dict[str, Any]:
    from commands.shapes.backups import BackupShape
    from commands.shapes.restore import PlanShape

    kept = outcome.pre_restore
    return PlanShape.of(outcome.plan).model_dump() | {
        "restored": True,
        "pre_restore_backup": None if kept is None else BackupShape.of(session.site, kept),
        "new_file": _arrived_json(outcome.arrived),
    }


def _arrived_json(arrived: Arrived | None) -> dict[str, Any] | None:
    """What a file that took the database's place has; null where there is none."""
    if arrived is None:
        return None
    belongings = arrived.belongings
    return {
        "owner": belongings.owner,
        "group": belongings.group,
        "mode": f"{belongings.mode:04o}",
        "journal_mode": arrived.journal_mode,
    }


def _say_restored(outcome: RestoreOutcome) -> None:
    say(f"Restored {outcome.plan.backup.filename}", style="green")
    say(f"into {outcome.plan.target}")
    if outcome.pre_restore is not None:
        say(f"What was there before is kept as {outcome.pre_restore.filename}")
    if outcome.arrived is not None:
        say(_sentence_of(outcome.arrived))
    if outcome.plan.erased_since:
        note(outcome.plan.erased_since)


def _sentence_of(arrived: Arrived) -> str:
    found = arrived.belongings
    journal = f", journal mode {arrived.journal_mode}" if arrived.journal_mode else ""
    return (
        f"The new file belongs to {_user(found.owner)}:{_group(found.group)}, mode "
        f"{found.mode:04o} (like {found.because}){journal}"
    )


def _user(number: int) -> str:
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)


def _group(number: int) -> str:
    try:
        return grp.getgrgid(number).gr_name
    except KeyError:
        return str(number)
