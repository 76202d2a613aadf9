"""backup-ledger ledger salvage: a good ledger of what a damaged file still holds."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from commands.cli.options import JsonOption
from commands.reporting.humanize import count
from commands.reporting.terminal import note, progress_bar, say, show_facts, write_json

if TYPE_CHECKING:
    from ledger.verify.salvage import Salvage


def salvage(
    damaged: Annotated[
        Path, typer.Argument(metavar="DAMAGED", help="The damaged ledger's SQLite file.")
    ],
    target: Annotated[Path, typer.Argument(metavar="NEW", help="A new file.")],
    records: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Write every readable record to a new file, one per line."
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Make a new ledger from the readable records of a damaged one.

    The file is read page by page, with its write-ahead log, and not changed. Each record is proved
    by its own hash. The new ledger ends before the first lost record: it is an earlier state of the
    old one, with the same id. `backup reconcile` adopts backups that were made later. Records after
    the gap are only in --records.

    \b
    Examples:
      backup-ledger ledger salvage backups/ledger.sqlite good.sqlite
      backup-ledger ledger salvage ledger.sqlite good.sqlite --records all.jsonl --json
    """
    from commands.audit.damaged_ledger import make_ledger_of, read_pages, write_records

    with read_pages(damaged) as found:
        with progress_bar("saving") as progress:
            ledger_id = make_ledger_of(found, target, progress)
        written = None if records is None else write_records(found, records)
        facts = {
            "ledger_id": ledger_id,
            "size": found.whole_until,
            "root": found.root(),
            "readable": len(found.cells),
            "expected": found.size,
            "lost": [{"first": first, "last": last} for first, last in found.lost()],
            "records_written": written,
        }
        if as_json:
            write_json(facts)
            return
        _show(found, target, ledger_id)


def _show(found: Salvage, target: Path, ledger_id: str) -> None:
    kept, total = found.whole_until, found.size
    say(f"{target} is a ledger of {count(kept, 'record')}.", "green")
    show_facts(
        [
            ("ledger id", ledger_id if found.ledger_id else f"{ledger_id} (new: the old is lost)"),
            ("readable", f"{len(found.cells)} of {total}"),
            ("root", found.root()),
        ]
    )
    if kept < total:
        note(
            f"Records {kept + 1} to {total} are not in it: record {kept + 1} is lost. Put it in "
            "the place of the damaged file, then: backup-ledger backup reconcile"
        )
