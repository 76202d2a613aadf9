"""When a destination may be sent to, and how fast: its own settings, else the site's."""

from __future__ import annotations

import re
from datetime import time
from typing import TYPE_CHECKING

from commands.offsite.errors import DestinationRefused
from commands.site.configuration import MEGABYTE

if TYPE_CHECKING:
    from datetime import datetime

    from commands.site.site import Site
    from projections.folds.offsite_destination import Destination

PACE = "upload_kb_per_second"
WINDOW = "copy_window"
"""Of a destination's settings, as its events hold them."""
KILOBYTE = 1_000
_WINDOW = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])-([01][0-9]|2[0-3]):([0-5][0-9])")


def upload_bytes_per_second(site: Site, destination: Destination) -> float:
    """How fast copies are sent there at most; 0 for no limit."""
    own = destination.settings.get(PACE)
    if own is not None:
        return float(own) * KILOBYTE
    return site.configuration.upload_mb_per_second * MEGABYTE


def require_window(text: str) -> str:
    """A window as it is recorded, such as "22:00-06:00", UTC; it may pass midnight.

    Raises:
        DestinationRefused: it is not a window.
    """
    found = _WINDOW.fullmatch(text)
    if found is None or found.group(1, 2) == found.group(3, 4):
        raise DestinationRefused(
            f"{text!r} is not a window; write FROM-UNTIL in UTC, such as 22:00-06:00, or none"
        )
    return text


def is_open(destination: Destination, now: datetime) -> bool:
    """Whether the scheduler may copy there at this time; always where no window is set."""
    window = destination.settings.get(WINDOW)
    if window is None:
        return True
    begin, end = (time.fromisoformat(each) for each in str(window).split("-"))
    moment = now.time()
    if begin < end:
        return begin <= moment < end
    return moment >= begin or moment < end
