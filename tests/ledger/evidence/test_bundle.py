"""Evidence bundles: complete, the same each time, and judged by their own program."""

from __future__ import annotations

import io
import json
import zipfile
from base64 import b64encode
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.errors import LedgerBroken
from ledger.evidence.bundle import Choice, choice_in_words, script, write_zip
from ledger.tree.checkpoint import Checkpoint
from ledger.tree.merkle import Frontier, leaf_hash
from ledger.tree.proofs import consistency_proof, inclusion_proof
from ledger.tree.signed_note import Note, SignerKey, generate_key
from ledger.verify_evidence import (
    Key,
    Problem,
    check,
    check_consistency,
    climb,
    decode_point,
    is_signed,
    main,
    tree_of,
)
from tests.ledger.bundles import A_RANGE, BY_USER, judge, make_bundle
from tests.ledger.slow_merkle import SlowTree
from tests.ledger.tampering import KEY, PUBLIC, Attacker

CHOICES = {"whole": Choice(), "range": A_RANGE, "user": BY_USER}


@pytest.fixture(scope="module")
def bundles(
    signed_template: tuple[Path, list[bytes]], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Path]:
    """A bundle of each kind, made once; nobody changes these."""
    folder = tmp_path_factory.mktemp("bundles")
    for name, choice in CHOICES.items():
        make_bundle(signed_template[0], folder / name, choice)
    return {name: folder / name for name in CHOICES}


@pytest.mark.slow
@pytest.mark.parametrize("name", CHOICES)
def test_a_good_bundle_is_judged_good(bundles: dict[str, Path], name: str) -> None:
    """By its own program, alone with Python; and it says what the bundle does not prove."""
    verdict = judge(bundles[name])
    assert (verdict.code, verdict.said.splitlines()[-1][:5]) == (0, "GOOD:")
    assert "Signed checkpoints of one and the same growing history: 3." in verdict.said
    is_whole = "These are all records up to the checkpoint: none is left out." in verdict.said
    assert is_whole == (name == "whole")
    assert ("not that nothing that matters was left out" in verdict.said) == (name != "whole")


@pytest.mark.slow
def test_a_bundle_holds_the_records_byte_for_byte(
    bundles: dict[str, Path], attacker: Attacker
) -> None:
    """One a line, and beside each its place."""
    records = (bundles["range"] / "events.jsonl").read_bytes().splitlines()
    positions = [int(line) for line in (bundles["range"] / "positions").read_text().split()]
    assert positions == list(range(290, 311))
    assert records == [attacker.record(position) for position in positions]


@pytest.mark.slow
def test_a_users_bundle_holds_that_users_records_and_no_others(
    signed_template: tuple[Path, list[bytes]], tmp_path: Path
) -> None:
    """By the record's own user_id; nobody's records are nobody's."""
    found = make_bundle(signed_template[0], tmp_path / "one", BY_USER)
    assert (found.records, found.first_position, found.last_position) == (240, 1, 594)
    other = make_bundle(signed_template[0], tmp_path / "other", Choice(user="11"))
    assert (other.records, other.first_position, other.last_position) == (0, 0, 0)


def test_a_span_of_time_begins_with_its_first_and_ends_before_its_last(
    signed_template: tuple[Path, list[bytes]], tmp_path: Path
) -> None:
    """As `audit log --since --until` does."""
    span = Choice(since="2025-01-13T03:02:00.000000Z", until="2025-01-13T03:04:00.000000Z")
    found = make_bundle(signed_template[0], tmp_path / "span", span)
    assert (found.records, found.first_position, found.last_position) == (20, 11, 30)
    assert judge(tmp_path / "span").code == 0


def test_the_same_ledger_and_choice_give_the_same_bytes(
    signed_template: tuple[Path, list[bytes]], tmp_path: Path
) -> None:
    """Folder and .zip; there is no time of making in them."""
    archives = []
    for name in ("one", "two"):
        make_bundle(signed_template[0], tmp_path / name, A_RANGE)
        (tmp_path / name / "README.txt").touch()
        target = io.BytesIO()
        write_zip(tmp_path / name, target)
        archives.append(target.getvalue())
    assert archives[0] == archives[1]


def test_a_zip_is_judged_like_the_folder(bundles: dict[str, Path], tmp_path: Path) -> None:
    """The program reads both."""
    archive = tmp_path / "bundle.zip"
    with archive.open("wb") as target:
        write_zip(bundles["user"], target)
    assert judge(bundles["user"], PUBLIC.to_text(), str(archive)) == judge(bundles["user"])
    names = zipfile.ZipFile(archive).namelist()
    assert names == sorted(path.name for path in bundles["user"].iterdir())


def test_the_readme_says_what_it_is_and_what_it_cannot_show(bundles: dict[str, Path]) -> None:
    """In plain words, for the part and for the whole."""
    part = (bundles["range"] / "README.txt").read_text("utf-8")
    assert "21 of the 600 records" in part
    assert "It does not prove\nthat nothing that matters was left out" in part
    assert "proofs.jsonl" in part
    whole = (bundles["whole"] / "README.txt").read_text("utf-8")
    assert "no record is left out" in whole
    assert "proofs.jsonl" not in whole
    assert not (bundles["whole"] / "proofs.jsonl").exists()


def test_the_program_in_the_bundle_is_ours_and_can_be_read_in_a_sitting(
    bundles: dict[str, Path],
) -> None:
    """One file, standard library only, under 400 lines."""
    text = (bundles["whole"] / "verify_evidence.py").read_bytes()
    assert text == script()
    assert len(text.splitlines()) <= 440
    imports = [line for line in text.decode().splitlines() if line.startswith(("import", "from"))]
    named = {line.split()[1].partition(".")[0] for line in imports}
    assert not named & {"ledger", "commands", "cryptography", "pydantic"}


def test_a_ledger_that_contradicts_its_checkpoints_is_not_exported(
    attacker: Attacker, tmp_path: Path
) -> None:
    """Evidence of a broken history would be evidence against whoever hands it over."""
    attacker.edit_record(17, lambda fields: fields["actor"].update(id="eve"))
    attacker.make_consistent()
    with pytest.raises(LedgerBroken, match="audit verify"):
        make_bundle(attacker.path, tmp_path / "bundle")


def test_what_was_asked_for_is_said_in_words() -> None:
    """For the README."""
    assert choice_in_words(Choice()) == "all records"
    assert choice_in_words(Choice(1, 2, "a", "b", "3")) == (
        "the records from position 1, to position 2, from a, before b, of user 3"
    )


@pytest.mark.slow
@given(st.binary(min_size=32, max_size=32), st.binary(max_size=100), st.integers(0, 511))
def test_its_own_signature_check_agrees_with_openssl(seed: bytes, text: bytes, bit: int) -> None:
    """What was signed is accepted; with one bit flipped it is not."""
    signer = generate_key("a", seed)
    message = text.hex()
    signature = signer.sign(message).payload
    public = signer.verifier().public_key
    assert is_signed(public, message.encode(), signature)
    flipped = (int.from_bytes(signature, "big") ^ 1 << bit).to_bytes(64, "big")
    assert not is_signed(public, message.encode(), flipped)


@pytest.mark.parametrize("data", ["ff" * 32, "02" + "00" * 31, "01" + "00" * 30 + "80"])
def test_keys_that_are_no_points_are_refused(data: str) -> None:
    """Beyond the field, not on the curve, or zero with a sign."""
    with pytest.raises(Problem, match="not a point"):
        decode_point(bytes.fromhex(data))


def test_a_signature_with_another_spelling_is_refused() -> None:
    """S + order would verify too, if it were not for the check of RFC 8032."""
    signature = KEY.sign("text").payload
    order = 2**252 + 27742317777372353535851937790883648493
    again = int.from_bytes(signature[32:], "little") + order
    assert not is_signed(PUBLIC.public_key, b"text", signature[:32] + again.to_bytes(32, "little"))


class _Memory:
    """A tree in memory, to make proofs from."""

    def __init__(self, leaves: list[bytes]) -> None:
        self._leaves = leaves

    def leaf_hashes(self, start: int, stop: int) -> list[bytes]:
        return self._leaves[start:stop]

    def nodes(self, wanted: object) -> dict[tuple[int, int], bytes]:
        assert not wanted
        return {}


@pytest.mark.parametrize("size", [*range(1, 34), 100, 255])
def test_its_own_tree_agrees_with_the_letter(size: int) -> None:
    """Roots, every inclusion proof, every consistency proof; and one hash changed is refused."""
    records = [b"%d" % number for number in range(size)]
    leaves = [leaf_hash(record) for record in records]
    reader, root = _Memory(leaves), SlowTree(records).mth(0, size)
    assert tree_of(records) == (size, root)
    for index in range(size):
        path = [leaves[index], *inclusion_proof(index, size, reader)]
        assert climb(index, size - 1, path)[1] == root
    for first in range(1, size + 1):
        older = Frontier().append_leaves(leaves[:first])[0].root()
        proof = list(consistency_proof(first, size, reader))
        check_consistency((first, older), (size, root), proof)
        with pytest.raises(Problem):
            check_consistency((first, b"\0" * 32), (size, root), proof)
        if proof:
            with pytest.raises(Problem):
                check_consistency((first, older), (size, root), [b"\0" * 32, *proof[1:]])
            with pytest.raises(Problem):
                check_consistency((first, older), (size, root), proof[:-1])


def test_called_in_the_wrong_way_it_says_how(capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 2, for no key, too much, and for what is not a key."""
    for arguments in ([], ["a", "b", "c"], ["nonsense"], [PUBLIC.to_text() + "="]):
        assert main(arguments) == 2
        assert "usage:" in capsys.readouterr().err


def test_the_key_is_never_taken_from_the_bundle(bundles: dict[str, Path]) -> None:
    """Without a key there is no verdict, and no file of the bundle holds one."""
    for path in bundles["whole"].iterdir():
        assert b64encode(PUBLIC.public_key) not in path.read_bytes()
    verdict = judge(bundles["whole"], generate_key(KEY.name).verifier().to_text())
    assert (verdict.code, "not signed by your public key" in verdict.said) == (3, True)


def test_the_chain_is_of_the_checkpoints_as_they_were_signed(
    bundles: dict[str, Path], checkpoints: list[bytes]
) -> None:
    """Byte for byte, oldest first, the last one being the bundle's own."""
    chain = [
        json.loads(line) for line in (bundles["user"] / "chain.jsonl").read_bytes().splitlines()
    ]
    assert [link["checkpoint"].encode() for link in chain] == checkpoints
    assert (bundles["user"] / "checkpoint").read_bytes() == checkpoints[-1]
    assert chain[0]["proof"] == []
    sizes = [Checkpoint.from_text(Note.from_bytes(each).text).size for each in checkpoints]
    assert sizes == [100, 300, 600]


def test_keys_of_other_kinds_are_refused() -> None:
    """Only the ledger's own Ed25519 key, in its one spelling."""
    good = PUBLIC.to_text()
    assert Key(good).id == PUBLIC.key_id
    for text in (good.replace("+", "-"), good.upper(), good + "\n", "", "a+b", KEY.to_text()):
        with pytest.raises(Problem):
            Key(text)
    assert isinstance(KEY, SignerKey)


def test_a_bundle_that_is_none_is_bad(tmp_path: Path) -> None:
    """An empty folder, no file at all, a file that is no .zip."""
    (tmp_path / "text").write_text("nothing")
    for name in (".", "missing", "text"):
        with pytest.raises(Problem):
            check(str(tmp_path / name), Key(PUBLIC.to_text()))
