"""Export evidence for an auditor; that it was exported is an event itself."""

from __future__ import annotations

import os
import shutil
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from commands.audit.cosign import ask_witnesses
from commands.audit.sign_checkpoint import sign_checkpoint
from commands.errors import NOT_FOUND, CommandError, TargetExists
from commands.sqlite.errors import FileInTheWay
from commands.sqlite.files import create_private, file_error, flush_directory, flush_file
from commands.sqlite.publishing import publish_new
from ledger.append.database import translated_errors
from ledger.append.ledger import Draft
from ledger.events.housekeeping import EvidenceExported
from ledger.evidence.bundle import Choice, Written, write_bundle, write_zip
from ledger.vocabulary import LEDGER_STREAM

if TYPE_CHECKING:
    from commands.site.site import Site
    from ledger.append.kept_checkpoints import KeptCheckpoint
    from ledger.append.ledger import Context
    from ledger.tree.signed_note import SignerKey

ZIP_SUFFIX = ".zip"


class NothingToExport(CommandError, LookupError):
    """No record is of the kind that was asked for."""

    exit_code = NOT_FOUND


class Exported(NamedTuple):
    """A finished bundle."""

    path: Path
    written: Written
    checkpoint: KeptCheckpoint


def export_evidence(
    site: Site, context: Context, out: Path, choice: Choice, key: SignerKey
) -> Exported:
    """Write a bundle to a new folder, or a new file if its name ends in .zip.

    The event is appended before the bundle gets its name: no bundle without its event.

    Raises:
        TargetExists: something stands at its place; it is left alone.
        NothingToExport: the choice leaves nothing.
        LedgerBroken: the ledger does not continue what was signed before.
    """
    if os.path.lexists(out):
        raise TargetExists(f"{out} already exists and is left alone; choose another name")
    engine = site.ledger.engine
    kept = sign_checkpoint(engine, key, site.clock, site.configuration.checkpoint_folder)
    ask_witnesses(site, context)
    staging = _staging_beside(out)
    try:
        folder = staging / "bundle"
        folder.mkdir(mode=0o700)
        with translated_errors(engine), engine.connect() as connection:
            witnesses = [each.verifier for each in site.configuration.witnesses]
            written = write_bundle(connection, folder, choice, kept, key, witnesses)
        if not written.records:
            raise NothingToExport("no record is of that kind; nothing was exported")
        finished = _finish(folder, staging, out)
        _record(site, context, choice, written, kept)
        _publish(finished, out)
    except OSError as error:
        if isinstance(error, CommandError):
            raise
        raise file_error(error, out) from error
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return Exported(out, written, kept)


def _staging_beside(out: Path) -> Path:
    try:
        return Path(tempfile.mkdtemp(prefix=f".{out.name}.", dir=out.absolute().parent))
    except OSError as error:
        raise file_error(error, out) from error


def _finish(folder: Path, staging: Path, out: Path) -> Path:
    """The bundle as it will be, on disk."""
    for path in folder.iterdir():
        path.chmod(0o600)
        flush_file(path)
    if out.suffix != ZIP_SUFFIX:
        flush_directory(folder)
        return folder
    archive = staging / "bundle.zip"
    with os.fdopen(create_private(archive), "wb") as target:
        write_zip(folder, target)
        target.flush()
        os.fsync(target.fileno())
    return archive


def _record(
    site: Site, context: Context, choice: Choice, written: Written, kept: KeptCheckpoint
) -> None:
    details = EvidenceExported(
        first_position=written.first_position,
        last_position=written.last_position,
        checkpoint_size=kept.checkpoint.size,
        filter={name: value for name, value in asdict(choice).items() if value is not None},
    )
    site.notify(site.ledger.append(context, Draft(LEDGER_STREAM, details)))


def _publish(finished: Path, out: Path) -> None:
    """Give the bundle its name, and never another's."""
    try:
        publish_new(finished, out)
    except FileInTheWay as error:
        raise TargetExists(
            f"{out} already exists and is left alone; choose another name"
        ) from error
