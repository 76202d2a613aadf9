"""Judging restores whose process was killed: what does the database hold now?"""

from __future__ import annotations

import os
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from commands.restore.restore import STAGED_PREFIX, staged_beside
from commands.restore.scratch import clear_scratch
from commands.site.actors import SYSTEM
from commands.site.owner import dead_owner
from commands.sqlite.connections import open_immutable, open_live
from commands.sqlite.errors import SQLiteFileError
from commands.sqlite.inspection import schema_fingerprint
from commands.sqlite.permissions import belongings_of
from commands.sqlite.raw_files import hash_raw
from commands.sqlite.replacement import clear_sidecars, rename_into_place, sole_access
from commands.sqlite.restore_into import schema_version
from ledger.append.ledger import Draft
from ledger.events.restoring import RestoreInterrupted, RestoreStarted
from ledger.vocabulary import restore_stream
from projections.folds.restore import Restore, evolve_restore
from projections.queries.catalog import backup_with_id
from projections.queries.locked import fold_locked, open_restores

if TYPE_CHECKING:
    from collections.abc import Iterator

    from commands.site.site import Site
    from ledger.append.recorder import LockedHead
    from ledger.events import Details

Outcome = Literal["old", "new", "unknown"]
LOOK_SECONDS = 2.0


def finish_interrupted_restores(site: Site, finished: list[str]) -> None:
    """Record what became of each open restore of a dead owner; finish renames."""
    with site.ledger.engine.connect() as connection:
        candidates = open_restores(connection)
    for restore in candidates:
        if restore.started.owner == site.instance or not _is_of_here(site, restore):
            continue
        with dead_owner(site.store.staging / restore.started.owner) as is_dead:
            if is_dead:
                _finish(site, restore, finished)


def _is_of_here(site: Site, restore: Restore) -> bool:
    """Whether its owner's lock would be in this folder: of another one nobody here can judge."""
    with site.read_models.reading() as connection:
        backup = backup_with_id(connection, restore.started.backup_id)
    return backup is not None and backup.store == site.store.store_id


def clear_left_over_files(site: Site) -> list[str]:
    """Remove what a restore whose outcome is known left beside the database; their names.

    Likewise what killed restores without the ledger left there and among what is staged.
    Whoever recorded the outcome may have been another machine, which could not reach the file.
    What it kept because nobody knows what the database holds, and files of restores that this
    ledger does not know, are a person's to remove.
    """
    removed: list[str] = clear_scratch(site.store.staging)
    if site.configuration.database is not None:
        removed += clear_scratch(Path(os.path.realpath(site.database)).parent)
    for path, last in left_over_files(site):
        is_kept = isinstance(last, RestoreInterrupted) and last.outcome == "unknown"
        if last is None or isinstance(last, RestoreStarted) or is_kept:
            continue
        with suppress(OSError):
            path.unlink()
            removed.append(path.name)
    return removed


def left_over_files(site: Site) -> Iterator[tuple[Path, Details | None]]:
    """Staged files of restores beside the database, and the last that is known of each."""
    if site.configuration.database is None:
        return
    folder = Path(os.path.realpath(site.database)).parent
    for path in sorted(folder.glob(f"{STAGED_PREFIX}*")):
        events = site.ledger.stream(restore_stream(path.name.removeprefix(STAGED_PREFIX)))
        yield path, events[-1].details if events else None


def _finish(site: Site, restore: Restore, finished: list[str]) -> None:
    outcome, message = _judge(site, restore)
    started = restore.started

    def decide(locked: LockedHead) -> list[Draft]:
        now_found = fold_locked(locked, restore_stream(restore.restore_id), evolve_restore)
        if now_found is None or not now_found.is_open:
            return []
        details = RestoreInterrupted(
            backup_id=started.backup_id,
            pre_restore_backup_id=started.pre_restore_backup_id,
            mode=started.mode,
            target=started.target,
            sha256=started.sha256,
            forced=started.forced,
            outcome=outcome,
        )
        stream = restore_stream(restore.restore_id)
        return [Draft(stream, details, restore.user_id, message, causation_id=restore.event_id)]

    context = site.context(SYSTEM).correlated(restore.correlation_id)
    recorded = site.ledger.decide(context, decide)
    if recorded:
        site.notify(recorded)
        finished.append(restore.restore_id)


def _judge(site: Site, restore: Restore) -> tuple[Outcome, str]:
    target = Path(restore.started.target)
    staged = staged_beside(target, restore.restore_id)
    try:
        if restore.started.mode == "transaction":
            outcome = _judge_transaction(site, restore, target)
        elif restore.started.mode == "replace":
            outcome = _finish_replacement(site, restore, target, staged)
        else:
            staged.unlink(missing_ok=True)
            outcome = _judge_elsewhere(restore, target)
    except (SQLiteFileError, OSError) as error:
        return "unknown", f"the restore was interrupted; the database cannot be read: {error}"
    kept = f"; the restored file is kept at {staged}" if os.path.lexists(staged) else ""
    return outcome, f"the restore was interrupted; the target holds: {outcome}{kept}"


def _judge_transaction(site: Site, restore: Restore, target: Path) -> Outcome:
    """SQLite has the old or the new; its schema counter says which."""
    before, current = restore.started.target_schema_version, schema_version(target, site.keys)
    if current is None or before is None:
        return "unknown"
    if current == before:
        return "old"
    if current == before + 1 and restore.started.tables is not None:
        return "new"  # the transaction raised it by exactly one
    if current == before + 1 and _fingerprint(site, target) == _backup_fingerprint(site, restore):
        return "new"
    return "unknown"


def _finish_replacement(site: Site, restore: Restore, target: Path, staged: Path) -> Outcome:
    is_staged = staged.exists() and hash_raw(staged) == restore.started.sha256
    if target.exists():
        found = hash_raw(target)
        if found == restore.started.sha256:
            staged.unlink(missing_ok=True)
            return "new"
        if found != restore.started.target_sha256:
            return "unknown"
    if not is_staged:
        staged.unlink(missing_ok=True)  # it was not copied whole yet: the target is untouched
        return "old"
    with sole_access(target, site.configuration.restore_wait_seconds, site.keys):
        belongings = belongings_of(target)
        clear_sidecars(target)
        rename_into_place(staged, target, belongings)
    return "new"


def _judge_elsewhere(restore: Restore, target: Path) -> Outcome:
    if not target.exists():
        return "old"
    return "new" if hash_raw(target) == restore.started.sha256 else "unknown"


def _fingerprint(site: Site, target: Path) -> str:
    with closing(open_live(target, LOOK_SECONDS, keys=site.keys)) as connection:
        return schema_fingerprint(connection)


def _backup_fingerprint(site: Site, restore: Restore) -> str | None:
    with site.read_models.reading() as connection:
        backup = backup_with_id(connection, restore.started.backup_id)
    if backup is None:
        return None
    with closing(open_immutable(site.store.path(backup.filename), site.keys)) as connection:
        return schema_fingerprint(connection)
