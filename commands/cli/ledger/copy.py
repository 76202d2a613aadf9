"""backup-ledger ledger copy and roles: the ledger elsewhere, and who may do what there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from commands.cli.options import JsonOption
from commands.cli.session import configured
from commands.reporting.humanize import count
from commands.reporting.terminal import note, progress_bar, say, show_facts, write_json
from ledger.vocabulary import ROLE_PREFIX

if TYPE_CHECKING:
    from ledger.append.copy import Copied


SpareOption = Annotated[
    bool,
    typer.Option(
        "--spare", help="The copy is only kept; the source continues with its destinations."
    ),
]
PrefixOption = Annotated[
    str, typer.Option("--prefix", metavar="NAME", help="The roles are NAME_owner and so on.")
]


def copy(
    source: Annotated[
        str, typer.Argument(metavar="FROM", help="URL, or the path of a ledger in SQLite.")
    ],
    target: Annotated[
        str, typer.Argument(metavar="TO", help="URL or path; created if it does not exist.")
    ],
    up_to: Annotated[
        int | None,
        typer.Option(
            "--up-to",
            metavar="POSITION",
            min=1,
            help="Copy only the records up to this one, to leave out unreadable ones at the end.",
        ),
    ] = None,
    spare: SpareOption = False,
    as_json: JsonOption = False,
) -> None:
    """Copy a ledger, SQLite to PostgreSQL or back.

    Each record is hashed while it is copied. An interrupted copy continues when you repeat it; a
    complete one adds what is new. A target that is not an earlier state of the source is refused
    and left alone.

    Afterward, both ledgers only read from off-site destinations, until you run `offsite attach
    NAME` with the one that continues. Use --spare for a copy that is only kept.

    The source may be in use: the copy ends with the last record at the time when it started. Before
    you move to the copy, stop all work on the source and copy once more.

    \b
    Examples:
      backup-ledger ledger copy backups/ledger.sqlite postgresql://db.example/backups
      backup-ledger ledger copy postgresql://db.example/backups copy.sqlite --json
    """
    from commands.upkeep.copy_ledger import copy_between

    with progress_bar("copying") as progress:

        def on_progress(done: int, total: int) -> None:
            if progress is not None:
                progress("records", done, total)

        done = copy_between(source, target, on_progress, up_to=up_to, spare=spare)
    if as_json:
        write_json(
            {
                "ledger_id": done.ledger_id,
                "size": done.size,
                "root": done.root.hex(),
                "began_at": done.began_at,
                "copied": done.size - done.began_at,
                "checkpoints": done.checkpoints,
                "came_since": done.came_since,
            }
        )
        return
    _show(done, is_whole=up_to is None)


def _show(done: Copied, *, is_whole: bool) -> None:
    is_new = done.size > done.began_at
    say("The ledger was copied." if is_new else "The target already had every record.")
    show_facts(
        [
            ("copied", count(done.size - done.began_at, "record")),
            ("there before", count(done.began_at, "record")),
            ("in all", count(done.size, "record")),
            ("root", done.root.hex()),
            ("checkpoints", f"{done.checkpoints:,} more"),
        ]
    )
    if done.came_since and not is_whole:
        note(f"{count(done.came_since, 'record')} of the source are left out of the copy")
    elif done.came_since:
        note(
            f"{count(done.came_since, 'record')} came to the source meanwhile: copy again for "
            "them; stop all work before you move to the copy"
        )


def roles(ctx: typer.Context, prefix: PrefixOption = ROLE_PREFIX) -> None:
    """Print the script that creates roles on PostgreSQL.

    The roles are an owner, an appender (which cannot update, delete or truncate records) and an
    auditor (which only reads). They have no login: make your logins members. This command connects
    to nothing; `ledger init --roles` runs the same script.

    \b
    Examples:
      backup-ledger --ledger postgresql://db.example/backups ledger roles
      backup-ledger ledger roles --prefix archive | psql "$URL"
    """
    from commands.upkeep.ledger_roles import script_of

    typer.echo(script_of(configured(ctx), prefix), nl=False)
