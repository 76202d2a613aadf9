"""Checkpoints that the ledger keeps of itself: read, continued, added to.

A signer that signs two histories is worth nothing. So before anything new is signed, the tree
must continue the newest checkpoint that was signed before, here or in a copy kept outside.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import insert, select

from ledger.append.stored_tree import TreeReader
from ledger.append.tables import checkpoints, head
from ledger.errors import LedgerBroken
from ledger.tree.checkpoint import Checkpoint, open_checkpoint, sign_checkpoint
from ledger.tree.merkle import EMPTY_ROOT
from ledger.tree.proofs import ProofError, consistency_proof, root_at
from ledger.tree.signed_note import Note, NoteError, SignerKey, VerifierKey

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

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


def kept_by(connection: Connection, key: VerifierKey, up_to: int) -> Iterator[KeptCheckpoint]:
    """Those that a key signed, one of each size, from the smallest to a size."""
    last = -1
    rows = connection.execute(
        select(checkpoints.c.size, checkpoints.c.note, checkpoints.c.created_at)
        .where(checkpoints.c.size <= up_to)
        .order_by(checkpoints.c.size, checkpoints.c.id)
    )
    for size, note, created_at in rows:
        kept = _kept_or_none(size, bytes(note), created_at)
        if kept is not None and size != last and _is_signed(kept, key):
            last = size
            yield kept


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
        _require_continuation(connection, tree, newest.checkpoint, newest.note, key.verifier())
    for note in outside:
        earlier = _kept(note, 0).checkpoint
        _require_continuation(connection, tree, earlier, note, key.verifier())
    if newest is not None and newest.checkpoint == tree:
        return newest
    note = sign_checkpoint(tree, key)
    connection.execute(insert(checkpoints).values(size=tree.size, note=note, created_at=created_at))
    return KeptCheckpoint(tree, note, created_at)


def _newest_first(connection: Connection) -> Iterator[KeptCheckpoint]:
    """Those that can be read and say of themselves what the row says; the newest first."""
    rows = connection.execute(
        select(checkpoints.c.size, checkpoints.c.note, checkpoints.c.created_at).order_by(
            checkpoints.c.size.desc(), checkpoints.c.id.desc()
        )
    )
    for size, note, created_at in rows:
        kept = _kept_or_none(size, bytes(note), created_at)
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
