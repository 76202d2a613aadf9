"""backup-ledger erase, and ledger redact: remove records on request, and say what remains."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from commands.cli.errors import EXIT_CODES
from commands.cli.options import JsonOption, YesOption, parse_user_id
from commands.cli.session import confirm, opened
from commands.reporting import humanize as moments
from commands.reporting.humanize import count
from commands.reporting.terminal import add_row, new_table, note, say, show_table, write_json

if TYPE_CHECKING:
    from commands.erasure.plan import ErasurePlan
    from commands.erasure.redact import Erased, Wanted
    from commands.erasure.status import Remaining

app = typer.Typer(invoke_without_command=True, epilog=EXIT_CODES)

ON_REQUEST = "erasure on request"
GUESSABLE = "a guess of this text can be confirmed"
TicketOption = Annotated[
    str | None, typer.Option("--ticket", metavar="T", help="The request that this is done for.")
]


@app.callback(epilog=EXIT_CODES)
def erase(
    ctx: typer.Context,
    user: Annotated[
        int | None,
        typer.Option("--user", metavar="N", parser=parse_user_id, help="All records of this user."),
    ] = None,
    actor: Annotated[
        str | None,
        typer.Option("--actor", metavar="A", help="All records of what this person did."),
    ] = None,
    ticket: TicketOption = None,
    reason: Annotated[str, typer.Option("--reason", metavar="R", help="Why.")] = ON_REQUEST,
    yes: YesOption = False,
    as_json: JsonOption = False,
) -> None:
    """Erase a person's records: names, reasons, notes, messages, file names.

    Shows the plan and asks. The bytes of the records are removed; their hashes stay, so the
    history can still be verified, and an event says who erased what and for which request. It
    cannot be undone. Backups are not rewritten: see `erase status`.

    \b
    Examples:
      backup-ledger erase --user 7 --ticket DSR-2026-014
      backup-ledger erase --actor anna --ticket DSR-2026-015 --yes
      backup-ledger erase status
    """
    if ctx.invoked_subcommand is not None:
        return
    from commands.erasure.find import Person
    from commands.erasure.redact import Wanted

    if (user is None) == (actor is None):
        raise typer.BadParameter("name one person: --user N or --actor A")
    if ticket is None:
        raise typer.BadParameter("name the request with --ticket T")
    wanted = Wanted.checked(reason, ticket, person=Person(user, actor))
    _carry_out(ctx, wanted, yes=yes, as_json=as_json)


def redact(
    ctx: typer.Context,
    positions: Annotated[
        list[int],
        typer.Argument(metavar="POSITION...", min=1, help="Positions, as `audit log` shows them."),
    ],
    reason: Annotated[str, typer.Option("--reason", metavar="R", help="Why.")],
    ticket: Annotated[
        str, typer.Option("--ticket", metavar="T", help="The request that this is done for.")
    ],
    yes: YesOption = False,
    as_json: JsonOption = False,
) -> None:
    """Erase records: their bytes are removed, their hashes stay.

    Only fields that can hold personal data are erased; the rest is kept in an event that names who
    erased them and why. This cannot be undone. To erase everything about a person, use `erase`.

    \b
    Examples:
      backup-ledger ledger redact 17 --reason "name of a third party" --ticket DSR-2026-016
      backup-ledger ledger redact 17 21 --reason typo --ticket IT-4 --yes
    """
    from commands.erasure.redact import Wanted

    _carry_out(ctx, Wanted.checked(reason, ticket, positions), yes=yes, as_json=as_json)


@app.command(epilog=EXIT_CODES)
def status(ctx: typer.Context, as_json: JsonOption = False) -> None:
    """Show each erasure, and until when older backups remain.

    Older backups can still contain what was erased.

    \b
    Example:
      backup-ledger erase status
    """
    from commands.erasure.status import remaining

    with opened(ctx, "read") as session:
        found = remaining(session.site, session.context.now)
        if as_json:
            write_json([_remaining_json(each) for each in found])
            return
        for each in found:
            _show_remaining(each)
        if not found:
            say("Nothing was ever erased.")


def _carry_out(ctx: typer.Context, wanted: Wanted, *, yes: bool, as_json: bool) -> None:
    from commands.erasure.redact import erase as erase_records
    from commands.erasure.redact import plan_of

    with opened(ctx, "act") as session:
        plan = plan_of(session.site, wanted)
        if not as_json:
            _show_plan(plan)
        if plan.erasable:
            confirm(f"Erase {count(len(plan.erasable), 'record')} for good?", yes=yes)
        done = erase_records(session.site, session.context, wanted, plan)
        if as_json:
            fields = {"redactions": done.redactions, "not_done": done.not_done}
            write_json(_plan_json(wanted, plan) | fields | {"remains": done.remains})
        else:
            _say_erased(done)


def _show_plan(plan: ErasurePlan) -> None:
    if plan.erasable:
        table = new_table("position", "event", "of", "removed", right=("position",))
        for each in plan.erasable:
            of, fields = f"{moments.exact(each.event.timestamp)} UTC", ", ".join(each.fields)
            add_row(table, each.row.position, each.row.event_type, of, fields)
        show_table(table)
    guessable = [each.row.position for each in plan.erasable if each.guessable]
    if guessable:
        note(f"Of older records ({_listed(guessable)}): {GUESSABLE}")
    for left in plan.left:
        note(f"Position {left.position} ({left.event_type}) stays: {left.why}")


def _say_erased(done: Erased) -> None:
    for each in done.not_done:
        note(f"Not done: bytes of before may remain in the files of {each}")
    if not done.redactions:
        say("There is nothing to erase.")
        return
    first, last = done.redactions[0], done.redactions[-1]
    said = f"at position {first}" if first == last else f"at positions {first} to {last}"
    say(f"Erased {count(len(done.redactions), 'record')}; it is recorded {said}.", style="green")
    say("What is untouched:")
    for each in done.remains:
        say(f"  {each}")


def _plan_json(wanted: Wanted, plan: ErasurePlan) -> dict[str, Any]:
    return {
        "ticket": wanted.ticket,
        "reason": wanted.reason,
        "erased": [
            {
                "position": each.row.position,
                "event_type": each.row.event_type,
                "stream": each.row.stream,
                "timestamp": each.event.timestamp,
                "fields": each.fields,
                "guessable": each.guessable,
            }
            for each in plan.erasable
        ],
        "left": [
            {"position": each.position, "event_type": each.event_type, "why": each.why}
            for each in plan.left
        ],
    }


def _show_remaining(found: Remaining) -> None:
    act = found.erasure
    records = count(len(act.records), "record")
    say(f"{act.ticket}: {records} erased {moments.exact(act.erased_at)} UTC ({act.reason})")
    if not found.holders:
        say("  no older backup is left")
        return
    say(f"  {count(len(found.holders), 'older copy', 'older copies')}; {_gone_by(found)}")
    for holder in found.holders:
        when = "stays" if holder.gone_by is None else f"gone by {moments.exact(holder.gone_by)} UTC"
        say(f"  {holder.name}: {when} ({holder.why})", style="dim")


def _remaining_json(found: Remaining) -> dict[str, Any]:
    act = found.erasure
    return {
        "ticket": act.ticket,
        "reason": act.reason,
        "erased_at": act.erased_at,
        "position": act.position,
        "records": act.records,
        "gone_by": "unknown" if found.is_unknown else found.gone_by,
        "copies": [
            {"name": each.name, "gone_by": each.gone_by or "unknown", "why": each.why}
            for each in found.holders
        ],
    }


def _gone_by(found: Remaining) -> str:
    if found.gone_by is None:
        return "when the last one is gone is not known"
    return f"gone by {moments.exact(found.gone_by)} UTC"


def _listed(positions: list[int]) -> str:
    return ", ".join(map(str, positions))
