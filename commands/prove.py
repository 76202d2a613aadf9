"""Prove that a record is in the ledger: a `.tlog-proof` file."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from commands.errors import NOT_FOUND, CommandError
from commands.sign_checkpoint import sign_checkpoint
from ledger.checkpoint import TlogProof
from ledger.database import translated_errors
from ledger.proofs import inclusion_proof
from ledger.recorder import read_leaf_hash
from ledger.tree_reader import TreeReader

if TYPE_CHECKING:
    from pathlib import Path

    from sqlalchemy.engine import Engine

    from ledger.clock import Clock
    from ledger.signed_note import SignerKey


class NoSuchPosition(CommandError, LookupError):
    """The ledger has no record at the position."""

    exit_code = NOT_FOUND


class ProvedRecord(NamedTuple):
    """A record's leaf hash, and the file that proves it together with the record."""

    position: int
    leaf_hash: bytes
    proof: TlogProof


def prove(
    engine: Engine, position: int, key: SignerKey, clock: Clock, folder: Path | None = None
) -> ProvedRecord:
    """Sign the head if it has moved, and prove the record at a position against it.

    Raises:
        NoSuchPosition: there is none.
        LedgerBroken: the tree does not continue what was signed before.
    """
    with translated_errors(engine), engine.connect() as connection:
        leaf = read_leaf_hash(connection, position) if position > 0 else None
    if leaf is None:
        raise NoSuchPosition(
            f"the ledger has no position {position}; see: backup-ledger audit log --json"
        )
    kept = sign_checkpoint(engine, key, clock, folder)
    with translated_errors(engine), engine.connect() as connection:
        path = inclusion_proof(position - 1, kept.checkpoint.size, TreeReader(connection))
    return ProvedRecord(position, leaf, TlogProof(position - 1, path, kept.note))
