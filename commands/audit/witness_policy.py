"""Whose cosignatures count, and how many are enough: as configured, or as an auditor says."""

from __future__ import annotations

from typing import TYPE_CHECKING

from commands.errors import InvalidArgument
from commands.site.witnesses import usual_quorum
from ledger.tree.signed_note import NoteError, SignatureType, VerifierKey
from ledger.verify.cosignatures import WitnessPolicy

if TYPE_CHECKING:
    from collections.abc import Sequence

    from commands.site.configuration import Configuration


def witness_policy(configuration: Configuration) -> WitnessPolicy:
    """The configured one; too few cosignatures are named among what was not checked."""
    keys = tuple(each.verifier for each in configuration.witnesses)
    return WitnessPolicy(keys, configuration.witness_quorum or usual_quorum(len(keys)))


def demanded_policy(keys: Sequence[str], quorum: int | None) -> WitnessPolicy:
    """An auditor's own; too few cosignatures are a finding. Without a quorum more than half.

    Raises:
        InvalidArgument: a key is not a witness's, or the quorum is out of range.
    """
    parsed = tuple(dict.fromkeys(_witness_key(each) for each in keys))
    if quorum is not None and not 1 <= quorum <= len(parsed):
        raise InvalidArgument(
            f"--quorum is {quorum}; give 1 to {len(parsed)}, the number of --witness-key"
            if parsed
            else "--quorum needs --witness-key: whose cosignatures are to be counted?"
        )
    return WitnessPolicy(parsed, quorum or usual_quorum(len(parsed)), is_demanded=bool(parsed))


def _witness_key(text: str) -> VerifierKey:
    try:
        key = VerifierKey.parse(text)
    except NoteError as error:
        raise InvalidArgument(f"{text!r} is not a public key: {error}") from error
    if key.signature_type is not SignatureType.COSIGNATURE:
        raise InvalidArgument(f"{text!r} is not the key of a witness (type 0x04)")
    return key
