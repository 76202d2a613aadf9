"""Copy a ledger from one place to another, each named as on the command line."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from commands.errors import InvalidArgument
from commands.site.configuration import load_configuration
from commands.sqlite.files import create_private, file_error
from commands.upkeep.detach_destinations import detach_destinations
from ledger.append.copy import Copied, Progress, copy_ledger
from ledger.append.database import file_of, open_engine, read_meta
from ledger.errors import CopyRefused

if TYPE_CHECKING:
    from sqlalchemy.engine import URL


def copy_between(
    source: str,
    target: str,
    on_progress: Progress | None = None,
    *,
    up_to: int | None = None,
    spare: bool = False,
) -> Copied:
    """Copy, or go on where an earlier attempt ended. Both: a URL, or the path of a SQLite file.

    `up_to`: only so many records, as the others cannot be read. Off-site destinations are only
    read from then on, by the source and by the copy, until one of them is attached again.
    `spare`: the copy is only kept, so the source goes on.

    Raises:
        InvalidArgument: one of them is not a place at all.
        CopyRefused, LedgerError: see `ledger.append.copy`.
    """
    source_url, target_url = _url("FROM", source), _url("TO", target)
    if _file_of(source_url) is not None and _file_of(source_url) == _file_of(target_url):
        raise CopyRefused("source and target are the same ledger; give another place to copy to")
    reading = open_engine(source_url)
    try:
        read_meta(reading)  # before a file is made for nothing
        path = _file_of(target_url)
        if path is not None and not os.path.lexists(path):
            _make(path)
        writing = open_engine(target_url)
        try:
            if up_to is None and not spare:
                detach_destinations(reading, target)
            copied = copy_ledger(reading, writing, on_progress, up_to=up_to)
            if up_to is not None:  # nothing can be appended to a source that is damaged
                detach_destinations(writing, target)
            return copied
        finally:
            writing.dispose()
    finally:
        reading.dispose()


def _url(name: str, place: str) -> URL:
    if not place.strip():
        raise InvalidArgument(f"{name} is empty; give a URL or the path of a ledger")
    url = load_configuration(ledger=place).ledger_url
    if file_of(url) in ("", ":memory:"):
        raise InvalidArgument(f"{name} names no file; give sqlite:////srv/ledger.sqlite or a path")
    return url


def _file_of(url: URL) -> Path | None:
    path = file_of(url)
    return None if path is None else Path(os.path.realpath(path))


def _make(path: Path) -> None:
    """An empty file, 0600, for SQLite to fill."""
    try:
        os.close(create_private(path))
    except OSError as error:
        raise file_error(error, path) from error
