"""Write a ledger as C2SP tlog-tiles: https://c2sp.org/tlog-tiles.

Order: entry bundles, hash tiles, `checkpoints/<size>`, then `checkpoint`, which is read back. So
whatever a checkpoint says is there. Partial tiles go once their whole tile and a later checkpoint
were read back.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from commands.offsite.errors import DestinationConflict
from commands.offsite.log.place import CHECKPOINT, LogPlace
from commands.offsite.log.redacted import entry_bundle, write_redacted
from ledger.append.database import translated_errors
from ledger.append.stored_tree import TreeReader
from ledger.tree.merkle import TILE_HEIGHT
from ledger.tree.tiles import WIDTH, TilePlace, bundles_between, tiles_between

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

    from ledger.append.kept_checkpoints import KeptCheckpoint

CHECKPOINTS = "checkpoints/"
TRIES = 3


def write_log(engine: Engine, place: LogPlace, kept: KeptCheckpoint) -> int:
    """Bring a log to a signed checkpoint; how many records are there afterwards.

    Raises:
        DestinationConflict: somebody else publishes there, or the store gives back old bytes.
        DestinationUnreachable: the store failed; what is there is whole.
    """
    before, size = place.published_size(), kept.checkpoint.size
    if before < size:
        _write_tiles(engine, place, before, size)
        _write_checkpoint(place, kept)
        _remove_partials(place, before, size)
    return max(before, size)


def _write_tiles(engine: Engine, log: LogPlace, before: int, size: int) -> None:
    for place in bundles_between(before, size):
        bundle = entry_bundle(engine, place)
        log.store.put(log.prefix + place.path, log.sealer.seal(bundle))
    for place in tiles_between(before, size):
        with translated_errors(engine), engine.connect() as connection:
            log.store.put(log.prefix + place.path, _hashes(connection, place))
    write_redacted(engine, log, before, size)


def _hashes(connection: Connection, place: TilePlace) -> bytes:
    first, tree = place.number * WIDTH, TreeReader(connection)
    if place.level == 0:
        return b"".join(tree.leaf_hashes(first, first + place.width))
    height = TILE_HEIGHT * place.level
    wanted = [(height, number) for number in range(first, first + place.width)]
    found = tree.nodes(wanted)
    return b"".join(found[each] for each in wanted)


def _write_checkpoint(log: LogPlace, kept: KeptCheckpoint) -> None:
    """The checkpoint of this size, and the newest; another publisher may have a larger one."""
    log.store.put(f"{log.prefix}{CHECKPOINTS}{kept.checkpoint.size}", kept.note)
    for _ in range(TRIES):
        log.store.put(log.prefix + CHECKPOINT, kept.note)
        if log.published_size() >= kept.checkpoint.size:
            return
    raise DestinationConflict(
        f"{log.store.place} keeps returning an older checkpoint than was written; another program "
        "publishes there"
    )


def _remove_partials(log: LogPlace, before: int, size: int) -> None:
    """Partial tiles of what is whole now; the whole one is read back first."""
    for place in (*bundles_between(before, size), *tiles_between(before, size)):
        if place.width < WIDTH:
            continue
        partials = [each.path for each in log.store.list(log.prefix + place.partials)]
        if partials and log.store.head(log.prefix + place.path):
            for path in partials:
                log.store.delete(path)
