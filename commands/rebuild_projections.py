"""Folding read models again from the first event, on a person's order."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ledger.application import Draft
from ledger.events.housekeeping import ProjectionRebuilt
from ledger.vocabulary import LEDGER_STREAM

if TYPE_CHECKING:
    from collections.abc import Callable

    from commands.site import Site
    from ledger.application import Context


def rebuild_projections(
    site: Site,
    context: Context,
    name: str | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> list[ProjectionRebuilt]:
    """Rebuild one read model, or all; what was done to each.

    Raises:
        UnknownProjection: there is none of this name.
        LedgerBusy: the application holds their database's lock.
    """
    rebuilt = [
        ProjectionRebuilt(
            name=each, version=version, position=position, rows=rows, reason="asked for"
        )
        for each, version, position, rows in site.read_models.rebuild(name, on_progress)
    ]
    site.announce(site.ledger.append(context, *(Draft(LEDGER_STREAM, each) for each in rebuilt)))
    return rebuilt
