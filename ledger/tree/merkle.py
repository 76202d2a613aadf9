r"""The Merkle tree over the ledger's records: hashes, and a tree that only grows.

Specification: RFC 6962 section 2.1, https://www.rfc-editor.org/rfc/rfc6962#section-2.1
(the same tree as RFC 9162 section 2.1.1). The hash is SHA-256 everywhere.

Rules:

- a leaf is SHA-256(0x00 + record), an interior node SHA-256(0x01 + left + right). The two
  prefixes differ so that nobody can pass an interior node off as a record;
- the root of no leaves at all is SHA-256 of the empty string;
- a tree of n > 1 leaves splits at the largest power of two smaller than n: the left part is
  always complete (2^height leaves), the right part is whatever is left.

So a tree of n leaves is a row of complete subtrees, one for each 1 bit of n, largest first.
Their roots are the frontier: all that must be known to append, and to compute the root.

Worked example, 5 leaves a..e (5 = 0b101, so subtrees of 4 leaves and of 1 leaf):

           root                 root = H(1, abcd, e)
          /    \                abcd = H(1, ab, cd), complete: height 2, number 0
       abcd     e               ab   = H(1, a, b),   complete: height 1, number 0
      /    \
     ab     cd                  frontier of size 5: (abcd, e)
    /  \   /  \                 a sixth leaf f completes ef (height 1, number 2):
   a    b c    d                frontier of size 6: (abcd, ef)
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import NamedTuple, Protocol, Self

HASH_BYTES = 32

#: Root of a tree without leaves (RFC 6962 section 2.1).
EMPTY_ROOT = sha256(b"").digest()

#: Subtrees of at least 2^8 = 256 leaves are stored; smaller ones are computed from leaf hashes.
#: That is one stored node for 256 records or so, and at most 255 hashes to fill what is missing.
TILE_HEIGHT = 8

_LEAF_PREFIX = b"\x00"
_NODE_PREFIX = b"\x01"


class Node(NamedTuple):
    """Root of a complete subtree over leaves [number * 2^height, (number + 1) * 2^height)."""

    height: int
    number: int
    hash: bytes


class NodeReader(Protocol):
    """Where proofs read the hashes of a stored tree from."""

    def leaf_hashes(self, start: int, stop: int) -> Sequence[bytes]:
        """Hashes of the leaves with index start <= index < stop, in order."""
        ...

    def nodes(self, wanted: Sequence[tuple[int, int]]) -> Mapping[tuple[int, int], bytes]:
        """Hashes of the stored nodes (height, number), each of height >= TILE_HEIGHT."""
        ...


def leaf_hash(record: bytes) -> bytes:
    """Hash of one record's bytes: SHA-256(0x00 + record), RFC 6962 section 2.1."""
    return sha256(_LEAF_PREFIX + record).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Hash of an interior node: SHA-256(0x01 + left + right), RFC 6962 section 2.1."""
    return sha256(_NODE_PREFIX + left + right).digest()


@dataclass(frozen=True, slots=True)
class Frontier:
    """A tree of `size` leaves, known by the roots of its complete subtrees, largest first.

    Raises:
        ValueError: the hashes are not 32 bytes each, one for every 1 bit of the size.
    """

    size: int = 0
    hashes: tuple[bytes, ...] = ()

    def __post_init__(self) -> None:
        if self.size < 0:
            raise ValueError(f"a tree cannot have {self.size} leaves")
        if len(self.hashes) != self.size.bit_count():
            raise ValueError(
                f"the frontier of {self.size} leaves has {self.size.bit_count()} hashes, "
                f"not {len(self.hashes)}"
            )
        if set(map(len, self.hashes)) - {HASH_BYTES}:
            raise ValueError(f"the frontier of {self.size} leaves holds a hash of the wrong length")

    @classmethod
    def from_bytes(cls, size: int, data: bytes) -> Self:
        """Frontier from its stored form, the concatenated hashes.

        Raises:
            ValueError: the data is not exactly one hash for every 1 bit of the size.
        """
        starts = range(0, len(data), HASH_BYTES)
        return cls(size, tuple(data[start : start + HASH_BYTES] for start in starts))

    def to_bytes(self) -> bytes:
        """The stored form: the hashes one after the other, largest subtree first."""
        return b"".join(self.hashes)

    def root(self) -> bytes:
        """Root hash of the tree, RFC 6962 section 2.1."""
        return root_of_peaks(self.hashes)

    def append_leaves(self, leaf_hashes: Sequence[bytes]) -> tuple["Frontier", list[Node]]:
        """The tree with these leaves added, and the subtrees that this completed.

        Row by row, not leaf by leaf: one list comprehension a level makes a big append cost
        little more than its SHA-256 calls, one a leaf. The subtrees are those of height >=
        TILE_HEIGHT, in the order in which appending leaf by leaf would have completed them.

        Raises:
            ValueError: a leaf hash is not 32 bytes long.
        """
        if set(map(len, leaf_hashes)) - {HASH_BYTES}:
            raise ValueError(f"a leaf hash must be {HASH_BYTES} bytes long")
        if len(leaf_hashes) == 1:
            return self._append_leaf(leaf_hashes[0])
        peaks = dict(zip(subtree_heights(self.size), self.hashes, strict=True))
        completed: list[Node] = []
        row, height = list(leaf_hashes), 0
        while row:
            if height in peaks:
                row.insert(0, peaks.pop(height))
            if len(row) % 2:
                peaks[height] = row.pop()
            row, height = _pair(row), height + 1
            if height >= TILE_HEIGHT:
                # The first new node of a row stands where the old tree's complete ones end.
                numbered = enumerate(row, self.size >> height)
                completed += [Node(height, number, value) for number, value in numbered]
        completed.sort(key=_completion_order)
        new_hashes = tuple(peaks[each] for each in sorted(peaks, reverse=True))
        return Frontier(self.size + len(leaf_hashes), new_hashes), completed

    def _append_leaf(self, leaf: bytes) -> tuple["Frontier", list[Node]]:
        """One leaf: it joins the peaks of its own height, as when 1 is added to a binary number."""
        peaks, completed, height = list(self.hashes), list[Node](), 0
        peak = leaf
        while self.size >> height & 1:
            peak, height = node_hash(peaks.pop(), peak), height + 1
            if height >= TILE_HEIGHT:
                completed.append(Node(height, self.size >> height, peak))
        return Frontier(self.size + 1, (*peaks, peak)), completed


def subtree_heights(size: int) -> Iterator[int]:
    """Heights of the complete subtrees of a tree of `size` leaves, largest first."""
    return (each for each in reversed(range(size.bit_length())) if size >> each & 1)


def root_of_peaks(peaks: Sequence[bytes]) -> bytes:
    """Root over the complete subtrees of a tree, given largest (leftmost) first."""
    if not peaks:
        return EMPTY_ROOT
    root = peaks[-1]
    for left in reversed(peaks[:-1]):
        root = node_hash(left, root)
    return root


def _pair(row: list[bytes]) -> list[bytes]:
    """Parents of a row of an even number of nodes."""
    each = iter(row)
    # Not through node_hash: this is the one hot loop, and the call would cost a third more.
    return [
        sha256(_NODE_PREFIX + left + right).digest() for left, right in zip(each, each, strict=True)
    ]


def _completion_order(node: Node) -> tuple[int, int]:
    """A subtree is complete with its last leaf; of those that end there, the lowest is first."""
    return (node.number + 1) << node.height, node.height
