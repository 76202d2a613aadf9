"""The stored tree, read as proofs want it: a few nodes and at most a tile of leaves a time.

A proof in a ledger of n records costs O(log n) reads by primary key, whatever n is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import select

from ledger.append.tables import events, nodes

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import Connection


class TreeReader:
    """A `ledger.merkle.NodeReader` over the tables, within the connection's transaction.

    It believes what is stored; whether that is true is `ledger.verify.verify`'s business.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def leaf_hashes(self, start: int, stop: int) -> Sequence[bytes]:
        """Hashes of the leaves with index start <= index < stop, in order."""
        position = events.c.position
        found = self._connection.execute(
            select(events.c.leaf_hash).where(position > start, position <= stop).order_by(position)
        )
        return [bytes(each) for each in found.scalars()]

    def nodes(self, wanted: Sequence[tuple[int, int]]) -> Mapping[tuple[int, int], bytes]:
        """Hashes of the stored nodes (height, number); those that are not there are left out."""
        found: dict[tuple[int, int], bytes] = {}
        for height, number in wanted:
            statement = select(nodes.c.hash).where(
                nodes.c.height == height, nodes.c.number == number
            )
            stored = self._connection.execute(statement).scalar_one_or_none()
            if stored is not None:
                found[height, number] = bytes(stored)
        return found
