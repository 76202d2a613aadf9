"""Ask one witness over HTTP to cosign a checkpoint, within limits of time and size."""

from __future__ import annotations

import time
from http import HTTPStatus
from typing import TYPE_CHECKING, NamedTuple
from urllib.error import HTTPError, URLError
from urllib.request import HTTPRedirectHandler, Request, build_opener

from commands.errors import CommandError
from ledger.append.database import translated_errors
from ledger.append.stored_tree import TreeReader
from ledger.tree.proofs import consistency_proof
from ledger.tree.signed_note import NoteError
from ledger.tree.witness import add_checkpoint_request, cosigned, size_in_conflict

if TYPE_CHECKING:
    from typing import Any

    from sqlalchemy.engine import Engine

    from commands.site.witnesses import Witness
    from ledger.append.kept_checkpoints import KeptCheckpoint
    from ledger.tree.signed_note import VerifierKey
    from ledger.vocabulary import WitnessRefusal

WAIT_SECONDS = 10.0
"""For each step of the connection."""

ANSWER_SECONDS = 30.0
"""For the whole body of an answer, however slowly it drips."""

MAX_ANSWER_BYTES = 65_536
TRIES = 3
"""A first one, one from the size that the witness names, and one more where it moved meanwhile."""

_SAID: dict[int, WitnessRefusal] = {
    HTTPStatus.BAD_REQUEST: "bad_request",
    HTTPStatus.FORBIDDEN: "unknown_key",
    HTTPStatus.NOT_FOUND: "unknown_log",
    HTTPStatus.UNPROCESSABLE_ENTITY: "wrong_proof",
}
_MEANS: dict[WitnessRefusal, str] = {
    "bad_request": "it found the request malformed",
    "unknown_key": "it trusts no key that signed; give its operator the new public key",
    "unknown_log": "it does not know this ledger; ask its operator to add the public key",
    "wrong_proof": "it has seen another history of this ledger: keep what it has as evidence",
}


class Refused(CommandError):
    """A witness did not cosign. `witness_size`: of the checkpoint that it cosigned last."""

    def __init__(
        self, message: str, reason: WitnessRefusal, witness_size: int | None = None
    ) -> None:
        super().__init__(message)
        self.reason = reason
        self.witness_size = witness_size


class _Answer(NamedTuple):
    status: int
    body: bytes


def cosigned_by(
    engine: Engine, witness: Witness, kept: KeptCheckpoint, key: VerifierKey, last_size: int
) -> bytes:
    """The note with the witness's cosignature. `last_size`: what it cosigned last, as known here.

    Raises:
        Refused: it did not cosign, or gave an answer that is none.
    """
    size, old = kept.checkpoint.size, last_size
    name = witness.verifier.name
    for _ in range(TRIES):
        proof: tuple[bytes, ...] = ()
        if old:
            with translated_errors(engine), engine.connect() as connection:
                proof = consistency_proof(old, size, TreeReader(connection))
        answer = _post(witness, add_checkpoint_request(old, proof, kept.note))
        if answer.status == HTTPStatus.OK:
            try:
                return cosigned(kept.note, answer.body, key, witness.verifier)
            except NoteError as error:
                raise Refused(f"{name}: {error}", "bad_answer") from error
        if answer.status != HTTPStatus.CONFLICT:
            raise _refusal(name, answer)
        seen = _size_seen(name, answer)
        if seen == old or seen > size:
            raise Refused(_conflict(name, size, seen), "conflict", seen)
        old = seen
    raise Refused(f"{name} kept changing its answer about what it cosigned last", "bad_answer", old)


def _refusal(name: str, answer: _Answer) -> Refused:
    reason = _SAID.get(answer.status)
    if reason is None:
        return Refused(f"{name} answered with status {answer.status}", "bad_answer")
    return Refused(f"{name} did not cosign ({answer.status}): {_MEANS[reason]}", reason)


def _conflict(name: str, size: int, seen: int) -> str:
    if seen > size:
        return (
            f"{name} has cosigned {seen} records of this ledger, which has {size}: it was put "
            "back or forked. Keep what the witness has as evidence"
        )
    return (
        f"{name} has cosigned another history of {seen} records of this ledger: it was rewritten "
        "or forked. Keep what the witness has as evidence"
    )


def _size_seen(name: str, answer: _Answer) -> int:
    try:
        return size_in_conflict(answer.body)
    except NoteError as error:
        raise Refused(f"{name}: {error}", "bad_answer") from error


def _post(witness: Witness, body: bytes) -> _Answer:
    """Raises Refused where nobody answers in time."""
    request = Request(  # noqa: S310  (http or https: the setting allows nothing else)
        f"{witness.url.rstrip('/')}/add-checkpoint",
        data=body,
        headers={"Content-Type": "text/plain; charset=utf-8"},
        method="POST",
    )
    opener = build_opener(_NoRedirection)
    try:
        try:
            with opener.open(request, timeout=WAIT_SECONDS) as answer:
                return _Answer(answer.status, _read(answer))
        except HTTPError as error:
            with error:
                return _Answer(error.code, _read(error))
    except (URLError, OSError, ValueError) as error:
        why = getattr(error, "reason", None) or error
        raise Refused(f"{witness.verifier.name} cannot be reached: {why}", "unreachable") from error


def _read(answer: Any) -> bytes:
    """The body, no more than an answer can have. Raises TimeoutError where it drips."""
    end, found = time.monotonic() + ANSWER_SECONDS, b""
    while piece := answer.read1(4096):
        found += piece
        if len(found) > MAX_ANSWER_BYTES:
            raise ValueError("the answer is too long")
        if time.monotonic() > end:
            raise TimeoutError("the answer took too long")
    return found


class _NoRedirection(HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        """A witness is where the operator said, and nowhere else."""
