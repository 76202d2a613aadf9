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


def newest_kept(connection: Connection) -> KeptCheckpoint | None:
    """The newest checkpoint in the ledger, its signature not looked at.

    Raises:
        LedgerBroken: it cannot be read.
    """
    row = connection.execute(
        select(checkpoints.c.note, checkpoints.c.created_at)
        .order_by(checkpoints.c.size.desc(), checkpoints.c.id.desc())
        .limit(1)
    ).one_or_none()
    return None if row is None else _kept(bytes(row.note), row.created_at)


def kept_by(connection: Connection, key: VerifierKey, up_to: int) -> Iterator[KeptCheckpoint]:
    """Those that a key signed, one of each size, from the smallest to a size.

    Raises:
        LedgerBroken: one bears the key's name but not its signature.
    """
    last = -1
    rows = connection.execute(
        select(checkpoints.c.note, checkpoints.c.created_at)
        .where(checkpoints.c.size <= up_to)
        .order_by(checkpoints.c.size, checkpoints.c.id)
    )
    for note, created_at in rows:
        kept = _kept(bytes(note), created_at)
        if kept.checkpoint.origin == key.name and kept.checkpoint.size != last:
            require_signed(kept.note, key, "a kept checkpoint")
            last = kept.checkpoint.size
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
    newest = newest_kept(connection)
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


def _kept(note: bytes, created_at: int) -> KeptCheckpoint:
    try:
        return KeptCheckpoint(Checkpoint.from_text(Note.from_bytes(note).text), note, created_at)
    except NoteError as error:
        raise LedgerBroken(
            f"a kept checkpoint cannot be read ({error}); run `backup-ledger audit verify`"
        ) from error
