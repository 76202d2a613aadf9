"""Copy backups to a destination: claim, send, append. The append is the commit point.

copy_started with its lease; the local file is kept from deletion until the outcome
the helper process reads the file, sends packs, then the list of packs and the manifest
copy_completed, under the head lock: the lease is ours, the destination is attached
"""

from __future__ import annotations

import logging
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from uuid import uuid4

from commands.errors import message_of
from commands.offsite.destinations import open_session, require_attached, store_options
from commands.offsite.errors import CopyDropped, CopyStopped, OffsiteError
from commands.offsite.index_folder import index_folder, locked_index
from commands.offsite.pack_drafts import pack_drafts
from commands.offsite.policy import Policy
from commands.offsite.repository.layout import manifest_path, pack_list_path
from commands.offsite.worker.jobs import CopyJob
from commands.offsite.worker.pace import upload_bytes_per_second
from commands.offsite.worker.run import run_copy
from commands.offsite.worker.send import BackupChangedError
from commands.site.fence import held_runs
from commands.site.heartbeat import Heartbeat
from commands.verification.verify import verify_backup
from ledger.append.ledger import Draft
from ledger.clock import to_microseconds
from ledger.errors import LeaseLost
from ledger.events.catalog import BackupCreated
from ledger.events.offsite import (
    CopyCompleted,
    CopyFailed,
    CopyStarted,
)
from ledger.vocabulary import BackupStatus, backup_stream, copy_stream
from projections.queries.locked import backup_locked, open_copies
from projections.queries.offsite import condemned_packs, copy_locked, destination_locked

if TYPE_CHECKING:
    from pathlib import Path

    from commands.offsite.repository.stores import ObjectStore
    from commands.offsite.worker.jobs import CopyResult
    from commands.offsite.worker.run import Progress
    from commands.site.site import Site
    from ledger.append.ledger import Context
    from ledger.append.recorder import LockedHead
    from projections.folds.backup import Backup
    from projections.folds.offsite_copy import OffsiteCopy
    from projections.folds.offsite_destination import Destination

logger = logging.getLogger("backup_ledger.offsite")
TRIES = 3
NO_FINGERPRINT = "00" * 32
NO_SOURCE = "00000000-0000-0000-0000-000000000000"
"""Of a backup that was adopted: nobody knows of which database."""


class _PacksGone(CopyDropped):
    """Packs that the copy leans on went while it was made: it leans on others, and sends those."""


@dataclass(frozen=True, slots=True)
class _Copying:
    """One copy while it is made."""

    site: Site
    context: Context
    destination: Destination
    backup: Backup
    copy_id: str

    @property
    def stream(self) -> str:
        return copy_stream(self.copy_id)

    @property
    def about(self) -> dict[str, str]:
        return {
            "destination": self.destination.repository_id,
            "backup_id": self.backup.backup_id,
        }


def copy_backup(
    site: Site,
    context: Context,
    destination: Destination,
    backup: Backup,
    on_progress: Progress | None = None,
) -> OffsiteCopy:
    """Copy one backup to one destination.

    Raises:
        CopyDropped: it is copied already, or being copied; or something changed meanwhile.
        RepositoryForked: the repository is not ours; nothing was touched.
        OffsiteError, OSError: it failed; recorded, and tried again later.
    """
    copying = _Copying(site, context, destination, backup, str(uuid4()))
    with site.owner.working_under(copying.stream):  # until the outcome is recorded
        _start(copying)
        try:
            with Heartbeat(site):
                open_session(site, destination)
                return _complete(copying, on_progress)
        except BaseException as error:
            _fail(copying, error)
            raise


def _start(copying: _Copying) -> None:
    site, destination, backup = copying.site, copying.destination, copying.backup
    details = CopyStarted(
        **copying.about,
        filename=backup.filename,
        source=backup.source,
        owner=site.instance,
        lease_seconds=site.configuration.lease_seconds,
    )

    def decide(locked: LockedHead) -> list[Draft]:
        require_attached(destination_locked(locked, destination.repository_id), destination.name)
        found = backup_locked(locked, backup.backup_id)
        if found is None or found.status != BackupStatus.OK:
            status = "unknown" if found is None else found.status
            raise CopyDropped(f"backup {backup.filename!r} is {status}, so it is not copied")
        for each in open_copies(locked.connection):
            if (each.backup_id, each.destination) == (
                backup.backup_id,
                destination.repository_id,
            ):
                raise CopyDropped(f"backup {backup.filename!r} is already being copied there")
        return [Draft(copying.stream, details, backup.user_id)]

    site.notify(site.ledger.decide(copying.context, decide))


def _complete(copying: _Copying, on_progress: Progress | None) -> OffsiteCopy:
    """Send and complete; again where packs went meanwhile, which are not leaned on any more."""
    for _ in range(TRIES - 1):
        try:
            return _send_and_complete(copying, on_progress)
        except _PacksGone as error:
            logger.info("%s: %s", copying.backup.filename, error)
            with copying.site.ledger.locked() as locked:
                found = destination_locked(locked, copying.destination.repository_id)
            copying = replace(
                copying, destination=require_attached(found, copying.destination.name)
            )
    return _send_and_complete(copying, on_progress)


def _send_and_complete(copying: _Copying, on_progress: Progress | None) -> OffsiteCopy:
    site = copying.site
    with (
        locked_index(site, copying.destination.repository_id),
        site.owner.staging(copying.copy_id) as scratch,
    ):
        job = _job(copying, scratch)
        result = run_copy(job, on_progress, (site.owner.lock_descriptor,))
    _record_packs(copying, result)
    details = CopyCompleted(
        **copying.about,
        copy_id=copying.copy_id,
        size=copying.backup.size,
        sha256=copying.backup.sha256,
        manifest_sha256=result.manifest_sha256,
        packs=len(result.pack_names),
        packs_root=result.packs_root,
        pages=result.pages,
        new_pages=result.new_pages,
        sent_bytes=result.sent_bytes,
        readable_by=copying.destination.recipients,
        protected_until=None
        if result.locked_until is None
        else datetime.fromtimestamp(result.locked_until, UTC),
    )

    def decide(locked: LockedHead) -> list[Draft]:
        _require_held(copying, locked)
        destination = copying.destination
        found = require_attached(
            destination_locked(locked, destination.repository_id), destination.name
        )
        condemned = condemned_packs(locked.connection, destination.repository_id)
        lost = {*found.missing_packs, *found.damaged_packs, *condemned}
        if gone := set(result.pack_names) & lost:
            raise _PacksGone(
                f"{len(gone)} packs of the copy are gone, damaged or condemned meanwhile; try again"
            )
        return [Draft(copying.stream, details, copying.backup.user_id)]

    site.notify(site.ledger.decide(copying.context, decide))
    return _copy_now(copying)


def _job(copying: _Copying, scratch: Path) -> CopyJob:
    site, destination, backup = copying.site, copying.destination, copying.backup
    policy = Policy.of(destination)
    made = site.ledger.stream(backup_stream(backup.backup_id))[0].details
    schema = made.schema_fingerprint if isinstance(made, BackupCreated) else NO_FINGERPRINT
    return CopyJob(
        url=destination.url,
        options=store_options(site, destination),
        niceness=site.configuration.niceness,
        bytes_per_second=upload_bytes_per_second(site, destination),
        path=str(site.store.path(backup.filename)),
        size=backup.size,
        sha256=backup.sha256,
        backup_id=backup.backup_id,
        copy_id=copying.copy_id,
        source=backup.source or NO_SOURCE,
        schema_fingerprint=schema,
        created_at=to_microseconds(backup.created_at),
        filename=backup.filename,
        recipients=destination.recipients,
        share=destination.share,
        condemned=_refused_packs(site, destination),
        missing=destination.missing_packs,
        index_folder=str(index_folder(site, destination.repository_id)),
        scratch=str(scratch),
        lock_seconds=round(policy.lock.total_seconds()),
        promised_until=(site.clock.now() + policy.promise).timestamp(),
    )


def _refused_packs(site: Site, destination: Destination) -> list[str]:
    """Packs that no new copy leans on: damaged ones, and all that were ever condemned."""
    with site.ledger.engine.connect() as connection:
        condemned = condemned_packs(connection, destination.repository_id)
    return sorted({*condemned, *destination.damaged_packs})


def _record_packs(copying: _Copying, result: CopyResult) -> None:
    """What the listing lacked, or has again: facts about the destination."""
    repository_id = copying.destination.repository_id
    drafts = [
        *pack_drafts(repository_id, missing=result.missing, damaged=False),
        *pack_drafts(repository_id, found=result.found, damaged=False),
    ]
    if drafts:
        site = copying.site
        site.notify(site.ledger.append(copying.context, *drafts), is_last=False)


def _require_held(copying: _Copying, locked: LockedHead) -> None:
    site = copying.site
    if not held_runs(site, locked, [copying.stream]):
        raise LeaseLost(copying.stream)


def _fail(copying: _Copying, error: BaseException) -> None:
    """Record why there is no copy; its objects are swept, or else at the next session."""
    site, backup = copying.site, copying.backup
    if isinstance(error, BackupChangedError):
        with suppress(Exception):
            verify_backup(site, copying.context, backup, "digest")
    details = CopyFailed(**copying.about, error_type=type(error).__name__)
    message = message_of(error)
    if isinstance(error, BackupChangedError):
        message = f"the file {backup.filename} is not what was recorded; it was not copied"

    def decide(locked: LockedHead) -> list[Draft]:
        found = copy_locked(locked, copying.copy_id)
        if found is None or found.status != "copying":
            return []
        return [Draft(copying.stream, details, backup.user_id, error_message=message)]

    recorded = site.ledger.decide(copying.context, decide)
    if recorded:  # else it was completed after all, or somebody else has judged it
        site.notify(recorded)
    if recorded and not isinstance(error, CopyStopped):  # whoever stops it does not wait
        with suppress(OffsiteError):
            sweep_copy(open_session(site, copying.destination), copying.copy_id)


def sweep_copy(store: ObjectStore, copy_id: str) -> None:
    """Remove the manifest and list of a copy whose outcome is recorded, and not `completed`."""
    store.delete(manifest_path(copy_id))
    store.delete(pack_list_path(copy_id))


def _copy_now(copying: _Copying) -> OffsiteCopy:
    with copying.site.ledger.locked() as locked:
        found = copy_locked(locked, copying.copy_id)
    assert found is not None
    return found
