"""What is sent to a witness, and what it answers: the requests are published ones.

They stand in the tests of https://github.com/FiloSottile/torchwood (internal/witness), whose
witness runs in public; so does the table of sizes.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from http import HTTPStatus

import pytest

from ledger.tree.checkpoint import Checkpoint, CheckpointError, open_checkpoint, sign_checkpoint
from ledger.tree.merkle import EMPTY_ROOT, leaf_hash
from ledger.tree.signed_note import NoteError, VerifierKey, generate_key
from ledger.tree.witness import add_checkpoint_request, cosigned, size_in_conflict
from tests.witness import Refusal, new_witness

ORIGIN = "sigsum.org/v1/tree/4d6d8825a6bb689d459628312889dfbb0bcd41b5211d9e1ce768b0ff0309e562"
LOG = VerifierKey(
    ORIGIN, bytes.fromhex("ffdc2d4d98e4124d3feaf788c0c2f9abfd796083d1f0495437f302ec79cf100f")
)
FIRST = f"""\
old 0

{ORIGIN}
1
KgAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=

— {ORIGIN} UgIom7fPZTqpxWWhyjWduBvTvGVqsokMbqTArsQilegKoFBJQjUFAmQ0+YeSPM3wfUQMFSzVnnNuWRTYrajXpNUbIQY=
"""  # noqa: E501
TO_THREE = f"""\
old 1
KgEAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=
KgIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=

{ORIGIN}
3
RcCI1Nk56ZcSmIEfIn0SleqtV7uvrlXNccFx595Iwl0=

— {ORIGIN} UgIom2VbtIcdFbwFAy1n7s6IkAxIY6J/GQOTuZF2ORV39d75cbAj2aQYwyJre36kezNobZs4SUUdrcawfAB8WVrx6go=
"""  # noqa: E501
TO_FIVE = f"""\
old 1
KgEAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=
+fUDV+k970B4I3uKrqJM4aP1lloPZP8mvr2Z4wRw2LI=
KgQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=

{ORIGIN}
5
QrtXrQZCCvpIgsSmOsah7HdICzMLLyDfxToMql9WTjY=

— {ORIGIN} UgIomw/EOJmWi0i1FQsOj+etB7F8IccFam/jgd6wzRns4QPVmyEZtdvl1U2KEmLOZ/ASRcWJi0tW90dJWAShei7sDww=
"""  # noqa: E501


@pytest.mark.parametrize("published", [FIRST, TO_THREE, TO_FIVE])
def test_a_request_has_the_published_bytes(published: str) -> None:
    """From the old size, the proof and the checkpoint."""
    head, _, note = published.partition("\n\n")
    old, *proof = head.split("\n")
    hashes = [b64decode(each) for each in proof]
    made = add_checkpoint_request(int(old.split()[1]), hashes, note.encode())
    assert made == published.encode()


@pytest.mark.parametrize(("second", "size"), [(TO_THREE, 3), (TO_FIVE, 5)])
def test_a_witness_cosigns_the_published_requests(second: str, size: int) -> None:
    """And what it answers is added to the checkpoint, and checked."""
    witness = new_witness("example.com/witness", LOG)
    key = witness.key.verifier()
    for request in (FIRST, second):
        note = request.partition("\n\n")[2].encode()
        whole = cosigned(note, witness.add_checkpoint(request.encode()), LOG, key)
        opened = open_checkpoint(whole, LOG, [key], quorum=1)
    assert opened.checkpoint.size == size
    with pytest.raises(Refusal) as caught:
        witness.add_checkpoint(FIRST.encode())
    assert (caught.value.status, caught.value.body) == (HTTPStatus.CONFLICT, f"{size}\n")


LEAF = leaf_hash(b"leaf")
HASH_LINE = b"KgEAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n"
SIZES: dict[str, tuple[int, int, int, bytes, list[bytes], int]] = {
    # known size, old size, new size, root, proof, status
    "empty tree": (0, 0, 0, EMPTY_ROOT, [], 200),
    "first records": (0, 0, 1, LEAF, [], 200),
    "first records with a proof": (0, 0, 1, LEAF, [LEAF], 422),
    "the same again": (1, 1, 1, LEAF, [], 200),
    "the same size, another root": (1, 1, 1, b"\1" * 32, [], 409),
    "another old size": (1, 0, 1, LEAF, [], 409),
    "an old size that is larger": (1, 2, 1, LEAF, [], 400),
    "a proof that does not fit": (1, 1, 2, b"\1" * 32, [LEAF], 422),
    "no proof": (1, 1, 2, b"\1" * 32, [], 422),
}


@pytest.mark.parametrize("name", SIZES)
def test_the_witness_of_our_tests_refuses_as_the_specification_says(name: str) -> None:
    """It is what our client is tried against."""
    known, old, size, root, proof, status = SIZES[name]
    log = generate_key("example.com/log")
    witness = new_witness("example.com/witness", log.verifier())
    if known:
        first = sign_checkpoint(Checkpoint(log.name, known, LEAF), log)
        witness.add_checkpoint(add_checkpoint_request(0, [], first))
    lines = f"old {old}\n" + "".join(f"{b64encode(each).decode()}\n" for each in proof) + "\n"
    body = lines.encode() + sign_checkpoint(Checkpoint(log.name, size, root), log)
    found = 200
    try:
        witness.add_checkpoint(body)
    except Refusal as refusal:
        found = refusal.status
    assert found == status


@pytest.mark.parametrize(
    ("change", "status"),
    [
        (lambda body: body.replace(b"old 0", b"old 00"), 400),
        (lambda body: body.replace(b"old 0", b"new 0"), 400),
        (lambda body: body.replace(b"\n\n", b"\n" + HASH_LINE * 64 + b"\n", 1), 400),
        (lambda body: body.replace(b"\n\n", b"\nAA==\n\n", 1), 400),
        (lambda body: body[:40], 400),
        (lambda body: body.replace(b"example.com/log\n", b"example.com/other\n", 1), 404),
        (lambda body: body.replace(b"\n1\n", b"\n2\n"), 403),
    ],
)
def test_malformed_and_unknown_requests_are_refused(change: object, status: int) -> None:
    """400, 404 and 403, each for its own reason."""
    assert callable(change)
    log = generate_key("example.com/log")
    witness = new_witness("example.com/witness", log.verifier())
    note = sign_checkpoint(Checkpoint(log.name, 1, LEAF), log)
    with pytest.raises(Refusal) as caught:
        witness.add_checkpoint(change(add_checkpoint_request(0, [], note)))
    assert caught.value.status == status
    assert witness.seen == {}


def test_an_answer_counts_only_with_this_witness_s_cosignature() -> None:
    """Lines of others are ignored; none, two, or one that does not fit is refused."""
    log = generate_key("example.com/log")
    note = sign_checkpoint(Checkpoint(log.name, 1, LEAF), log)
    ours, other = (new_witness(f"example.com/w{n}", log.verifier()) for n in (1, 2))
    key, request = ours.key.verifier(), add_checkpoint_request(0, [], note)
    line, stranger = ours.add_checkpoint(request), other.add_checkpoint(request)
    whole = cosigned(note, stranger + line, log.verifier(), key)
    assert whole == note + line
    elsewhere = sign_checkpoint(Checkpoint(log.name, 2, LEAF), log)
    for answer in (
        b"",
        stranger,
        line + line,
        line[:-1] + b" \n",
        b"\xff",
        "— x AA==\n".encode() * 101,
    ):
        with pytest.raises(NoteError):
            cosigned(note, answer, log.verifier(), key)
    with pytest.raises(NoteError):
        cosigned(elsewhere, line, log.verifier(), key)


def test_sizes_in_conflicts_have_one_spelling() -> None:
    """Decimal, and a newline."""
    assert size_in_conflict(b"20852014\n") == 20_852_014
    assert size_in_conflict(b"0\n") == 0
    for body in (b"", b"01\n", b"-1\n", b"1 \n", b"1\n\n", b"\xd9\xa1\n", b"9" * 40):
        with pytest.raises(CheckpointError):
            size_in_conflict(body)


def test_a_proof_that_is_too_long_is_not_sent() -> None:
    """63 lines, and none from size 0."""
    add_checkpoint_request(1, [LEAF] * 63, b"")
    for old, number in ((1, 64), (0, 1)):
        with pytest.raises(CheckpointError):
            add_checkpoint_request(old, [LEAF] * number, b"")
