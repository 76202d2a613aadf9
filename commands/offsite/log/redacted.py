"""Erased records in a published log: their entries are empty, and `redacted` names them.

The one departure from C2SP tlog-tiles: an entry of length zero whose leaf hash, in the hash tiles,
is not that of zero bytes. `redacted` has a line for each: its index, its leaf hash in hex, and the
index of the record that says who erased it, and why.
"""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING

from commands.errors import CommandError
from ledger.append.database import translated_errors
from ledger.append.erasing.stand_ins import redactions
from ledger.append.reading import read_records
from ledger.tree.tiles import WIDTH, TilePlace, encode_bundle

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Engine

    from commands.offsite.log.place import LogPlace
    from ledger.append.erasing.stand_ins import Redaction

REDACTED = "redacted"
_PARTIAL = re.compile(r"\.p/([0-9]+)$")
logger = logging.getLogger("backup_ledger.offsite")


def entry_bundle(engine: Engine, place: TilePlace) -> bytes:
    """The records of an entry bundle; an erased one is empty."""
    with translated_errors(engine), engine.connect() as connection:
        first = place.number * WIDTH
        rows = read_records(connection, after=first, up_to=first + place.width, limit=WIDTH)
    return encode_bundle([None if row.is_erased else row.record for row in rows])


def write_redacted(engine: Engine, log: LogPlace, before: int, size: int) -> None:
    """Put bundles again that were published with records which were erased since; name them all.

    Where a lock or missing rights forbid it, the old bundle stays, which is said in the log.
    """
    with translated_errors(engine), engine.connect() as connection:
        found = [each for each in redactions(connection) if each.at <= size]
    numbers = {
        (each.details.position - 1) // WIDTH
        for each in found
        if each.at > before >= each.details.position
    }
    for number in sorted(numbers):
        for place in _published(log, number, before):
            try:
                log.store.put(log.prefix + place.path, log.sealer.seal(entry_bundle(engine, place)))
            except CommandError as error:
                logger.warning(
                    "%s of before an erasure stays at %s: %s", place.path, log.store.place, error
                )
    if any(each.at > before for each in found):
        log.store.put(log.prefix + REDACTED, "".join(map(_line, found)).encode())


def _published(log: LogPlace, number: int, before: int) -> Iterator[TilePlace]:
    """The whole bundle of this number, or the partial ones that are there."""
    whole = TilePlace(-1, number, WIDTH)
    if (number + 1) * WIDTH <= before:
        yield whole
    for each in log.store.list(log.prefix + whole.partials):
        width = _PARTIAL.search(each.path)
        if width is not None:
            yield whole._replace(width=int(width[1]))


def _line(redaction: Redaction) -> str:
    details = redaction.details
    return f"{details.position - 1} {details.leaf_hash} {redaction.at - 1}\n"
