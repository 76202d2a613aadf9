"""Applying retention: plan and act are the same function, decided under the lock.

The scheduler applies it to many users at a time, each by their own count and in their own run; the
announcements of all are one append.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC
from typing import TYPE_CHECKING

from commands.backups.delete import Deletion, outcome_drafts, started_draft, unlink_files
from commands.backups.guard import why_refused
from commands.backups.judge import story_of_source
from commands.retention.drafts import applied_drafts, failed_draft, spared_drafts
from commands.retention.periods import Keep
from commands.retention.rules import NOTHING_MORE, Candidate, RetentionPlan, plan
from commands.site.fence import held_runs, of_run
from ledger.append.clock_doubt import clock_doubt
from ledger.append.reading import position_by
from ledger.clock import to_microseconds
from ledger.events.catalog import BackupDeleted
from ledger.vocabulary import backup_stream
from projections.folds.backup import Backup
from projections.queries.catalog import backups_of_owners, backups_of_store
from projections.queries.locked import (
    backup_locked,
    backups_being_restored,
    backups_locked,
    birth_positions,
    concerned_backup_ids,
    events_after,
    position_of,
)
from projections.queries.schedules import schedule_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection

    from commands.backups.collapse import SourceStory
    from commands.site.site import Site
    from ledger.append.ledger import Context, Draft
    from ledger.append.recorder import LockedHead
    from projections.folds.schedule import Schedule

OwnersBackups = dict[int | None, dict[str, Backup]]
"""By owner, those that are looked at by id; None: all of the store."""


@dataclass(frozen=True, slots=True)
class Order:
    """Whose backups retention is applied to, and how many are kept.

    `user_id`: None for the global policy over all of the store. `run_id`: the run that it is part
    of, and whose lease is its fence.
    """

    keep_count: int
    user_id: int | None
    run_id: str | None = None
    keep: Keep = NOTHING_MORE


@dataclass(frozen=True, slots=True)
class RetentionOutcome:
    """What a plan came to."""

    order: Order
    plan: RetentionPlan
    backups: dict[str, Backup]
    deletions: tuple[Deletion, ...]
    deleted: tuple[Deletion, ...] = ()
    """Those whose file is gone; the others failed, and are tried again."""


def preview_retention(
    site: Site, context: Context, keep_count: int, user_id: int | None
) -> RetentionOutcome:
    """What applying would do now; changes nothing.

    Raises:
        InvalidKeepCount: not 1 to 30.
    """
    order = Order(keep_count, user_id, keep=_keep_of(site, user_id))
    return _previewed(site, context, [order])[0]


def preview_schedules(
    site: Site, context: Context, schedules: Sequence[Schedule]
) -> dict[int, RetentionOutcome]:
    """The same for several users by their own schedules, by user; what all share is asked once."""
    orders = [Order(each.keep_count, each.user_id, keep=Keep.of(each)) for each in schedules]
    outcomes = _previewed(site, context, orders)
    return {each.user_id: outcome for each, outcome in zip(schedules, outcomes, strict=True)}


def _previewed(site: Site, context: Context, orders: Sequence[Order]) -> list[RetentionOutcome]:
    known = _where_to_look(site, orders)
    with site.ledger.engine.connect() as connection:
        ledger = _Ledger.of(site, connection)
        return [_planned(site, context, order, known, ledger) for order in orders]


def apply_retention(
    site: Site, context: Context, keep_count: int, user_id: int | None
) -> RetentionOutcome:
    """Delete what the plan says; every keep and every delete is recorded with its reasons.

    `user_id`: whose backups; None for the global policy over all of the store.

    Raises:
        InvalidKeepCount: not 1 to 30; recorded, nothing was deleted.
    """
    try:
        (outcome,) = begin_retention(
            site, context, [Order(keep_count, user_id, keep=_keep_of(site, user_id))]
        )
        drafts = finish_retention(site, outcome)
    except Exception as error:
        failed = failed_draft(keep_count, user_id, error)
        site.notify(site.ledger.append(context, failed))
        raise
    site.notify(site.ledger.append(context, *drafts))
    gone = {draft.stream for draft in drafts if isinstance(draft.details, BackupDeleted)}
    done = [each for each in outcome.deletions if backup_stream(each.backup.backup_id) in gone]
    return replace(outcome, deleted=tuple(done))


def _keep_of(site: Site, user_id: int | None) -> Keep:
    """What the user's schedule keeps beside a count."""
    if user_id is None:
        return Keep()
    with site.read_models.reading() as connection:
        schedule = schedule_of(connection, user_id)
    return Keep() if schedule is None else Keep.of(schedule)


def begin_retention(
    site: Site, context: Context, orders: Sequence[Order]
) -> list[RetentionOutcome]:
    """Plan under the lock and announce what will be deleted, in one append.

    An order whose run lost its lease is left out of the answer, and nothing of it is appended.
    """
    site.hold_owner_lock()  # its lock is held before anything is announced
    site.known_source_id()
    are_runs = all(order.run_id is not None for order in orders)
    before = _where_to_look(site, orders, at_head=not are_runs)

    def decide(locked: LockedHead) -> tuple[list[Draft], list[RetentionOutcome]]:
        known = _as_of_now(site, locked, before)
        ledger = _Ledger.of(site, locked.connection)
        held = held_runs(site, locked, (order.run_id for order in orders if order.run_id))
        planned = [
            _planned(site, context, order, known, ledger)
            for order in orders
            if order.run_id is None or order.run_id in held
        ]
        outcomes = _checked(locked, context, planned, ledger.restoring)
        drafts = [
            of_run(started_draft(site, deletion), outcome.order.run_id)
            for outcome in outcomes
            for deletion in outcome.deletions
        ]
        return drafts, outcomes

    recorded, outcomes = site.ledger.decide_with_result(context, decide)
    if recorded:
        site.notify(recorded, is_last=False)
    return outcomes


def finish_retention(site: Site, outcome: RetentionOutcome) -> list[Draft]:
    """Unlink what was announced; the facts to append."""
    failures = unlink_files(site, outcome.deletions)
    failed = {each.deletion.backup.backup_id for each in failures}
    deleted = [each for each in outcome.deletions if each.backup.backup_id not in failed]
    scope = (outcome.order.keep_count, outcome.order.user_id)
    return [
        *outcome_drafts(outcome.deletions, failures),
        *spared_drafts(outcome.plan, *scope),
        *applied_drafts(
            outcome.plan.kept, [each.backup for each in deleted], *scope, outcome.order.keep
        ),
    ]


@dataclass(frozen=True, slots=True)
class _Known:
    """What is known of a store's backups, up to a position.

    `story`: whether the database stands in a collapse; None where the folder has no database.
    """

    backups: OwnersBackups
    position: int
    story: SourceStory | None


@dataclass(frozen=True, slots=True)
class _Ledger:
    """What the ledger itself is asked once, for however many orders."""

    connection: Connection
    restoring: set[str]
    clock_in_doubt: bool

    @classmethod
    def of(cls, site: Site, connection: Connection) -> _Ledger:
        doubt = clock_doubt(connection, to_microseconds(site.clock.now()))
        return cls(connection, backups_being_restored(connection), doubt is not None)


def _where_to_look(site: Site, orders: Sequence[Order], *, at_head: bool = True) -> _Known:
    """The backups that a read model knows."""
    store, source = site.store.store_id, site.known_source_id()
    users = {order.user_id for order in orders}
    with site.read_models.reading(at_head=at_head) as connection:
        position = position_of(connection)
        owned = backups_of_owners(connection, store, [user for user in users if user is not None])
        found: OwnersBackups = {user: _by_id(backups) for user, backups in owned.items()}
        if None in users:
            found[None] = _by_id(backups_of_store(connection, store))
        story = None if source is None else story_of_source(site, connection, source)
    return _Known(found, position, story)


def _by_id(backups: Sequence[Backup]) -> dict[str, Backup]:
    return {each.backup_id: each for each in backups}


def _as_of_now(site: Site, locked: LockedHead, before: _Known) -> _Known:
    """The same, with what was appended since."""
    owners = {user: dict(backups) for user, backups in before.backups.items()}
    newer = backups_locked(locked, concerned_backup_ids(events_after(locked, before.position)))
    born_at = birth_positions(locked.connection, newer)
    for backup_id, backup in newer.items():
        if backup is None or backup.store != site.store.store_id:
            continue
        backup.position = born_at[backup_id]
        for user in {None, backup.user_id} & owners.keys():
            if backup.is_present:
                owners[user][backup_id] = backup
            else:
                owners[user].pop(backup_id, None)
    own = [each for each in newer.values() if each and each.source == site.known_source_id()]
    story = before.story and before.story.with_newer(own)
    return replace(before, backups=owners, story=story)


def _planned(
    site: Site,
    context: Context,
    order: Order,
    known: _Known,
    ledger: _Ledger,
) -> RetentionOutcome:
    backups = known.backups[order.user_id]
    whole_until = None if known.story is None else known.story.whole_until
    source = site.known_source_id()
    candidates = [
        _candidate(
            site,
            context,
            order,
            backup,
            ledger,
            is_before_collapse=whole_until is not None
            and backup.position <= whole_until
            and (backup.source or source) == source,
        )
        for backup in backups.values()
    ]
    within = max(site.configuration.keep_within_days, order.keep.within_days)
    # A batch may take a while, and others go on making backups: those are not from the future.
    present = max(context.now, site.clock.now())
    made = plan(
        candidates,
        order.keep_count,
        present,
        keep_within_days=within,
        keep=order.keep,
        clock_in_doubt=ledger.clock_in_doubt,
    )
    rule = f"keep {order.keep_count}" + (f", {within} days" if within else "")
    deletions = tuple(
        Deletion(backups[each.backup_id], "retention", rule=rule) for each in made.deleted
    )
    return RetentionOutcome(order, made, backups, deletions)


def _candidate(
    site: Site,
    context: Context,
    order: Order,
    backup: Backup,
    ledger: _Ledger,
    *,
    is_before_collapse: bool,
) -> Candidate:
    return Candidate(
        backup_id=backup.backup_id,
        filename=backup.filename,
        created_at=backup.created_at,
        status=backup.status,  # type: ignore[arg-type]
        is_protected=backup.is_protected,
        held=backup.is_held(context.now),
        being_restored=backup.backup_id in ledger.restoring,
        just_made=order.run_id is not None and backup.run_id == order.run_id,
        source=backup.source or site.known_source_id(),
        position=backup.position,
        local_day=backup.local_day or backup.created_at.astimezone(UTC).date().isoformat(),
        stands_at=stands_at(ledger.connection, backup),
        owner=backup.user_id,
        is_flawed=backup.condition == "flawed",
        is_before_collapse=is_before_collapse,
    )


def stands_at(ledger: Connection, backup: Backup) -> int:
    """A backup's age as a position: an adopted file stands where its mtime puts it.

    Never later than where it was found, whatever mtime somebody gave it.
    """
    if not backup.was_adopted:
        return backup.position
    return min(position_by(ledger, to_microseconds(backup.created_at)), backup.position)


def _checked(
    locked: LockedHead,
    context: Context,
    outcomes: Sequence[RetentionOutcome],
    restoring: set[str],
) -> list[RetentionOutcome]:
    """Hold plans against the ledger itself: a read model only said where to look."""
    deleting = [outcome for outcome in outcomes if outcome.deletions]
    ids = [each.backup.backup_id for outcome in deleting for each in outcome.deletions]
    witnesses = [outcome.plan.kept[0].backup_id for outcome in deleting if outcome.plan.kept]
    known = backups_locked(locked, [*ids, *witnesses])

    checked = []
    for outcome in outcomes:
        is_none_left = bool(outcome.deletions) and not _good_witness(locked, outcome, known)
        deletions = []
        for deletion in outcome.deletions:
            backup = known[deletion.backup.backup_id]
            if backup is not None and not why_refused(
                backup,
                "retention",
                context.now,
                forced=False,
                is_being_restored=backup.backup_id in restoring,
                is_last_good=is_none_left and backup.condition != "flawed",
            ):
                deletions.append(replace(deletion, backup=backup))
        checked.append(replace(outcome, deletions=tuple(deletions)))
    return checked


def _good_witness(
    locked: LockedHead, outcome: RetentionOutcome, known: dict[str, Backup | None]
) -> bool:
    """Whether, by the ledger, something good stays."""
    for kept in outcome.plan.kept:
        is_known = kept.backup_id in known
        backup = known[kept.backup_id] if is_known else backup_locked(locked, kept.backup_id)
        if backup is not None and backup.is_good:
            return True
    return False
