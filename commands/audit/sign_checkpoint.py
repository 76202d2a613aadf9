"""Sign the ledger's head, keep the checkpoint, and put a copy outside.

A copy in another place is what catches a ledger that was rewritten as a whole: everything in
the ledger's own database can be made to agree with everything else.
"""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING

from commands.audit.keys import read_private_key
from commands.errors import CommandError
from commands.sqlite.files import file_error, flush_directory, read_given, write_private
from ledger.append.database import translated_errors, writing
from ledger.append.kept_checkpoints import KeptCheckpoint, has_grown, newest_kept, sign_head
from ledger.clock import to_microseconds
from ledger.events.housekeeping import CheckpointCosigned, WitnessRefused
from ledger.tree.signed_note import Note, NoteError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy.engine import Engine

    from commands.site.site import Site
    from ledger.clock import Clock
    from ledger.tree.signed_note import SignerKey, VerifierKey

logger = logging.getLogger("backup_ledger.checkpoints")
SUFFIX = ".checkpoint"
MAX_CHECKPOINT_BYTES = 1_000_000
_SIZE_DIGITS = 19
_ABOUT_WITNESSES = (CheckpointCosigned.event_type, WitnessRefused.event_type)
"""What is recorded because a checkpoint was signed; it alone is no reason to sign another."""


class CopyDiffers(CommandError, FileExistsError):
    """The place outside holds another checkpoint under the name of this one."""


def sign_checkpoint(
    engine: Engine, key: SignerKey, clock: Clock, folder: Path | None = None
) -> KeptCheckpoint:
    """Sign the head, or return the newest checkpoint where the head has not moved since.

    `folder`: where copies are kept outside; the newest one there must be continued too.

    Raises:
        LedgerBroken: the tree does not continue what was signed before; nothing is signed.
        CopyDiffers: the place outside has another history.
    """
    outside = [] if folder is None else _newest_copy(folder, key.verifier())
    with writing(engine) as connection:
        kept = sign_head(connection, key, to_microseconds(clock.now()), outside)
    if folder is not None:
        keep_copy(folder, key.verifier(), kept)
    return kept


def kept_notes(files: Sequence[Path], folder: Path | None) -> list[bytes]:
    """Checkpoints that were kept outside: in these files, and in a folder, where there is one.

    Raises:
        SQLiteFileError: one cannot be read.
    """
    there = [] if folder is None or not folder.is_dir() else sorted(folder.glob(f"*{SUFFIX}"))
    notes = []
    for path in (*files, *there):
        try:
            notes.append(read_given(path, MAX_CHECKPOINT_BYTES))
        except OSError as error:
            raise file_error(error, path) from error
    return notes


def has_news(engine: Engine, size: int) -> bool:
    """Whether more stands behind a size than what witnesses made us record."""
    with translated_errors(engine), engine.connect() as connection:
        return has_grown(connection, size, _ABOUT_WITNESSES)


class AutomaticCheckpoints:
    """Signs now and then; remembers when it last tried, whatever came of it."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._tried_at: float | None = None

    def sign_when_due(self) -> KeptCheckpoint | None:
        """Sign if a key is configured, the head has moved, and the last time is long enough ago.

        Raises:
            CommandError, LedgerError: it could not be signed; tried again after the interval.
        """
        site, configuration = self._site, self._site.configuration
        if configuration.checkpoint_key is None or not self._is_due():
            return None
        self._tried_at = site.clock.monotonic()
        key = read_private_key(configuration.checkpoint_key)
        kept = sign_checkpoint(site.ledger.engine, key, site.clock, configuration.checkpoint_folder)
        logger.info("signed a checkpoint of %d records", kept.checkpoint.size)
        return kept

    def _is_due(self) -> bool:
        site, tried = self._site, self._tried_at
        interval = site.configuration.checkpoint_interval_minutes * 60
        if tried is not None and site.clock.monotonic() - tried < interval:
            return False
        size = site.ledger.log_recorder.head().size
        with translated_errors(site.ledger.engine), site.ledger.engine.connect() as connection:
            newest = newest_kept(connection)
            if newest is None:
                return size > 0
            if not has_grown(connection, newest.checkpoint.size, _ABOUT_WITNESSES):
                return False
        age = to_microseconds(site.clock.now()) - newest.created_at
        # A clock that was set back must not put it off permanently.
        return not 0 <= age < interval * 1_000_000


def _name(key: VerifierKey, size: int) -> str:
    return f"{key.key_id.hex()}_{size:0{_SIZE_DIGITS}d}{SUFFIX}"


def _newest_copy(folder: Path, key: VerifierKey) -> list[bytes]:
    """The largest checkpoint of this key in the place outside."""
    prefix = f"{key.key_id.hex()}_"
    try:
        names = sorted(
            name for name in os.listdir(folder) if name.startswith(prefix) and name.endswith(SUFFIX)
        )
        return [read_checkpoint(folder / name) for name in names[-1:]]
    except OSError as error:
        raise CommandError(
            f"the checkpoint folder {folder} cannot be read: {error.strerror}; nothing was signed"
        ) from error


def read_checkpoint(path: Path) -> bytes:
    """A checkpoint file's bytes. Raises OSError."""
    return read_given(path, MAX_CHECKPOINT_BYTES)


def keep_copy(
    folder: Path, key: VerifierKey, kept: KeptCheckpoint, *, replace: bool = False
) -> None:
    """Write a copy, whole or not at all; one that is there must be of the same checkpoint.

    `replace`: the one that is there gives way, as this one has more cosignatures.

    Raises:
        CopyDiffers: another checkpoint has the name of this one.
        SQLiteFileError: the place cannot be written.
    """
    final = folder / _name(key, kept.checkpoint.size)
    if final.exists():
        there = read_checkpoint(final)
        if not _is_of_same_text(there, kept.note):
            raise CopyDiffers(f"{final} is another checkpoint: two histories; ask your auditor")
        if not replace or there == kept.note:
            return
    staged = folder / f".{final.name}.{os.getpid()}"
    try:
        staged.unlink(missing_ok=True)
        write_private(staged, kept.note)
        os.rename(staged, final)
        flush_directory(folder)
    except OSError as error:
        staged.unlink(missing_ok=True)
        raise file_error(error, final) from error


def _is_of_same_text(one: bytes, other: bytes) -> bool:
    """Whether two notes say the same, whoever signed them."""
    try:
        return Note.from_bytes(one).text == Note.from_bytes(other).text
    except NoteError:
        return False
