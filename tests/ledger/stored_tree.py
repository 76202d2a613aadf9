"""What head and nodes must say, computed again from nothing but the stored records."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256

from sqlalchemy import select

from ledger.append.ledger import Ledger
from ledger.append.tables import head, nodes
from ledger.tree.merkle import TILE_HEIGHT
from tests.ledger.slow_merkle import SlowTree


@dataclass(frozen=True)
class Tree:
    """A ledger's tree: its size, root, and the stored subtrees by height and number."""

    size: int
    root: bytes
    nodes: dict[tuple[int, int], bytes]


def stored_tree(ledger: Ledger) -> Tree:
    """The tree as the recorder keeps it; its frontier must give its root."""
    with ledger.engine.connect() as connection:
        row = connection.execute(select(head)).one()
        stored = connection.execute(select(nodes)).all()
    assert ledger.log_recorder.head().frontier.root() == row.root
    return Tree(row.size, row.root, {(each.height, each.number): each.hash for each in stored})


def recomputed_tree(ledger: Ledger) -> Tree:
    """The tree by the letter of RFC 6962, from the records."""
    rows = list(ledger.records())
    assert [row.position for row in rows] == list(range(1, len(rows) + 1))
    assert [row.leaf_hash for row in rows] == [sha256(b"\0" + row.record).digest() for row in rows]
    tree = SlowTree([row.record for row in rows])
    size, complete = len(rows), {}
    for height in range(TILE_HEIGHT, size.bit_length()):
        width = 2**height
        for number in range(size // width):
            complete[height, number] = tree.mth(number * width, (number + 1) * width)
    return Tree(size, tree.mth(0, size), complete)
