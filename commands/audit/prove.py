"""Prove that a record is in the ledger: a `.tlog-proof` file."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from commands.audit.sign_checkpoint import sign_checkpoint
from commands.errors import CONFLICT, NOT_FOUND, CommandError
from ledger.append.database import translated_errors
from ledger.append.kept_checkpoints import newest_cosigned
from ledger.append.reading import read_leaf_hash
from ledger.append.stored_tree import TreeReader
from ledger.tree.checkpoint import TlogProof
from ledger.tree.proofs import inclusion_proof
from ledger.verify.cosignatures import NO_WITNESSES

if TYPE_CHECKING:
    from pathlib import Path

    from sqlalchemy.engine import Engine

    from ledger.append.kept_checkpoints import KeptCheckpoint
    from ledger.clock import Clock
    from ledger.tree.signed_note import SignerKey, VerifierKey
    from ledger.verify.cosignatures import WitnessPolicy


class NoSuchPosition(CommandError, LookupError):
    """The ledger has no record at the position."""

    exit_code = NOT_FOUND


class NotSignedYet(CommandError):
    """No checkpoint covers the record yet."""

    exit_code = CONFLICT


class ProvedRecord(NamedTuple):
    """A record's leaf hash, and the file that proves it together with the record."""

    position: int
    leaf_hash: bytes
    proof: TlogProof


def prove(
    engine: Engine,
    position: int,
    key: SignerKey,
    clock: Clock,
    folder: Path | None = None,
    witnesses: WitnessPolicy = NO_WITNESSES,
) -> ProvedRecord:
    """Prove the record at a position against the newest checkpoint that enough witnesses cosigned.

    Where none covers it the head is signed, if it has moved, and the record proved against that.

    Raises:
        NoSuchPosition: there is none.
        LedgerBroken: the tree does not continue what was signed before.
    """
    _leaf(engine, position)
    kept = cosigned_for(engine, position, key.verifier(), witnesses)
    return prove_in(engine, position, kept or sign_checkpoint(engine, key, clock, folder))


def cosigned_for(
    engine: Engine, position: int, key: VerifierKey, witnesses: WitnessPolicy
) -> KeptCheckpoint | None:
    """The newest checkpoint that enough witnesses cosigned, if it covers a position."""
    with translated_errors(engine), engine.connect() as connection:
        kept = newest_cosigned(connection, key, witnesses.keys, witnesses.quorum)
    return None if kept is None or kept.checkpoint.size < position else kept


def prove_in(engine: Engine, position: int, kept: KeptCheckpoint) -> ProvedRecord:
    """Prove a record against a checkpoint that is kept; nothing is signed.

    Raises:
        NoSuchPosition: there is none.
        NotSignedYet: the record was appended after the checkpoint.
    """
    leaf = _leaf(engine, position)
    if position > kept.checkpoint.size:
        raise NotSignedYet(
            f"position {position} is not signed yet: the newest checkpoint is of "
            f"{kept.checkpoint.size} records; sign one (POST /audit/checkpoint, or backup-ledger "
            "audit checkpoint), or wait for the scheduler's next"
        )
    with translated_errors(engine), engine.connect() as connection:
        path = inclusion_proof(position - 1, kept.checkpoint.size, TreeReader(connection))
    return ProvedRecord(position, leaf, TlogProof(position - 1, path, kept.note))


def _leaf(engine: Engine, position: int) -> bytes:
    with translated_errors(engine), engine.connect() as connection:
        leaf = read_leaf_hash(connection, position) if position > 0 else None
    if leaf is None:
        raise NoSuchPosition(
            f"the ledger has no position {position}; see: backup-ledger audit log --json"
        )
    return leaf
