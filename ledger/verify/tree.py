"""The tree, grown again from the leaves and compared with every node and head that is stored."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, bindparam, func, literal, not_, select

from ledger.append.prepared import Prepared
from ledger.append.tables import head, nodes
from ledger.tree.merkle import HASH_BYTES, TILE_HEIGHT, Frontier, Node, subtree_heights
from ledger.verify.findings import KEPT_OF_A_KIND, Findings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection

NODE, HEAD = "tree node", "head"
_MAX_HEIGHT = 62
"""Sizes are signed 64-bit integers."""

_NODES = Prepared(
    select(nodes.c.number, nodes.c.hash).where(
        nodes.c.height == bindparam("of"),
        nodes.c.number.between(bindparam("first"), bindparam("last")),
    )
)


class TreeCheck:
    """Grows the tree batch by batch, and compares the nodes that this completes."""

    def __init__(self, connection: Connection, findings: Findings) -> None:
        self.frontier = Frontier()
        self._connection = connection
        self._findings = findings

    def grow(self, leaf_hashes: Sequence[bytes]) -> None:
        """Add leaves; nodes of the store that do not fit are findings."""
        self.frontier, completed = self.frontier.append_leaves(leaf_hashes)
        by_height: dict[int, list[Node]] = {}
        for node in completed:
            by_height.setdefault(node.height, []).append(node)
        for height, computed in by_height.items():
            self._compare(height, computed)

    def _compare(self, height: int, computed: list[Node]) -> None:
        wanted = {"of": height, "first": computed[0].number, "last": computed[-1].number}
        stored: dict[Any, Any] = dict(_NODES.run(self._connection, wanted))
        for node in computed:
            found = stored.get(node.number)
            if found == node.hash:
                continue
            first = (node.number << height) + 1
            where = f"over positions {first} to {first + (1 << height) - 1}"
            what = "is missing" if found is None else "does not fit the records"
            self._findings.add(
                NODE,
                first,
                f"the stored tree node {height}/{node.number} {where} {what}",
                node.hash.hex(),
                found,
            )

    def find_extra_nodes(self) -> None:
        """Nodes that a tree of this size does not have are findings."""
        number, height = nodes.c.number, nodes.c.height
        belongs = and_(
            height.between(TILE_HEIGHT, _MAX_HEIGHT),
            number >= 0,
            number < literal(self.frontier.size).bitwise_rshift(height),
        )
        # A NULL or a text in the key compares as unknown, and is not ours either.
        extra = not_(func.coalesce(belongs, False))
        total = self._connection.execute(
            select(func.count()).select_from(nodes).where(extra)
        ).scalar_one()
        rows = self._connection.execute(
            select(height, number, nodes.c.hash)
            .where(extra)
            .order_by(height, number)
            .limit(KEPT_OF_A_KIND)
        ).all()
        for row in rows:
            self._findings.add(
                "extra tree node",
                None,
                f"the stored tree node {row.height}/{row.number} belongs to no tree of "
                f"{self.frontier.size} records",
                "no such node",
                row.hash,
            )
        self._findings.count("extra tree node", total - len(rows))


def check_head(
    connection: Connection, findings: Findings, frontier: Frontier, last_recorded_at: Any
) -> None:
    """The one head row says what the records say: size, root, frontier, time of the last."""
    rows = connection.execute(select(head)).all()
    if len(rows) != 1:
        findings.add(HEAD, None, "ledger_head must have one row", "1 row", f"{len(rows)} rows")
        return
    row = rows[0]
    if row.size != frontier.size:
        _size_finding(findings, frontier.size, row.size)
    if row.root != frontier.root():
        findings.add(
            HEAD,
            None,
            "the head's root is not the root of the records",
            frontier.root().hex(),
            row.root,
        )
    if row.frontier != frontier.to_bytes():
        _frontier_findings(findings, frontier, row.size, row.frontier)
    expected = 0 if last_recorded_at is None else last_recorded_at
    if row.recorded_at != expected:
        findings.add(
            HEAD,
            None,
            "the head's recorded_at differs from the last record's",
            expected,
            row.recorded_at,
        )


def _size_finding(findings: Findings, size: int, claimed: Any) -> None:
    if isinstance(claimed, int) and claimed > size:
        what = f"the ledger was cut: {claimed - size} records that the head counts are missing"
        findings.add(HEAD, size + 1, what, f"{claimed} records", f"{size} records")
    else:
        what = "the head does not count all records"
        findings.add(HEAD, None, what, f"size {size}", f"size {claimed!r}")


def _frontier_findings(findings: Findings, frontier: Frontier, size: Any, stored: Any) -> None:
    """Which of the complete subtrees at the end differ: that says where to look."""
    parts = _parts(stored)
    if size != frontier.size or len(parts) != len(frontier.hashes):
        findings.add(
            HEAD,
            None,
            "the head's frontier does not fit the records",
            f"{len(frontier.hashes)} hashes",
            stored,
        )
        return
    start = 0
    for height, computed, found in zip(
        subtree_heights(frontier.size), frontier.hashes, parts, strict=True
    ):
        stop = start + (1 << height)
        if computed != found:
            findings.add(
                HEAD,
                start + 1,
                f"the head's frontier over positions {start + 1} to {stop} does not fit the "
                "records",
                computed.hex(),
                found,
            )
        start = stop


def _parts(stored: Any) -> list[bytes]:
    if not isinstance(stored, bytes) or len(stored) % HASH_BYTES:
        return []
    return [stored[at : at + HASH_BYTES] for at in range(0, len(stored), HASH_BYTES)]
