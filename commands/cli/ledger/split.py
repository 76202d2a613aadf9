"""backup-ledger ledger split: a folder of its own for each of two databases."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from commands.cli.options import JsonOption, YesOption
from commands.cli.session import configured, confirm
from commands.reporting import humanize as moments
from commands.reporting.humanize import count
from commands.reporting.terminal import note, progress_bar, say, show_facts, write_json

if TYPE_CHECKING:
    from commands.upkeep.split_folder import SplitOutcome, SplitPlan


def split(
    ctx: typer.Context,
    source: Annotated[
        Path | None,
        typer.Option("--source", metavar="PATH", help="The database whose backups leave."),
    ] = None,
    to: Annotated[
        Path | None,
        typer.Option("--to", metavar="DIR", help="Its new backups folder [default: beside it]."),
    ] = None,
    plan: Annotated[bool, typer.Option("--plan", help="Only show what would happen.")] = False,
    yes: YesOption = False,
    as_json: JsonOption = False,
) -> None:
    """Split a folder that has backups of two databases.

    Version 0.1.0 could mix them. The folder and its ledger stay with the database of the newest
    backup. The other database's backups are copied to a folder and ledger of their own, compared
    with the recorded digests, and only then deleted here; holds and schedules go along. Stop the
    schedulers first. An interrupted split continues when you repeat it.

    \b
    Examples:
      backup-ledger ledger split --plan
      backup-ledger ledger split --source billing.db --to /srv/billing/backups
    """
    from contextlib import closing

    from commands.recovery.recover import recover
    from commands.site.actors import operator
    from commands.upkeep.split_folder import open_mixed, plan_split, split_folder

    with closing(open_mixed(configured(ctx))) as site:
        context = site.context(operator())
        planned = plan_split(site, context, source, to)
        if plan:
            _show_plan(planned, as_json=as_json)
            return
        if not as_json:
            _show_plan(planned, as_json=False)
        confirm(f"Move {count(len(planned.backups), 'backup')} to {planned.folder}?", yes=yes)
        recover(site)
        with progress_bar("copying", in_bytes=True) as progress:
            outcome = split_folder(site, context, planned, progress)
    if as_json:
        write_json(_plan_json(planned) | _outcome_json(outcome))
    else:
        _say_outcome(planned, outcome)


def _show_plan(plan: SplitPlan, *, as_json: bool) -> None:
    if as_json:
        write_json(_plan_json(plan))
        return
    facts = [
        ("stays", f"backups of {plan.owner.path}, and the ledger"),
        ("leaves", f"backups of {plan.source.path}"),
        ("how many", f"{len(plan.backups)}, {moments.size(plan.size_bytes)}"),
        ("to", str(plan.folder)),
        ("schedules", f"those of {count(len(plan.users), 'user')} are set there, too"),
    ]
    if plan.held:
        facts.append(("held", f"{len(plan.held)}: copied, and kept here as well"))
    if plan.unknown:
        facts.append(("adopted", f"{plan.unknown}, of an unknown database: they stay"))
    show_facts(facts)


def _plan_json(plan: SplitPlan) -> dict[str, Any]:
    return {
        "stays": plan.owner.path,
        "leaves": plan.source.path,
        "folder": plan.folder,
        "backups": [each.filename for each in plan.backups],
        "size_bytes": plan.size_bytes,
        "held": [each.filename for each in plan.held],
        "users": list(plan.users),
        "unknown": plan.unknown,
    }


def _outcome_json(outcome: SplitOutcome) -> dict[str, Any]:
    return {
        "moved": outcome.moved,
        "copied": outcome.copied,
        "left": outcome.left,
        "users_set": outcome.users,
    }


def _say_outcome(plan: SplitPlan, outcome: SplitOutcome) -> None:
    for name, reason in outcome.left.items():
        note(f"{name}: {reason}")
    say(f"Moved {count(len(outcome.moved), 'backup')} to {plan.folder}", style="green")
    say(
        f"From now on: backup-ledger --database {plan.source.path} --backups {plan.folder} ...",
        style="dim",
    )
