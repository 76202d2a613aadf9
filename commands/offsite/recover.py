"""A bare machine: the ledger made again from what was published beside the copies.

The largest checkpoint that verifies and whose records are all there is taken; the records must
lead to its root. Then the backups are known again, and each can be fetched.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from commands.audit.keys import parse_public_key
from commands.offsite.errors import (
    DestinationRefused,
    ObjectMissing,
    RepositoryDamaged,
    RepositoryForked,
)
from commands.offsite.log.published import PublishedRecords
from commands.offsite.repository.layout import LEDGER, REPOSITORY, parse_repository
from commands.offsite.repository.opening import open_store
from commands.offsite.repository.seal import AGE_BEGINNING, Opener
from commands.site.actors import operator
from commands.site.configuration import Configuration, sqlite_url
from commands.site.opening import open_site
from commands.site.store import make_folder, make_store
from commands.sqlite.files import create_private
from ledger.append.batched import batched
from ledger.append.copy import append_rows
from ledger.append.database import create_ledger, open_engine
from ledger.append.ledger import Draft
from ledger.clock import parse_instant
from ledger.events.housekeeping import LedgerRecovered
from ledger.events.offsite import DestinationChanged, DestinationDetached
from ledger.tree.checkpoint import Checkpoint, open_checkpoint
from ledger.tree.signed_note import Note, NoteError
from ledger.tree.tiles import WIDTH, TileError, TilePlace, bundles_between, decode_bundle
from ledger.vocabulary import LEDGER_STREAM, destination_stream
from projections.folds.offsite_destination import OPTION
from projections.queries.offsite import all_destinations

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from commands.offsite.repository.stores import ObjectStore
    from ledger.tree.signed_note import VerifierKey
    from projections.folds.offsite_destination import Destination

LEDGER_FILE = "ledger.sqlite"
PROJECTIONS_FILE = "projections.sqlite"
BATCH_RECORDS = 2_000


@dataclass(frozen=True, slots=True)
class Recovered:
    """What came back. `skipped`: larger checkpoints that could not be used, and why."""

    ledger_id: str
    size: int
    root: str
    signed: bool
    folder: Path
    destinations: list[str]
    skipped: list[str]


def recover_ledger(
    url: str,
    into: Path,
    *,
    identities: Sequence[str],
    public_key: str | None = None,
    kept: Sequence[bytes] = (),
    options: Mapping[str, str] | None = None,
    credentials: Mapping[str, str] | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> Recovered:
    """Make the ledger of a repository again in a new folder.

    `kept`: checkpoints that were kept elsewhere, or witnessed: what is there must continue them.
    `options`: of the store, without secrets; recorded. `credentials`: with them; never recorded.

    Raises:
        RepositoryForked: it does not, so it is older, or another history; nothing was made.
        DestinationRefused: the folder is not empty.
        RepositoryDamaged: no checkpoint there leads to records that are whole.
        WrongKey: no identity opens the records.
    """
    if into.exists() and not into.is_dir():
        raise DestinationRefused(f"{into} is not a folder; give a new folder with --into")
    if into.exists() and any(into.iterdir()):
        raise DestinationRefused(f"{into} is not empty; give a new folder with --into")
    store = open_store(url, {**(options or {}), **(credentials or {})})
    repository = parse_repository(store.get(REPOSITORY), store.place)
    key = None if public_key is None else parse_public_key(public_key)
    opener, skipped = Opener(identities), []
    for note in _checkpoints(store):
        try:
            checkpoint = _verified(note, key)
            records = _records(store, opener, checkpoint, on_progress)
        except (NoteError, RepositoryDamaged, ObjectMissing) as error:
            skipped.append(str(error))
            continue
        _require_continues(records, checkpoint, _same_log(kept, checkpoint, key), store.place)
        _write_ledger(into, repository.ledger_id, repository.created_at, records)
        found_at = {"url": url} | {
            f"{OPTION}{name}": each for name, each in (options or {}).items()
        }
        names = _record_recovery(into, found_at, repository.repository_id, checkpoint, public_key)
        root = checkpoint.root.hex()
        return Recovered(
            repository.ledger_id, checkpoint.size, root, key is not None, into, names, skipped
        )
    why = f": {skipped[0]}" if skipped else ": none was published"
    raise RepositoryDamaged(f"no checkpoint at {store.place} can be used{why}")


def _checkpoints(store: ObjectStore) -> Iterator[bytes]:
    """Every checkpoint that is there, the largest first; the newest one may be altered."""
    prefix = f"{LEDGER}checkpoints/"
    sizes = [each.path.removeprefix(prefix) for each in store.list(prefix)]
    for size in sorted((each for each in sizes if each.isdecimal()), key=int, reverse=True):
        yield store.get(prefix + size)
    try:
        yield store.get(f"{LEDGER}checkpoint")
    except ObjectMissing:
        return


def _same_log(
    kept: Sequence[bytes], checkpoint: Checkpoint, key: VerifierKey | None
) -> list[Checkpoint]:
    """Those of the kept checkpoints that are of this ledger; a folder may have others, too."""
    found = []
    for note in kept:
        try:
            each = _verified(note, key)
        except NoteError:
            continue
        if each.origin == checkpoint.origin:
            found.append(each)
    return found


def _require_continues(
    records: PublishedRecords, checkpoint: Checkpoint, kept: Sequence[Checkpoint], place: str
) -> None:
    for each in sorted(kept, key=lambda found: found.size):
        if each.size > checkpoint.size:
            raise RepositoryForked(
                f"the ledger at {place} ends at {checkpoint.size} records, and a kept checkpoint "
                f"says that there were {each.size}: an older state was put there; nothing was made"
            )
        if records.root_at(each.size) != each.root:
            raise RepositoryForked(
                f"the ledger at {place} is not the one of a kept checkpoint of {each.size} "
                "records: it was rewritten; nothing was created"
            )


def _verified(note: bytes, key: VerifierKey | None) -> Checkpoint:
    if key is not None:
        return open_checkpoint(note, key).checkpoint
    return Checkpoint.from_text(Note.from_bytes(note).text)


def _records(
    store: ObjectStore,
    opener: Opener,
    checkpoint: Checkpoint,
    on_progress: Callable[[int, int], None] | None,
) -> PublishedRecords:
    """Every record of a checkpoint, which must lead to its root.

    Raises:
        RepositoryDamaged: they do not.
    """
    records: list[bytes] = []
    for place in bundles_between(0, checkpoint.size):
        records += _bundle(store, opener, place)
        if on_progress is not None:
            on_progress(len(records), checkpoint.size)
    published = PublishedRecords.of(records, store.place)
    if published.root_at(checkpoint.size) != checkpoint.root:
        raise RepositoryDamaged(
            f"the records there do not lead to the root of the checkpoint of {checkpoint.size}"
        )
    return published


def _bundle(store: ObjectStore, opener: Opener, place: TilePlace) -> list[bytes]:
    """A bundle, or the first records of a larger one that took its place."""
    path = LEDGER + place.path
    try:
        sealed = store.get(path)
    except ObjectMissing:
        path = LEDGER + place._replace(width=WIDTH).path
        sealed = store.get(path)
    content = opener.open(sealed, path) if sealed.startswith(AGE_BEGINNING) else sealed
    try:
        records = decode_bundle(content)[: place.width]
    except TileError as error:
        raise RepositoryDamaged(f"{path}: {error}") from error
    if len(records) != place.width:
        raise RepositoryDamaged(f"{path} has {len(records)} records, {place.width} are needed")
    return records


def _write_ledger(into: Path, ledger_id: str, created_at: str, published: PublishedRecords) -> None:
    """A new ledger with these records, and a new store beside it."""
    make_folder(into)
    path = into / LEDGER_FILE
    os.close(create_private(path))
    engine = open_engine(sqlite_url(path))
    try:
        create_ledger(engine, ledger_id, parse_instant(created_at))
        for rows in batched(list(published.rows()), BATCH_RECORDS):
            append_rows(engine, rows[0].position - 1, rows, published.stand_ins)
    finally:
        engine.dispose()
    make_store(into)


def _record_recovery(
    into: Path,
    found_at: Mapping[str, str],
    repository_id: str,
    checkpoint: Checkpoint,
    public_key: str | None,
) -> list[str]:
    """The first facts of the recovered ledger; its destinations are only read from now on.

    The destination that it was read from is where it was found, which may be another place
    (`found_at`: its URL, and the store's options), and is recorded as such.
    """
    # Whatever else is configured here is not about this ledger.
    configuration = Configuration(
        database=None,
        backups=into,
        ledger=str(into / LEDGER_FILE),
        projections=str(into / PROJECTIONS_FILE),
    )
    site = open_site(configuration, "act")
    try:
        site.catch_up()
        with site.read_models.reading() as connection:
            live = [each for each in all_destinations(connection) if each.status != "removed"]
        recovered = LedgerRecovered(
            size=checkpoint.size,
            root=checkpoint.root.hex(),
            url=found_at["url"],
            signed=public_key is not None,
            public_key=public_key,
        )
        drafts = [Draft(LEDGER_STREAM, recovered)]
        for each in live:
            detached = DestinationDetached(name=each.name, reason="the ledger was recovered")
            drafts.append(Draft(destination_stream(each.repository_id), detached))
            if each.repository_id == repository_id:
                drafts += _moved(each, found_at)
        site.notify(site.ledger.append(site.context(operator()), *drafts))
        return [each.name for each in live]
    finally:
        site.close()


def _moved(destination: Destination, found_at: Mapping[str, str]) -> list[Draft]:
    """The fact that a destination is elsewhere, or reached in another way; none where it is not."""
    recorded = {f"{OPTION}{name}": str(value) for name, value in destination.options.items()}
    recorded["url"] = destination.url
    after = {name: value for name, value in found_at.items() if recorded.get(name) != value}
    if not after:
        return []
    before = {name: recorded.get(name) for name in after}
    moved = DestinationChanged(before=dict(before), after=dict(after))
    return [Draft(destination_stream(destination.repository_id), moved)]
