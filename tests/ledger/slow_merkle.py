"""The oracle: RFC 6962 section 2.1 word for word, and a tree stored as the ledger stores it.

`SlowTree` follows the definitions MTH, PATH, PROOF and SUBPROOF of
https://www.rfc-editor.org/rfc/rfc6962#section-2.1 with their recursion and their names, and
shares no code with `ledger`. D[a:b] is written (a, b). Only MTH remembers its results.
"""

import random
from collections.abc import Mapping, Sequence
from functools import cache
from hashlib import sha256

from ledger.tree.merkle import Frontier


def largest_power_of_two_below(n: int) -> int:
    """The RFC's k: k < n <= 2k."""
    k = 1
    while k * 2 < n:
        k *= 2
    return k


class SlowTree:
    """The definitions of RFC 6962 over a list of records."""

    def __init__(self, records: Sequence[bytes]) -> None:
        self.records = records
        self.mth = cache(self._mth)

    def _mth(self, a: int, b: int) -> bytes:
        n = b - a
        if n == 0:
            return sha256(b"").digest()
        if n == 1:
            return sha256(b"\x00" + self.records[a]).digest()
        k = largest_power_of_two_below(n)
        return sha256(b"\x01" + self.mth(a, a + k) + self.mth(a + k, b)).digest()

    def path(self, m: int, a: int, b: int) -> list[bytes]:
        """Audit path of the (m+1)th of the leaves (a, b), section 2.1.1."""
        n = b - a
        if n == 1:
            return []
        k = largest_power_of_two_below(n)
        if m < k:
            return [*self.path(m, a, a + k), self.mth(a + k, b)]
        return [*self.path(m - k, a + k, b), self.mth(a, a + k)]

    def proof(self, m: int, n: int) -> list[bytes]:
        """Consistency proof between the first m and the first n leaves, section 2.1.2."""
        return self.subproof(m, 0, n, b=True)

    def subproof(self, m: int, start: int, stop: int, *, b: bool) -> list[bytes]:
        n = stop - start
        if m == n:
            return [] if b else [self.mth(start, stop)]
        k = largest_power_of_two_below(n)
        if m <= k:
            return [*self.subproof(m, start, start + k, b=b), self.mth(start + k, stop)]
        return [*self.subproof(m - k, start + k, stop, b=False), self.mth(start, start + k)]


class StoredTree:
    """Leaf hashes and nodes in memory, in the form of the ledger's tables; it counts its reads."""

    def __init__(self, leaves: Sequence[bytes]) -> None:
        self.leaves = leaves
        self.frontier, completed = Frontier().append_leaves(leaves)
        self.stored = {(node.height, node.number): node.hash for node in completed}
        self.leaf_reads: list[int] = []
        self.node_reads: list[int] = []

    def leaf_hashes(self, start: int, stop: int) -> Sequence[bytes]:
        self.leaf_reads.append(stop - start)
        return self.leaves[start:stop]

    def nodes(self, wanted: Sequence[tuple[int, int]]) -> Mapping[tuple[int, int], bytes]:
        self.node_reads.append(len(wanted))
        return {each: self.stored[each] for each in wanted if each in self.stored}


LARGE = 70_001
"""Leaves of the trees that tests share."""


def records(count: int) -> list[bytes]:
    return [b"record %d" % number for number in range(count)]


def sampled(size: int, count: int) -> list[int]:
    """Both ends, and some indexes in between."""
    chosen = random.Random(size).sample(range(size), min(count, size))
    return sorted({0, size - 1, *chosen})
