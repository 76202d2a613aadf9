"""backup-ledger audit: who did what, when, why, and whether it worked."""

from __future__ import annotations

import sys
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from commands.cli.audit import as_of as audit_as_of
from commands.cli.audit import evidence
from commands.cli.audit import watch as audit_watch
from commands.cli.errors import EXIT_CODES
from commands.cli.options import JsonOption, UserOption, parse_moment, parse_time_or_position
from commands.cli.session import Session, opened
from commands.reporting import humanize as moments
from commands.reporting.humanize import count
from commands.reporting.terminal import (
    add_row,
    new_table,
    note,
    say,
    show_table,
    tell,
    write_record,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from ledger.append.reading import StoredRecord
    from ledger.records.record import Event
    from projections.queries.audit import AuditFilter

    Write = Callable[[Iterable[StoredRecord]], int]

app = typer.Typer(no_args_is_help=True, epilog=EXIT_CODES)

SinceOption = Annotated[
    datetime | None,
    typer.Option(
        metavar="TIME", parser=parse_moment, help=f"From this time on: {moments.MOMENT_HELP}."
    ),
]
UntilOption = Annotated[
    datetime | None,
    typer.Option(metavar="TIME", parser=parse_moment, help="Events before this time."),
]
TypeOption = Annotated[
    str | None,
    typer.Option("--type", metavar="TYPE", help="This event type, or all that begin with `NAME.`"),
]
ResourceOption = Annotated[
    str | None, typer.Option(metavar="NAME", help="One resource: its stream, type or id.")
]
TextOption = Annotated[
    str | None,
    typer.Option("--text", metavar="TEXT", help="Only events with this text in their details."),
]
AsOfOption = Annotated[
    str | None,
    typer.Option(metavar="TIME|POSITION", help="The log as it was then; a number is a position."),
]
LimitOption = Annotated[
    int | None, typer.Option(min=1, metavar="N", help="Only the N newest [50 without --json].")
]
JsonLinesOption = Annotated[
    bool, typer.Option("--json", help='One line per event: {"position":N,"record":{..}}.')
]
CsvOption = Annotated[bool, typer.Option("--csv", help="One row per event, for a spreadsheet.")]

TERMINAL_LIMIT = 50
FOLLOW_SECONDS = 0.5
"""How often --follow looks for what is new."""


@app.command(epilog=EXIT_CODES)
def log(  # noqa: PLR0913, PLR0917  (options are parameters)
    ctx: typer.Context,
    since: SinceOption = None,
    until: UntilOption = None,
    user: UserOption = None,
    event_type: TypeOption = None,
    failed: Annotated[bool, typer.Option("--failed", help="Only failures.")] = False,
    resource: ResourceOption = None,
    text: TextOption = None,
    as_of: AsOfOption = None,
    limit: LimitOption = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Wait for new events.")] = False,
    as_json: JsonLinesOption = False,
    as_csv: CsvOption = False,
) -> None:
    """Show the ledger's events, oldest first.

    With --json the records are the stored bytes, exactly as they were hashed.

    \b
    Examples:
      backup-ledger audit log --failed --since 2025-01-13
      backup-ledger audit log --type backup_retention. --user 1
      backup-ledger audit log --json > audit.jsonl
      backup-ledger audit log --as-of 2025-01-13 --limit 5
      backup-ledger audit log --follow
    """
    from projections.queries.audit import AuditFilter

    wanted = AuditFilter(
        since=since,
        until=until,
        user_id=user,
        event_type=event_type,
        failed_only=failed,
        resource=resource,
        text=text,
    )
    if as_json and as_csv:
        raise typer.BadParameter("give --json or --csv, not both")
    if as_of is not None and follow:
        raise typer.BadParameter("--follow waits for what is new, --as-of wants none of it")
    asked = None if as_of is None else parse_time_or_position(as_of)
    write = _write_csv if as_csv else _write_records if as_json else None
    _note_unknown_type(wanted)
    with opened(ctx, "read") as session:
        if asked is not None:
            wanted = _until(session, wanted, asked)
        last = _show_log(session, wanted, limit, write)
        if follow:
            _follow(session, wanted, last, write)


@app.command(epilog=EXIT_CODES)
def history(
    ctx: typer.Context,
    stream: Annotated[
        str,
        typer.Argument(
            metavar="STREAM",
            help="schedule/USER, backup/ID or a backup's file name, retention/USER, "
            "retention/global, scheduler/INSTANCE, restore/ID or ledger.",
        ),
    ],
    as_json: JsonOption = False,
) -> None:
    """Show the history of one thing, first to last.

    \b
    Examples:
      backup-ledger audit history schedule/1
      backup-ledger audit history before-cleanup.db
    """
    from commands.audit.log import stream_records
    from ledger.errors import LedgerError

    class NoSuchStream(LedgerError, LookupError):
        """Nothing ever happened to it."""

    with opened(ctx, "read") as session:
        name = _stream_named(session, stream)
        records = stream_records(session.site, name)
        if not records:
            raise NoSuchStream(
                f"nothing is recorded of {stream!r}; streams are called as in: "
                "backup-ledger audit log --json"
            )
        if as_json:
            _write_records(records)
        else:
            _tell(session, name, records)


def _until(session: Session, wanted: AuditFilter, asked: datetime | int) -> AuditFilter:
    """The filter, and nothing that was written after a moment; where that is goes to stderr."""
    from dataclasses import replace

    from projections.past.as_of import moment_of

    moment = moment_of(session.site.ledger, asked)
    note(f"As of position {moment.position}.", style="dim")
    jump = audit_as_of.clock_jump_told(moment)
    if jump is not None:
        note(jump)
    return replace(wanted, up_to=moment.position)


def _show_log(session: Session, wanted: AuditFilter, limit: int | None, write: Write | None) -> int:
    """Show what there is now; the last position that was looked at."""
    from commands.audit.log import audit_records

    head = session.site.ledger.log_recorder.head().size
    if write is not None:
        return max(write(audit_records(session.site, wanted, limit=limit)), head)
    most = TERMINAL_LIMIT if limit is None else limit
    records = list(audit_records(session.site, wanted, limit=most))
    if records:
        _show_records(session, records)
    else:
        none = f"Nothing in the ledger matches. It has {count(head, 'event')}."
        say(none if head else "The ledger is empty.")
    if limit is None and len(records) == most:
        note(f"The newest {most}; more with --limit N, all with --json.", style="dim")
    return max(head, records[-1].position if records else 0)


def _follow(session: Session, wanted: AuditFilter, last: int, write: Write | None) -> None:
    import time

    from commands.audit.log import audit_records

    while True:
        sys.stdout.flush()
        time.sleep(FOLLOW_SECONDS)
        records = list(audit_records(session.site, wanted, after=last))
        if not records:
            continue
        last = records[-1].position
        if write is None:
            _show_records(session, records, header=False)
        else:
            write(records)


def _write_csv(records: Iterable[StoredRecord]) -> int:
    from commands.cli.audit.csv import write_csv

    return write_csv(records)


def _write_records(records: Iterable[StoredRecord]) -> int:
    position = 0
    for each in records:
        position = each.position
        write_record(position, each.record, is_erased=each.is_erased)
    sys.stdout.buffer.flush()
    return position


def _show_records(
    session: Session, records: Sequence[StoredRecord], *, header: bool = True
) -> None:
    from commands.reporting.sentences import told_with_subject, who

    events = _decoded(records)
    names = _backup_names(session, events)
    table = new_table("#", "When (UTC)", "Who", "What", right=("#",))
    table.columns[1].no_wrap = True
    table.show_header = header
    for record, event in zip(records, events, strict=True):
        when = moments.exact(event.timestamp)
        cells = (record.position, when, who(event), told_with_subject(event, names))
        add_row(table, *cells, style=None if event.success else "red")
    show_table(table)


def _tell(session: Session, stream: str, records: Sequence[StoredRecord]) -> None:
    from commands.reporting.sentences import sentence, who

    events = _decoded(records)
    names = _backup_names(session, events)
    say(f"{stream}: {count(len(records), 'event')}", style="bold")
    for record, event in zip(records, events, strict=True):
        when = moments.both(event.timestamp, session.context.now)
        say()
        say(f"{when}, by {who(event)}, position {record.position}", style="dim")
        tell(sentence(event, names), style=None if event.success else "red")


def _decoded(records: Sequence[StoredRecord]) -> list[Event]:
    from ledger.records.record import decode_event

    return [decode_event(each.record) for each in records]


def _backup_names(session: Session, events: Sequence[Event]) -> dict[str, str]:
    """File names of the backups that the events are about."""
    from commands.reporting.sentences import backups_mentioned
    from projections.queries.catalog import backups_with_ids

    ids = set().union(*(backups_mentioned(each) for each in events))
    with session.site.read_models.reading() as connection:
        found = backups_with_ids(connection, ids)
    return {backup_id: backup.filename for backup_id, backup in found.items()}


def _stream_named(session: Session, text: str) -> str:
    """A stream, or the one of a backup that is called by its file name."""
    from ledger.vocabulary import LEDGER_STREAM, backup_stream
    from projections.queries.catalog import backup_named

    if "/" in text or text == LEDGER_STREAM:
        return text
    with session.site.read_models.reading() as connection:
        backup = backup_named(connection, session.site.store_id, text)
    return text if backup is None else backup_stream(backup.backup_id)


def _note_unknown_type(wanted: AuditFilter) -> None:
    from ledger.events import REGISTRY

    types = wanted.event_types()
    if types is not None and not set(types) & set(REGISTRY):
        note(f"No event type is called {wanted.event_type!r}; a prefix ends in a dot.")


audit_as_of.register(app)
evidence.register(app)
audit_watch.register(app)
