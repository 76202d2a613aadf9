"""The tree and its proofs: against published vectors, the RFC's text, another library, attacks."""

import json
import random
from base64 import b64decode
from pathlib import Path

import pytest
from pymerkle import InmemoryTree  # type: ignore[import-untyped]

from ledger.tree.merkle import EMPTY_ROOT, TILE_HEIGHT, Frontier, Node, leaf_hash
from ledger.tree.proofs import (
    ProofError,
    consistency_proof,
    inclusion_proof,
    root_at,
    verify_consistency,
    verify_inclusion,
)
from tests.ledger.slow_merkle import LARGE, SlowTree, StoredTree, records, sampled

LOG = json.loads((Path(__file__).parents[1] / "vectors.json").read_text())["log"]
PUBLISHED = [text.encode() for text in LOG["leaves_ascii"]]
SMALL = 300


@pytest.fixture(scope="module")
def other_library() -> InmemoryTree:
    tree = InmemoryTree(algorithm="sha256")
    tree.append_entries(records(LARGE))
    return tree


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
    @pytest.mark.slow
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
    @pytest.mark.slow
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

    @pytest.mark.slow
    def test_every_small_consistency_proof_is_that_of_the_rfc_and_verifies(
        self, slow: SlowTree, stored: StoredTree
    ) -> None:
        """At every size up to 300, older sizes (all up to 40) have the RFC's consistency proof."""
        for second in range(1, SMALL + 1):
            for first in [each + 1 for each in sampled(second, 40)]:
                proof = consistency_proof(first, second, stored)
                assert list(proof) == slow.proof(first, second)
                verify_consistency(first, second, slow.mth(0, first), slow.mth(0, second), proof)

    @pytest.mark.slow
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

    @pytest.mark.slow
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
