"""Try what a store does, in plain words: write, read, list, delete."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING
from uuid import uuid4

from commands.offsite.errors import DestinationUnreachable
from commands.offsite.repository.layout import PROBE

if TYPE_CHECKING:
    from commands.offsite.repository.stores import ObjectStore
    from ledger.events.base import ChangedFields

PROBE_BYTES = 1_024


def probe_store(store: ObjectStore) -> ChangedFields:
    """What the store was found to do; it must write, read and list.

    Raises:
        DestinationUnreachable: it does not.
    """
    path, content = PROBE + str(uuid4()), secrets.token_bytes(PROBE_BYTES)
    store.put(path, content)
    if store.get(path) != content:
        raise DestinationUnreachable(f"{store.place} gave back other bytes than were written")
    if store.head(path) != PROBE_BYTES:
        raise DestinationUnreachable(f"{store.place} says another size than was written")
    if path not in {each.path for each in store.list(PROBE)}:
        raise DestinationUnreachable(f"{store.place} does not list what was just written")
    try:
        store.delete(path)
        deletes = store.head(path) is None
    except DestinationUnreachable:
        deletes = False
    return {"writes": True, "reads": True, "lists": True, "deletes": deletes}
