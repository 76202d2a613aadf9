"""Where a published log is, and how far it has come there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from commands.offsite.errors import ObjectMissing
from ledger.tree.checkpoint import Checkpoint
from ledger.tree.signed_note import Note

if TYPE_CHECKING:
    from commands.offsite.repository.seal import Sealer
    from commands.offsite.repository.stores import ObjectStore

CHECKPOINT = "checkpoint"


@dataclass(frozen=True, slots=True)
class LogPlace:
    """Where a log is: below `prefix` of a store. `sealer`: of the entry bundles."""

    store: ObjectStore
    prefix: str
    sealer: Sealer

    def published_size(self) -> int:
        """How many records the newest checkpoint there says; 0 where there is none."""
        try:
            note = Note.from_bytes(self.store.get(self.prefix + CHECKPOINT))
        except ObjectMissing:
            return 0
        return Checkpoint.from_text(note.text).size
