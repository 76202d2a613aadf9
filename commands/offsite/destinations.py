"""The destinations of a site: finding one, and beginning a session at it.

A session begins by reading what is there: the repository must be ours, and its ledger must be an
earlier state of ours. Else nothing is written and nothing is deleted.
"""

from __future__ import annotations

import stat
import tomllib
from typing import TYPE_CHECKING

from commands.errors import InvalidArgument
from commands.offsite.errors import (
    DestinationConflict,
    DestinationUnknown,
    ObjectMissing,
    RepositoryForked,
)
from commands.offsite.repository.layout import LEDGER, REPOSITORY, parse_repository
from commands.offsite.repository.opening import open_store
from commands.sqlite.files import read_given
from ledger.append.database import translated_errors
from ledger.append.stored_tree import TreeReader
from ledger.tree.checkpoint import Checkpoint
from ledger.tree.proofs import root_at
from ledger.tree.signed_note import Note, NoteError
from projections.queries.offsite import all_destinations

if TYPE_CHECKING:
    from commands.offsite.repository.stores import ObjectStore
    from commands.site.site import Site
    from projections.folds.offsite_destination import Destination

CHECKPOINT = f"{LEDGER}checkpoint"
MAX_CREDENTIALS_BYTES = 1 << 20


def live_destinations(site: Site) -> list[Destination]:
    """Destinations that were not removed, oldest first."""
    with site.read_models.reading() as connection:
        return [each for each in all_destinations(connection) if each.status != "removed"]


def find_destination(site: Site, name: str) -> Destination:
    """The destination of a name.

    Raises:
        DestinationUnknown: there is none.
    """
    live = live_destinations(site)
    for each in live:
        if each.name == name:
            return each
    known = ", ".join(each.name for each in live) or "none yet; see: backup-ledger offsite add"
    raise DestinationUnknown(f"no off-site destination is called {name!r}; there are: {known}")


def chosen_destinations(site: Site, name: str | None) -> list[Destination]:
    """One destination, or all that copies may go to.

    Raises:
        DestinationUnknown: there is none of this name, or none at all.
    """
    if name is not None:
        return [find_destination(site, name)]
    live = live_destinations(site)
    if not live:
        raise DestinationUnknown("there is no off-site destination; see: backup-ledger offsite add")
    return live


def store_options(site: Site, destination: Destination) -> dict[str, str]:
    """What the store needs beside its URL: options of the ledger, and credentials of a file.

    Raises:
        InvalidArgument: the credentials file cannot be read, or others may read it.
    """
    options = {name: str(value) for name, value in destination.options.items()}
    if destination.stated.get("lock_days") and destination.url.startswith("s3:"):
        options.setdefault("checksum_algorithm", "SHA256")  # a PUT with a lock has to carry one
    return options | read_credentials(site, destination.name)


def read_credentials(site: Site, name: str) -> dict[str, str]:
    """A destination's table in the credentials file; nothing where no file is configured.

    Raises:
        InvalidArgument: the file cannot be read, or others may read it.
    """
    path = site.configuration.offsite_credentials
    if path is None:
        return {}
    try:
        is_private = not stat.S_IMODE(path.stat().st_mode) & 0o077
        content = read_given(path, MAX_CREDENTIALS_BYTES) if is_private else b""
    except OSError as error:
        raise InvalidArgument(f"{path} cannot be read: {error.strerror}") from error
    if not is_private:
        raise InvalidArgument(f"{path} can be read by others; make it private: chmod 600")
    try:
        tables = tomllib.loads(content.decode())
    except ValueError:
        raise InvalidArgument(f"{path} is not TOML with a table for each destination") from None
    return {key: str(value) for key, value in tables.get(name, {}).items()}


def open_session(site: Site, destination: Destination) -> ObjectStore:
    """The store of a destination, once it is sure whose it is.

    Raises:
        RepositoryForked: it belongs to another ledger, or to another history of this one.
        DestinationUnreachable: the store failed.
    """
    store = open_reading(site, destination)
    _require_earlier_there(site, store)
    return store


def open_reading(site: Site, destination: Destination) -> ObjectStore:
    """The store of a destination, to read there: what is read is held to what the ledger recorded.

    A checkpoint there says nothing against reading: whoever may write there could keep us from
    our copies with it.

    Raises:
        RepositoryForked: it belongs to another ledger.
        DestinationUnreachable: the store failed.
    """
    store = open_store(destination.url, store_options(site, destination))
    _require_id(site, destination, store)
    return store


def require_ours(site: Site, destination: Destination, store: ObjectStore) -> None:
    """Read whose repository it is; asked before any delete.

    Raises:
        RepositoryForked: it belongs to another ledger, or to another history of this one.
    """
    _require_id(site, destination, store)
    _require_earlier_there(site, store)


def _require_id(site: Site, destination: Destination, store: ObjectStore) -> None:
    found = parse_repository(_repository_bytes(store), store.place)
    expected = (site.ledger.meta.ledger_id, destination.repository_id)
    if (found.ledger_id, found.repository_id) != expected:
        raise RepositoryForked(
            f"{store.place} holds repository {found.repository_id} of ledger {found.ledger_id}, "
            f"not {destination.repository_id} of {site.ledger.meta.ledger_id}; nothing was "
            "touched. Is the right disk mounted?"
        )


def _require_earlier_there(site: Site, store: ObjectStore) -> None:
    try:
        note = store.get(CHECKPOINT)
    except ObjectMissing:
        return
    require_earlier(site, note, store.place)


def require_earlier(site: Site, note: bytes, place: str) -> None:
    """A published checkpoint must be an earlier state of our ledger.

    Raises:
        RepositoryForked: it is larger than our ledger, or has another root.
    """
    try:
        published = Checkpoint.from_text(Note.from_bytes(note).text)
    except NoteError as error:
        raise RepositoryForked(f"the checkpoint at {place} cannot be read: {error}") from error
    size = site.ledger.log_recorder.head().size
    if published.size > size:
        raise RepositoryForked(
            f"{place} was written by a later state of this ledger ({published.size} records, here "
            f"are {size}): an older ledger was put back, or another machine uses it; "
            "nothing was touched"
        )
    with translated_errors(site.ledger.engine), site.ledger.engine.connect() as connection:
        root = root_at(published.size, TreeReader(connection))
    if root != published.root:
        raise RepositoryForked(
            f"{place} was written by another history of this ledger; nothing was touched. "
            "Keep both, and ask who else uses a copy of this ledger"
        )


def require_attached(destination: Destination | None, name: str) -> Destination:
    """A destination that copies may go to.

    Raises:
        DestinationConflict: it was removed, or this ledger may only read there.
    """
    if destination is None or destination.status == "removed":
        raise DestinationConflict(f"destination {name!r} was removed meanwhile; nothing was done")
    if not destination.is_attached:
        raise DestinationConflict(
            f"this ledger may only read at destination {name!r}; if no other machine uses it any "
            f"more: backup-ledger offsite attach {name}"
        )
    return destination


def _repository_bytes(store: ObjectStore) -> bytes:
    try:
        return store.get(REPOSITORY)
    except ObjectMissing as error:
        raise RepositoryForked(
            f"there is no {REPOSITORY} at {store.place}: is the right disk mounted, is it the "
            "right bucket and prefix? Nothing was touched"
        ) from error
