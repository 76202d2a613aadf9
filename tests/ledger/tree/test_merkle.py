"""The tree and its proofs: against published vectors, the RFC's text, another library, attacks."""

import json
import random
from base64 import b64decode
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pymerkle import InmemoryTree  # type: ignore[import-untyped]

from ledger.tree.merkle import EMPTY_ROOT, TILE_HEIGHT, Frontier, Node, leaf_hash, node_hash
from ledger.tree.proofs import (
    ProofError,
    consistency_proof,
    inclusion_proof,
    root_at,
    verify_consistency,
    verify_inclusion,
)
from tests.ledger.slow_merkle import SlowTree, StoredTree

LOG = json.loads((Path(__file__).parents[1] / "vectors.json").read_text())["log"]
PUBLISHED = [text.encode() for text in LOG["leaves_ascii"]]
SMALL = 300
LARGE = 70_001
# Around powers of two, at the edges of tiles, and where the right edge is ragged.
ATTACKED_SIZES = (1, 2, 3, 4, 5, 7, 8, 15, 16, 17, 255, 256, 257, 300)

Proof = tuple[bytes, ...]


def records(count: int) -> list[bytes]:
    return [b"record %d" % number for number in range(count)]


@pytest.fixture(scope="module")
def slow() -> SlowTree:
    return SlowTree(records(LARGE))


@pytest.fixture(scope="module")
def stored() -> StoredTree:
    return StoredTree([leaf_hash(each) for each in records(LARGE)])


@pytest.fixture(scope="module")
def other_library() -> InmemoryTree:
    tree = InmemoryTree(algorithm="sha256")
    tree.append_entries(records(LARGE))
    return tree


def sampled(size: int, count: int) -> list[int]:
    """Both ends, and some indexes in between."""
    chosen = random.Random(size).sample(range(size), min(count, size))
    return sorted({0, size - 1, *chosen})


class TestPublishedVectors:
    def test_roots_are_those_of_the_published_checkpoints(self) -> None:
        """The published log's records give the roots of its checkpoints, empty one included."""
        for checkpoint in LOG["checkpoints"]:
            leaves = [leaf_hash(each) for each in PUBLISHED[: checkpoint["size"]]]
            frontier, _ = Frontier().append_leaves(leaves)
            assert frontier.root() == b64decode(checkpoint["root"])

    def test_inclusion_proof_is_the_published_one_and_verifies(self) -> None:
        """The proof for the third of five records comes out byte for byte, and is accepted."""
        vector = LOG["inclusion"]
        index, size = vector["index"], vector["size"]
        tree = StoredTree([leaf_hash(each) for each in PUBLISHED])
        proof = tuple(b64decode(each) for each in vector["proof"])
        assert leaf_hash(PUBLISHED[index]) == b64decode(vector["leaf_hash"])
        assert inclusion_proof(index, size, tree) == proof
        root = b64decode(LOG["checkpoints"][2]["root"])
        verify_inclusion(b64decode(vector["leaf_hash"]), index, size, proof, root)

    def test_consistency_proof_is_the_published_one_and_verifies(self) -> None:
        """The proof between 5 and 15 records comes out byte for byte, and is accepted."""
        vector = LOG["consistency"]
        tree = StoredTree([leaf_hash(each) for each in PUBLISHED])
        proof = tuple(b64decode(each) for each in vector["proof"])
        assert consistency_proof(vector["from"], vector["to"], tree) == proof
        roots = {each["size"]: b64decode(each["root"]) for each in LOG["checkpoints"]}
        verify_consistency(5, 15, roots[5], roots[15], proof)


class TestGrowth:
    def test_every_small_root_is_that_of_the_rfc_and_of_another_library(
        self, slow: SlowTree, stored: StoredTree, other_library: InmemoryTree
    ) -> None:
        """Appended leaf by leaf, the tree has the right root at every size from 0 to 300."""
        frontier = Frontier()
        assert frontier.root() == EMPTY_ROOT
        for size in range(1, SMALL + 1):
            frontier, _ = frontier.append_leaves([stored.leaves[size - 1]])
            assert frontier.root() == slow.mth(0, size) == other_library.get_root(size)
            assert root_at(size, stored) == frontier.root()
            assert Frontier.from_bytes(size, frontier.to_bytes()) == frontier

    def test_appending_in_any_portions_gives_the_same_tree_and_the_same_nodes(
        self, stored: StoredTree
    ) -> None:
        """Portions of 0 to 700 leaves complete the same subtrees, in the order of single ones."""
        leaves, chance = stored.leaves[:3000], random.Random(6962)
        single, single_nodes = Frontier(), list[Node]()
        for each in leaves:
            single, completed = single.append_leaves([each])
            single_nodes += completed
        portioned, portioned_nodes = Frontier(), list[Node]()
        while portioned.size < len(leaves):
            portion = leaves[portioned.size :][: chance.choice([0, 1, 2, 255, 256, 257, 700])]
            portioned, completed = portioned.append_leaves(portion)
            portioned_nodes += completed
        assert portioned == single
        assert portioned_nodes == single_nodes

    def test_every_complete_subtree_of_a_tile_or_more_is_handed_out_once(
        self, slow: SlowTree
    ) -> None:
        """The nodes to store are exactly the RFC's complete subtrees of 256 leaves or more."""
        size = 5000
        _, completed = Frontier().append_leaves([leaf_hash(each) for each in records(size)])
        expected = {
            (height, number): slow.mth(number << height, (number + 1) << height)
            for height in range(TILE_HEIGHT, size.bit_length())
            for number in range(size >> height)
        }
        assert {(node.height, node.number): node.hash for node in completed} == expected
        assert len(completed) == len(expected)

    @pytest.mark.parametrize(
        ("size", "length"), [(0, 32), (1, 0), (1, 31), (1, 33), (1, 64), (3, 32), (256, 256 * 32)]
    )
    def test_a_stored_frontier_of_the_wrong_length_is_refused(self, size: int, length: int) -> None:
        """A frontier must hold one whole hash for every 1 bit of its size."""
        with pytest.raises(ValueError, match="frontier"):
            Frontier.from_bytes(size, bytes(length))

    def test_a_tree_of_negative_size_is_refused(self, stored: StoredTree) -> None:
        """Sizes start at 0."""
        with pytest.raises(ValueError, match="-1"):
            Frontier(-1, (EMPTY_ROOT,))
        with pytest.raises(ProofError, match="-1"):
            root_at(-1, stored)

    @pytest.mark.parametrize("length", [0, 31, 33])
    def test_a_leaf_that_is_no_hash_is_refused(self, length: int) -> None:
        """Whoever appends records instead of leaf hashes must hear of it."""
        with pytest.raises(ValueError, match="leaf hash"):
            Frontier().append_leaves([bytes(length)])


class TestProofs:
    def test_every_small_inclusion_proof_is_that_of_the_rfc_and_verifies(
        self, slow: SlowTree, stored: StoredTree
    ) -> None:
        """At every size up to 300, leaves (all of them up to 40) have the RFC's audit path."""
        for size in range(1, SMALL + 1):
            root = slow.mth(0, size)
            for index in sampled(size, 40):
                proof = inclusion_proof(index, size, stored)
                assert list(proof) == slow.path(index, 0, size)
                verify_inclusion(stored.leaves[index], index, size, proof, root)

    def test_every_small_consistency_proof_is_that_of_the_rfc_and_verifies(
        self, slow: SlowTree, stored: StoredTree
    ) -> None:
        """At every size up to 300, older sizes (all up to 40) have the RFC's consistency proof."""
        for second in range(1, SMALL + 1):
            for first in [each + 1 for each in sampled(second, 40)]:
                proof = consistency_proof(first, second, stored)
                assert list(proof) == slow.proof(first, second)
                verify_consistency(first, second, slow.mth(0, first), slow.mth(0, second), proof)

    def test_another_library_makes_the_same_inclusion_proofs(
        self, stored: StoredTree, other_library: InmemoryTree
    ) -> None:
        """The path of pymerkle is the leaf and then ours, at all small and random large sizes."""
        sizes = [*range(1, SMALL + 1), *random.Random(1).sample(range(SMALL, LARGE), 50), LARGE]
        for size in sizes:
            for index in sampled(size, 5):
                theirs = other_library.prove_inclusion(index + 1, size).path
                ours = inclusion_proof(index, size, stored)
                assert theirs == [stored.leaves[index], *ours]

    def test_large_consistency_proofs_are_those_of_the_rfc(
        self, slow: SlowTree, stored: StoredTree, other_library: InmemoryTree
    ) -> None:
        """At random large sizes the proof is the RFC's, between roots that pymerkle has too."""
        chance = random.Random(9162)
        for _ in range(200):
            first, second = sorted(chance.choices(range(1, LARGE + 1), k=2))
            proof = consistency_proof(first, second, stored)
            assert list(proof) == slow.proof(first, second)
            roots = other_library.get_root(first), other_library.get_root(second)
            verify_consistency(first, second, *roots, proof)

    @pytest.mark.parametrize("size", [255, 256, 257, 65_535, 65_536, 65_537, LARGE])
    def test_a_proof_reads_two_tiles_of_leaves_and_few_nodes(
        self, size: int, stored: StoredTree
    ) -> None:
        """Reads grow with the logarithm of the size: two leaf ranges, and one call for nodes."""
        for index in sampled(size, 20)[1:]:
            for make in (inclusion_proof, consistency_proof):
                stored.leaf_reads, stored.node_reads = [], []
                make(index, size, stored)
                assert len(stored.leaf_reads) <= 2
                assert max(stored.leaf_reads, default=0) <= 1 << TILE_HEIGHT
                assert len(stored.node_reads) <= 1
                assert sum(stored.node_reads) <= 2 * size.bit_length()

    @pytest.mark.parametrize(("index", "size"), [(-1, 5), (5, 5), (6, 5), (0, 0)])
    def test_a_leaf_that_the_tree_does_not_have_cannot_be_proved(
        self, index: int, size: int, stored: StoredTree
    ) -> None:
        """Neither made nor accepted: an index outside 0 to size - 1."""
        with pytest.raises(ProofError, match="has no leaf"):
            inclusion_proof(index, size, stored)
        with pytest.raises(ProofError, match="has no leaf"):
            verify_inclusion(EMPTY_ROOT, index, size, (), EMPTY_ROOT)

    @pytest.mark.parametrize(("first", "second"), [(0, 0), (0, 5), (-1, 5), (6, 5)])
    def test_consistency_from_size_zero_or_backwards_cannot_be_proved(
        self, first: int, second: int, stored: StoredTree
    ) -> None:
        """Neither made nor accepted: the empty tree is a prefix of all, which proves nothing."""
        with pytest.raises(ProofError, match=r"size 0|size -1|continue"):
            consistency_proof(first, second, stored)
        with pytest.raises(ProofError, match=r"size 0|size -1|continue"):
            verify_consistency(first, second, EMPTY_ROOT, EMPTY_ROOT, ())

    def test_a_missing_node_or_leaf_is_named_instead_of_proved_around(
        self, stored: StoredTree
    ) -> None:
        """A hole in the store is an error that says where it is."""
        holed = StoredTree(stored.leaves[:1000])
        del holed.stored[8, 1]
        with pytest.raises(ProofError, match=r"\[\(8, 1\)\]"):
            inclusion_proof(0, 600, holed)
        with pytest.raises(ProofError, match="leaves 1024 to 1039"):
            inclusion_proof(1032, 1040, holed)


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


def byte_moved_to_the_neighbour(proof: Proof) -> Iterator[Proof]:
    for place in range(1, len(proof)):
        left, right = proof[place - 1], proof[place]
        yield *proof[: place - 1], left[:-1], left[-1:] + right, *proof[place + 1 :]


ATTACKS = [bit_flipped, hash_dropped, hash_added, hashes_swapped, proof_doubled, proof_emptied]
ATTACKS += [byte_moved_to_the_neighbour]
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
