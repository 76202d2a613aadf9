"""Publish the ledger in a folder or bucket of its own, for whoever is to check it.

Anybody who can read there can follow the log with tools of others; with `recipients` its records
are sealed to them, and only hashes and checkpoints are in the clear.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from commands.audit.cosign import with_witnesses
from commands.audit.keys import read_private_key
from commands.audit.sign_checkpoint import sign_checkpoint
from commands.errors import InvalidArgument
from commands.offsite.destinations import require_earlier
from commands.offsite.errors import DestinationConflict, ObjectMissing
from commands.offsite.log.place import CHECKPOINT, LogPlace
from commands.offsite.log.tiles import write_log
from commands.offsite.repository.folder_store import FolderStore
from commands.offsite.repository.layout import REPOSITORY
from commands.offsite.repository.opening import open_store
from commands.offsite.repository.seal import Sealer
from commands.site import actors

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from commands.offsite.repository.stores import ObjectStore
    from commands.site.site import Site


def publish_log(
    site: Site,
    place: str,
    *,
    key: Path | None = None,
    recipients: Sequence[str] = (),
    options: Mapping[str, str] | None = None,
) -> int:
    """Publish the ledger as it stands now; how many records are there afterwards.

    `place`: a folder, or the URL of one or of a bucket. `key`: else `checkpoint_key`.

    Raises:
        InvalidArgument: there is no key to sign with.
        DestinationConflict: the place contains something else.
        RepositoryForked: it holds a later or another history.
        DestinationUnreachable: the store failed; what is there is whole.
    """
    key_path = key or site.configuration.checkpoint_key
    if key_path is None:
        raise InvalidArgument(
            "a published ledger is signed; give --key FILE, or set checkpoint_key"
        )
    signer, sealer = read_private_key(key_path), Sealer(recipients)
    store = open_store(place if "://" in place else Path(place).absolute().as_uri(), options)
    if isinstance(store, FolderStore):
        store.make_root()
    _require_ours(site, store)
    folder = site.configuration.checkpoint_folder
    kept = sign_checkpoint(site.ledger.engine, signer, site.clock, folder)
    kept = with_witnesses(site, site.context(actors.SYSTEM), kept)
    return write_log(site.ledger.engine, LogPlace(store, "", sealer), kept)


def _require_ours(site: Site, store: ObjectStore) -> None:
    """The place holds an earlier state of this ledger, or nothing."""
    try:
        require_earlier(site, store.get(CHECKPOINT), store.place)
    except ObjectMissing:
        found = next(iter(store.list()), None)
        # What a publication that was killed left, in the order in which it writes.
        if found is not None and not found.path.startswith(("tile/", "checkpoints/")):
            what = "an off-site repository" if store.head(REPOSITORY) else found.path
            raise DestinationConflict(
                f"{store.place} contains something else ({what}); give an empty folder or prefix"
            ) from None
