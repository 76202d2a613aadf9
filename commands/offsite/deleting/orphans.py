"""Packs that no copy names: remembered on this machine, until they were seen for long enough.

The memory is a file beside the index. Lost, an orphan stays a little longer.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from commands.offsite.index_folder import index_folder
from ledger.clock import format_instant, parse_instant

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime, timedelta
    from pathlib import Path

    from commands.site.site import Site

MEMORY = "orphans.json"


@dataclass(frozen=True, slots=True)
class FirstSeen:
    """When a pack was first seen that no copy named, and where the ledger stood then."""

    moment: datetime
    position: int


def read_orphans(site: Site, repository_id: str) -> dict[str, FirstSeen]:
    """What is remembered, by name in hex; nothing where that cannot be read."""
    try:
        rows: Any = json.loads(_path(site, repository_id).read_text())
        return {
            str(name): FirstSeen(parse_instant(moment), int(position))
            for name, (moment, position) in rows.items()
        }
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


def keep_orphans(site: Site, repository_id: str, orphans: dict[str, FirstSeen]) -> None:
    """Remember them; without room for that they stay a little longer."""
    rows = {name: [format_instant(each.moment), each.position] for name, each in orphans.items()}
    path = _path(site, repository_id)
    unfinished = path.with_name(f"{MEMORY}.new")
    with suppress(OSError):
        unfinished.write_text(json.dumps(rows))
        os.replace(unfinished, path)


def seen_again(
    known: dict[str, FirstSeen], names: Collection[str], now: datetime, position: int
) -> dict[str, FirstSeen]:
    """What is remembered from now on: those that are still there, and new ones."""
    return {name: known.get(name) or FirstSeen(now, position) for name in names}


def ripe(
    orphans: dict[str, FirstSeen], now: datetime, grace: timedelta, oldest_open: int | None
) -> set[str]:
    """Orphans that may go: first seen a grace ago, and before the oldest copy under way began.

    `oldest_open`: the position at which that copy began; None where no copy is under way.
    """
    return {
        name
        for name, first in orphans.items()
        if first.moment <= now - grace and (oldest_open is None or first.position < oldest_open)
    }


def _path(site: Site, repository_id: str) -> Path:
    return index_folder(site, repository_id) / MEMORY
