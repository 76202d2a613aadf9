"""Keys and notes: against published vectors, and against every change of a single character."""

import json
from base64 import b64decode, b64encode
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ledger.errors import LedgerError
from ledger.tree.signed_note import (
    MAX_SIGNATURES,
    Note,
    NoteError,
    Signature,
    SignatureType,
    SignerKey,
    VerifierKey,
    generate_key,
)

VECTORS = json.loads((Path(__file__).parents[1] / "vectors.json").read_text())
NOTES = VECTORS["signed_note"]
GO_SKEY, GO_VKEY = NOTES[0]["skey"], NOTES[0]["vkey"]
# Published as a working cosignature key in the tests of github.com/transparency-dev/formats.
WITNESS_VKEY = "remora.n621.de+da77ade7+BOvN63jn/bLvkieywe8R6UYAtVtNbZpXh34x7onlmtw2"
TEXT = "One line.\n\nAnd another — with a dash.\n"
SEED = bytes(range(32))
TIME_SECONDS = 1_679_315_147

each_vector = pytest.mark.parametrize("vector", NOTES, ids=lambda vector: vector["source"])


def published_note(vector: dict[str, str]) -> bytes:
    return f"{vector['text']}\n{vector['signature_line']}\n".encode()


def changed_by_one(original: str) -> Iterator[str]:
    """Every string that differs in one ASCII or Latin-1 character, or lacks or doubles one."""
    for place, present in enumerate(original):
        before, after = original[:place], original[place + 1 :]
        yield before + after
        yield before + present + present + after
        yield from (before + chr(code) + after for code in range(256) if chr(code) != present)


def changed_by_one_byte(original: bytes) -> Iterator[bytes]:
    """Every string that differs in one byte, or has one less or one more, at any place."""
    for place, present in enumerate(original):
        before, after = original[:place], original[place + 1 :]
        yield before + after
        for each in range(256):
            if each != present:
                yield before + bytes([each]) + after
            yield before + bytes([each]) + original[place:]
    yield from (original + bytes([each]) for each in range(256))


class TestPublishedVectors:
    @each_vector
    def test_a_published_note_is_accepted_and_written_back_byte_for_byte(
        self, vector: dict[str, str]
    ) -> None:
        """Reading gives text and signature, the key verifies them, writing gives the bytes."""
        key = VerifierKey.parse(vector["vkey"])
        note = Note.from_bytes(published_note(vector))
        assert note.text == vector["text"]
        assert [each.key for each in note.verify([key])] == [key]
        assert note.to_bytes() == published_note(vector)
        assert key.to_text() == vector["vkey"]

    def test_the_published_signer_key_makes_the_published_signature(self) -> None:
        """Go's signer key gives Go's verifier key and, Ed25519 having no chance, its signature."""
        key = SignerKey.parse(GO_SKEY)
        assert key.to_text() == GO_SKEY
        assert key.verifier().to_text() == GO_VKEY
        assert key.sign(NOTES[0]["text"]).to_line() == NOTES[0]["signature_line"]

    def test_the_published_seed_makes_the_published_key_and_signature(self) -> None:
        """A key made from 32 zero bytes is EnochRoot's."""
        key = generate_key("EnochRoot", random_seed=bytes(32))
        assert key.verifier().to_text() == NOTES[1]["vkey"]
        assert key.sign(NOTES[1]["text"]).to_line() == NOTES[1]["signature_line"]

    def test_a_published_witness_key_is_accepted(self) -> None:
        """The key id of a cosignature key is computed over its own type, 0x04."""
        key = VerifierKey.parse(WITNESS_VKEY)
        assert key.signature_type is SignatureType.COSIGNATURE
        assert key.to_text() == WITNESS_VKEY

    @pytest.mark.parametrize("vector", VECTORS["bad_vkeys"], ids=lambda vector: vector["why"])
    def test_a_published_bad_key_is_refused(self, vector: dict[str, str]) -> None:
        """Keys of the wrong length or of an unknown algorithm, with hashes that fit them."""
        with pytest.raises(NoteError):
            VerifierKey.parse(vector["vkey"])


class TestKeys:
    @pytest.mark.parametrize("text", [GO_VKEY, WITNESS_VKEY])
    def test_a_verifier_key_changed_by_one_character_is_refused(self, text: str) -> None:
        """Name, hash and key are bound together, and each has one spelling."""
        for changed in changed_by_one(text):
            with pytest.raises(NoteError):
                VerifierKey.parse(changed)

    @pytest.mark.slow
    def test_a_signer_key_changed_by_one_character_is_refused(self) -> None:
        """A mistyped private key must not sign under a name that is not its own."""
        for changed in changed_by_one(GO_SKEY):
            with pytest.raises(NoteError):
                SignerKey.parse(changed)

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "+",
            "++",
            "name",
            "name+c74f20a3",
            "+c74f20a3+" + GO_VKEY.split("+", 2)[2],
            GO_SKEY,
            GO_VKEY + "\n",
            " " + GO_VKEY,
            GO_VKEY.replace("c74f20a3", "C74F20A3"),
        ],
    )
    def test_what_is_not_exactly_a_key_is_refused(self, text: str) -> None:
        """Missing parts, white space around, upper-case hex, a private key where a public goes."""
        with pytest.raises(NoteError):
            VerifierKey.parse(text)

    def test_a_private_key_without_its_prefix_or_a_public_key_does_not_sign(self) -> None:
        """What starts with anything but PRIVATE+KEY+ was not meant to be a secret."""
        for text in (GO_SKEY.removeprefix("PRIVATE+KEY+"), GO_VKEY, f"PRIVATE+KEY+{GO_VKEY}"):
            with pytest.raises(NoteError):
                SignerKey.parse(text)

    @pytest.mark.parametrize(
        "name",
        ["", "a b", "a+b", "a\nb", "a\tb", "a\x00b", "a\u00a0b", "a\u2003b", "a\u0085b", "\ud800"],
    )
    def test_a_name_with_spaces_plus_or_control_characters_is_refused(self, name: str) -> None:
        """Such a name could not stand in a key or in a signature line."""
        with pytest.raises(NoteError):
            generate_key(name, SEED)
        with pytest.raises(NoteError):
            VerifierKey(name, SEED)
        with pytest.raises(NoteError):
            Signature(name, bytes(4), bytes(64))

    @pytest.mark.parametrize("length", [0, 31, 33, 64])
    def test_a_seed_or_public_key_of_the_wrong_length_is_refused(self, length: int) -> None:
        """Ed25519 keys and seeds have 32 bytes."""
        with pytest.raises(NoteError):
            generate_key("log", bytes(length))
        with pytest.raises(NoteError):
            VerifierKey("log", bytes(length))

    def test_keys_made_without_a_seed_differ(self) -> None:
        """Randomness comes from the operating system when none is given."""
        assert generate_key("log").seed != generate_key("log").seed

    def test_a_private_key_does_not_show_its_seed_in_messages(self) -> None:
        """Neither repr nor str, which end up in logs, hold the secret."""
        key = generate_key("log", SEED)
        for shown in (repr(key), str(key), f"{key}"):
            assert repr(SEED) not in shown
            assert b64encode(SEED).decode()[4:40] not in shown

    @pytest.mark.parametrize("signature_type", SignatureType)
    def test_keys_of_both_types_survive_their_text_form(
        self, signature_type: SignatureType
    ) -> None:
        """Text and back gives the same key; the id is SHA-256(name, newline, type, key)[:4]."""
        key = generate_key("example.com/lög", SEED, signature_type)
        verifier = key.verifier()
        material = bytes([signature_type]) + verifier.public_key
        assert SignerKey.parse(key.to_text()) == key
        assert VerifierKey.parse(verifier.to_text()) == verifier
        assert verifier.key_id == sha256("example.com/lög\n".encode() + material).digest()[:4]


class TestNotes:
    log = generate_key("log.example", SEED)
    other = generate_key("other.example", bytes(32))
    witness = generate_key("witness.example", SEED[::-1], SignatureType.COSIGNATURE)

    def note(self, *keys: SignerKey, text: str = TEXT) -> Note:
        return Note(text, tuple(key.sign(text) for key in keys or (self.log,)))

    @pytest.mark.slow
    def test_a_note_changed_by_one_byte_is_refused(self) -> None:
        """Text, separator, name, key id, signature and end: no byte can be changed unnoticed."""
        key = self.log.verifier()
        original = self.note().to_bytes()
        Note.from_bytes(original).verify([key])
        for changed in changed_by_one_byte(original):
            with pytest.raises(NoteError):
                Note.from_bytes(changed).verify([key])

    @pytest.mark.slow
    def test_a_cosigned_note_changed_by_one_byte_is_refused(self) -> None:
        """The same for a timestamped signature: its time cannot be changed either."""
        key = self.witness.verifier()
        original = Note("a\n", (self.witness.sign("a\n", TIME_SECONDS),)).to_bytes()
        assert Note.from_bytes(original).verify([key])[0].timestamp_seconds == TIME_SECONDS
        for changed in changed_by_one_byte(original):
            with pytest.raises(NoteError):
                Note.from_bytes(changed).verify([key])

    def test_a_cosignature_is_made_over_the_time_and_the_text(self) -> None:
        """Built here from the specification: 8 bytes of time, then the signature of the header."""
        message = f"cosignature/v1\ntime {TIME_SECONDS}\n{TEXT}".encode()
        signed = Ed25519PrivateKey.from_private_bytes(SEED[::-1]).sign(message)
        payload = bytes.fromhex("00000000641850cb") + signed
        signature = self.witness.sign(TEXT, TIME_SECONDS)
        assert signature.payload == payload
        assert self.witness.verifier().verify(TEXT, signature).timestamp_seconds == TIME_SECONDS

    @pytest.mark.parametrize("time_seconds", [None, -1, 2**63, 2**64])
    def test_a_cosignature_without_a_possible_time_is_not_made(
        self, time_seconds: int | None
    ) -> None:
        """The time is there, and from 0 to 2^63 - 1."""
        with pytest.raises(NoteError, match="time"):
            self.witness.sign(TEXT, time_seconds)

    def test_a_cosignature_with_a_time_beyond_the_limit_is_refused(self) -> None:
        """Rightly signed, but its time is 2^63: the specification forbids it."""
        message = f"cosignature/v1\ntime {2**63}\n{TEXT}".encode()
        signed = Ed25519PrivateKey.from_private_bytes(SEED[::-1]).sign(message)
        key = self.witness.verifier()
        signature = Signature(key.name, key.key_id, (2**63).to_bytes(8, "big") + signed)
        with pytest.raises(NoteError, match="time"):
            key.verify(TEXT, signature)

    def test_a_time_in_a_plain_signature_is_not_made(self) -> None:
        """Type 0x01 has no place for a time; dropping it silently would mislead."""
        with pytest.raises(NoteError, match="time"):
            self.log.sign(TEXT, TIME_SECONDS)

    def test_signatures_by_unknown_keys_are_kept_and_ignored(self) -> None:
        """They stay in the note's bytes, and do not count, even under a known name or id."""
        known = self.log.verifier()
        same_name = Signature(known.name, b"\x00\x00\x00\x00", b"?")
        same_id = Signature("stranger", known.key_id, b"?")
        note = Note(TEXT, (same_name, self.log.sign(TEXT), same_id, self.other.sign(TEXT)))
        read = Note.from_bytes(note.to_bytes())
        assert read == note
        assert [each.key for each in read.verify([known])] == [known]

    def test_a_note_signed_only_by_strangers_is_refused(self) -> None:
        """No known key, no belief."""
        for keys in ([], [self.other.verifier()]):
            with pytest.raises(NoteError, match="not signed by any"):
                self.note().verify(keys)

    def test_one_wrong_signature_by_a_known_key_spoils_the_note(self) -> None:
        """A valid signature beside it does not help."""
        wrong = self.other.sign("Something else.\n")
        note = Note(TEXT, (self.log.sign(TEXT), wrong))
        with pytest.raises(NoteError, match=r"other\.example"):
            note.verify([self.log.verifier(), self.other.verifier()])

    @pytest.mark.parametrize("length", [1, 63, 65, 72])
    def test_a_signature_of_the_wrong_length_by_a_known_key_is_refused(self, length: int) -> None:
        """An Ed25519 signature has 64 bytes: not a cosignature's 72, not one more or less."""
        key = self.log.verifier()
        payload = (self.log.sign(TEXT).payload + bytes(8))[:length]
        with pytest.raises(NoteError, match="length"):
            key.verify(TEXT, Signature(key.name, key.key_id, payload))

    def test_a_note_signed_twice_by_the_same_key_is_refused(self) -> None:
        """Also by a key that nobody knows: (name, key id) must be unique."""
        line = self.other.sign(TEXT).to_line()
        data = f"{TEXT}\n{self.log.sign(TEXT).to_line()}\n{line}\n{line}\n".encode()
        with pytest.raises(NoteError, match="twice"):
            Note.from_bytes(data)

    def test_two_keys_with_the_same_name_and_id_are_refused(self) -> None:
        """Ids have only 4 bytes; which key was meant must never be a guess."""
        name, seen = "n", dict[bytes, VerifierKey]()
        for number in range(10**6):
            key = VerifierKey(name, number.to_bytes(32, "big"))
            if key.key_id in seen:
                break
            seen[key.key_id] = key
        note = Note(TEXT, (Signature(name, key.key_id, bytes(64)),))
        with pytest.raises(NoteError, match="two different keys"):
            note.verify([key, seen[key.key_id]])

    def test_as_many_signatures_as_allowed_are_read_and_one_more_is_refused(self) -> None:
        """A stranger cannot make us parse without end by adding signatures."""
        signatures = [Signature(f"s{n}", bytes(4), b"?") for n in range(MAX_SIGNATURES)]
        note = Note(TEXT, tuple(signatures))
        assert Note.from_bytes(note.to_bytes()) == note
        one_more = note.to_bytes() + Signature("more", bytes(4), b"?").to_line().encode() + b"\n"
        with pytest.raises(NoteError, match=str(MAX_SIGNATURES)):
            Note.from_bytes(one_more)
        with pytest.raises(NoteError, match=str(MAX_SIGNATURES)):
            Note(TEXT, ())

    def test_base64_with_stray_bits_in_a_signature_is_refused(self) -> None:
        """The last character before the padding has two unused bits, which must be zero."""
        line = self.note().signatures[0].to_line()
        alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
        assert line.endswith("=")
        stray = line[:-2] + alphabet[alphabet.index(line[-2]) | 1] + "="
        assert b64decode(stray.split(" ")[2]) == b64decode(line.split(" ")[2])
        with pytest.raises(NoteError, match="canonical"):
            Note.from_bytes(f"{TEXT}\n{stray}\n".encode())

    @pytest.mark.parametrize(
        "tail",
        [
            "x",
            "\n",
            "x\n",
            "\n\n",
            "— log.example\n",
            "— \n",
            "—\n",
            "- a AAAAAAA=\n",
            "— a AAAAAAA=",
            "a AAAAAAA=\n",
            "— a  AAAAAAA=\n",
            "— a AAAAAAA= \n",
            "— a AAAAAA==\n",
            "— a AAAAAA\n",
        ],
    )
    def test_anything_after_the_last_signature_is_refused(self, tail: str) -> None:
        """Whatever follows must be a whole signature line, and nothing follows the last."""
        with pytest.raises(NoteError):
            Note.from_bytes(self.note().to_bytes() + tail.encode())

    @pytest.mark.parametrize(
        "data", [b"", b"\n", b"\n\n", b"a\n", b"a\n\n", b"\n\n\n", b"a\n\nb\n", b"\xff\n\n\xff\n"]
    )
    def test_what_has_no_text_and_signatures_is_refused(self, data: bytes) -> None:
        """Pieces of a note are not a note."""
        with pytest.raises(NoteError):
            Note.from_bytes(data)

    @pytest.mark.parametrize("text", ["", "no newline", "a\x00\n", "a\tb\n", "a\r\n", "a\x1f\n"])
    def test_a_text_that_cannot_be_in_a_note_is_not_signed(self, text: str) -> None:
        """The rules hold for writing as for reading."""
        with pytest.raises(NoteError):
            self.note(text=text)

    def test_a_text_with_empty_lines_survives(self) -> None:
        """Only the last empty line separates the signatures."""
        for text in (TEXT, "\n", "\n\n", "a\n\n", "\n\na\n", "— a AAAAAAA=\n\n— b AAAAAAA=\n"):
            note = self.note(text=text)
            assert Note.from_bytes(note.to_bytes()) == note

    def test_text_that_is_no_unicode_is_refused(self) -> None:
        """A lone surrogate has no UTF-8 form."""
        with pytest.raises(NoteError, match="Unicode"):
            self.note(text="\ud800\n")

    def test_errors_belong_to_the_family_of_the_package(self) -> None:
        """Whoever catches LedgerError catches these."""
        assert issubclass(NoteError, LedgerError)
