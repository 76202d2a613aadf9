"""Taking a folder apart in which 0.1.0 mixed the backups of two databases.

The ledger stays whole, with the database that the folder belongs to. The other database gets a
folder and a ledger of its own: its backups are copied there, compared with what was recorded, and
adopted with their holds, and the schedules are set there as well. Only then are they deleted here.
Each step may be repeated: a split that was cut short goes on when it is called again.
"""

from __future__ import annotations

import os
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

from commands.backups.delete import (
    Deletion,
    carry_out,
    refusal_locked,
    started_draft,
)
from commands.backups.staging import publish
from commands.errors import FolderOfAnother, InvalidArgument
from commands.schedules.settings import configure, pause
from commands.site.marker import keep_marker
from commands.site.opening import begin, look_around, open_site
from commands.sqlite.errors import SQLiteFileError, shown
from commands.sqlite.files import copy_file
from ledger.append.leases_and_names import names_of_store
from ledger.append.ledger import Draft
from ledger.clock import parse_instant
from ledger.events.catalog import BackupFound, HoldPlaced
from ledger.events.housekeeping import SourceRegistered
from ledger.vocabulary import LEDGER_STREAM, BackupStatus, backup_stream
from projections.folds.schedule import SETTINGS_FIELDS
from projections.queries.catalog import backups_of_store
from projections.queries.schedules import all_schedules

if TYPE_CHECKING:
    from commands.site.configuration import Configuration
    from commands.site.site import Site
    from commands.site.sources import Source
    from commands.sqlite.files import Progress
    from ledger.append.ledger import Context
    from ledger.append.recorder import LockedHead
    from projections.folds.backup import Backup


@dataclass(frozen=True, slots=True)
class SplitPlan:
    """What a split would do. `held`: copied as well, but a hold keeps them here, too.

    `unknown`: adopted files, of which nobody knows what they were made of; they stay.
    """

    owner: Source
    source: Source
    folder: Path
    backups: tuple[Backup, ...]
    held: tuple[Backup, ...]
    users: tuple[int, ...]
    unknown: int

    @property
    def size_bytes(self) -> int:
        return sum(each.size for each in self.backups)


@dataclass(slots=True)
class SplitOutcome:
    """What a split did; file names. `left`: with the reason, what it could not take along."""

    moved: list[str] = field(default_factory=list)
    copied: list[str] = field(default_factory=list)
    left: dict[str, str] = field(default_factory=dict)
    users: list[int] = field(default_factory=list)


def open_mixed(configuration: Configuration) -> Site:
    """The site of a mixed folder, whichever of its databases is given.

    Raises:
        LedgerMissing, StoreUnknown: as `open_site`.
    """
    with closing(open_site(configuration, "read")) as asked:
        owner = asked.folder_source.owner()
    if owner is None:
        return open_site(configuration, "act")
    places = {"database": Path(owner.path), "backups": configuration.backups_folder}
    return open_site(configuration.model_copy(update=places), "act")


def plan_split(site: Site, now: Context, source: Path | None, to: Path | None) -> SplitPlan:
    """What would be done; changes nothing.

    `source`: which database leaves; needed where several could. `to`: its new folder; by default
    one beside it.

    Raises:
        InvalidArgument: nothing is mixed here, or it has to be said which one leaves.
    """
    owner, others = site.folder_source.owner(), site.folder_source.others(with_backups=True)
    if owner is None or not others:
        raise InvalidArgument(
            f"{site.store.folder} holds the backups of one database; nothing to do"
        )
    chosen = [each for each in others if source is None or each.path == str(source.absolute())]
    if len(chosen) != 1:
        paths = ", ".join(shown(each.path) for each in others)
        raise InvalidArgument(f"say which database leaves with --source PATH: {paths}")
    leaving = Path(chosen[0].path)
    folder = to.absolute() if to else leaving.parent / f"{leaving.stem}_backups"
    with site.read_models.reading() as connection:
        present = backups_of_store(connection, site.store.store_id)
        users = [each.user_id for each in all_schedules(connection)]
    theirs = [each for each in present if each.source == chosen[0].source_id]
    return SplitPlan(
        owner=owner,
        source=chosen[0],
        folder=folder,
        backups=tuple(theirs),
        held=tuple(each for each in theirs if each.is_held(now.now)),
        users=tuple(users),
        unknown=sum(each.source is None for each in present),
    )


def split_folder(
    site: Site, context: Context, plan: SplitPlan, on_progress: Progress | None = None
) -> SplitOutcome:
    """Carry out a plan.

    Raises:
        FolderOfAnother, StoreUnknown: the new folder is not free for this database.
        SQLiteFileError: a file cannot be copied; nothing was deleted here.
    """
    outcome = SplitOutcome()
    with closing(_open_new(site, plan, context)) as target:
        _copy_backups(site, target, context, plan, outcome, on_progress)
        _copy_schedules(site, target, context, outcome)
        keep_marker(target.database, target.marker)
    _delete_here(site, context, plan, outcome)
    return outcome


def _open_new(site: Site, plan: SplitPlan, context: Context) -> Site:
    """The new folder's site; begun where there is none."""
    places = {"database": Path(plan.source.path), "backups": plan.folder}
    own = {"ledger": None, "projections": None}
    configuration = site.configuration.model_copy(update=places | own)
    if not look_around(configuration).is_whole:
        begin(configuration, site.clock)
    target = open_site(configuration, "read", clock=site.clock)
    owner = target.folder_source.owner()
    if owner is None:  # the same id as in the ledger that it comes from
        details = SourceRegistered(
            source=plan.source.source_id, store=target.store.store_id, path=plan.source.path
        )
        target.ledger.append(context, Draft(LEDGER_STREAM, details))
    elif owner.source_id != plan.source.source_id:
        target.close()
        raise FolderOfAnother(
            f"{shown(plan.folder)} holds backups of {shown(owner.path)}; give another --to DIR"
        )
    return target


def _copy_backups(
    site: Site,
    target: Site,
    context: Context,
    plan: SplitPlan,
    outcome: SplitOutcome,
    on_progress: Progress | None,
) -> None:
    with target.ledger.engine.connect() as connection:
        there = names_of_store(connection, target.store.store_id)
    first_of: dict[str, Path] = {}
    for backup in plan.backups:
        path = target.store.path(backup.filename)
        if backup.filename not in there:
            why_not = _copy_one(site, target, context, backup, first_of, on_progress)
            if why_not is not None:
                outcome.left[backup.filename] = why_not
                continue
        first_of.setdefault(backup.sha256, path)
        outcome.copied.append(backup.filename)


def _copy_one(
    site: Site,
    target: Site,
    context: Context,
    backup: Backup,
    first_of: dict[str, Path],
    on_progress: Progress | None,
) -> str | None:
    """Copy, compare, record and publish one backup; why it could not be, or None."""
    backup_id = str(uuid4())
    with target.owner.staging(backup_id) as staged:
        try:
            digest = _bring(site.store.path(backup.filename), staged, backup, first_of, on_progress)
        except SQLiteFileError as error:
            return str(error)
        if digest != backup.sha256:
            staged.unlink()
            return "its bytes are not what was recorded; see: backup-ledger backup verify"
        details = BackupFound(
            store=target.store.store_id,
            filename=backup.filename,
            kind=backup.kind,  # type: ignore[arg-type]
            size=backup.size,
            sha256=digest,
            created_at=backup.created_at,
            status="ok" if backup.status == BackupStatus.OK else "corrupt",
        )
        stream = backup_stream(backup_id)
        drafts = [Draft(stream, details, backup.user_id)]
        drafts += [_hold(stream, backup, hold) for hold in backup.holds_at(context.now)]
        target.ledger.append(context, *drafts)
        publish(target, staged, backup.filename)
    return None


def _bring(
    source: Path,
    staged: Path,
    backup: Backup,
    first_of: dict[str, Path],
    on_progress: Progress | None,
) -> str:
    """Copy a file, or share one of the same content that is there already; its digest."""
    if backup.sha256 in first_of:
        with suppress(OSError):
            os.link(first_of[backup.sha256], staged)
            return backup.sha256
    return copy_file(source, staged, on_progress)


def _hold(stream: str, backup: Backup, hold: dict[str, str | None]) -> Draft:
    until = hold["until"]
    details = HoldPlaced(
        hold_id=str(hold["hold_id"]),
        reason=str(hold["reason"]),
        until=None if until is None else parse_instant(until),
    )
    return Draft(stream, details, backup.user_id)


def _copy_schedules(site: Site, target: Site, context: Context, outcome: SplitOutcome) -> None:
    with site.read_models.reading() as connection:
        schedules = all_schedules(connection)
    with target.read_models.reading() as connection:
        known = {each.user_id for each in all_schedules(connection)}
    for schedule in schedules:
        if schedule.user_id in known:
            continue
        settings = {name: getattr(schedule, name) for name in SETTINGS_FIELDS}
        cron = settings.pop("cron")
        configure(target, context, schedule.user_id, settings)
        configure(target, context, schedule.user_id, {"cron": cron})
        if schedule.paused:
            pause(target, context, schedule.user_id, "as in the folder that it comes from")
        outcome.users.append(schedule.user_id)


def _delete_here(site: Site, context: Context, plan: SplitPlan, outcome: SplitOutcome) -> None:
    """Delete what is safe in the new folder; all ways to delete go through one guard."""
    safe = [each for each in plan.backups if each.filename in outcome.copied]
    rule = f"moved to {shown(plan.folder)}: ledger split"[:500]
    site.hold_owner_lock()

    def decide(locked: LockedHead) -> tuple[list[Draft], tuple[list[Deletion], dict[str, str]]]:
        deletions: list[Deletion] = []
        stay: dict[str, str] = {}
        for backup in safe:
            found, refusal = refusal_locked(
                locked, context, backup.backup_id, "person", forced=True
            )
            if found is None or refusal is not None:
                stay[backup.filename] = f"copied; it stays here, too: {refusal}"
            else:
                deletions.append(Deletion(found, "person", forced=True, rule=rule))
        return [started_draft(site, each) for each in deletions], (deletions, stay)

    recorded, (deletions, stay) = site.ledger.decide_with_result(context, decide)
    if recorded:
        site.notify(recorded, is_last=False)
    failures = carry_out(site, context, deletions)
    failed = {each.deletion.backup.filename for each in failures}
    outcome.left |= stay | dict.fromkeys(failed, "copied; its file here is deleted later")
    names = (each.backup.filename for each in deletions)
    outcome.moved = [name for name in names if name not in failed]
