"""Get a copy's file back: claim, fetch in the helper process, record. Nothing is restored here."""

from __future__ import annotations

from contextlib import suppress
from shutil import rmtree
from typing import TYPE_CHECKING
from uuid import uuid4

from commands.errors import message_of
from commands.offsite.destinations import live_destinations, open_reading, store_options
from commands.offsite.errors import CopyUnknown
from commands.offsite.index_folder import index_folder
from commands.offsite.worker.jobs import FetchJob
from commands.offsite.worker.run import run_fetch
from commands.site.heartbeat import Heartbeat
from ledger.append.leases_and_names import fetch_lease
from ledger.append.ledger import Draft
from ledger.events.offsite import CopyFetched, CopyFetchStarted, CopyNotFetched
from ledger.vocabulary import CopyStatus, copy_stream
from projections.queries.offsite import copies_of_backup, copy_locked, open_fetches

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from typing import Any

    from commands.offsite.worker.run import Progress
    from commands.site.site import Site
    from ledger.append.ledger import Context
    from ledger.append.recorder import LockedHead
    from ledger.vocabulary import FetchReason
    from projections.folds.backup import Backup
    from projections.folds.offsite_copy import OffsiteCopy
    from projections.folds.offsite_destination import Destination


FETCHED = "fetched"
KEPT_SECONDS = 7 * 86_400


def newest_copy(
    site: Site, backup: Backup, destination: str | None = None
) -> tuple[Destination, OffsiteCopy]:
    """The copy of a backup to restore from: verified ones first, then the newest.

    Raises:
        CopyUnknown: there is none, or none at the destination of this name.
    """
    live = {each.repository_id: each for each in live_destinations(site)}
    with site.read_models.reading() as connection:
        copies = copies_of_backup(connection, backup.backup_id)
    usable = [
        each
        for each in copies
        if each.status == CopyStatus.OK
        and each.destination in live
        and destination in (None, live[each.destination].name)
    ]
    if not usable:
        where = "anywhere" if destination is None else f"at {destination!r}"
        raise CopyUnknown(
            f"backup {backup.filename!r} has no good copy {where}; see: backup-ledger offsite list"
        )
    best = max(usable, key=lambda each: (each.verified_at is not None, each.position))
    return live[best.destination], best


def fetch_copy(
    site: Site,
    context: Context,
    destination: Destination,
    copy: OffsiteCopy,
    path: Path,
    *,
    identities: Sequence[str],
    reason: FetchReason,
    on_progress: Progress | None = None,
) -> int:
    """Bring the file of a copy to a new path, held to what was recorded; the bytes received.

    Raises:
        WrongKey: no identity opens it.
        RepositoryDamaged: something there is not what was recorded; nothing is left.
        CopyUnknown: its destination was removed meanwhile; nothing is left.
        OffsiteError: the store failed; recorded.
    """
    fetch_id, stream = str(uuid4()), copy_stream(copy.copy_id)
    about: dict[str, Any] = {
        "destination": copy.destination,
        "backup_id": copy.backup_id,
        "fetch_id": fetch_id,
        "reason": reason,
    }
    with site.owner.working_under(fetch_lease(fetch_id)):  # until the outcome is recorded
        _start(site, context, copy, about)
        try:
            with Heartbeat(site):
                open_reading(site, destination)
                job = _job(site, destination, copy, path, identities, reason)
                received = run_fetch(job, on_progress, (site.owner.lock_descriptor,))
        except BaseException as error:
            details = CopyNotFetched(**about, error_type=type(error).__name__)
            message = message_of(error)
            draft = Draft(stream, details, copy.user_id, error_message=message)
            _end(site, context, fetch_id, draft)
            raise
        fetched = CopyFetched(**about, bytes=received.received_bytes)
        if not _end(site, context, fetch_id, Draft(stream, fetched, copy.user_id)):
            path.unlink(missing_ok=True)
            raise CopyUnknown(
                f"copy {copy.copy_id} was being fetched when its destination {destination.name!r} "
                "was removed, or when this process was taken for dead; try again"
            )
    return received.received_bytes


def _start(site: Site, context: Context, copy: OffsiteCopy, about: dict[str, Any]) -> None:
    details = CopyFetchStarted(
        **about, owner=site.instance, lease_seconds=site.configuration.lease_seconds
    )

    def decide(locked: LockedHead) -> list[Draft]:
        found = copy_locked(locked, copy.copy_id)
        if found is None or found.status not in (CopyStatus.OK, CopyStatus.CORRUPT):
            status = "unknown" if found is None else found.status
            raise CopyUnknown(f"copy {copy.copy_id} is {status} meanwhile; choose another")
        return [Draft(copy_stream(copy.copy_id), details, copy.user_id)]

    site.notify(site.ledger.decide(context, decide))


def _end(site: Site, context: Context, fetch_id: str, outcome: Draft) -> bool:
    """Record the outcome of a fetch; False where somebody else has recorded its end."""

    def decide(locked: LockedHead) -> list[Draft]:
        is_open = any(each.fetch_id == fetch_id for _, _, each in open_fetches(locked.connection))
        return [outcome] if is_open else []

    recorded = site.ledger.decide(context, decide)
    if recorded:
        site.notify(recorded)
    return bool(recorded)


def _job(
    site: Site,
    destination: Destination,
    copy: OffsiteCopy,
    path: Path,
    identities: Sequence[str],
    reason: FetchReason,
) -> FetchJob:
    assert copy.size is not None
    return FetchJob(
        url=destination.url,
        options=store_options(site, destination),
        path=str(path),
        copy_id=copy.copy_id,
        backup_id=copy.backup_id,
        size=copy.size,
        sha256=str(copy.sha256),
        manifest_sha256=str(copy.manifest_sha256),
        packs_root=str(copy.packs_root),
        identities=list(identities),
        kept_packs=str(_kept_packs(site, copy)) if reason == "restore" else None,
    )


def _kept_packs(site: Site, copy: OffsiteCopy) -> Path:
    """Where a fetch that was cut short left what it had received; an old one is dropped."""
    above = index_folder(site, copy.destination) / FETCHED
    oldest = site.clock.now().timestamp() - KEPT_SECONDS
    with suppress(OSError):
        for each in above.iterdir():
            if each.stat().st_mtime < oldest and each.name != copy.copy_id:
                rmtree(each, ignore_errors=True)
    return above / copy.copy_id
