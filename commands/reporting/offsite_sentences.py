"""Off-site copies in plain words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from commands.reporting import humanize as moments
from commands.reporting.humanize import count

if TYPE_CHECKING:
    from collections.abc import Callable

    from ledger.records.record import Event


def _added(_event: Event, details: Any) -> str:
    if details.clear:
        readers = "NOT encrypted"
    else:
        readers = f"encrypted to {count(len(details.recipients), 'recipient')}"
    word = "added again" if details.resumed else "added"
    return f"Off-site destination {details.name} {word}: {details.url}, {readers}."


def _changed(_event: Event, details: Any) -> str:
    changes = [
        f"{name.replace('_', ' ')} {details.before.get(name)} -> {value}"
        for name, value in details.after.items()
    ]
    return f"Off-site destination changed: {', '.join(changes)}."


def _completed(_event: Event, details: Any) -> str:
    return (
        f"Backup {details.backup_id} copied off-site: {moments.size(details.sent_bytes)} sent for "
        f"{moments.size(details.size)}, {details.new_pages} of {details.pages} pages were new."
    )


def _checked(word: str) -> Callable[[Event, Any], str]:
    def sentence_of(_event: Event, details: Any) -> str:
        problem = f": {details.problem}" if details.problem else ""
        return f"Off-site copy of {details.backup_id} {word} at level {details.level}{problem}."

    return sentence_of


def _recipients(_event: Event, details: Any) -> str:
    added = [each for each in details.after if each not in details.before]
    removed = [each for each in details.before if each not in details.after]
    changes = [f"{each} added" for each in added] + [f"{each} removed" for each in removed]
    forced = ", by force" if details.forced else ""
    return f"Recipients of an off-site destination changed{forced}: {', '.join(changes)}."


def _collected(_event: Event, details: Any) -> str:
    condemned = (
        f"{count(details.copies_condemned, 'copy', 'copies')} and "
        f"{count(details.packs_condemned, 'pack')} condemned"
    )
    deleted = (
        f"{count(details.copies_deleted, 'copy', 'copies')} and "
        f"{count(details.packs_deleted, 'pack')} deleted ({moments.size(details.deleted_bytes)})"
    )
    rights = "; these credentials may not delete there" if details.append_only else ""
    return f"Off-site destination collected: {condemned}, {deleted}{rights}."


def _why(details: Any) -> str:
    return f"{details.reason}: {details.rule}" if details.rule else str(details.reason)


def _part(details: Any) -> str:
    return f" (part {details.part} of {details.parts})" if details.parts > 1 else ""


OFFSITE_SENTENCES: dict[str, Callable[[Event, Any], str]] = {
    "backup_offsite.destination_added": _added,
    "backup_offsite.destination_changed": _changed,
    "backup_offsite.destination_attached": lambda _, d: (
        f"This ledger may copy to and delete at off-site destination {d.name} from now on."
    ),
    "backup_offsite.destination_detached": lambda _, d: (
        f"This ledger only reads at off-site destination {d.name}: {d.reason}."
    ),
    "backup_offsite.destination_removed": lambda _, d: (
        f"Off-site destination {d.name} removed; nothing was deleted there."
    ),
    "backup_offsite.pack_missing": lambda _, d: (
        f"{count(d.count, 'pack')} of an off-site destination "
        f"{'damaged' if d.damaged else 'gone'}{_part(d)}."
    ),
    "backup_offsite.pack_found": lambda _, d: (
        f"{count(d.count, 'pack')} of an off-site destination "
        f"{'whole' if d.damaged else 'there'} again{_part(d)}."
    ),
    "backup_offsite.copy_started": lambda _, d: f"Off-site copy of {d.filename} began.",
    "backup_offsite.copy_completed": _completed,
    "backup_offsite.copy_error": lambda _, d: (
        f"Backup {d.backup_id} was not copied off-site ({d.error_type})."
    ),
    "backup_offsite.copy_abandoned": lambda _, d: (
        f"Off-site copy of {d.backup_id} abandoned; it is tried again."
    ),
    "backup_offsite.copy_verified": _checked("verified"),
    "backup_offsite.copy_corrupt": _checked("found damaged"),
    "backup_offsite.copy_fetch_started": lambda _, d: (
        f"Fetching the off-site copy of {d.backup_id} began ({d.reason})."
    ),
    "backup_offsite.copy_fetched": lambda _, d: (
        f"Off-site copy of {d.backup_id} fetched ({d.reason}): {moments.size(d.bytes)}."
    ),
    "backup_offsite.recipients_changed": _recipients,
    "backup_offsite.copy_found": lambda _, d: (
        f"Off-site copy of {d.filename} found, which this ledger did not know."
    ),
    "backup_offsite.collect_started": lambda _, __: "Deleting at an off-site destination began.",
    "backup_offsite.collect_completed": _collected,
    "backup_offsite.collect_error": lambda _, d: (
        f"Deleting at an off-site destination ended early ({d.error_type})."
    ),
    "backup_offsite.copy_deletion_started": lambda _, d: (
        f"Off-site copy of {d.filename} condemned ({_why(d)}); deleted after "
        f"{moments.minute(d.not_before)}."
    ),
    "backup_offsite.copy_deleted": lambda _, d: (
        f"Off-site copy of {d.filename} {d.outcome} ({_why(d)})."
    ),
    "backup_offsite.packs_condemned": lambda _, d: (
        f"{count(d.count, 'off-site pack')} condemned ({d.reason}){_part(d)}; deleted after "
        f"{moments.minute(d.not_before)}."
    ),
    "backup_offsite.packs_deletion_started": lambda _, d: (
        f"Deleting {count(d.count, 'off-site pack')} began{_part(d)}."
    ),
    "backup_offsite.packs_deleted": lambda _, d: (
        f"{count(d.count, 'off-site pack')} {d.outcome} ({moments.size(d.bytes)}){_part(d)}."
    ),
    "backup_offsite.copy_fetch_error": lambda _, d: (
        f"Off-site copy of {d.backup_id} could not be fetched ({d.reason}, {d.error_type})."
    ),
}
"""One sentence an event type."""
