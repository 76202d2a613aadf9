"""What `backup restore` does with an off-site copy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from commands.cli.offsite.options import identities_in, require_extra
from commands.reporting import humanize as moments
from commands.reporting.terminal import progress_bar, say, show_facts, write_json

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from commands.cli.session import Session
    from commands.restore.restore import RestoreOutcome
    from projections.folds.backup import Backup
    from projections.folds.offsite_copy import OffsiteCopy
    from projections.folds.offsite_destination import Destination

    Found = tuple[Backup, Destination, OffsiteCopy]


@dataclass(frozen=True, slots=True)
class CopyWanted:
    """What a person asked for. `source`: the destination's name; None for whichever has it."""

    name: str
    source: str | None
    identity: Sequence[Path] | None
    to: Path | None
    force: bool


def needs_copy(session: Session, wanted: CopyWanted) -> bool:
    """Whether a copy is fetched: one was asked for, or the backup's own file is no good."""
    if wanted.source is not None or not wanted.identity:
        return wanted.source is not None
    from commands.backups.find import find_backup
    from commands.errors import BackupNotFound
    from commands.verification.verify import look_closely

    try:
        backup = find_backup(session.site, wanted.name)
    except BackupNotFound:
        return True
    return not look_closely(session.site, backup, "digest").is_good


def find_copy(session: Session, wanted: CopyWanted) -> Found:
    """The copy that is fetched, its backup, and where it is."""
    require_extra()
    from commands.restore.from_copy import find_copied

    return find_copied(session.site, wanted.name, wanted.source)


def restore_copy(session: Session, wanted: CopyWanted) -> RestoreOutcome:
    """Fetch and restore, with a progress bar."""
    from commands.restore.from_copy import restore_from_copy

    identities = identities_in(wanted.identity)
    with progress_bar("restoring", in_bytes=True) as progress:
        return restore_from_copy(
            session.site,
            session.context,
            wanted.name,
            destination=wanted.source,
            identities=identities,
            to=wanted.to,
            force=wanted.force,
            on_progress=progress,
        )


def show_fetch(session: Session, found: Found, *, as_json: bool) -> None:
    """What fetching takes, and who can open it."""
    from commands.restore.from_copy import plan_fetch

    _backup, destination, copy = found
    plan = plan_fetch(session.site, destination, copy)
    if as_json:
        write_json(
            {
                "backup_id": copy.backup_id,
                "filename": copy.filename,
                "destination": destination.name,
                "copy_id": copy.copy_id,
                "bytes": plan.bytes,
                "requests": plan.requests,
                "readable_by": copy.readable_by,
            }
        )
        return
    facts: list[tuple[str, object]] = [
        ("backup", copy.filename),
        ("from", f"{destination.name}, {destination.url}"),
        ("to fetch", f"{moments.size(plan.bytes)} in {plan.requests} requests"),
    ]
    readers = copy.readable_by or ["anyone: it is not encrypted"]
    show_facts(facts + [("can be read by", reader) for reader in readers])
    say("Nothing was done.", style="dim")
