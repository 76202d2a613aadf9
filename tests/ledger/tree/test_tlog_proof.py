"""Proof files: the published log's, every malformed spelling, and proofs of something else."""

import json
from base64 import b64decode, b64encode
from dataclasses import replace
from pathlib import Path

import pytest

from ledger.tree.checkpoint import (
    MAX_SIZE,
    Checkpoint,
    CheckpointError,
    TlogProof,
    cosign_checkpoint,
    sign_checkpoint,
)
from ledger.tree.merkle import EMPTY_ROOT, leaf_hash
from ledger.tree.proofs import ProofError, inclusion_proof, root_at
from ledger.tree.signed_note import NoteError, SignatureType, SignerKey, VerifierKey, generate_key
from tests.ledger.slow_merkle import StoredTree

LOG = json.loads((Path(__file__).parents[1] / "vectors.json").read_text())["log"]
INCLUSION = LOG["inclusion"]
LEAF = b64decode(INCLUSION["leaf_hash"])
LOG_KEY = SignerKey.parse(LOG["skey"])
LOG_VKEY = VerifierKey.parse(LOG["vkey"])
WITNESS = generate_key("witness.example/w1", bytes(32), SignatureType.COSIGNATURE)

# As text, put together by hand from published parts: size 5 is the third checkpoint.
CHECKPOINT = "{name}\n5\n{root}\n\n— {name} {signature}\n".format(
    name=LOG["name"], **{key: LOG["checkpoints"][2][key] for key in ("root", "signature")}
)
HASHES = "".join(f"{each}\n" for each in INCLUSION["proof"])
FILE = f"c2sp.org/tlog-proof@v1\nindex 2\n{HASHES}\n{CHECKPOINT}"
PROOF = TlogProof(2, tuple(b64decode(each) for each in INCLUSION["proof"]), CHECKPOINT.encode())


class TestForm:
    def test_the_published_proof_is_read_written_and_verified(self) -> None:
        """The file made of published parts is ours byte for byte, and proves the record."""
        read = TlogProof.from_bytes(FILE.encode())
        assert read == PROOF
        assert read.to_bytes() == FILE.encode()
        opened = read.verify(leaf_hash(LOG["leaves_ascii"][2].encode()), LOG_VKEY)
        assert opened.checkpoint.size == 5

    def test_extra_data_is_carried_along(self) -> None:
        """An application's own bytes come back, whatever they are."""
        extra = bytes(range(256))
        data = replace(PROOF, extra=extra).to_bytes()
        assert data.startswith(b"c2sp.org/tlog-proof@v1\nextra AAEC")
        assert TlogProof.from_bytes(data) == replace(PROOF, extra=extra)

    def test_a_log_of_one_record_has_a_proof_without_hashes(self) -> None:
        """The empty line follows the index at once."""
        tree = StoredTree([leaf_hash(b"only")])
        checkpoint = Checkpoint(LOG["name"], 1, root_at(1, tree))
        proof = TlogProof(0, inclusion_proof(0, 1, tree), sign_checkpoint(checkpoint, LOG_KEY))
        assert proof.to_bytes().startswith(b"c2sp.org/tlog-proof@v1\nindex 0\n\n")
        read = TlogProof.from_bytes(proof.to_bytes())
        assert read.verify(tree.leaves[0], LOG_VKEY).checkpoint == checkpoint

    @pytest.mark.parametrize(
        ("old", "new"),
        [
            ("c2sp.org/tlog-proof@v1\n", ""),
            ("c2sp.org/tlog-proof@v1", "c2sp.org/tlog-proof@v2"),
            ("c2sp.org/tlog-proof@v1", "C2SP.org/tlog-proof@v1"),
            ("c2sp.org", "\ufeffc2sp.org"),
            ("@v1\n", "@v1 \n"),
            ("@v1\n", "@v1\n\n"),
            ("\n", "\r\n"),
            ("index 2\n", ""),
            ("index 2\n", "index 2\nindex 2\n"),
            ("index 2", "index 02"),
            ("index 2", "index +2"),
            ("index 2", "index -2"),
            ("index 2", "index  2"),
            ("index 2", "index 2 "),
            ("index 2", "index \u0662"),
            ("index 2", "index"),
            ("index 2", "index "),
            ("index 2", "Index 2"),
            ("index 2", f"index {2**63}"),
            ("index 2", f"index {'9' * 5000}"),
            ("index 2", "extra\nindex 2"),
            ("index 2", "extra \nindex 2"),
            ("index 2", "extra AA=\nindex 2"),
            ("index 2", "extra AB==\nindex 2"),
            ("index 2", "extra AA==\nextra AA==\nindex 2"),
            ("index 2\n", "index 2\nextra AA==\n"),
            (HASHES, f"\n{HASHES}"),
            (HASHES, f"{HASHES}\n\n"),
            (HASHES, HASHES.replace("=\n", "\n")),
            (HASHES, HASHES.replace("o=\n", "p=\n")),
            (HASHES, HASHES.replace("\n", " \n")),
            (HASHES, HASHES + b64encode(bytes(31)).decode() + "\n"),
            (HASHES, HASHES + b64encode(bytes(33)).decode() + "\n"),
            (f"\n{CHECKPOINT}", ""),
            (f"\n{CHECKPOINT}", "\n"),
            (f"\n{CHECKPOINT}", CHECKPOINT),
            (CHECKPOINT, f"\n{CHECKPOINT}"),
            (CHECKPOINT, CHECKPOINT[:-1]),
            (CHECKPOINT, f"{CHECKPOINT}\n"),
            (CHECKPOINT, f"{CHECKPOINT}more\n"),
            (CHECKPOINT, CHECKPOINT * 2),
            (CHECKPOINT, CHECKPOINT.partition("\n\n")[0] + "\n"),
        ],
    )
    def test_a_file_that_is_not_exactly_a_proof_is_refused(self, old: str, new: str) -> None:
        """Other headers, lines missing, repeated, moved or spelled otherwise, and trailing data."""
        assert old in FILE
        with pytest.raises(NoteError):
            TlogProof.from_bytes(FILE.replace(old, new).encode())

    def test_a_proof_that_could_not_be_read_is_not_made(self) -> None:
        """The rules hold for writing as for reading."""
        for wrong in (
            {"index": -1},
            {"index": MAX_SIZE + 1},
            {"proof": (bytes(31),)},
            {"extra": b""},
            {"checkpoint": b"hello\n"},
            {"checkpoint": CHECKPOINT.encode().replace(b"\n5\n", b"\n05\n")},
        ):
            with pytest.raises(NoteError):
                replace(PROOF, **wrong)


class TestAttacks:
    @pytest.mark.slow
    def test_a_proof_file_changed_by_one_byte_is_refused(self) -> None:
        """Every bit of every byte counts, from the header to the last newline."""
        data = FILE.encode()
        for place in range(len(data)):
            for bit in range(8):
                changed = bytearray(data)
                changed[place] ^= 1 << bit
                with pytest.raises((NoteError, ProofError)):
                    TlogProof.from_bytes(bytes(changed)).verify(LEAF, LOG_VKEY)

    def test_a_proof_of_another_record_is_refused(self) -> None:
        """The same file does not prove the records beside it, nor one that never was."""
        for record in (b"two", b"four", b"THREE", b""):
            with pytest.raises(ProofError):
                PROOF.verify(leaf_hash(record), LOG_VKEY)

    @pytest.mark.parametrize("index", [0, 1, 3, 4, 5, MAX_SIZE])
    def test_a_record_moved_to_another_place_is_refused(self, index: int) -> None:
        """One off, doubled, outside the tree: the index is proved too."""
        with pytest.raises(ProofError):
            replace(PROOF, index=index).verify(LEAF, LOG_VKEY)

    def test_hashes_dropped_added_or_swapped_are_refused(self) -> None:
        """The list of hashes has one form."""
        one, two, three = PROOF.proof
        for proof in ((), (one, two), (two, three), (two, one, three), (*PROOF.proof, EMPTY_ROOT)):
            with pytest.raises(ProofError):
                replace(PROOF, proof=proof).verify(LEAF, LOG_VKEY)

    def test_a_proof_under_a_checkpoint_of_another_size_is_refused(self) -> None:
        """Rightly signed checkpoints of the same log, but with other roots."""
        for vector in (LOG["checkpoints"][1], LOG["checkpoints"][3]):
            other = Checkpoint(LOG["name"], vector["size"], b64decode(vector["root"]))
            moved = replace(PROOF, checkpoint=sign_checkpoint(other, LOG_KEY))
            with pytest.raises(ProofError):
                moved.verify(LEAF, LOG_VKEY)

    def test_a_proof_under_a_checkpoint_of_another_key_is_refused(self) -> None:
        """The key comes from the auditor: one that comes with the proof proves nothing."""
        impostor = generate_key(LOG["name"], bytes(32))
        checkpoint = Checkpoint(LOG["name"], 5, b64decode(LOG["checkpoints"][2]["root"]))
        forged = replace(PROOF, checkpoint=sign_checkpoint(checkpoint, impostor))
        with pytest.raises(NoteError, match="not signed by any"):
            forged.verify(LEAF, LOG_VKEY)

    def test_a_witnessed_proof_reports_its_witnesses(self) -> None:
        """Cosignatures under the checkpoint are verified along with it, and wrong ones refused."""
        cosigned = cosign_checkpoint(PROOF.checkpoint, LOG_VKEY, WITNESS, 1)
        read = TlogProof.from_bytes(replace(PROOF, checkpoint=cosigned).to_bytes())
        opened = read.verify(LEAF, LOG_VKEY, [WITNESS.verifier()])
        assert [each.key.name for each in opened.cosignatures] == [WITNESS.name]
        line = cosigned.removeprefix(PROOF.checkpoint)
        tree_of_one = Checkpoint(LOG["name"], 1, b64decode(LOG["checkpoints"][1]["root"]))
        moved = replace(PROOF, checkpoint=sign_checkpoint(tree_of_one, LOG_KEY) + line)
        with pytest.raises(NoteError, match="w1"):
            moved.verify(LEAF, LOG_VKEY, [WITNESS.verifier()])

    def test_a_malformed_proof_is_one_kind_of_error(self) -> None:
        """A malformed file is told from a false claim, which is a ProofError."""
        with pytest.raises(CheckpointError):
            TlogProof.from_bytes(b"hello")
        with pytest.raises(CheckpointError):
            TlogProof.from_bytes(FILE.encode().replace(b"index", b"ind\xe9x"))
