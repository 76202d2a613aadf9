"""Put the ledger beside the copies: C2SP tlog-tiles, entry bundles sealed, checkpoints signed.

One publisher at a time; the size that was published last is kept on this machine.
"""

from __future__ import annotations

import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING

from commands.audit.cosign import with_witnesses
from commands.audit.keys import read_private_key
from commands.audit.sign_checkpoint import has_news, sign_checkpoint
from commands.errors import CommandError
from commands.offsite.destinations import open_session
from commands.offsite.errors import DestinationConflict, DestinationRefused
from commands.offsite.index_folder import published_size, remember_published
from commands.offsite.log.place import LogPlace
from commands.offsite.log.tiles import write_log
from commands.offsite.repository.layout import LEDGER
from commands.offsite.repository.seal import Sealer
from commands.site import actors
from ledger.append.leases_and_names import claim_lease, end_lease
from ledger.errors import LedgerError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from commands.site.site import Site
    from projections.folds.offsite_destination import Destination

logger = logging.getLogger("backup_ledger.offsite")


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
        raise DestinationRefused(
            "checkpoint_key is not set; set it to the key of the machine that this one replaces, "
            "or to a new one: backup-ledger audit keygen NAME --out FILE"
        )
    with _lease(site, destination):
        store = open_session(site, destination)
        folder = site.configuration.checkpoint_folder
        kept = sign_checkpoint(site.ledger.engine, read_private_key(key_path), site.clock, folder)
        kept = with_witnesses(site, site.context(actors.SYSTEM), kept)
        sealer = Sealer(destination.recipients)
        size = write_log(site.ledger.engine, LogPlace(store, LEDGER, sealer), kept)
    remember_published(site, destination, size)
    return size


def publish_if_behind(site: Site, destination: Destination) -> None:
    """Publish the ledger where it has grown; trouble is logged, and it is tried with the next copy.

    A copy counts once its event is appended; publishing is what a bare machine needs.
    """
    known = published_size(site, destination)
    if known is not None and not has_news(site.ledger.engine, known):
        return
    try:
        publish_ledger(site, destination)
    except (CommandError, LedgerError) as error:
        logger.warning("the ledger was not published to %s: %s", destination.name, error)


@contextmanager
def _lease(site: Site, destination: Destination) -> Iterator[None]:
    """One publisher at a time; a dead one is waited for until its lease is over."""
    name, owner = f"publish/{destination.repository_id}", site.instance
    monotonic, seconds = site.clock.monotonic(), site.configuration.lease_seconds
    with site.ledger.locked() as locked:
        is_ours = claim_lease(locked.connection, name, owner, monotonic, seconds)
    if not is_ours:
        raise DestinationConflict(
            f"the ledger is being published to {destination.name!r} by another process already"
        )
    try:
        with site.owner.working_under(name):
            yield
    finally:
        with site.ledger.locked() as locked:
            end_lease(locked.connection, name, owner)
