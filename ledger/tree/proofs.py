"""Proofs over the Merkle tree: that a record is in it, and that it only ever grew.

Specification: RFC 9162 section 2.1.3 (inclusion) and 2.1.4 (consistency),
https://www.rfc-editor.org/rfc/rfc9162#section-2.1.3. Proofs are those of RFC 6962 too.

Rules:

- an inclusion proof is the list of sibling subtrees on the way from a leaf up to the root, the
  leaf's own sibling first; whoever has the leaf can then compute the root;
- a consistency proof is the list of subtrees from which both an older and a newer root can be
  computed. Equal sizes have an empty proof. From size 0 there is none: the empty tree is a part
  of every tree, so such a proof would say nothing, and asking for one is a mistake;
- a proof does not say which sizes and index it is for, and some have the same shape for several
  sizes: index, size and root must come together, from a signed checkpoint and from the person
  who asks. Each root belongs to one size only.

Worked example in the tree of 5 leaves of `ledger.tree.merkle` (abcd and e under the root):

- c (index 2) is included in 5 by (d, ab, e): cd = H(1, c, d), abcd = H(1, ab, cd),
  root = H(1, abcd, e);
- 3 leaves (ab and c under the root) are consistent with 5 by (c, d, ab, e): ab and c give the
  old root; c, d, ab, e the new one.
"""

from collections.abc import Iterable, Iterator, Sequence

from ledger.errors import LedgerError
from ledger.tree.merkle import (
    HASH_BYTES,
    TILE_HEIGHT,
    Frontier,
    NodeReader,
    node_hash,
    root_of_peaks,
    subtree_heights,
)

# A complete subtree, (height, number), over leaves [number * 2^height, (number + 1) * 2^height).
_Subtree = tuple[int, int]


class ProofError(LedgerError, ValueError):
    """A proof that proves nothing, or one that cannot be made."""


def root_at(size: int, reader: NodeReader) -> bytes:
    """Root of the tree as it was at `size` leaves, in O(log size) reads.

    Raises:
        ProofError: the size is negative, or a hash is not in the store.
    """
    if size < 0:
        raise ProofError(f"a tree cannot have {size} leaves")
    return _range_roots([(0, size)], reader)[0]


def inclusion_proof(index: int, size: int, reader: NodeReader) -> tuple[bytes, ...]:
    """Proof that leaf `index` (from 0) is in the tree of `size` leaves, RFC 9162 section 2.1.3.1.

    Raises:
        ProofError: the tree has no such leaf, or a hash is not in the store.
    """
    if not 0 <= index < size:
        raise ProofError(f"a tree of {size} leaves has no leaf with index {index}")
    return _range_roots(_inclusion_ranges(index, size), reader)


def consistency_proof(first: int, second: int, reader: NodeReader) -> tuple[bytes, ...]:
    """Proof that the tree of `first` leaves is a prefix of `second`, RFC 9162 section 2.1.4.1.

    Raises:
        ProofError: not 0 < first <= second, or a hash is not in the store.
    """
    _check_sizes(first, second)
    return _range_roots(_consistency_ranges(first, second), reader)


def verify_inclusion(
    leaf_hash: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes
) -> None:
    """Check that the leaf stands at `index` (from 0) of the tree, RFC 9162 section 2.1.3.2.

    Raises:
        ProofError: it does not, or the proof is for another leaf, index, size or root.
    """
    if not 0 <= index < size:
        raise ProofError(f"a tree of {size} leaves has no leaf with index {index}")
    _check_hashes([leaf_hash, root, *proof])
    position, last, computed = index, size - 1, leaf_hash
    for sibling in proof:
        if last == 0:
            raise ProofError(f"inclusion proof too long for index {index} of {size}")
        if position & 1 or position == last:
            computed = node_hash(sibling, computed)
            position, last = _climb_to_right_child(position, last)
        else:
            computed = node_hash(computed, sibling)
        position, last = position >> 1, last >> 1
    if last != 0:
        raise ProofError(f"inclusion proof too short for index {index} of {size}")
    if computed != root:
        raise ProofError(f"leaf {index} is not in the tree of {size} leaves with this root")


def verify_consistency(
    first: int, second: int, first_root: bytes, second_root: bytes, proof: Sequence[bytes]
) -> None:
    """Check that the second tree is the first with leaves added, RFC 9162 section 2.1.4.2.

    Raises:
        ProofError: it is not, or the proof is for other sizes or roots, or first is 0.
    """
    _check_sizes(first, second)
    _check_hashes([first_root, second_root, *proof])
    if first == second:
        if proof:
            raise ProofError("a consistency proof between equal sizes must be empty")
        if first_root != second_root:
            raise ProofError(f"two different roots for the same size, {first}")
        return
    # A complete first tree is a subtree of the second, so proofs leave its root out.
    path = [first_root, *proof] if first.bit_count() == 1 else list(proof)
    old, new = _climb_both(first, second, path)
    if old != first_root:
        raise ProofError(f"the proof does not lead to the root of the first {first} leaves")
    if new != second_root:
        raise ProofError(f"the tree of {second} leaves does not continue that of {first}")


def _climb_both(first: int, second: int, path: Sequence[bytes]) -> tuple[bytes, bytes]:
    """The old and the new root that a path leads to: steps 3 to 7 of RFC 9162 section 2.1.4.2."""
    if len(path) < 1:
        raise ProofError(f"empty consistency proof between {first} and {second}")
    position, last = first - 1, second - 1
    while position & 1:
        position, last = position >> 1, last >> 1
    old = new = path[0]
    for sibling in path[1:]:
        if last == 0:
            raise ProofError(f"consistency proof too long between {first} and {second}")
        if position & 1 or position == last:
            old, new = node_hash(sibling, old), node_hash(sibling, new)
            position, last = _climb_to_right_child(position, last)
        else:
            new = node_hash(new, sibling)
        position, last = position >> 1, last >> 1
    if last != 0:
        raise ProofError(f"consistency proof too short between {first} and {second}")
    return old, new


def _climb_to_right_child(position: int, last: int) -> tuple[int, int]:
    """Skip the levels where a node on the right edge has no sibling of its own."""
    while position and not position & 1:
        position, last = position >> 1, last >> 1
    return position, last


def _check_sizes(first: int, second: int) -> None:
    if first < 1:
        raise ProofError(f"there is no consistency proof from size {first}: use a size from 1")
    if first > second:
        raise ProofError(f"a tree of {second} leaves cannot continue one of {first}")


def _check_hashes(hashes: Iterable[bytes]) -> None:
    # Without this, bytes could be moved from one hash to its neighbor unnoticed.
    if any(len(each) != HASH_BYTES for each in hashes):
        raise ProofError(f"every hash of a proof must be {HASH_BYTES} bytes long")


def _inclusion_ranges(index: int, size: int) -> list[tuple[int, int]]:
    """Leaf ranges of the sibling subtrees, PATH(m, D[n]) of RFC 9162 section 2.1.3.1."""
    start, stop = 0, size
    ranges = []
    while stop - start > 1:
        middle = start + _split(stop - start)
        if index < middle:
            ranges.append((middle, stop))
            stop = middle
        else:
            ranges.append((start, middle))
            start = middle
    return ranges[::-1]


def _consistency_ranges(first: int, second: int) -> list[tuple[int, int]]:
    """Leaf ranges of the subtrees, SUBPROOF(m, D[n], b) of RFC 9162 section 2.1.4.1."""
    start, stop = 0, second
    ranges = []
    while stop != first:
        middle = start + _split(stop - start)
        if first <= middle:
            ranges.append((middle, stop))
            stop = middle
        else:
            ranges.append((start, middle))
            start = middle
    if start:
        # The RFC's b: only where nothing lies to the left is this hash the old root itself.
        ranges.append((start, stop))
    return ranges[::-1]


def _split(count: int) -> int:
    """The largest power of two smaller than `count`, for count > 1."""
    return 1 << (count - 1).bit_length() - 1


def _range_roots(ranges: Sequence[tuple[int, int]], reader: NodeReader) -> tuple[bytes, ...]:
    """Root over each leaf range, with all of them read together."""
    parts = [list(_complete_subtrees(start, stop)) for start, stop in ranges]
    hashes = _read_subtrees({each for part in parts for each in part}, reader)
    return tuple(root_of_peaks([hashes[each] for each in part]) for part in parts)


def _complete_subtrees(start: int, stop: int) -> Iterator[_Subtree]:
    """The complete subtrees that make up a range, largest (leftmost) first."""
    for height in subtree_heights(stop - start):
        yield height, start >> height
        start += 1 << height


def _read_subtrees(wanted: set[_Subtree], reader: NodeReader) -> dict[_Subtree, bytes]:
    """Roots of complete subtrees: stored ones in one call, small ones by one call a tile."""
    stored = sorted(each for each in wanted if each[0] >= TILE_HEIGHT)
    hashes = dict(reader.nodes(stored)) if stored else {}
    tiles: dict[int, list[_Subtree]] = {}
    for height, number in sorted(wanted.difference(stored)):
        tiles.setdefault(number >> TILE_HEIGHT - height, []).append((height, number))
    for small in tiles.values():
        hashes.update(_read_tile(small, reader))
    missing = wanted.difference(hashes)
    if missing:
        raise ProofError(f"nodes (height, number) not in the store: {sorted(missing)}")
    return hashes


def _read_tile(small: Sequence[_Subtree], reader: NodeReader) -> Iterator[tuple[_Subtree, bytes]]:
    """Roots of subtrees within one tile, from one read of its leaves."""
    first = min(number << height for height, number in small)
    stop = max(number + 1 << height for height, number in small)
    leaves = reader.leaf_hashes(first, stop)
    if len(leaves) != stop - first:
        raise ProofError(f"leaves {first} to {stop - 1} are not all in the store")
    for height, number in small:
        begin = (number << height) - first
        frontier, _ = Frontier().append_leaves(leaves[begin : begin + (1 << height)])
        yield (height, number), frontier.root()
