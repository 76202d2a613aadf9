"""Folding read models again from the first event, on a person's order."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ledger.append.ledger import Draft
from ledger.events.housekeeping import ProjectionRebuilt
from ledger.vocabulary import LEDGER_STREAM
from projections.projector.projector import count_rows
from projections.tables.registry import projections_named

if TYPE_CHECKING:
    from collections.abc import Callable

    from commands.site.site import Site
    from ledger.append.ledger import Context
    from projections.projector.rebuild import Rebuilt


def rebuild_projections(
    site: Site,
    context: Context,
    name: str | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> list[ProjectionRebuilt]:
    """Rebuild one read model, or all; what was done to each.

    Raises:
        UnknownProjection: there is none of this name.
        UnreadableEvent: an event cannot be read; the old rows go on to serve.
        LedgerBusy: the application holds their database's lock.
    """
    rebuilt = [_details(each) for each in site.read_models.rebuild(name, on_progress)]
    site.notify(site.ledger.append(context, *(Draft(LEDGER_STREAM, each) for each in rebuilt)))
    return rebuilt


def roll_back_projection(site: Site, context: Context, name: str) -> ProjectionRebuilt:
    """Let the generation that was kept serve again.

    Raises:
        UnknownProjection: there is no read model of this name.
        NoSuchGeneration: none was kept, or this software cannot fold it.
    """
    kept = site.read_models.roll_back(name)
    with site.read_models.engine.connect() as connection:
        rows = count_rows(connection, projections_named(name)[0])
    details = ProjectionRebuilt(
        name=name,
        version=kept.version,
        position=kept.position,
        rows=rows,
        reason="rolled back to the generation that was kept",
    )
    site.notify(site.ledger.append(context, Draft(LEDGER_STREAM, details)))
    return details


def _details(rebuilt: Rebuilt) -> ProjectionRebuilt:
    reason = "asked for"
    if rebuilt.differing:
        reason += f"; {rebuilt.differing} rows were not as the ledger says"
    return ProjectionRebuilt(
        name=rebuilt.name,
        version=rebuilt.version,
        position=rebuilt.position,
        rows=rebuilt.rows,
        reason=reason,
    )
