"""The chapter on retention: what goes, what stays, and why."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from commands.backups.delete import delete_backup
from commands.backups.hold import place_hold
from commands.errors import Refused
from commands.retention.apply import preview_retention
from commands.site import actors
from ledger.events.catalog import BackupDeleted
from projections.queries.catalog import backups_of_owner

if TYPE_CHECKING:
    from commands.demo.narrator import Narrator
    from commands.demo.office import Office

ANNA: Final = 1
KEEP_LESS: Final = 5
REASON: Final = "evidence in 2024-0117"


def hold_the_oldest(office: Office, tell: Narrator) -> str:
    """A person orders a backup to be kept; its file name."""
    with office.site.read_models.reading() as connection:
        oldest = backups_of_owner(connection, office.site.store.store_id, ANNA)[-1]
    context = office.site.context(actors.operator())
    place_hold(office.site, context, oldest.filename, REASON)
    tell.say(
        f"Anna's oldest backup is needed in court, so a person places a hold on it ({REASON})."
    )
    return oldest.filename


def show_retention(office: Office, tell: Narrator, held: str) -> None:
    """The plan with its reasons, and a delete that is refused."""
    tell.chapter("Retention, with reasons")
    deleted = sum(
        isinstance(each.event.details, BackupDeleted) for each in office.site.ledger.recorded()
    )
    tell.say(
        f"Retention has deleted {deleted} backups by now, each recorded with its rule. If Anna "
        f"kept only {KEEP_LESS} from here on, it would do this (a preview changes nothing):"
    )
    context = office.site.context(actors.operator())
    outcome = preview_retention(office.site, context, KEEP_LESS, ANNA)
    why = {each.backup_id: ", ".join(each.reasons) for each in outcome.plan.kept}
    newest_first = sorted(outcome.backups.values(), key=lambda each: each.created_at, reverse=True)
    rows = [
        [
            each.filename,
            "keep" if each.backup_id in why else "delete",
            why.get(each.backup_id, f"beyond the newest {KEEP_LESS}"),
        ]
        for each in newest_first
    ]
    tell.table(["backup", "", "why"], rows)
    try:
        delete_backup(office.site, context, held, force=True)
    except Refused as refused:
        tell.good(f"Deleting the held one by force is refused, and recorded: {refused}")
