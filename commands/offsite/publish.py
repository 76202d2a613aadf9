"""Put the ledger beside the copies: C2SP tlog-tiles, entry bundles sealed, checkpoints signed.

Order: entry bundles, hash tiles, `checkpoints/<size>`, then `checkpoint`, which is read back. So
whatever a checkpoint says is there. Partial tiles go once their whole tile and a later checkpoint
were read back.
"""

from __future__ import annotations

import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING

from commands.audit.keys import read_private_key
from commands.audit.sign_checkpoint import sign_checkpoint
from commands.errors import CommandError
from commands.offsite.destinations import open_session
from commands.offsite.errors import DestinationConflict, DestinationRefused, ObjectMissing
from commands.offsite.index_folder import index_folder
from commands.offsite.repository.layout import LEDGER
from commands.offsite.repository.seal import Sealer
from ledger.append.database import translated_errors
from ledger.append.leases_and_names import claim_lease, end_lease
from ledger.append.reading import read_records
from ledger.append.stored_tree import TreeReader
from ledger.errors import LedgerError
from ledger.tree.checkpoint import Checkpoint
from ledger.tree.merkle import TILE_HEIGHT
from ledger.tree.signed_note import Note
from ledger.tree.tiles import WIDTH, TilePlace, bundles_between, encode_bundle, tiles_between

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sqlalchemy import Connection

    from commands.offsite.repository.stores import ObjectStore
    from commands.site.site import Site
    from ledger.append.kept_checkpoints import KeptCheckpoint
    from projections.folds.offsite_destination import Destination

logger = logging.getLogger("backup_ledger.offsite")
CHECKPOINT, CHECKPOINTS = f"{LEDGER}checkpoint", f"{LEDGER}checkpoints/"
PUBLISHED = "published"
TRIES = 3


def publish_ledger(site: Site, destination: Destination) -> int:
    """Publish the ledger as it stands now; how many records are there afterwards.

    Raises:
        DestinationRefused: there is no key to sign with.
        DestinationConflict: somebody else is publishing there.
        RepositoryForked: the repository is not ours; nothing was touched.
        DestinationUnreachable: the store failed; tried again with the next copy.
    """
    key_path = site.configuration.checkpoint_key
    if key_path is None:
        raise DestinationRefused("the ledger was not published: checkpoint_key is not set")
    with _lease(site, destination):
        store = open_session(site, destination)
        folder = site.configuration.checkpoint_folder
        kept = sign_checkpoint(site.ledger.engine, read_private_key(key_path), site.clock, folder)
        before = _published_size(store)
        size = kept.checkpoint.size
        if before < size:
            _write_tiles(site, destination, store, before, size)
            _write_checkpoint(store, kept)
            _remove_partials(store, before, size)
    _remember(site, destination, max(before, size))
    return max(before, size)


def publish_if_behind(site: Site, destination: Destination) -> None:
    """Publish the ledger where it has grown; trouble is logged, and it is tried with the next copy.

    A copy counts once its event is appended; publishing is what a bare machine needs.
    """
    if published_size(site, destination) == site.ledger.log_recorder.head().size:
        return
    try:
        publish_ledger(site, destination)
    except (CommandError, LedgerError) as error:
        logger.warning("the ledger was not published to %s: %s", destination.name, error)


def published_size(site: Site, destination: Destination) -> int | None:
    """How many records this machine last saw there; None where none."""
    path = _memory(site, destination)
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return None


def _published_size(store: ObjectStore) -> int:
    try:
        return Checkpoint.from_text(Note.from_bytes(store.get(CHECKPOINT)).text).size
    except ObjectMissing:
        return 0


def _write_tiles(
    site: Site, destination: Destination, store: ObjectStore, before: int, size: int
) -> None:
    sealer = Sealer(destination.recipients)
    engine = site.ledger.engine
    for place in bundles_between(before, size):
        with translated_errors(engine), engine.connect() as connection:
            first = place.number * WIDTH
            rows = read_records(connection, after=first, up_to=first + place.width, limit=WIDTH)
        bundle = encode_bundle([row.record for row in rows])
        store.put(LEDGER + place.path, sealer.seal(bundle))
    for place in tiles_between(before, size):
        with translated_errors(engine), engine.connect() as connection:
            store.put(LEDGER + place.path, _hashes(connection, place))


def _hashes(connection: Connection, place: TilePlace) -> bytes:
    first, tree = place.number * WIDTH, TreeReader(connection)
    if place.level == 0:
        return b"".join(tree.leaf_hashes(first, first + place.width))
    height = TILE_HEIGHT * place.level
    wanted = [(height, number) for number in range(first, first + place.width)]
    found = tree.nodes(wanted)
    return b"".join(found[each] for each in wanted)


def _write_checkpoint(store: ObjectStore, kept: KeptCheckpoint) -> None:
    """The checkpoint of this size, and the newest; another publisher may have a larger one."""
    store.put(f"{CHECKPOINTS}{kept.checkpoint.size}", kept.note)
    for _ in range(TRIES):
        store.put(CHECKPOINT, kept.note)
        if _published_size(store) >= kept.checkpoint.size:
            return
    raise DestinationConflict(
        f"{store.place} keeps giving back an older checkpoint than was written; somebody else "
        "publishes there"
    )


def _remove_partials(store: ObjectStore, before: int, size: int) -> None:
    """Partial tiles of what is whole now; the whole one is read back first."""
    for place in (*bundles_between(before, size), *tiles_between(before, size)):
        if place.width < WIDTH:
            continue
        partials = [each.path for each in store.list(LEDGER + place.partials)]
        if partials and store.head(LEDGER + place.path):
            for path in partials:
                store.delete(path)


@contextmanager
def _lease(site: Site, destination: Destination) -> Iterator[None]:
    """One publisher at a time; a dead one is waited for until its lease is over."""
    name, owner = f"publish/{destination.repository_id}", site.instance
    monotonic, seconds = site.clock.monotonic(), site.configuration.lease_seconds
    with site.ledger.locked() as locked:
        is_ours = claim_lease(locked.connection, name, owner, monotonic, seconds)
    if not is_ours:
        raise DestinationConflict(
            f"the ledger is being published to {destination.name!r} by somebody else already"
        )
    try:
        with site.owner.working_under(name):
            yield
    finally:
        with site.ledger.locked() as locked:
            end_lease(locked.connection, name, owner)


def _memory(site: Site, destination: Destination) -> Path:
    return index_folder(site, destination.repository_id) / PUBLISHED


def _remember(site: Site, destination: Destination, size: int) -> None:
    _memory(site, destination).write_text(f"{size}\n")
