"""Which backups have no copy at a destination yet; and what failed copies left there."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from commands.offsite.abandoned import abandon_dead_copies
from commands.offsite.copy import sweep_copy
from commands.offsite.destinations import open_session
from commands.offsite.errors import OffsiteError
from commands.offsite.repository.layout import COPIES, PACK_LIST_SUFFIX
from ledger.vocabulary import CopyStatus
from projections.queries.offsite import (
    COPIED,
    HANDLED,
    backups_without_copy,
    copies_at,
    copy_locked,
)

if TYPE_CHECKING:
    from commands.site.site import Site
    from ledger.append.ledger import Context
    from projections.folds.backup import Backup
    from projections.folds.offsite_destination import Destination

logger = logging.getLogger("backup_ledger.offsite")


def missing_backups(
    site: Site, destination: Destination, *, even_deleted: bool = False
) -> list[Backup]:
    """Good backups that are here and have no copy there, oldest first.

    `even_deleted`: also those whose copy was deleted there, as by retention.
    """
    with site.read_models.reading() as connection:
        return backups_without_copy(
            connection,
            site.store.store_id,
            destination.repository_id,
            COPIED if even_deleted else HANDLED,
        )


def sweep_failed_copies(site: Site, destination: Destination) -> list[str]:
    """Remove what copies without success left there; names there that no event explains.

    Raises:
        OffsiteError: the store failed, or the repository is not ours.
    """
    store = open_session(site, destination)
    with site.read_models.reading() as connection:
        known = {each.copy_id: each for each in copies_at(connection, destination.repository_id)}
    unknown = []
    for found in list(store.list(COPIES)):
        copy_id = found.path.removeprefix(COPIES).removesuffix(PACK_LIST_SUFFIX)
        copy = known.get(copy_id)
        if copy is None:
            unknown.append(found.path)
        elif copy.status == CopyStatus.FAILED and _is_failed(site, copy_id):
            sweep_copy(store, copy_id)
    return unknown


def tidy(site: Site, context: Context, destination: Destination) -> None:
    """Before new copies: judge dead ones and remove their manifests; trouble is only logged."""
    abandon_dead_copies(site, context)
    try:
        unknown = sweep_failed_copies(site, destination)
    except OffsiteError as error:
        logger.warning("%s was not tidied: %s", destination.name, error)
        return
    if unknown:
        logger.warning(
            "%s holds %d objects that this ledger does not know, such as %s; they are left alone",
            destination.name,
            len(unknown),
            unknown[0],
        )


def _is_failed(site: Site, copy_id: str) -> bool:
    with site.ledger.locked() as locked:
        copy = copy_locked(locked, copy_id)
    return copy is not None and copy.status == CopyStatus.FAILED
