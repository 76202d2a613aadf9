"""Proofs that were tampered with: none of them is accepted."""

import random
from collections.abc import Callable, Iterator

import pytest

from ledger.tree.merkle import EMPTY_ROOT, leaf_hash, node_hash
from ledger.tree.proofs import (
    ProofError,
    consistency_proof,
    inclusion_proof,
    root_at,
    verify_consistency,
    verify_inclusion,
)
from tests.ledger.slow_merkle import SlowTree, StoredTree, records, sampled

# Around powers of two, at the edges of tiles, and where the right edge is ragged.
ATTACKED_SIZES = (1, 2, 3, 4, 5, 7, 8, 15, 16, 17, 255, 256, 257, 300)

Proof = tuple[bytes, ...]


def bit_flipped(proof: Proof) -> Iterator[Proof]:
    chance = random.Random(len(proof))
    for place, each in enumerate(proof):
        flipped = int.from_bytes(each, "big") ^ 1 << chance.randrange(256)
        yield *proof[:place], flipped.to_bytes(32, "big"), *proof[place + 1 :]


def hash_dropped(proof: Proof) -> Iterator[Proof]:
    return (proof[:place] + proof[place + 1 :] for place in range(len(proof)))


def hash_added(proof: Proof) -> Iterator[Proof]:
    for place in range(len(proof) + 1):
        for added in (bytes(32), EMPTY_ROOT, *proof):
            yield *proof[:place], added, *proof[place:]


def hashes_swapped(proof: Proof) -> Iterator[Proof]:
    for right in range(len(proof)):
        for left in range(right):
            swapped = list(proof)
            swapped[left], swapped[right] = proof[right], proof[left]
            yield tuple(swapped)


def proof_doubled(proof: Proof) -> Iterator[Proof]:
    if proof:
        yield proof + proof


def proof_emptied(proof: Proof) -> Iterator[Proof]:
    if proof:
        yield ()


def byte_moved_to_the_neighbor(proof: Proof) -> Iterator[Proof]:
    for place in range(1, len(proof)):
        left, right = proof[place - 1], proof[place]
        yield *proof[: place - 1], left[:-1], left[-1:] + right, *proof[place + 1 :]


ATTACKS = [bit_flipped, hash_dropped, hash_added, hashes_swapped, proof_doubled, proof_emptied]
ATTACKS += [byte_moved_to_the_neighbor]
each_attack = pytest.mark.parametrize("attack", ATTACKS)
Attack = Callable[[Proof], Iterator[Proof]]


class TestAttacks:
    @each_attack
    def test_a_tampered_inclusion_proof_is_refused(
        self, attack: Attack, slow: SlowTree, stored: StoredTree
    ) -> None:
        """No change of the list of hashes goes through, at any place, at any awkward size."""
        tried = 0
        for size in ATTACKED_SIZES:
            for index in sampled(size, 6):
                for tampered in attack(inclusion_proof(index, size, stored)):
                    with pytest.raises(ProofError):
                        verify_inclusion(
                            stored.leaves[index], index, size, tampered, slow.mth(0, size)
                        )
                    tried += 1
        assert tried > 50

    @each_attack
    def test_a_tampered_consistency_proof_is_refused(
        self, attack: Attack, slow: SlowTree, stored: StoredTree
    ) -> None:
        """No change of the list of hashes goes through, at any place, between awkward sizes."""
        tried = 0
        for second in ATTACKED_SIZES:
            for first in ATTACKED_SIZES[: ATTACKED_SIZES.index(second) + 1]:
                roots = slow.mth(0, first), slow.mth(0, second)
                for tampered in attack(consistency_proof(first, second, stored)):
                    with pytest.raises(ProofError):
                        verify_consistency(first, second, *roots, tampered)
                    tried += 1
        assert tried > 50

    def test_an_inclusion_proof_for_another_index_is_refused(
        self, slow: SlowTree, stored: StoredTree
    ) -> None:
        """The leaf's index one off, doubled, mirrored or moved by the size is another leaf's."""
        for size in ATTACKED_SIZES:
            for index in sampled(size, 6):
                proof, root = inclusion_proof(index, size, stored), slow.mth(0, size)
                claims = {index - 1, index + 1, index * 2, size - 1 - index, index + size}
                for claimed in claims - {index}:
                    with pytest.raises(ProofError):
                        verify_inclusion(stored.leaves[index], claimed, size, proof, root)

    def test_an_inclusion_proof_for_another_size_is_refused(
        self, slow: SlowTree, stored: StoredTree
    ) -> None:
        """Size one off or doubled: the root that a checkpoint has for that size does not fit."""
        for size in ATTACKED_SIZES:
            for index in sampled(size, 6):
                proof = inclusion_proof(index, size, stored)
                for claimed in (size - 1, size + 1, size * 2):
                    with pytest.raises(ProofError):
                        verify_inclusion(
                            stored.leaves[index], index, claimed, proof, slow.mth(0, claimed)
                        )

    def test_a_consistency_proof_for_other_sizes_is_refused(
        self, slow: SlowTree, stored: StoredTree
    ) -> None:
        """Either size one off or doubled does not fit the roots that belong to the sizes."""
        for second in ATTACKED_SIZES[1:]:
            for first in ATTACKED_SIZES[: ATTACKED_SIZES.index(second)]:
                proof = consistency_proof(first, second, stored)
                claims = [(each, second) for each in (first - 1, first + 1, first * 2)]
                claims += [(first, each) for each in (second - 1, second + 1, second * 2)]
                for old, new in claims:
                    roots = slow.mth(0, old), slow.mth(0, new)
                    with pytest.raises(ProofError):
                        verify_consistency(old, new, *roots, proof)

    def test_a_proof_with_the_root_or_leaf_of_something_else_is_refused(
        self, slow: SlowTree, stored: StoredTree
    ) -> None:
        """Another leaf, another tree's root, roots in the wrong order: all refused."""
        leaf, other = stored.leaves[5], stored.leaves[6]
        old, new = slow.mth(0, 12), slow.mth(0, 21)
        inclusion = inclusion_proof(5, 21, stored)
        consistency = consistency_proof(12, 21, stored)
        for wrong_leaf, wrong_root in ((other, new), (leaf, old), (leaf[:-1], new), (leaf, b"")):
            with pytest.raises(ProofError):
                verify_inclusion(wrong_leaf, 5, 21, inclusion, wrong_root)
        for first_root, second_root in ((new, old), (new, new), (old, old), (b"", new)):
            with pytest.raises(ProofError):
                verify_consistency(12, 21, first_root, second_root, consistency)

    def test_two_histories_of_the_same_size_are_refused(self, slow: SlowTree) -> None:
        """At equal sizes only equal roots, and only the empty proof, are consistent."""
        root, fork = slow.mth(0, 9), SlowTree([b"forged", *records(9)[1:]]).mth(0, 9)
        verify_consistency(9, 9, root, root, ())
        with pytest.raises(ProofError, match="different roots"):
            verify_consistency(9, 9, root, fork, ())
        with pytest.raises(ProofError, match="must be empty"):
            verify_consistency(9, 9, root, root, (root,))

    @pytest.mark.parametrize("rewritten", [0, 5, 11])
    def test_a_rewritten_history_does_not_continue_the_old_one(
        self, rewritten: int, slow: SlowTree
    ) -> None:
        """With one old record changed, no honest proof of the new tree reaches the old root."""
        forged = records(40)
        forged[rewritten] = b"forged"
        fork = StoredTree([leaf_hash(each) for each in forged])
        for second in range(12, 41):
            with pytest.raises(ProofError):
                verify_consistency(
                    12,
                    second,
                    slow.mth(0, 12),
                    root_at(second, fork),
                    consistency_proof(12, second, fork),
                )

    def test_a_byte_moved_between_a_leaf_and_its_sibling_is_refused(
        self, stored: StoredTree
    ) -> None:
        """The node above would hash the same bytes, so a wrong leaf would seem to be there."""
        left, right = stored.leaves[:2]
        root = root_at(2, stored)
        verify_inclusion(left, 0, 2, (right,), root)
        with pytest.raises(ProofError, match="32 bytes"):
            verify_inclusion(left + right[:1], 0, 2, (right[1:],), root)

    def test_a_byte_moved_between_the_old_root_and_the_proof_is_refused(
        self, slow: SlowTree, stored: StoredTree
    ) -> None:
        """The new root would hash the same bytes, so a wrong old root would seem to fit."""
        old, new, added = slow.mth(0, 2), slow.mth(0, 3), stored.leaves[2]
        verify_consistency(2, 3, old, new, (added,))
        with pytest.raises(ProofError, match="32 bytes"):
            verify_consistency(2, 3, old + added[:1], new, (added[1:],))

    def test_a_proof_of_the_wrong_length_is_named_as_such(
        self, slow: SlowTree, stored: StoredTree
    ) -> None:
        """Too long and too short are told apart from hashes that do not fit."""
        inclusion, consistency = inclusion_proof(2, 5, stored), consistency_proof(3, 5, stored)
        old, new = slow.mth(0, 3), slow.mth(0, 5)
        with pytest.raises(ProofError, match="too long"):
            verify_inclusion(stored.leaves[2], 2, 5, (*inclusion, new), new)
        with pytest.raises(ProofError, match="too short"):
            verify_inclusion(stored.leaves[2], 2, 5, inclusion[:-1], new)
        with pytest.raises(ProofError, match="too long"):
            verify_consistency(3, 5, old, new, (*consistency, new))
        with pytest.raises(ProofError, match="too short"):
            verify_consistency(3, 5, old, new, consistency[:-1])

    def test_an_interior_node_cannot_be_passed_off_as_a_record(self, stored: StoredTree) -> None:
        """A record made of two hashes does not hash like the node above them, nor as a leaf."""
        left, right = stored.leaves[:2]
        assert leaf_hash(left + right) != node_hash(left, right)
        root = root_at(4, stored)
        above = inclusion_proof(0, 4, stored)[1:]
        with pytest.raises(ProofError, match="too short"):
            verify_inclusion(node_hash(left, right), 0, 4, above, root)
