"""Asking a witness to cosign a checkpoint: the bytes of the request, and what an answer holds.

Specification: https://c2sp.org/tlog-witness, the call `add-checkpoint`; cosignatures are those of
https://c2sp.org/tlog-cosignature.

Rules:

- the request is a line `old <size>`, at most 63 lines with the hashes of a consistency proof from
  that size in base64, an empty line, and the checkpoint; from size 0 the proof is empty;
- 200: signature lines, of which those by unknown keys are ignored;
- 409: the witness last cosigned another size, which is the answer's body; or, where that size is
  the checkpoint's own, another root;
- 404: it does not know the log; 403: no key that it trusts signed; 400: the request is malformed;
  422: the proof does not fit.

Worked example of a request (from the specification, shortened):

    old 20852014
    PlRNCrwHpqhGrupue0L7gxbjbMiKA9temvuZZDDpkaw=
    jrJZDmY8Y7SyJE0MWLpLozkIVMSMZcD5kvuKxPC3swk=

    example.com/behind-the-sofa
    20852163
    CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=

    — example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=
"""  # noqa: E501 - a signature line cannot be broken

from base64 import b64encode
from collections.abc import Sequence

from ledger.tree.checkpoint import CheckpointError, open_checkpoint, parse_decimal
from ledger.tree.signed_note import MAX_SIGNATURES, Note, Signature, VerifierKey

MAX_PROOF_LINES = 63
SIZE_TYPE = "text/x.tlog.size"
"""Content type of the size in the body of a 409."""


def add_checkpoint_request(old_size: int, proof: Sequence[bytes], checkpoint: bytes) -> bytes:
    """The body of a request. Raises CheckpointError for a proof that is too long."""
    if len(proof) > MAX_PROOF_LINES or (proof and not old_size):
        raise CheckpointError(f"{len(proof)} hashes cannot be a proof from size {old_size}")
    lines = [f"old {old_size}", *(b64encode(each).decode() for each in proof), ""]
    return "".join(f"{line}\n" for line in lines).encode() + checkpoint


def cosigned(note: bytes, answer: bytes, log_key: VerifierKey, witness: VerifierKey) -> bytes:
    """The note with the witness's cosignature from its answer added.

    Raises:
        NoteError: the answer is malformed, or holds no valid cosignature by this witness.
    """
    try:
        lines = answer.decode().removesuffix("\n").split("\n")
    except UnicodeDecodeError as error:
        raise CheckpointError("the witness's answer is not UTF-8") from error
    if len(lines) > MAX_SIGNATURES:
        raise CheckpointError(f"the witness's answer has more than {MAX_SIGNATURES} lines")
    found = [Signature.from_line(line) for line in lines]
    own = [each for each in found if (each.key_name, each.key_id) == (witness.name, witness.key_id)]
    if len(own) != 1:
        raise CheckpointError(f"the answer has {len(own)} cosignatures by {witness.name}, not one")
    before = Note.from_bytes(note)
    whole = Note(before.text, (*before.signatures, *own)).to_bytes()
    open_checkpoint(whole, log_key, [witness], quorum=1)
    return whole


def size_in_conflict(answer: bytes) -> int:
    """The size that a witness last cosigned, from the body of a 409. Raises CheckpointError."""
    try:
        return parse_decimal(answer.decode("ascii").removesuffix("\n"))
    except UnicodeDecodeError as error:
        raise CheckpointError("the size in the witness's answer is not a number") from error
