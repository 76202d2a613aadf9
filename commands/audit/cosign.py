"""Have the newest checkpoint cosigned by the configured witnesses, and record who did and who not.

An event is appended when somebody cosigned, and when a witness refuses for another reason than
the last time: a witness that is away for a week is one event, not one an hour.
"""

from __future__ import annotations

import logging
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from commands.audit.ask_witness import Refused, cosigned_by
from commands.audit.keys import read_private_key
from commands.audit.sign_checkpoint import keep_copy
from commands.audit.witness_policy import witness_policy
from commands.audit.witness_states import witness_states
from commands.errors import CommandError
from ledger.append.database import translated_errors, writing
from ledger.append.kept_checkpoints import (
    KeptCheckpoint,
    cosigned_size,
    keep_cosigned,
    newest_signed,
    with_cosignatures,
)
from ledger.append.ledger import Draft
from ledger.errors import LedgerError
from ledger.events.housekeeping import CheckpointCosigned, WitnessRefused
from ledger.tree.checkpoint import open_checkpoint
from ledger.tree.signed_note import NoteError
from ledger.vocabulary import LEDGER_STREAM

if TYPE_CHECKING:
    from collections.abc import Sequence

    from commands.site.configuration import Configuration
    from commands.site.site import Site
    from commands.site.witnesses import Witness
    from ledger.append.ledger import Context
    from ledger.tree.signed_note import VerifierKey

logger = logging.getLogger("backup_ledger.witnesses")


@dataclass(frozen=True, slots=True)
class Cosigned:
    """How it went: the names of those that cosigned now, and the refusals by name."""

    witnesses: tuple[str, ...]
    refusals: dict[str, Refused]


def cosign_newest(site: Site, context: Context) -> Cosigned | None:
    """Ask every witness that has not cosigned the newest checkpoint; None where none is needed.

    Raises:
        CommandError, LedgerError: the key or the ledger cannot be read or written.
    """
    configuration = site.configuration
    if configuration.checkpoint_key is None or not configuration.witnesses:
        return None
    key = read_private_key(configuration.checkpoint_key).verifier()
    keys = witness_policy(configuration).keys
    engine = site.ledger.engine
    with translated_errors(engine), engine.connect() as connection:
        signed = newest_signed(connection, key)
        if signed is None:
            return None
        kept = with_cosignatures(connection, signed, key, keys)
        waiting = [each for each in configuration.witnesses if not _has(kept, key, each)]
        last = {each.key: cosigned_size(connection, key, each.verifier) for each in waiting}
    if not waiting:
        return None
    before, done, refusals = kept, [], dict[str, Refused]()
    for witness in waiting:
        name = witness.verifier.name
        try:
            note = cosigned_by(engine, witness, kept, key, last[witness.key])
        except Refused as error:
            logger.warning("%s", error)
            refusals[name] = error
        else:
            kept = kept._replace(note=note)
            done.append(name)
    if kept != before:
        with writing(engine) as connection:
            keep_cosigned(connection, kept)
        _put_outside(configuration, key, kept)
    _record(site, context, key, kept, done, refusals)
    return Cosigned(tuple(done), refusals)


def ask_witnesses(site: Site, context: Context) -> None:
    """Have the newest checkpoint cosigned before it is given away; trouble stops nothing."""
    try:
        cosign_newest(site, context)
    except (CommandError, LedgerError) as error:
        logger.warning("a checkpoint that is given away was not cosigned: %s", error)


def with_witnesses(site: Site, context: Context, kept: KeptCheckpoint) -> KeptCheckpoint:
    """A checkpoint just signed with the cosignatures that can be had now, to publish it."""
    configuration = site.configuration
    ask_witnesses(site, context)
    if configuration.checkpoint_key is None or not configuration.witnesses:
        return kept
    key = read_private_key(configuration.checkpoint_key).verifier()
    with translated_errors(site.ledger.engine), site.ledger.engine.connect() as connection:
        return with_cosignatures(connection, kept, key, witness_policy(configuration).keys)


def _has(kept: KeptCheckpoint, key: VerifierKey, witness: Witness) -> bool:
    with suppress(NoteError):
        open_checkpoint(kept.note, key, [witness.verifier], quorum=1)
        return True
    return False


def _put_outside(configuration: Configuration, key: VerifierKey, kept: KeptCheckpoint) -> None:
    """The copy outside gets the cosignatures too, where the place can still be changed."""
    if configuration.checkpoint_folder is None:
        return
    try:
        keep_copy(configuration.checkpoint_folder, key, kept, replace=True)
    except (OSError, NoteError) as error:
        logger.warning("the copy of a checkpoint outside has no cosignatures: %s", error)


def _record(
    site: Site,
    context: Context,
    key: VerifierKey,
    kept: KeptCheckpoint,
    done: Sequence[str],
    refusals: dict[str, Refused],
) -> None:
    size, drafts = kept.checkpoint.size, []
    policy = witness_policy(site.configuration)
    if done:
        count = sum(_has(kept, key, each) for each in site.configuration.witnesses)
        details = CheckpointCosigned(
            size=size,
            root=kept.checkpoint.root.hex(),
            witnesses=list(done),
            cosigned=count,
            quorum=policy.quorum,
        )
        drafts.append(Draft(LEDGER_STREAM, details))
    before = {name: state.reason for name, state in witness_states(site).items()}
    for name, error in refusals.items():
        if before.get(name) == error.reason:
            continue
        refused = WitnessRefused(
            witness=name, size=size, witness_size=error.witness_size, reason=error.reason
        )
        drafts.append(Draft(LEDGER_STREAM, refused, error_message=str(error)))
    if drafts:
        site.notify(site.ledger.append(context, *drafts))
