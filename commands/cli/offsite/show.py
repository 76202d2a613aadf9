"""backup-ledger offsite list, show, status."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from commands.cli.offsite.options import DestinationArgument, require_extra
from commands.cli.options import JsonOption
from commands.cli.session import opened
from commands.reporting import humanize as moments
from commands.reporting.humanize import count
from commands.reporting.terminal import add_row, new_table, say, show_facts, show_table, write_json

if TYPE_CHECKING:
    from datetime import datetime

    from commands.offsite.status import DestinationStatus


def list_(ctx: typer.Context, as_json: JsonOption = False) -> None:
    """List destinations and every copy that is there.

    \b
    Examples:
      backup-ledger offsite list
      backup-ledger offsite list --json
    """
    from commands.shapes.offsite import DestinationShape

    found, now = _statuses(ctx)

    if as_json:
        write_json([DestinationShape.of(each.destination) for each in found])
        return
    if not found:
        say("There is no off-site destination; see: backup-ledger offsite add --help")
    for each in found:
        say(f"{each.destination.name}  {each.destination.url}", style="bold")
        _show_copies(each, now)


def show(ctx: typer.Context, name: DestinationArgument, as_json: JsonOption = False) -> None:
    """Show a destination's settings, keys and copies.

    \b
    Example:
      backup-ledger offsite show nas
    """
    require_extra()
    from commands.offsite.destinations import find_destination
    from commands.offsite.status import destination_status
    from commands.shapes.offsite import CopyShape, DestinationShape

    with opened(ctx, "read") as session:
        session.site.catch_up()
        found = destination_status(session.site, find_destination(session.site, name))
        now = session.context.now
    destination = found.destination
    if as_json:
        copies = [*found.copies, *found.corrupt, *found.deleting]
        write_json(
            DestinationShape.of(destination).model_dump()
            | {
                "append_only": found.append_only,
                "condemned_packs": found.condemned_packs,
                "next_deletion_at": found.next_deletion_at,
                "copies": [CopyShape.of(each) for each in copies],
            }
        )
        return
    facts: list[tuple[str, object]] = [
        ("place", destination.url),
        ("repository", destination.repository_id),
        ("state", destination.status),
        ("pages", "shared among copies" if destination.share else "each copy whole"),
    ]
    if destination.clear:
        facts.append(("encryption", "NONE: anyone with access to the place can read every backup"))
    facts += [("can be read by", recipient) for recipient in destination.recipients]
    values = destination.settings | destination.stated
    facts += [(name.replace("_", " "), value) for name, value in values.items()]
    if not destination.settings.get("keep"):
        facts.append(("retention", "every copy is kept; see: offsite set --keep"))
    show_facts(facts)
    _show_copies(found, now)
    _say_condemned(found, now)


def status(ctx: typer.Context, as_json: JsonOption = False) -> None:
    """Show what each destination has and what it lacks.

    \b
    Examples:
      backup-ledger offsite status
      backup-ledger offsite status --json
    """
    from commands.shapes.offsite import StatusShape

    found, now = _statuses(ctx)

    if as_json:
        write_json([StatusShape.of(each) for each in found])
        return
    for each in found:
        newest = each.newest_copy_at
        when = "no copy yet" if newest is None else f"newest {moments.relative(newest, now)}"
        say(f"{each.destination.name}: {count(len(each.copies), 'copy', 'copies')}, {when}")
        if each.missing:
            age = moments.relative(each.missing[-1].created_at, now)
            total = len(each.missing) + len(each.copies)
            say(f"  {len(each.missing)} of {total} backups are not off-site yet (newest {age})")
        if each.failed is not None:
            ago = moments.relative(each.failed.started_at, now)
            say(f"  the last copy failed {ago}: {each.failed.problem}", style="red")
        if each.corrupt:
            say(f"  {count(len(each.corrupt), 'copy', 'copies')} damaged there", style="red")
        if not each.destination.is_attached:
            say(
                "  this ledger only reads there; if no other machine copies there any more: "
                f"backup-ledger offsite attach {each.destination.name}",
                style="yellow",
            )
        _say_condemned(each, now)
    if not found:
        say("There is no off-site destination; see: backup-ledger offsite add --help")


def _say_condemned(found: DestinationStatus, now: datetime) -> None:
    """What goes, and when; and whether it can go from here."""
    first = found.next_deletion_at
    if first is not None:
        copies = count(len(found.deleting), "copy", "copies")
        packs = count(found.condemned_packs, "pack")
        say(f"  {copies} and {packs} condemned; first deleted {moments.relative(first, now)}")
    if found.append_only:
        say("  append only: these credentials may not delete there", style="yellow")


def _statuses(ctx: typer.Context) -> tuple[list[DestinationStatus], datetime]:
    """Every destination as it stands now."""
    require_extra()
    from commands.offsite.status import destination_statuses

    with opened(ctx, "read") as session:
        session.site.catch_up()
        return destination_statuses(session.site), session.context.now


def _show_copies(found: DestinationStatus, now: datetime) -> None:
    copies = [*found.copies, *found.corrupt]
    if not copies:
        say("  no copies yet", style="dim")
        return
    table = new_table(
        "backup", "copied", "size", "sent", "verified", "copy", right=("size", "sent")
    )
    for copy in sorted(copies, key=lambda each: each.position):
        checked = copy.problem or copy.verified_level or "not yet"
        add_row(
            table,
            copy.filename,
            "" if copy.completed_at is None else moments.relative(copy.completed_at, now),
            moments.size(copy.size or 0),
            moments.size(copy.sent_bytes or 0),
            checked if copy.proved or copy.problem else f"{checked}, unproved",
            copy.copy_id,
            style="red" if copy.problem else None,
        )
    show_table(table)
