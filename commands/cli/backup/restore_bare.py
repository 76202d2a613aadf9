"""backup-ledger backup restore --without-ledger: where the ledger is gone or damaged."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from commands.cli.session import configured, confirm
from commands.reporting.terminal import note, progress_bar, say, show_facts, write_json

if TYPE_CHECKING:
    import typer

    from commands.restore.without_ledger import BareRestore

HOW = {
    "transaction": "in one transaction: open connections see the old content or the new",
    "replace": "by putting a new file in its place",
    "elsewhere": "as a new file; the database is not touched",
}
WHY = {
    "missing": "it is missing",
    "damaged": "it is damaged",
    "page_size": "its pages have another size",
    "cipher": "one of the two is encrypted",
}
"""Why a new file takes the database's place."""


def how(mode: str, reason: str | None) -> str:
    """What a restore would do, and why not in a transaction."""
    return HOW[mode] + (f" ({WHY.get(reason, reason)})" if reason else "")


@dataclass(frozen=True, slots=True)
class BareOptions:
    """The options of `backup restore`."""

    to: Path | None
    plan: bool
    force: bool
    yes: bool
    as_json: bool


def restore_bare(
    ctx: typer.Context,
    file: Path,
    sha256: str | None,
    options: BareOptions,
    *,
    without_ledger: bool,
) -> None:
    """Restore a file by its digest; say what could not be checked.

    Raises:
        InvalidArgument: --sha256 alone: with the ledger, the digest is the recorded one.
    """
    from commands.errors import InvalidArgument
    from commands.restore.without_ledger import plan_without_ledger, restore_without_ledger
    from ledger.clock import SystemClock

    if not without_ledger:
        raise InvalidArgument(
            "--sha256 is for --without-ledger; with the ledger, the recorded digest is checked"
        )
    configuration = configured(ctx)
    plan = plan_without_ledger(configuration, file, sha256, options.to, force=options.force)
    if not options.plan:
        if options.to is None:
            confirm(f"Replace the content of {plan.target} by {plan.backup}?", yes=options.yes)
        with progress_bar("restoring", in_bytes=True) as progress:
            plan = restore_without_ledger(configuration, plan, SystemClock().now(), progress)
    if options.as_json:
        write_json(_json(plan, is_done=not options.plan))
    elif options.plan:
        _show_plan(plan)
    else:
        _show_outcome(plan)


def _show_plan(plan: BareRestore) -> None:
    kept = "what is there now" if plan.keeps_current else "nothing: there is nothing to lose"
    show_facts(
        [
            ("backup", str(plan.backup)),
            ("into", str(plan.target)),
            ("how", how(plan.mode, plan.reason)),
            ("kept first", kept),
        ]
    )
    _say_unchecked()
    say("Nothing was done.", style="dim")


def _show_outcome(done: BareRestore) -> None:
    say(f"Restored {done.backup}", style="green")
    say(f"into {done.target}")
    if done.kept is not None:
        say(f"What was there before is kept as {done.kept}")
    _say_unchecked()
    note(
        "This restore is recorded nowhere. Once there is a good ledger again, `backup-ledger "
        "backup reconcile` adopts what was kept."
    )


def _say_unchecked() -> None:
    from commands.restore.without_ledger import UNCHECKED

    for each in UNCHECKED:
        note(f"Not checked: {each}.")


def _json(plan: BareRestore, *, is_done: bool) -> dict[str, object]:
    from commands.restore.without_ledger import UNCHECKED

    return {
        "filename": plan.backup.name,
        "filepath": plan.backup,
        "sha256": plan.sha256,
        "target": plan.target,
        "mode": plan.mode,
        "reason": plan.reason,
        "keeps_current": plan.keeps_current,
        "restored": is_done,
        "pre_restore_backup": plan.kept,
        "not_checked": list(UNCHECKED),
    }
