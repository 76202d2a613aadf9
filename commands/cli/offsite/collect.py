"""backup-ledger offsite collect."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from commands.cli.errors import FOUND_SOMETHING
from commands.cli.offsite.options import ToOption, require_extra
from commands.cli.options import JsonOption
from commands.cli.session import opened
from commands.reporting import humanize as moments
from commands.reporting.humanize import count
from commands.reporting.terminal import note, say, write_json

if TYPE_CHECKING:
    from datetime import datetime

    from commands.offsite.deleting.collect import Collected


def collect(
    ctx: typer.Context,
    to: ToOption = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would happen; change nothing.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Delete off-site copies that retention does not keep.

    Deletes copies by the destination's own retention (`offsite set NAME --keep N ...`), and packs
    that no copy needs. Both are condemned first, and deleted after a grace period by the next
    collect or the scheduler. Nothing is downloaded, and no key is needed.

    \b
    Examples:
      backup-ledger offsite collect --dry-run
      backup-ledger offsite collect --to nas
    """
    require_extra()
    from commands.offsite.deleting.collect import collect as collect_at
    from commands.offsite.destinations import chosen_destinations
    from commands.offsite.errors import OffsiteError
    from commands.offsite.publish import publish_if_behind
    from commands.shapes.offsite import CollectedShape

    done: list[Collected] = []
    code = 0
    with opened(ctx, "read" if dry_run else "act") as session:
        site = session.site
        site.catch_up()
        for destination in chosen_destinations(site, to):
            if to is None and not destination.is_attached:
                continue
            try:
                done.append(collect_at(site, session.context, destination, dry_run=dry_run))
            except OffsiteError as error:
                if to is not None:
                    raise
                note(f"{destination.name}: {error}", style="red")  # it never stops another one
                code = code or error.exit_code
                continue
            if done[-1].claim is not None:
                publish_if_behind(site, destination)
        now = session.context.now
    if as_json:
        write_json([CollectedShape.of(each, dry_run=dry_run) for each in done])
    else:
        for each in done:
            _show(each, now, dry_run=dry_run)
    if any(each.plan.problem for each in done):
        code = code or FOUND_SOMETHING
    if code:
        raise typer.Exit(code)


def _show(found: Collected, now: datetime, *, dry_run: bool) -> None:
    plan, name = found.plan, found.destination.name
    for going, moment in plan.copies:
        verb = "would be condemned" if dry_run else "condemned"
        say(f"{name}: {going.copy.filename} {verb} ({going.reason}), {_when(moment, now)}")
    if found.condemned_packs:
        verb = "would be condemned" if dry_run else "condemned"
        packs = f"{count(found.condemned_packs, 'pack')} ({moments.size(found.condemned_bytes)})"
        say(f"{name}: {packs} {verb}, {_when(plan.condemned[0].not_before, now)}")
    if dry_run and (plan.due_copies or plan.due_packs):
        copies = count(len(plan.due_copies), "copy", "copies")
        say(f"{name}: {copies} and {count(len(plan.due_packs), 'pack')} would be deleted now")
    _show_done(found)
    if plan.is_empty:
        say(f"{name}: nothing to delete")
    if plan.problem is not None:
        note(f"{name}: no pack is condemned, because {plan.problem}", style="red")
    if plan.clock_doubt is not None:
        note(f"{name}: nothing is deleted now, because {plan.clock_doubt}")
    if found.look.foreign:
        names = ", ".join(found.look.foreign[:3])
        note(
            f"{name}: {count(len(found.look.foreign), 'name')} there not ours, left alone: {names}"
        )


def _show_done(found: Collected) -> None:
    name, claim = found.destination.name, found.claim
    if claim is None:
        return
    if claim.copies_deleted or claim.packs_deleted:
        copies = count(claim.copies_deleted, "copy", "copies")
        packs = f"{count(claim.packs_deleted, 'pack')} ({moments.size(claim.deleted_bytes)})"
        say(f"{name}: {copies} and {packs} deleted", style="green")
    if claim.append_only:
        note(f"{name}: these credentials may not delete there; what is condemned waits for others")


def _when(moment: datetime, now: datetime) -> str:
    return f"deleted {moments.relative(moment, now)} at the earliest"
