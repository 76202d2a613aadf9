"""Checkpoints: against published vectors, malformed texts, strangers, forks and rollbacks."""

import json
from base64 import b64decode, b64encode
from pathlib import Path
from typing import Any

import pytest

from ledger.tree.checkpoint import (
    MAX_SIZE,
    Checkpoint,
    CheckpointError,
    cosign_checkpoint,
    open_checkpoint,
    sign_checkpoint,
)
from ledger.tree.merkle import EMPTY_ROOT, leaf_hash
from ledger.tree.proofs import ProofError, consistency_proof, root_at
from ledger.tree.signed_note import (
    Note,
    NoteError,
    SignatureType,
    SignerKey,
    VerifierKey,
    generate_key,
)
from tests.ledger.slow_merkle import StoredTree

LOG = json.loads((Path(__file__).parents[1] / "vectors.json").read_text())["log"]
LOG_KEY = SignerKey.parse(LOG["skey"])
LOG_VKEY = VerifierKey.parse(LOG["vkey"])
WITNESS = generate_key("witness.example/w1", bytes(32), SignatureType.COSIGNATURE)
OTHER_WITNESS = generate_key("witness.example/w2", bytes(32), SignatureType.COSIGNATURE)
TIME_SECONDS = 1_679_315_147
ROOT = "gy5gl3aksFyiCO95a/1vLXz88A3dRq+0l9Sxte8ZqZQ="

each_vector = pytest.mark.parametrize("vector", LOG["checkpoints"], ids=lambda each: each["size"])


def checkpoint_of(vector: dict[str, Any]) -> Checkpoint:
    return Checkpoint(LOG["name"], vector["size"], b64decode(vector["root"]))


SIGNED = sign_checkpoint(checkpoint_of(LOG["checkpoints"][2]), LOG_KEY)


def signed_as_it_is(text: str, key: SignerKey = LOG_KEY) -> bytes:
    return Note(text, (key.sign(text),)).to_bytes()


class TestPublishedVectors:
    @each_vector
    def test_a_published_checkpoint_is_made_and_opened(self, vector: dict[str, Any]) -> None:
        """Origin, size and root give the published text and signature; both lead back."""
        checkpoint = checkpoint_of(vector)
        data = sign_checkpoint(checkpoint, LOG_KEY)
        text = f"{LOG['name']}\n{vector['size']}\n{vector['root']}\n"
        assert data.startswith(f"{text}\n— {LOG['name']} ".encode())
        if "signature" in vector:
            assert data == f"{text}\n— {LOG['name']} {vector['signature']}\n".encode()
        opened = open_checkpoint(data, LOG_VKEY)
        assert opened.checkpoint == checkpoint
        assert opened.cosignatures == ()


class TestForm:
    @pytest.mark.parametrize(
        "text",
        [
            "",
            "\n",
            f"origin\n5\n{ROOT}",
            "origin\n5\n",
            f"\n5\n{ROOT}\n",
            f"origin\n\n{ROOT}\n",
            "origin\n5\n\n",
            f"origin\n5\n{ROOT}\n\n",
            f"origin\n5\n{ROOT}\n\nextension\n",
            f"origin\n05\n{ROOT}\n",
            f"origin\n00\n{b64encode(EMPTY_ROOT).decode()}\n",
            f"origin\n+5\n{ROOT}\n",
            f"origin\n-5\n{ROOT}\n",
            f"origin\n 5\n{ROOT}\n",
            f"origin\n5 \n{ROOT}\n",
            f"origin\n5_0\n{ROOT}\n",
            f"origin\n0x5\n{ROOT}\n",
            f"origin\n\u0665\n{ROOT}\n",
            f"origin\n{2**63}\n{ROOT}\n",
            f"origin\n{'9' * 5000}\n{ROOT}\n",
            f"origin\n5\n{ROOT[:-2]}R=\n",
            f"origin\n5\n{ROOT[:-1]}\n",
            f"origin\n5\n{ROOT}=\n",
            f"origin\n5\n {ROOT}\n",
            f"origin\n5\n{ROOT.replace('/', '_').replace('+', '-')}\n",
            f"origin\n5\n{b64encode(bytes(31)).decode()}\n",
            f"origin\n5\n{b64encode(bytes(33)).decode()}\n",
            f"origin\n0\n{ROOT}\n",
        ],
    )
    def test_a_text_that_is_not_exactly_a_checkpoint_is_refused(self, text: str) -> None:
        """Missing or empty lines, numbers and hashes in another spelling, an impossible root."""
        with pytest.raises(NoteError):
            Checkpoint.from_text(text)

    def test_extension_lines_are_kept_and_signed(self) -> None:
        """Lines after the root come back as they were; they are covered by the signature."""
        checkpoint = Checkpoint(LOG["name"], MAX_SIZE, bytes(32), ("one", "two words — more"))
        data = sign_checkpoint(checkpoint, LOG_KEY)
        assert open_checkpoint(data, LOG_VKEY).checkpoint == checkpoint
        with pytest.raises(NoteError):
            open_checkpoint(data.replace(b"one", b"0ne"), LOG_VKEY)

    @pytest.mark.parametrize(
        ("origin", "size", "root", "extensions"),
        [
            ("", 1, bytes(32), ()),
            ("a\nb", 1, bytes(32), ()),
            ("a", -1, bytes(32), ()),
            ("a", 2**63, bytes(32), ()),
            ("a", 1, bytes(31), ()),
            ("a", 0, bytes(32), ()),
            ("a", 1, bytes(32), ("",)),
            ("a", 1, bytes(32), ("b\nc",)),
        ],
    )
    def test_a_checkpoint_that_could_not_be_read_is_not_made(
        self, origin: str, size: int, root: bytes, extensions: tuple[str, ...]
    ) -> None:
        """The rules hold for writing as for reading."""
        with pytest.raises(CheckpointError):
            Checkpoint(origin, size, root, extensions)


class TestSigners:
    def test_a_checkpoint_changed_by_one_byte_is_refused(self) -> None:
        """Every bit of every byte counts, in the text, the separator and the signature."""
        for place in range(len(SIGNED)):
            for bit in range(8):
                changed = bytearray(SIGNED)
                changed[place] ^= 1 << bit
                with pytest.raises(NoteError):
                    open_checkpoint(bytes(changed), LOG_VKEY)

    def test_a_checkpoint_of_another_log_signed_with_our_key_is_refused(self) -> None:
        """The origin must be the key's name, when signing and when opening."""
        checkpoint = Checkpoint("another.example/log", 5, b64decode(ROOT))
        with pytest.raises(CheckpointError, match=r"another\.example"):
            sign_checkpoint(checkpoint, LOG_KEY)
        with pytest.raises(CheckpointError, match=r"another\.example"):
            open_checkpoint(signed_as_it_is(checkpoint.to_text()), LOG_VKEY)

    def test_a_checkpoint_signed_with_a_swapped_key_is_refused(self) -> None:
        """A new key under the log's name is another key: its id differs."""
        impostor = generate_key(LOG["name"], bytes(32))
        data = sign_checkpoint(checkpoint_of(LOG["checkpoints"][2]), impostor)
        with pytest.raises(NoteError, match="not signed by any"):
            open_checkpoint(data, LOG_VKEY)

    def test_a_signed_text_that_is_no_checkpoint_is_refused(self) -> None:
        """A right signature does not make a checkpoint of any text."""
        with pytest.raises(CheckpointError, match="at least"):
            open_checkpoint(signed_as_it_is("hello\n"), LOG_VKEY)

    def test_a_witness_key_cannot_pose_as_a_log_nor_a_log_key_as_a_witness(self) -> None:
        """The two make different statements, so each key has one role."""
        witness = generate_key(LOG["name"], bytes(32), SignatureType.COSIGNATURE)
        checkpoint = checkpoint_of(LOG["checkpoints"][2])
        with pytest.raises(CheckpointError, match="witness"):
            sign_checkpoint(checkpoint, witness)
        text = checkpoint.to_text()
        data = Note(text, (witness.sign(text, TIME_SECONDS),)).to_bytes()
        with pytest.raises(CheckpointError, match="witness"):
            open_checkpoint(data, witness.verifier())
        with pytest.raises(CheckpointError, match="0x04"):
            open_checkpoint(SIGNED, LOG_VKEY, [generate_key("w", bytes(32)).verifier()])


class TestWitnesses:
    def test_cosignatures_of_known_witnesses_are_reported_with_their_times(self) -> None:
        """Two witnesses sign, one is known: one cosignature counts, and the log's still holds."""
        once = cosign_checkpoint(SIGNED, LOG_VKEY, WITNESS, TIME_SECONDS)
        twice = cosign_checkpoint(once, LOG_VKEY, OTHER_WITNESS, TIME_SECONDS + 1)
        assert twice.startswith(once)
        assert once.startswith(SIGNED)
        known = OTHER_WITNESS.verifier()
        opened = open_checkpoint(twice, LOG_VKEY, [known])
        assert opened.checkpoint.size == 5
        assert [(each.key, each.timestamp_seconds) for each in opened.cosignatures] == [
            (known, TIME_SECONDS + 1)
        ]
        assert open_checkpoint(twice, LOG_VKEY).cosignatures == ()

    def test_a_cosignature_alone_does_not_replace_the_signature_of_the_log(self) -> None:
        """A witness cannot make checkpoints on its own."""
        text = checkpoint_of(LOG["checkpoints"][2]).to_text()
        data = Note(text, (WITNESS.sign(text, TIME_SECONDS),)).to_bytes()
        with pytest.raises(CheckpointError, match="not signed by its log"):
            open_checkpoint(data, LOG_VKEY, [WITNESS.verifier()])

    def test_a_forged_cosignature_of_a_known_witness_is_refused(self) -> None:
        """The known witness signed another checkpoint; its line was moved to this one."""
        text = checkpoint_of(LOG["checkpoints"][2]).to_text()
        moved = WITNESS.sign("another\n1\n", TIME_SECONDS)
        data = Note(text, (LOG_KEY.sign(text), moved)).to_bytes()
        with pytest.raises(NoteError, match="w1"):
            open_checkpoint(data, LOG_VKEY, [WITNESS.verifier()])
        open_checkpoint(data, LOG_VKEY)

    def test_a_witness_does_not_cosign_what_the_log_did_not_sign(self) -> None:
        """Cosigning opens the checkpoint first."""
        impostor = generate_key(LOG["name"], bytes(32))
        data = sign_checkpoint(checkpoint_of(LOG["checkpoints"][2]), impostor)
        with pytest.raises(NoteError, match="not signed"):
            cosign_checkpoint(data, LOG_VKEY, WITNESS, TIME_SECONDS)

    def test_a_witness_does_not_cosign_twice_nor_with_a_log_key(self) -> None:
        """One cosignature a witness, and a log's key is not witness."""
        once = cosign_checkpoint(SIGNED, LOG_VKEY, WITNESS, TIME_SECONDS)
        with pytest.raises(NoteError, match="twice"):
            cosign_checkpoint(once, LOG_VKEY, WITNESS, TIME_SECONDS + 1)
        with pytest.raises(CheckpointError, match="0x04"):
            cosign_checkpoint(SIGNED, LOG_VKEY, LOG_KEY, TIME_SECONDS)


class TestHistory:
    tree = StoredTree([leaf_hash(b"%d" % number) for number in range(600)])
    fork = StoredTree([leaf_hash(b"%d" % max(number, 1)) for number in range(600)])

    def at(self, size: int, tree: StoredTree | None = None) -> Checkpoint:
        return Checkpoint("log.example", size, root_at(size, tree or self.tree))

    @pytest.mark.parametrize(("first", "second"), [(1, 1), (1, 2), (255, 600), (256, 600)])
    def test_a_grown_log_continues_its_older_checkpoint(self, first: int, second: int) -> None:
        """With the consistency proof, the newer checkpoint may be signed."""
        proof = consistency_proof(first, second, self.tree)
        self.at(second).check_continues(self.at(first), proof)

    def test_every_log_continues_the_empty_one(self) -> None:
        """From size 0 there is no proof to give, and giving one is refused."""
        self.at(5).check_continues(self.at(0), ())
        with pytest.raises(CheckpointError, match="size 0"):
            self.at(5).check_continues(self.at(0), (EMPTY_ROOT,))

    def test_a_rewritten_log_does_not_continue_its_older_checkpoint(self) -> None:
        """A fork is refused with its own proofs, also at the same size."""
        for first, second in ((5, 5), (5, 9), (256, 600)):
            proof = consistency_proof(first, second, self.fork)
            with pytest.raises(ProofError):
                self.at(second, self.fork).check_continues(self.at(first), proof)

    def test_a_log_rolled_back_does_not_continue_its_newer_checkpoint(self) -> None:
        """A smaller tree than the last signed one, an emptied one too, is refused."""
        for size in (0, 8):
            with pytest.raises(ProofError, match="cannot continue"):
                self.at(size).check_continues(self.at(9), ())

    def test_another_log_does_not_continue_this_one(self) -> None:
        """The same tree under another origin is another log."""
        other = Checkpoint("other.example", 5, root_at(5, self.tree))
        with pytest.raises(CheckpointError, match=r"other\.example"):
            other.check_continues(self.at(5), ())
