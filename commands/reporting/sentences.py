"""The ledger in plain words: one sentence an event type, total over the registry."""

from __future__ import annotations

import re
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from commands.reporting import humanize as moments
from commands.reporting.humanize import count
from commands.reporting.offsite_sentences import OFFSITE_SENTENCES
from ledger.vocabulary import EVERYTHING, NOT_CHECKED_ANEW

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from ledger.records.record import Event


_UUID = re.compile(r"(?<!erased-)[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_FIELDS = {
    "enabled": "enabled",
    "frequency": "frequency",
    "backup_time": "time",
    "keep_count": "keep",
    "timezone": "time zone",
    "keep_within_days": "keep days",
    "keep_daily": "keep daily",
    "keep_weekly": "keep weekly",
    "keep_monthly": "keep monthly",
    "keep_yearly": "keep yearly",
    "cron": "cron",
}


def sentence(event: Event, names: Mapping[str, str] = MappingProxyType({})) -> str:
    """What happened, in one or two sentences; the caller says who and when.

    `names`: file names of backups by id, to be told instead of the ids.
    """
    told = _SENTENCES[event.event_type](event, event.details)
    told = _UUID.sub(lambda found: names.get(found[0], found[0]), told)
    reason = event.error_message
    return told if reason is None else f"{told} Reason: {reason.strip().rstrip('.')}."


def told_with_subject(event: Event, names: Mapping[str, str]) -> str:
    """The sentence, led by whose schedule or which backup it is about."""
    told = sentence(event, names)
    if event.stream.startswith("schedule/"):
        return f"User {event.resource_id}: {told}"
    name = names.get(event.resource_id)
    return told if name is None or name in told else f"{name}: {told}"


def backups_mentioned(event: Event) -> set[str]:
    """Ids of the backups whose names the sentence can use."""
    own = {event.resource_id} if event.stream.startswith("backup/") else set()
    fields = ("backup_id", "spared_backup_id")
    return own | {
        str(getattr(event.details, each)) for each in fields if hasattr(event.details, each)
    }


def who(event: Event) -> str:
    """Who acted, in a word or two."""
    if event.actor.kind in ("operator", "auditor"):
        return event.actor.id
    if event.actor.kind == "user":
        return f"user {event.actor.id}"
    return event.actor.kind


def _at(moment: datetime | None) -> str:
    return "none" if moment is None else f"{moments.minute(moment)} UTC"


def _next(details: Any) -> str:
    if details.next_backup_at is None:
        return "No next run."
    return f"Next run: {_at(details.next_backup_at)}."


def _retry(details: Any) -> str:
    if details.next_backup_at is None:
        return "It is not tried again."
    return f"Next try: {moments.exact(details.next_backup_at)} UTC."


def _attempt(details: Any) -> str:
    return f"the run of {_at(details.slot)}" + (
        f", attempt {details.attempt}" if details.attempt > 1 else ""
    )


def _values(fields: Mapping[str, Any]) -> str:
    """Some settings, as "keep 7, time 03:00"."""
    told = [f"{_FIELDS.get(name, name)} {_value(value)}" for name, value in fields.items()]
    return ", ".join(told) or "nothing"


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)


def _changed(details: Any) -> str:
    changes = [
        f"{_FIELDS.get(name, name)} {_value(details.before.get(name))} -> {_value(value)}"
        for name, value in details.after.items()
    ]
    return ", ".join(changes) or "only the next run"


def _reason(details: Any) -> str:
    words = {
        "person": "a person asked for it",
        "retention": "retention",
        "cleanup_empty": "clean-up of empty backups",
        "cleanup_old_protected": "clean-up of old protected backups",
    }
    told = words[details.reason] + (f" ({details.rule})" if details.rule else "")
    return told + (", forced" if details.forced else "")


def _part(details: Any) -> str:
    return f" (part {details.part} of {details.parts})" if details.parts > 1 else ""


def _deleted_names(details: Any) -> str:
    names = ", ".join(each.filename for each in details.deleted)
    return f": {names}" if names else ""


def _scope(details: Any) -> str:
    return "all users' backups" if details.scope == "global" else f"user {details.scope}"


def _settings_created(_event: Event, details: Any) -> str:
    state = "" if details.enabled else ", disabled"
    by_time = f"{details.frequency} at {details.backup_time}"
    rhythm = by_time if details.cron is None else f"cron {details.cron}"
    return (
        f"Settings created: {rhythm} ({details.timezone}), "
        f"keep {details.keep_count}{state}. {_next(details)}"
    )


def _completed(_event: Event, details: Any) -> str:
    deleted = details.deleted_old_backups
    return (
        f"Backup completed: {details.filename} ({moments.size(details.size)}), for "
        f"{_attempt(details)}. "
        + (f"{count(deleted, 'old backup')} deleted. " if deleted else "")
        + _next(details)
    )


def _missed(_event: Event, details: Any) -> str:
    if details.count == 1:
        return f"The slot at {_at(details.first_slot)} was missed; a later run makes up for it."
    return (
        f"{details.count} slots were missed, {_at(details.first_slot)} to "
        f"{_at(details.last_slot)}; one later run makes up for them."
    )


def _paused(word: str) -> Callable[[Event, Any], str]:
    def told(_event: Event, details: Any) -> str:
        note = f" Note: {details.note}." if details.note else ""
        return f"Runs {word}.{note} {_next(details)}"

    return told


_CONDITIONS = {
    "ok": "integrity checked",
    "unchecked": "integrity checked in part",
    "flawed": "kept as flawed",
}


def _created(_event: Event, details: Any) -> str:
    warnings = "".join(f" Warning: {each}." for each in details.warnings)
    shared = " Shares its file with another backup." if details.shared_with else ""
    return (
        f"{details.kind.replace('_', '-').capitalize()} backup {details.filename} made: "
        f"{moments.size(details.size)}, {_inside(details)}.{shared}{warnings}"
    )


def _inside(details: Any) -> str:
    cipher = "encrypted, " if details.cipher else ""
    if EVERYTHING in details.unchecked:
        return f"{cipher}nothing inside checked"
    tables, rows = count(details.table_count, "table"), count(details.row_count, "row")
    return f"{cipher}{tables}, {rows}, {_CONDITIONS[details.condition]}{_since(details)}"


def _since(details: Any) -> str:
    """Where the check was that of an earlier backup."""
    return " earlier, and unchanged since" if NOT_CHECKED_ANEW in details.engine_reason else ""


def _checked(word: str) -> Callable[[Event, Any], str]:
    triggers = {"command": "asked for", "due": "it was due", "restore": "before a restore"}

    def told(_event: Event, details: Any) -> str:
        return f"{word} at level {details.level} ({triggers[details.trigger]})."

    return told


def _held(_event: Event, details: Any) -> str:
    return f"Held until {_at(details.until) if details.until else 'released'}: {details.reason}."


def _restore(told: str) -> Callable[[Event, Any], str]:
    how = {
        "transaction": "in one transaction",
        "replace": "by putting a new file in its place",
        "elsewhere": "as a new file",
    }

    def sentence_of(_event: Event, details: Any) -> str:
        forced = ", by force" if details.forced else ""
        return (
            f"{told} {details.target}, {how[details.mode]}{forced}, from backup "
            f"{details.backup_id}."
        )

    return sentence_of


def _output(details: Any) -> str:
    return f"; it said: {details.output.strip()}" if details.output.strip() else ""


def _table_restored(_event: Event, details: Any) -> str:
    where = f"written beside the others as {details.table}" if details.mode == "beside" else ""
    removed = f", {count(details.rows_removed, 'row')} removed" if details.mode == "exact" else ""
    return (
        f"Table {details.table} {where or 'put back'} from backup {details.backup_id}: "
        f"{count(details.rows_added, 'row')} added, {details.rows_changed:,} changed{removed}."
    )


def _interrupted(_event: Event, details: Any) -> str:
    outcome = {"old": "the old content", "new": "the backup's content"}
    holds = outcome.get(details.outcome, "something unknown")
    return f"A restore into {details.target} was interrupted; it now holds {holds}."


_SENTENCES: dict[str, Callable[[Event, Any], str]] = {
    **OFFSITE_SENTENCES,
    "backup_scheduler.start": lambda _, d: (
        f"Scheduler started on {d.host} (process {d.pid}, version {d.software_version}), "
        f"checking every {d.check_interval_seconds} s."
    ),
    "backup_scheduler.stop": lambda _, d: f"Scheduler stopped: {d.reason}.",
    "backup_scheduler.check_error": lambda _, d: (
        f"A check for due backups failed ({d.error_type})."
    ),
    "backup_scheduler.settings_created": _settings_created,
    "backup_scheduler.settings_updated": lambda _, d: (
        f"Settings changed: {_changed(d)}. {_next(d)}"
    ),
    "backup_scheduler.settings_error": lambda _, d: (
        f"A change of settings was refused: {_values(d.attempted)}."
    ),
    "backup_scheduler.backup_started": lambda _, d: f"Backup started for {_attempt(d)}.",
    "backup_scheduler.backup_completed": _completed,
    "backup_scheduler.backup_error": lambda _, d: (
        f"Backup failed for {_attempt(d)} ({d.error_type}). {_retry(d)}"
    ),
    "backup_scheduler.backup_abandoned": lambda _, d: (
        f"Backup abandoned for {_attempt(d)}. {_retry(d)}"
    ),
    "backup_scheduler.slots_missed": _missed,
    "backup_scheduler.paused": _paused("paused"),
    "backup_scheduler.resumed": _paused("resumed"),
    "backup_retention.applied": lambda _, d: (
        f"Retention for {_scope(d)}, keep {d.keep_count}: {len(d.kept)} kept, "
        f"{d.deleted_count} deleted{_deleted_names(d)}{_part(d)}."
    ),
    "backup_retention.safety_check": lambda _, d: (
        f"Retention for {_scope(d)}, keep {d.keep_count}, spared the last good backup "
        f"{d.spared_backup_id}."
    ),
    "backup_retention.error": lambda _, d: (
        f"Retention for {_scope(d)}, keep {d.keep_count}, failed ({d.error_type})."
    ),
    "backup_retention.delete_error": lambda _, d: f"{d.filename} was not deleted ({d.error_type}).",
    "backup_retention.cleanup_empty": lambda _, d: (
        f"Clean-up of empty backups: {d.deleted_count} deleted{_deleted_names(d)}{_part(d)}."
    ),
    "backup_retention.cleanup_old_protected": lambda _, d: (
        f"Clean-up of protected backups older than {d.days_old} days: {d.deleted_count} "
        f"deleted{_deleted_names(d)}{_part(d)}."
    ),
    "backup_catalog.backup_created": _created,
    "backup_catalog.backup_error": lambda _, d: (
        f"No backup could be made{f' as {d.filename}' if d.filename else ''} ({d.error_type})."
    ),
    "backup_catalog.backup_found": lambda _, d: (
        f"{d.filename} was found in the folder and adopted: {moments.size(d.size)}, "
        f"of {_at(d.created_at)}, {d.status}."
    ),
    "backup_catalog.backup_missing": lambda _, d: f"The file {d.filename} is missing.",
    "backup_catalog.backup_verified": _checked("Verified"),
    "backup_catalog.backup_corrupt": _checked("Found damaged"),
    "backup_catalog.deletion_started": lambda _, d: (
        f"Deletion of {d.filename} began: {_reason(d)}."
    ),
    "backup_catalog.backup_deleted": lambda _, d: f"{d.filename} deleted: {_reason(d)}.",
    "backup_catalog.hold_placed": _held,
    "backup_catalog.backup_accepted": lambda _, d: (
        "Accepted: what its warnings say was meant" + (f" ({d.reason})." if d.reason else ".")
    ),
    "backup_catalog.backup_downloaded": lambda _, d: (
        f"Handed out for download: {moments.size(d.bytes)}."
    ),
    "backup_catalog.hold_released": lambda _, d: f"Hold released; it was for: {d.reason}.",
    "backup_restore.started": _restore("Restore began into"),
    "ledger.hook_failed": lambda _, d: f"{d.hook} failed{_output(d)}.",
    "backup_restore.table_restored": _table_restored,
    "backup_restore.completed": _restore("Restored into"),
    "backup_restore.error": _restore("Could not restore into"),
    "backup_restore.interrupted": _interrupted,
    "ledger.source_registered": lambda _, d: f"The database {d.path} was seen for the first time.",
    "ledger.clock_jumped": lambda _, d: (
        f"The clock jumped from {moments.exact(d.before)} to {moments.exact(d.now)}; nothing is "
        "deleted by age until it can be trusted."
    ),
    "ledger.source_moved": lambda _, d: (
        f"The database moved from {d.path_before} to {d.path}: the first path is gone, and the "
        "tables are those of its last good backup."
    ),
    "ledger.source_optimized": lambda _, d: (
        f"The database was optimized: {moments.size(d.size_before)} before, "
        f"{moments.size(d.size_after)} after."
    ),
    "ledger.token_created": lambda _, d: (
        f"Access token {d.token_id} created for role {d.role}"
        + (f", user {d.user}." if d.user else ".")
    ),
    "ledger.token_revoked": lambda _, d: f"Access token {d.token_id} revoked.",
    "ledger.projection_rebuilt": lambda _, d: (
        f"Read model {d.name} rebuilt to position {d.position}, {count(d.rows, 'row')}: {d.reason}."
    ),
    "ledger.moved": lambda _, d: (
        f"The ledger is copied to {d.place}; one of both may go on off-site, once it is attached."
    ),
    "ledger.recovered": lambda _, d: (
        f"Ledger recovered from {d.url}: {count(d.size, 'record')}, checkpoint "
        f"{'signed' if d.signed else 'NOT checked against a key'}."
    ),
    "ledger.record_redacted": lambda _, d: (
        f"The record at position {d.position} was erased: {d.reason} (ticket {d.ticket})."
    ),
    "ledger.evidence_exported": lambda _, d: (
        f"Evidence exported: positions {d.first_position} to {d.last_position}."
    ),
    "ledger.checkpoint_cosigned": lambda _, d: (
        f"Checkpoint of {count(d.size, 'record')} cosigned by {', '.join(d.witnesses)}: "
        f"{d.cosigned} in all, {d.quorum} needed."
    ),
    "ledger.witness_refused": lambda _, d: (
        f"The witness {d.witness} did not cosign the checkpoint of {count(d.size, 'record')}: "
        f"{d.reason.replace('_', ' ')}."
    ),
    "ledger.key_rotated": lambda _, d: (
        f"The key that signs checkpoints was replaced: {d.old_key} by {d.new_key}."
    ),
    "ledger.notification_queued": lambda _, d: (
        f"Message about {d.topic.replace('_', ' ')} to be sent: {count(d.count, 'thing')} up to "
        f"position {d.last_position}."
    ),
    "ledger.notification_sent": lambda _, d: f"Message sent to {count(d.targets, 'target')}.",
    "ledger.notification_error": lambda _, d: (
        f"Message not sent, attempt {d.attempt} ({d.error_type})."
    ),
}
TOLD_TYPES = frozenset(_SENTENCES)
"""Event types that have a sentence: all of the registry's, or a test fails."""
