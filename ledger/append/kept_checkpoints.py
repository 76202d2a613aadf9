"""Checkpoints that the ledger keeps of itself: read, continued, added to.

A signer that signs two histories is worth nothing. So before anything new is signed, the tree
must continue the newest checkpoint that was signed before, here or in a copy kept outside.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from itertools import groupby
from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import insert, select

from ledger.append.stored_tree import TreeReader
from ledger.append.tables import checkpoints, events, head
from ledger.errors import LedgerBroken
from ledger.tree.checkpoint import MAX_SIZE, Checkpoint, open_checkpoint, sign_checkpoint
from ledger.tree.merkle import EMPTY_ROOT
from ledger.tree.proofs import ProofError, consistency_proof, root_at
from ledger.tree.rotation import rotation_in, sign_rotation
from ledger.tree.signed_note import Note, NoteError, SignerKey, VerifierKey

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from sqlalchemy import Connection


class KeptCheckpoint(NamedTuple):
    """A signed checkpoint as it is kept. `created_at`: microseconds since 1970, UTC."""

    checkpoint: Checkpoint
    note: bytes
    created_at: int


def newest_kept(connection: Connection, key: VerifierKey | None = None) -> KeptCheckpoint | None:
    """The newest checkpoint in the ledger that `key` signed; without one no signature is checked.

    What cannot be read as one of this ledger is passed over: whoever may add a row there must not
    be able to stop all signing. `audit verify` names it.
    """
    found = _newest_first(connection)
    return next((kept for kept in found if key is None or _is_signed(kept, key)), None)


def newest_signed(connection: Connection, key: VerifierKey) -> KeptCheckpoint | None:
    """The newest checkpoint in the ledger that a key signed."""
    kept = (each for each in _newest_first(connection) if each.checkpoint.origin == key.name)
    return next((each for each in kept if _is_signed(each, key)), None)


def kept_by(
    connection: Connection, key: VerifierKey, up_to: int, witnesses: Sequence[VerifierKey] = ()
) -> Iterator[KeptCheckpoint]:
    """Those that a key signed, or before it the keys that it replaced: one of each size, in order.

    Of several of one size the one with the most cosignatures by known witnesses, none of them
    wrong.
    """
    signers = _signers(connection, key)
    rows = connection.execute(
        select(checkpoints.c.size, checkpoints.c.note, checkpoints.c.created_at)
        .where(checkpoints.c.size <= up_to)
        .order_by(checkpoints.c.size, checkpoints.c.id)
    )
    for size, group in groupby(rows, key=lambda row: row.size):
        signer = next((each for each, last in signers if size <= last), key)
        found = (_kept_or_none(size, bytes(row.note), row.created_at) for row in group)
        best = _best((kept for kept in found if kept is not None), signer, witnesses)
        if best is not None:
            yield best


def with_cosignatures(
    connection: Connection,
    kept: KeptCheckpoint,
    key: VerifierKey,
    witnesses: Sequence[VerifierKey] = (),
) -> KeptCheckpoint:
    """The same checkpoint with as many cosignatures of known witnesses as were kept with it."""
    rows = connection.execute(
        select(checkpoints.c.note, checkpoints.c.created_at)
        .where(checkpoints.c.size == kept.checkpoint.size)
        .order_by(checkpoints.c.id)
    )
    found = (_kept_or_none(kept.checkpoint.size, bytes(note), at) for note, at in rows)
    same = (each for each in found if each is not None and each.checkpoint == kept.checkpoint)
    return _best(same, key, witnesses) or kept


def newest_cosigned(
    connection: Connection, key: VerifierKey, witnesses: Sequence[VerifierKey], quorum: int
) -> KeptCheckpoint | None:
    """The newest checkpoint of a key that enough of these witnesses cosigned."""
    marks = [f"\n— {each.name} ".encode() for each in witnesses]
    for kept in _newest_first(connection):
        if quorum and sum(mark in kept.note for mark in marks) >= quorum:
            with suppress(NoteError):
                open_checkpoint(kept.note, key, witnesses, quorum)
                return kept
    return None


def cosigned_size(connection: Connection, key: VerifierKey, witness: VerifierKey) -> int:
    """The size of the largest checkpoint of a key that a witness cosigned; 0 where none is."""
    signers = _signers(connection, key)
    for kept in _newest_first(connection, f"\n— {witness.name} ".encode()):
        for each, _ in signers:
            with suppress(NoteError):
                open_checkpoint(kept.note, each, [witness], quorum=1)
                return kept.checkpoint.size
    return 0


def keep_cosigned(connection: Connection, kept: KeptCheckpoint) -> None:
    """Keep a checkpoint once more, with the cosignatures that came after it was signed."""
    connection.execute(
        insert(checkpoints).values(
            size=kept.checkpoint.size, note=kept.note, created_at=kept.created_at
        )
    )


def has_grown(connection: Connection, size: int, unless: Sequence[str]) -> bool:
    """Whether records of other types than these stand behind a size."""
    more = select(events.c.position).where(
        events.c.position > size, events.c.event_type.not_in(unless)
    )
    return connection.execute(more.limit(1)).first() is not None


def sign_head(
    connection: Connection, key: SignerKey, created_at: int, outside: Sequence[bytes] = ()
) -> KeptCheckpoint:
    """Sign the head and keep it, in a transaction that holds the write lock.

    `outside`: copies of earlier checkpoints from elsewhere, which the tree must continue too.
    What is signed already is not signed again: the newest kept one is returned.

    Raises:
        LedgerBroken: the tree does not continue what was signed before; nothing is signed.
    """
    tree = _head(connection, key.name)
    newest = _newest_to_continue(connection, key.verifier())
    if newest is not None:
        _require_not_replaced(newest, key.verifier())
        _require_continuation(connection, tree, newest.checkpoint, newest.note, key.verifier())
    for note in outside:
        earlier = _kept(note, 0).checkpoint
        _require_continuation(connection, tree, earlier, note, key.verifier())
    if newest is not None and _is_of(newest.checkpoint, tree):
        return newest
    kept = KeptCheckpoint(tree, sign_checkpoint(tree, key), created_at)
    keep_cosigned(connection, kept)
    return kept


def rotate_key(
    connection: Connection, old: SignerKey, new: SignerKey, created_at: int
) -> KeptCheckpoint:
    """Sign the head with both keys, and keep it: from here on the new key signs.

    In the transaction that appended the event of it.

    Raises:
        LedgerBroken: the tree does not continue what was signed before, or the old key was
            replaced already; nothing is signed.
        CheckpointError: the keys are the same, or of different names.
    """
    tree = _head(connection, old.name)
    newest = _newest_to_continue(connection, old.verifier())
    if newest is not None:
        _require_not_replaced(newest, old.verifier())
        _require_continuation(connection, tree, newest.checkpoint, newest.note, old.verifier())
    note = sign_rotation(tree, old, new)
    kept = KeptCheckpoint(Checkpoint.from_text(Note.from_bytes(note).text), note, created_at)
    keep_cosigned(connection, kept)
    return kept


def _is_of(checkpoint: Checkpoint, tree: Checkpoint) -> bool:
    """Whether a checkpoint is of a tree, whatever else it says."""
    return replace(checkpoint, extensions=()) == tree


def _signers(connection: Connection, key: VerifierKey) -> list[tuple[VerifierKey, int]]:
    """Who signed up to which size, the first key first; the last is the given one."""
    signers = [(key, MAX_SIZE)]
    rotations = [rotation_in(kept.note) for kept in _newest_first(connection, b"\nkey-rotated ")]
    for each in rotations:
        if each is not None and each.after == signers[0][0]:
            signers.insert(0, (each.before, each.size))
    return signers


def _best(
    found: Iterable[KeptCheckpoint], key: VerifierKey, witnesses: Sequence[VerifierKey]
) -> KeptCheckpoint | None:
    """Of those that a key signed the one with the most cosignatures; a rotation before others."""
    ranked = []
    for kept in found:
        with suppress(NoteError):
            number = len(open_checkpoint(kept.note, key, witnesses).cosignatures)
            ranked.append((bool(kept.checkpoint.extensions), number, kept))
    return max(ranked, key=lambda each: each[:2])[2] if ranked else None


def _newest_first(connection: Connection, mark: bytes = b"") -> Iterator[KeptCheckpoint]:
    """Those that can be read and say of themselves what the row says; the newest first.

    `mark`: only those with these bytes.
    """
    rows = connection.execute(
        select(checkpoints.c.size, checkpoints.c.note, checkpoints.c.created_at).order_by(
            checkpoints.c.size.desc(), checkpoints.c.id.desc()
        )
    )
    for size, note, created_at in rows:
        kept = _kept_or_none(size, bytes(note), created_at) if mark in bytes(note) else None
        if kept is not None:
            yield kept


def _newest_to_continue(connection: Connection, key: VerifierKey) -> KeptCheckpoint | None:
    """The newest checkpoint that our key signed, or that bears another name.

    One that bears our name without our signature is a forgery where our key signed another one;
    where it signed none, the key was swapped, and the caller refuses.
    """
    unsigned: KeptCheckpoint | None = None
    others: KeptCheckpoint | None = None
    for kept in _newest_first(connection):
        if kept.checkpoint.origin != key.name:
            others = others or kept
        elif _is_signed(kept, key):
            return kept
        else:
            unsigned = unsigned or kept
    return unsigned or others


def _require_not_replaced(newest: KeptCheckpoint, key: VerifierKey) -> None:
    """The newest checkpoint that a key signed is the one that replaced it, where it was."""
    rotation = rotation_in(newest.note)
    if rotation is not None and rotation.before == key:
        raise LedgerBroken(
            f"the key {key.name}+{key.key_id.hex()} was replaced at {rotation.size} records; "
            f"nothing was signed. Sign with {rotation.after.to_text()} (checkpoint_key)"
        )


def _is_signed(kept: KeptCheckpoint, key: VerifierKey) -> bool:
    try:
        open_checkpoint(kept.note, key)
    except NoteError:
        return False
    return True


def require_signed(note: bytes, key: VerifierKey, what: str) -> None:
    """Raises LedgerBroken where the key did not sign."""
    try:
        open_checkpoint(note, key)
    except NoteError as error:
        raise LedgerBroken(
            f"{what} is not signed by {key.name}+{key.key_id.hex()} ({error}): the key or the "
            "checkpoint was swapped; nothing was signed. Run `backup-ledger audit verify`, and "
            "give a new key a new name"
        ) from error


def _head(connection: Connection, origin: str) -> Checkpoint:
    row = connection.execute(select(head.c.size, head.c.root)).one_or_none()
    if row is None:
        raise LedgerBroken("ledger_head has no row; run `backup-ledger audit verify`")
    try:
        root = root_at(row.size, TreeReader(connection)) if row.size else EMPTY_ROOT
    except (ProofError, ValueError, TypeError) as error:
        raise LedgerBroken(f"the stored tree is damaged: {error}; nothing was signed") from error
    if root != row.root:
        raise LedgerBroken(
            "the head's root is not that of the stored tree; nothing was signed. Run "
            "`backup-ledger audit verify`"
        )
    return Checkpoint(origin, row.size, root)


def _require_continuation(
    connection: Connection,
    tree: Checkpoint,
    earlier: Checkpoint,
    note: bytes,
    key: VerifierKey,
) -> None:
    """The tree is the earlier one with records added, or none."""
    if earlier.origin == key.name:
        require_signed(note, key, f"the checkpoint of {earlier.size} records")
    same_name = Checkpoint(tree.origin, earlier.size, earlier.root)
    try:
        proof = (
            consistency_proof(earlier.size, tree.size, TreeReader(connection))
            if earlier.size
            else ()
        )
        tree.check_continues(same_name, proof)
    except (ProofError, NoteError) as error:
        raise LedgerBroken(
            f"this ledger of {tree.size} records does not continue the one of {earlier.size} "
            f"records that was signed before ({error}); nothing was signed. Run "
            "`backup-ledger audit verify`"
        ) from error


def _kept_or_none(size: int, note: bytes, created_at: int) -> KeptCheckpoint | None:
    try:
        kept = KeptCheckpoint(Checkpoint.from_text(Note.from_bytes(note).text), note, created_at)
    except NoteError:
        return None
    return kept if kept.checkpoint.size == size else None


def _kept(note: bytes, created_at: int) -> KeptCheckpoint:
    try:
        return KeptCheckpoint(Checkpoint.from_text(Note.from_bytes(note).text), note, created_at)
    except NoteError as error:
        raise LedgerBroken(
            f"a kept checkpoint cannot be read ({error}); run `backup-ledger audit verify`"
        ) from error
