"""backup-ledger audit as-of: settings, backups and due work, as the ledger had them then."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from commands.cli.backup.table import backup_json, show_backups
from commands.cli.errors import EXIT_CODES
from commands.cli.options import JsonOption, UserOption, parse_time_or_position
from commands.cli.schedule_tables import show_schedules
from commands.cli.session import opened
from commands.reporting import humanize as moments
from commands.reporting.humanize import count
from commands.reporting.terminal import add_row, new_table, say, show_facts, show_table, write_json

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from commands.site.site import Site
    from projections.folds.backup import Backup
    from projections.folds.schedule import Schedule
    from projections.past.as_of import AsOf
    from projections.past.moment import Moment

WhenArgument = Annotated[
    str,
    typer.Argument(
        metavar="TIME|POSITION",
        help=f"{moments.MOMENT_HELP}; or a number, which is a position of the ledger.",
    ),
]


def register(app: typer.Typer) -> None:
    """Add the command to `backup-ledger audit`."""
    app.command("as-of", epilog=EXIT_CODES)(as_of)


def as_of(
    ctx: typer.Context, when: WhenArgument, user: UserOption = None, as_json: JsonOption = False
) -> None:
    """Show settings, backups and what was due, as they were then.

    The answer comes from the ledger alone, up to the last position that was written by then, and
    warns if the clock was set back before that. `orphan` in --json is as of today.

    \b
    Examples:
      backup-ledger audit as-of 2025-01-13T03:00
      backup-ledger audit as-of 2025-01-13 --user 1
      backup-ledger audit as-of 4711 --json
    """
    from projections.past.as_of import as_of as ledger_as_of

    asked = parse_time_or_position(when)
    with opened(ctx, "read") as session:
        site = session.site
        found = _so_far(ledger_as_of(site.ledger, asked, user), session.context.now)
        orphans = _unknown_today(site, found)
        if as_json:
            write_json(_json(site, found, orphans))
        else:
            _show(found, orphans, session.context.now)


def clock_jump_told(moment: Moment) -> str | None:
    """That times run backwards before a moment, for people; None where they do not."""
    if moment.clock_jump is None:
        return None
    return (
        f"The clock was set back: position {moment.clock_jump} comes before position "
        f"{moment.position}, but was written at a later time."
    )


def _so_far(found: AsOf, now: datetime) -> AsOf:
    """Nothing is due before its time, even if the end of today was asked for."""
    due = tuple(
        schedule
        for schedule in found.due
        if schedule.next_backup_at is not None and schedule.next_backup_at <= now
    )
    return replace(found, due=due)


def _unknown_today(site: Site, found: AsOf) -> set[int]:
    """The application is asked, and not the read models beside it: they may be far behind."""
    from ledger.append.database import translated_errors
    from projections.queries.schedules import unknown_users

    engine = site.read_models.engine
    with translated_errors(engine), engine.connect() as connection:
        return unknown_users(connection, [each.user_id for each in found.schedules])


def _json(site: Site, found: AsOf, orphans: set[int]) -> dict[str, Any]:
    from commands.shapes.settings import ListedSettings

    moment = found.moment
    return {
        "asked": moment.asked,
        "position": moment.position,
        "root": moment.root.hex(),
        "recorded_at": moment.recorded_at,
        "clock_jump": moment.clock_jump,
        "settings": [ListedSettings.among(each, orphans) for each in found.schedules],
        "backups": [backup_json(site, each) for each in found.backups],
        "due": [_due_json(each) for each in found.due],
    }


def _due_json(schedule: Schedule) -> dict[str, Any]:
    names = ("user_id", "next_backup_at", "next_slot", "next_attempt")
    return {name: getattr(schedule, name) for name in names}


def _show(found: AsOf, orphans: set[int], now: datetime) -> None:
    moment = found.moment
    say(_standing(moment, now), style="bold")
    show_facts([("root", moment.root.hex())])
    jump = clock_jump_told(moment)
    if jump is not None:
        say(jump, style="yellow")
    then = moment.time
    if moment.position == 0 or then is None:
        say("Nothing had been recorded.")
        return
    then = min(then, now)
    say("What follows is as seen from then.", style="dim")
    _show_schedules(found.schedules, orphans, then)
    _show_backups(found.backups, then)
    _show_due(found.due, then)


def _standing(moment: Moment, now: datetime) -> str:
    if moment.recorded_at is None:
        return "Position 0: before the first event"
    return f"Position {moment.position}, written {moments.both(moment.recorded_at, now)}"


def _show_schedules(schedules: Sequence[Schedule], orphans: set[int], then: datetime) -> None:
    say()
    say("Settings", style="bold")
    if schedules:
        show_schedules(schedules, orphans, then)
    else:
        say("None.")


def _show_backups(backups: Sequence[Backup], then: datetime) -> None:
    kept = [each for each in backups if each.status != "deleted"]
    say()
    say("Backups", style="bold")
    if kept:
        show_backups(kept, then)
    deleted = len(backups) - len(kept)
    say(count(len(kept), "backup") + (f"; {deleted:,} more had been deleted" if deleted else ""))


def _show_due(due: Sequence[Schedule], then: datetime) -> None:
    say()
    say("Due", style="bold")
    if not due:
        say("Nothing.")
        return
    table = new_table("User", "Since (UTC)", "", "Attempt", right=("User", "Attempt"))
    for each in due:
        since = each.next_backup_at
        if since is not None:
            waiting = moments.relative(since, then)
            add_row(table, each.user_id, moments.minute(since), waiting, each.next_attempt)
    show_table(table)
