"""What a damaged ledger file still holds, and what makes a good ledger of it."""

from __future__ import annotations

import os
import tempfile
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

from commands.site.configuration import sqlite_url
from commands.sqlite.connections import sidecar
from commands.sqlite.errors import SQLiteFileError
from commands.sqlite.files import create_private, file_error
from commands.sqlite.raw_files import copy_raw
from ledger.append.copy import BATCH_RECORDS, LedgerRow, append_rows
from ledger.append.database import create_ledger, file_of, open_engine
from ledger.clock import parse_instant
from ledger.errors import LedgerError, NotALedger, RecordError
from ledger.verify.findings import Finding, Report
from ledger.verify.salvage import Salvage, salvage
from ledger.verify.verify import CUT_SHORT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sqlalchemy.engine import URL

GUIDE = "docs/OPERATIONS.md, `A damaged ledger`"
_MOST_RANGES = 50


@contextmanager
def read_pages(ledger: Path) -> Iterator[Salvage]:
    """A ledger file and its write-ahead log, read page by page from a copy; nothing is changed.

    Raises:
        FileAccessFailed: the file cannot be read.
        NotALedger: no page of it holds a record of a ledger.
    """
    log = sidecar(ledger, "-wal")
    with tempfile.TemporaryDirectory(prefix="backup-ledger-") as scratch:
        copy = Path(scratch) / "ledger"
        copy_raw(ledger, copy)  # by another process: this one may have it open
        kept_log = Path(scratch) / "log"
        if log.exists():
            copy_raw(log, kept_log)
        with copy.open("rb") as file:
            if not kept_log.exists():
                yield _require_records(ledger, salvage(file))
                return
            with kept_log.open("rb") as log_file:
                yield _require_records(ledger, salvage(file, log_file))


def report_on_damage(url: URL, error: LedgerError) -> Report:
    """What can be read of a ledger that could not be opened.

    Raises:
        LedgerError: `error` itself, where it is not about a file that holds records.
    """
    path = _file_of(url)
    if path is None:
        raise error
    try:
        with read_pages(path) as found:
            return _damage_report(found, str(error.__cause__ or error).splitlines()[0])
    except NotALedger:
        raise error from error.__cause__


def with_damage(report: Report, url: URL) -> Report:
    """The report of a verification; one that damage cut short says what else can be read."""
    path = _file_of(url)
    cut_short = [each for each in report.findings if each.problem == CUT_SHORT]
    if path is None or not cut_short:
        return report
    with read_pages(path) as found:
        damage = _damage_report(found, cut_short[0].found)
    others = tuple(each for each in report.findings if each.problem != CUT_SHORT)
    return replace(
        damage,
        findings=(*damage.findings, *others),
        notes=(*report.notes, *damage.notes),
        not_checked=(*damage.not_checked, *report.not_checked),
    )


def _damage_report(found: Salvage, said: str) -> Report:
    """The verdict on a ledger that SQLite cannot read: what is lost, what is there."""
    findings = [Finding(None, "the ledger's file is damaged", "a database that can be read", said)]
    lost = found.lost()
    for first, last in lost[:_MOST_RANGES]:
        altered = [each for each in range(first, last + 1) if each in found.altered]
        what = f"positions {first} to {last}" if last > first else f"position {first}"
        how = f"{len(altered)} altered, the rest unreadable" if altered else "unreadable"
        findings.append(Finding(first, f"{what} cannot be read", "a record with its hash", how))
    if len(lost) > _MOST_RANGES:
        more = len(lost) - _MOST_RANGES
        findings.append(Finding(None, f"{more} more ranges cannot be read", "none", str(len(lost))))
    return Report(
        ok=False,
        size=found.size,
        root=found.root(),
        findings=tuple(findings),
        notes=tuple(_notes(found)),
        not_checked=(
            "everything beside the records: columns, versions, nodes, checkpoints, triggers",
            "backup files: they do not depend on the ledger",
        ),
    )


def make_ledger_of(
    found: Salvage, target: Path, on_progress: Callable[[str, int, int], None] | None = None
) -> str:
    """Make a new ledger file of the records before which nothing is lost; its ledger id.

    Raises:
        FileInTheWay: something stands at `target`; nothing was changed.
        RecordError: the first record is lost.
    """
    total = found.whole_until
    if total == 0:
        raise RecordError(
            "the first record is lost, and a ledger begins with it; go back to a copy of the "
            f"ledger, or begin a new one: see {GUIDE}"
        )
    os.close(create_private(target))
    engine = open_engine(sqlite_url(target))
    try:
        ledger_id = found.ledger_id or str(uuid4())
        create_ledger(engine, ledger_id, _created_at(found))
        after, batch = 0, list[LedgerRow]()
        for row in found.rows(total):
            batch.append(row)
            if len(batch) == BATCH_RECORDS or row.position == total:
                append_rows(engine, after, batch)
                after, batch = row.position, []
                if on_progress is not None:
                    on_progress("records", after, total)
    finally:
        engine.dispose()
    return ledger_id


def write_records(found: Salvage, target: Path) -> int:
    """Write every readable record to a new file, as `audit log --json` shows them; how many.

    Raises:
        FileInTheWay: something stands at `target`.
    """
    written = 0
    try:
        with open(create_private(target), "wb") as file:
            for row in found.rows():
                if row.record is not None:
                    file.write(b'{"position":%d,"record":%b}\n' % (row.position, row.record))
                    written += 1
    except OSError as error:
        if isinstance(error, SQLiteFileError):
            raise
        raise file_error(error, target) from error
    return written


def _notes(found: Salvage) -> Iterator[str]:
    readable, whole = len(found.cells), found.whole_until
    yield f"{readable} of {found.size} records can be read, and each has its recorded hash"
    if found.head_size is None:
        yield "the ledger's head is lost: there may have been more records than these"
    elif whole == found.head_size == found.size:
        fits = found.head_root is not None and found.root() == found.head_root.hex()
        yield (
            "every record is there, and together they have the root of the ledger's head"
            if fits
            else "every record is there, but together they do not have the root of the head"
        )
    if whole:
        yield (f"`backup-ledger ledger salvage DAMAGED NEW` makes a ledger of records 1 to {whole}")
    yield (
        "backups can be restored meanwhile: `backup-ledger backup restore FILE --without-ledger "
        "--sha256 HEX`"
    )
    yield f"how to get a good ledger again: {GUIDE}"


def _file_of(url: URL) -> Path | None:
    name = file_of(url)
    path = Path(name) if name else None
    return path if path is not None and path.is_file() else None


def _require_records(ledger: Path, found: Salvage) -> Salvage:
    if not found.cells and not found.altered:
        raise NotALedger(
            f"{ledger} holds no record of a ledger on any of its pages; check the path. If it was "
            f"the ledger, go back to a copy of it: see {GUIDE}"
        )
    return found


def _created_at(found: Salvage) -> datetime:
    try:
        return parse_instant(found.created_at or "")
    except ValueError:
        first = next(found.rows())
        return datetime.fromtimestamp(first.recorded_at / 1_000_000, UTC)
