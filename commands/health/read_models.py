"""Where the read models stand: up to which event, and what stopped the one that is being built."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from projections.errors import ProjectionError
from projections.projector.standing import standing

if TYPE_CHECKING:
    from commands.site.site import Site

logger = logging.getLogger("backup_ledger.health")


def read_model_facts(site: Site, *, in_full: bool = True) -> list[dict[str, Any]]:
    """Each read model, and each generation of it, as `projections list --json` shows them.

    `in_full`: with numbers of rows and roots.
    """
    try:
        site.read_models.catch_up()
    except ProjectionError as error:  # where they stand can be said all the same
        logger.warning("%s", error)
    return [
        {
            "name": each.name,
            "version": each.version,
            "position": each.position,
            "lag": each.lag,
            "rows": each.rows,
            "root": each.root,
            "state": each.state,
            "problem": each.problem,
        }
        for each in standing(site.read_models.engine, site.ledger, in_full=in_full)
    ]
