"""What a person should be told of, and in which words: pure functions on events and rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import quote

from commands.notifications.incident import Incident, shown
from commands.notifications.offsite_incidents import OFFSITE_TELLING
from commands.reporting.humanize import size
from commands.site.configuration import MEGABYTE
from ledger.events.catalog import BackupCorrupt, BackupCreated, BackupMissing
from ledger.events.housekeeping import WitnessRefused
from ledger.events.restoring import RestoreFailed, RestoreInterrupted
from ledger.events.scheduling import BackupAbandoned, BackupFailed
from ledger.vocabulary import MAX_RETRIES, SAW_ANOTHER_HISTORY, SCHEDULE

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from commands.health.finding import Finding
    from commands.health.verdict import Verdict
    from ledger.append.ledger import RecordedEvent
    from ledger.records.record import Event
    from projections.folds.backup import Backup
    from projections.folds.schedule import Schedule

Severity = Literal["info", "success", "warning", "failure"]
"""What apprise calls a type: services choose color and urgency by it."""

LINES_PER_TOPIC = 10
_MILD = {"warning", "low_space"}
STATUS = "backup-ledger status"
NEWEST = "backup-ledger backup show latest"
RECONCILE = "backup-ledger backup reconcile"
LOW_SPACE_REMINDER = timedelta(hours=24)

_HEADINGS: dict[str, str] = {
    "failed": "failed after every retry",
    "abandoned": "lost the process that ran them",
    "corrupt": "found damaged",
    "missing": "missing from the folder",
    "warning": "made with a warning",
    "restore": "restores that did not end well",
    "overdue": "overdue",
    "low_space": "little space left",
    "offsite": "about off-site copies",
    "history": "about history itself",
}


@dataclass(frozen=True, slots=True)
class Message:
    """What is sent. Plain text; `body` has a line for each thing."""

    title: str
    body: str
    severity: Severity = "info"


def incident_of(recorded: RecordedEvent, backup: Backup | None = None) -> Incident | None:
    """What an event means to a person; None for the many that mean all is well.

    `backup`: the one that the event is about, so that its file can be named.
    """
    tell, event = _TELLING.get(recorded.event.event_type), recorded.event
    incident = None if tell is None else tell(event, event.details)
    if incident is None or incident.page is not None:
        return incident
    if backup is not None:
        return _named(incident, backup)
    kind, _, number = event.stream.partition("/")
    return replace(incident, page=f"/schedules/{number}" if kind == SCHEDULE else None)


def _named(incident: Incident, backup: Backup) -> Incident:
    """With file, user, size and age of the backup, and its page."""
    text = incident.text.replace(f"backup {backup.backup_id}", backup.filename)
    owner = "" if backup.user_id is None else f"of user {backup.user_id}, "
    about = f"{owner}{size(backup.size)}, made {shown(backup.created_at)}"
    return replace(incident, text=f"{text} ({about})", page=f"/backups/{quote(backup.filename)}")


def overdue(
    schedules: Iterable[Schedule], after: datetime | None, until: datetime, patience: timedelta
) -> list[Incident]:
    """Users whose run became overdue after one moment and is still so at another.

    A run is overdue when it is due for longer than `patience`. Each is told once: `after` is
    when overdue runs were last told of, None for never.
    """
    found = []
    for each in schedules:
        due = each.next_backup_at
        if due is None or not each.enabled or each.paused:
            continue
        since = due + patience
        if since <= until and (after is None or since > after):
            text = f"the backup of user {each.user_id} is due since {shown(due)}"
            found.append(
                Incident(
                    "overdue",
                    text,
                    f"is `backup-ledger run` running? see: {STATUS}",
                    f"/schedules/{each.user_id}",
                )
            )
    return found


def low_space(free_bytes: int, limit_mb: int, folder: str) -> list[Incident]:
    """Whether the backups' folder has less space left than it should."""
    if free_bytes >= limit_mb * MEGABYTE:
        return []
    text = f"{folder} has {free_bytes // MEGABYTE:,} MB free, less than {limit_mb:,} MB"
    return [Incident("low_space", text, "keep fewer backups, or make room")]


def digest_due(now: datetime, newest: datetime | None, at: str) -> bool:
    """Whether today's digest is due and was not sent. `at`: "HH:MM", UTC."""
    hour, minute = at.split(":")
    today = now.replace(hour=int(hour), minute=int(minute), second=0, microsecond=0)
    latest = today if now >= today else today - timedelta(days=1)
    return newest is None or newest < latest


def message_of(incidents: Sequence[Incident], place: str, console: str | None = None) -> Message:
    """One message for things that came together. `console`: the address of its first page."""
    incidents = _named_once(incidents)
    counts = Counter(each.topic for each in incidents)
    lines: list[str] = []
    for topic in counts:
        told = [each for each in incidents if each.topic == topic]
        lines.append(f"{_HEADINGS[topic].capitalize()}: {len(told)}")
        for each in told[:LINES_PER_TOPIC]:
            lines.append(f"- {each.text}")
            lines.append(f"  {each.advice}")
            if console is not None:
                lines.append(f"  {console}{each.page or ''}")
        if len(told) > LINES_PER_TOPIC:
            lines.append(f"- and {len(told) - LINES_PER_TOPIC} more; see: {STATUS}")
        lines.append("")
    title = f"Backups of {place}: {_summary(incidents)}"
    is_mild = {each.topic for each in incidents} <= _MILD
    return Message(title, "\n".join(lines).strip(), "warning" if is_mild else "failure")


def digest_of(
    incidents: Sequence[Incident],
    place: str,
    facts: dict[str, Any],
    verdict: Verdict,
    console: str | None = None,
    *,
    gone: Sequence[Finding] = (),
) -> Message:
    """A day in one message, also when nothing went wrong; its verdict is that of `status`.

    What persists is repeated each day, for as long as it does. `gone`: what the digest before
    named, and is all right now.
    """
    incidents = _named_once(incidents)
    summary = verdict.sentence.rstrip(".:")
    summary = summary[0].lower() + summary[1:]
    parts = [_persisting(verdict)] if verdict.findings else []
    if incidents:
        found = message_of(incidents, place, console)
        summary += f"; since the last digest: {_summary(incidents)}"
        parts.append(f"Since the last digest:\n\n{found.body}")
    if gone:
        over = [f"- {each.text}" for each in gone]
        parts.append("\n".join(["No longer so since the last digest:", *over]))
    parts.append("\n".join(f"{name}: {value}" for name, value in facts.items()))
    is_bad = any(each.is_bad for each in verdict.findings) or bool(incidents)
    severity: Severity = "warning" if verdict.findings else "success"
    body = "\n\n".join(parts)
    return Message(f"Backups of {place}: {summary}", body, "failure" if is_bad else severity)


def _named_once(incidents: Sequence[Incident]) -> list[Incident]:
    """A missing backup is not named as damaged, too."""
    missing = {each.page for each in incidents if each.topic == "missing"} - {None}
    return [each for each in incidents if each.topic != "corrupt" or each.page not in missing]


def _persisting(verdict: Verdict) -> str:
    lines = [verdict.sentence]
    for each in verdict.findings:
        lines += [f"- {each.text}", f"  {each.advice}"]
    return "\n".join(lines)


def _summary(incidents: Sequence[Incident]) -> str:
    counts = Counter(each.topic for each in incidents)
    return ", ".join(f"{number} {_HEADINGS[topic]}" for topic, number in counts.items())


def _failed(event: Event, details: BackupFailed) -> Incident | None:
    if details.attempt <= MAX_RETRIES:
        return None  # it is tried again
    text = (
        f"the backup of user {event.resource_id} for {shown(details.slot)} failed "
        f"{details.attempt} times: {event.error_message}"
    )
    again = f"backup-ledger backup create --user {event.resource_id}"
    return Incident("failed", text, f"mend the cause, then: {again}; see: {_history(event)}")


def _abandoned(event: Event, details: BackupAbandoned) -> Incident:
    text = (
        f"the backup of user {event.resource_id} for {shown(details.slot)} lost the process "
        f"that ran it ({details.scheduler}), attempt {details.attempt}"
    )
    return Incident("abandoned", text, f"it is tried again; see: {_history(event)}")


def _corrupt(event: Event, details: BackupCorrupt) -> Incident:
    text = f"backup {event.resource_id} is damaged: {details.problem or event.error_message}"
    advice = f"do not restore it; the newest good one: {NEWEST}; see: {_history(event)}"
    return Incident("corrupt", text, advice)


def _missing(event: Event, details: BackupMissing) -> Incident:
    advice = f"if it was moved, move it back, then: {RECONCILE}; see: {_history(event)}"
    return Incident("missing", f"the file {details.filename} is gone", advice)


def _warned(_event: Event, details: BackupCreated) -> Incident | None:
    """Of a scheduled backup; users who share its file are not told of one by one."""
    if details.kind != "scheduled" or details.shared_with or not details.warnings:
        return None
    text = f"{details.filename}: {'; '.join(details.warnings)}"
    advice = f"see: backup-ledger backup show {details.filename}"
    if details.collapsed_from is not None:
        advice = f"if it was meant: backup-ledger backup accept {details.filename}"
    return Incident("warning", text, advice)


def _not_restored(event: Event, details: RestoreFailed) -> Incident:
    text = f"restoring into {details.target} failed: {event.error_message}"
    return Incident("restore", text, f"see: {_history(event)}")


def _cut_short(event: Event, details: RestoreInterrupted) -> Incident:
    text = f"restoring into {details.target} was cut short; what it holds is {details.outcome}"
    return Incident("restore", text, f"see: {_history(event)}")


def _other_history(event: Event, details: WitnessRefused) -> Incident | None:
    """A witness that is away is named by status; one that saw another history is told at once."""
    if details.reason not in SAW_ANOTHER_HISTORY:
        return None
    return Incident("history", str(event.error_message), f"before anything else: {STATUS}")


_TELLING: dict[str, Callable[[Event, Any], Incident | None]] = {
    BackupFailed.event_type: _failed,
    BackupAbandoned.event_type: _abandoned,
    BackupCorrupt.event_type: _corrupt,
    BackupMissing.event_type: _missing,
    BackupCreated.event_type: _warned,
    RestoreFailed.event_type: _not_restored,
    RestoreInterrupted.event_type: _cut_short,
    WitnessRefused.event_type: _other_history,
    **OFFSITE_TELLING,
}
INCIDENT_TYPES = frozenset(_TELLING)
"""Event types that may be incidents; all others need not even be decoded."""


def _history(event: Event) -> str:
    return f"backup-ledger audit history {event.stream}"
