"""Which copies are to be looked at again, and how closely; and looking at them.

Reading a bucket costs money where it is not one's own, so a digest of everything is due only where
somebody asks for it (`offsite_digest_days`). A drill takes the newest copy of each source, and a
key.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from commands.offsite.verify import is_in_part, verify_chosen
from ledger.events.offsite import CopyCompleted, CopyVerified
from ledger.vocabulary import CopyStatus, copy_stream
from projections.folds.offsite_copy import LEVELS
from projections.queries.offsite import copies_at

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from commands.offsite.verify import CheckedCopy
    from commands.site.configuration import Configuration
    from commands.site.site import Site
    from ledger.append.ledger import Context
    from ledger.records.record import Event
    from ledger.vocabulary import CopyLevel
    from projections.folds.offsite_copy import OffsiteCopy
    from projections.folds.offsite_destination import Destination


def verify_due(
    site: Site,
    context: Context,
    destination: Destination,
    *,
    identities: Sequence[str] = (),
    part: tuple[int, int] = (1, 1),
    on_progress: Callable[[int, int], None] | None = None,
    on_fetch: Callable[[int, int], None] | None = None,
) -> Iterator[CheckedCopy]:
    """Check the copies of a destination that are due, each at the strongest level that is.

    Without identities no drill is held, but in the clear.

    Raises:
        OffsiteError: as `verify_copies`.
    """
    may_open = bool(identities) or destination.clear
    due = due_copies(site, destination, may_open=may_open)
    for level, copies in due.items():
        chosen = [each for each in copies if is_in_part(each, part)]
        if chosen:
            yield from verify_chosen(
                site,
                context,
                destination,
                level,
                chosen,
                identities=identities,
                on_progress=on_progress,
                on_fetch=on_fetch,
            )


def due_copies(
    site: Site, destination: Destination, *, may_open: bool
) -> dict[CopyLevel, list[OffsiteCopy]]:
    """Good copies that are due, oldest first, under the level that each is due at."""
    with site.read_models.reading() as connection:
        good = copies_at(connection, destination.repository_id, (CopyStatus.OK,))
    newest = {each.source: each.copy_id for each in good}
    days, now = copy_verification_days(site.configuration), site.clock.now()
    due: dict[CopyLevel, list[OffsiteCopy]] = {level: [] for level in LEVELS}
    streams = site.ledger.streams([copy_stream(each.copy_id) for each in good])
    for copy, events in zip(good, streams, strict=True):
        is_drilled = may_open and newest[copy.source] == copy.copy_id
        level = due_level(events, days, now, is_drilled=is_drilled)
        if level is not None:
            due[level].append(copy)
    return due


def copy_verification_days(configuration: Configuration) -> dict[CopyLevel, int]:
    """After how many days each level is due again; 0 for never."""
    return {
        "listed": configuration.offsite_listed_days,
        "digest": configuration.offsite_digest_days,
        "drill": configuration.offsite_drill_days,
    }


def due_level(
    events: Iterable[Event], days: Mapping[CopyLevel, int], now: datetime, *, is_drilled: bool
) -> CopyLevel | None:
    """The strongest level whose interval is over; a stronger look counts for the weaker."""
    since = datetime.max.replace(tzinfo=now.tzinfo)
    reached: dict[CopyLevel, datetime] = {}
    for event in events:
        details = event.details
        if isinstance(details, CopyCompleted):
            since = event.timestamp
        elif isinstance(details, CopyVerified):
            for level in LEVELS[: LEVELS.index(details.level) + 1]:
                reached[level] = event.timestamp
    for level in reversed(LEVELS):
        interval = days.get(level, 0)
        if level == "drill" and not is_drilled:
            continue
        if interval and now - reached.get(level, since) >= timedelta(days=interval):
            return level
    return None
