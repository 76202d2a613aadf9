"""Verify the ledger with everything that is configured: its key, and what is kept outside.

Whoever can write the ledger's database can make everything in it agree with everything else. The
public half of the signing key and the copies of checkpoints in another place are what they cannot
change, so they are used without being asked for.
"""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

from commands.audit.keys import read_private_key
from commands.audit.sign_checkpoint import SUFFIX, read_checkpoint
from commands.audit.witness_policy import witness_policy
from commands.errors import InvalidArgument
from ledger.verify.cosignatures import NO_WITNESSES
from ledger.verify.verify import Given, Report, verify

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from sqlalchemy.engine import Engine

    from commands.site.configuration import Configuration
    from ledger.tree.signed_note import VerifierKey
    from ledger.verify.cosignatures import WitnessPolicy
    from ledger.verify.verify import Progress


def verify_ledger(
    engine: Engine,
    configuration: Configuration,
    *,
    checkpoints: Sequence[Given] = (),
    public_keys: Sequence[VerifierKey] = (),
    witnesses: WitnessPolicy = NO_WITNESSES,
    on_progress: Progress | None = None,
) -> Report:
    """Verify with the configured key, folder and witnesses, and with what is given beside them.

    `witnesses`: instead of the configured ones, where there are any.

    What is configured and cannot be read is named among what was not checked.

    Raises:
        InvalidArgument: a checkpoint is given, and no public key is known.
        LedgerError: it is not a ledger.
    """
    open_questions: list[str] = []
    keys = [*public_keys, *_configured_key(configuration, open_questions)]
    if checkpoints and not keys:
        raise InvalidArgument("--checkpoint needs --public-key: whose signature is to be checked?")
    outside = _kept_outside(configuration, open_questions)
    report = verify(
        engine,
        checkpoints=(*checkpoints, *outside),
        public_keys=keys,
        witnesses=witnesses if witnesses.keys else witness_policy(configuration),
        on_progress=on_progress,
    )
    return replace(report, not_checked=(*open_questions, *report.not_checked))


def _configured_key(configuration: Configuration, open_questions: list[str]) -> list[VerifierKey]:
    path = configuration.checkpoint_key
    if path is None:
        return []
    try:
        return [read_private_key(path).verifier()]
    except InvalidArgument as error:
        open_questions.append(f"signatures by the configured checkpoint_key: {error}")
        return []


def _kept_outside(configuration: Configuration, open_questions: list[str]) -> list[Given]:
    """Every file of the configured folder, whoever signed it."""
    folder = configuration.checkpoint_folder
    if folder is None:
        return []
    try:
        names = sorted(os.listdir(folder))
    except OSError as error:
        open_questions.append(
            f"the checkpoints kept outside: {folder} cannot be read: {error.strerror}"
        )
        return []
    found = []
    for name in names:
        if not name.endswith(SUFFIX) or name.startswith("."):
            continue
        given = _read(folder / name, open_questions)
        if given is not None:
            found.append(given)
    if not found:
        open_questions.append(f"the checkpoints kept outside: there is none in {folder}")
    return found


def _read(path: Path, open_questions: list[str]) -> Given | None:
    try:
        return Given(f"the checkpoint {path}", read_checkpoint(path), must_be_signed=False)
    except OSError as error:
        open_questions.append(f"the checkpoint {path}: it cannot be read: {error.strerror}")
        return None
