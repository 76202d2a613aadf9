"""The records of a published ledger, those that were erased among them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from commands.offsite.errors import RepositoryDamaged
from ledger.append.copy import LedgerRow
from ledger.clock import parse_instant, to_microseconds
from ledger.errors import RecordError
from ledger.records.erasure import redacted_among
from ledger.tree.merkle import Frontier, leaf_hash

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ledger.events.housekeeping import RecordRedacted


@dataclass(frozen=True, slots=True)
class PublishedRecords:
    """All records up to a checkpoint; of an erased one its leaf hash, and what stands in for it."""

    records: Sequence[bytes]
    redacted: dict[int, tuple[RecordRedacted, bytes]]
    leaves: Sequence[bytes]

    @classmethod
    def of(cls, records: Sequence[bytes], place: str) -> PublishedRecords:
        """What entry bundles hold: an erased record is an entry of length zero.

        Raises:
            RepositoryDamaged: an entry is empty, and no record says that it was erased.
        """
        try:
            redacted = redacted_among(records)
        except RecordError as error:
            raise RepositoryDamaged(f"the records at {place} cannot be read: {error}") from error
        leaves = []
        for position, record in enumerate(records, 1):
            if record:
                leaves.append(leaf_hash(record))
            elif position in redacted:
                leaves.append(bytes.fromhex(redacted[position][0].leaf_hash))
            else:
                raise RepositoryDamaged(
                    f"the record of position {position} at {place} is empty, and no other one says "
                    "that it was erased"
                )
        return cls(records, redacted, leaves)

    def root_at(self, size: int) -> bytes:
        """The root that the first records lead to."""
        return Frontier().append_leaves(self.leaves[:size])[0].root()

    @property
    def stand_ins(self) -> dict[int, bytes]:
        return {position: record for position, (_, record) in self.redacted.items()}

    def rows(self) -> Iterator[LedgerRow]:
        """As a ledger has them; what was erased since it was published is left out, too.

        `recorded_at` is not published: the record's own time stands for it, never going back.
        """
        recorded_at, stand_ins = 0, self.stand_ins
        for position, record in enumerate(self.records, 1):
            fields = json.loads(stand_ins.get(position, record))
            recorded_at = max(recorded_at, to_microseconds(parse_instant(fields["timestamp"])))
            yield LedgerRow(
                position,
                fields["stream"],
                fields["stream_version"],
                fields["event_type"],
                None if position in stand_ins else record,
                self.leaves[position - 1],
                recorded_at,
            )
