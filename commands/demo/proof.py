"""The last chapter: what the ledger has kept of all this, and why it can be believed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import select, update
from sqlalchemy.exc import DBAPIError

from commands.errors import CommandError
from commands.reporting.humanize import minute
from commands.reporting.sentences import sentence, who
from commands.site.opening import open_site
from commands.sqlite.connections import SIDECAR_SUFFIXES, sidecar
from ledger.append.tables import events
from ledger.events.retention import RetentionApplied
from ledger.events.scheduling import BackupCompleted
from ledger.tree.merkle import Frontier, leaf_hash
from projections.tables.registry import all_projections

if TYPE_CHECKING:
    from commands.demo.narrator import Narrator
    from commands.demo.office import Office
    from commands.site.site import Site
    from ledger.append.ledger import RecordedEvent


class DemoFailed(CommandError):
    """What the demo set out to show is not so."""


TOLD_TYPES: Final = (
    "backup_scheduler.settings_created",
    "backup_scheduler.settings_error",
    "backup_catalog.hold_placed",
    "backup_scheduler.backup_error",
    "backup_scheduler.slots_missed",
    "backup_retention.delete_error",
    "backup_restore.completed",
)
"""The first event of each is told, with a retry that succeeded and a retention that deleted."""


def tell_the_ledger(office: Office, tell: Narrator) -> None:
    """Some events, the tree's head, and two attempts to change them."""
    tell.chapter("What the ledger remembers")
    office.stop_scheduler()
    recorded = list(office.site.ledger.recorded())
    tell.say(f"{len(recorded)} events, in order, kept permanently. Some of them, in plain words:")
    tell.table(
        ["no.", "when (UTC)", "who", "what"],
        [
            [each.position, minute(each.event.timestamp), who(each.event), sentence(each.event)]
            for each in _worth_telling(recorded)
        ],
        right=["no."],
    )
    head = office.site.ledger.log_recorder.head()
    root = head.frontier.root()
    tell.say(f"size {head.size}, root {root.hex()}")
    leaves = [leaf_hash(each.record) for each in office.site.ledger.records()]
    if Frontier().append_leaves(leaves)[0].root() != root:
        raise DemoFailed("the stored events hash to another root; please report this")
    tell.good("All stored bytes, hashed again, give the same root.")
    _try_to_forge(office.site, tell)
    _drop_and_compare(office, tell)


def rows_of(site: Site) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of every read model, in the order of its key."""
    with site.read_models.reading() as connection:
        return {
            each.name: [
                tuple(row)
                for row in connection.execute(
                    select(each.table).order_by(*each.table.primary_key.columns)
                )
            ]
            for each in all_projections()
        }


def _worth_telling(recorded: list[RecordedEvent]) -> list[RecordedEvent]:
    chosen: dict[str, RecordedEvent] = {}
    for each in recorded:
        kind, details = each.event.event_type, each.event.details
        is_retry = isinstance(details, BackupCompleted) and details.attempt > 1
        has_deleted = isinstance(details, RetentionApplied) and details.deleted_count > 0
        if kind in TOLD_TYPES or is_retry or has_deleted:
            chosen.setdefault(kind, each)
    return sorted(chosen.values(), key=lambda each: each.position)


def _try_to_forge(site: Site, tell: Narrator) -> None:
    """Change one stored event, as somebody with the file might."""
    forged = update(events).where(events.c.position == 1).values(record=b"{}")
    try:
        with site.ledger.engine.begin() as connection:
            connection.execute(forged)
    except DBAPIError as refused:
        tell.good(f"An UPDATE of event 1 in its database is refused: {refused.orig}")
    else:
        raise DemoFailed("a stored event could be changed; please report this")


def _drop_and_compare(office: Office, tell: Narrator) -> None:
    """Delete the read models' file, and let it come back from the ledger alone."""
    before = rows_of(office.site)
    configuration = office.site.configuration
    office.site.close()
    path = configuration.backups_folder / "projections.sqlite"
    for each in (path, *(sidecar(path, suffix) for suffix in SIDECAR_SUFFIXES)):
        each.unlink(missing_ok=True)
    office.site = open_site(configuration, "act", clock=office.clock)
    after = rows_of(office.site)
    counts = ", ".join(f"{name} {len(rows)}" for name, rows in after.items())
    tell.say(f"Then projections.sqlite is deleted, and rebuilt from the ledger: {counts} rows.")
    if before != after:
        raise DemoFailed("the read models came back different; please report this")
    tell.good("Row by row, they are identical to those before: the ledger alone is enough.")
