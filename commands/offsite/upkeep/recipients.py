"""Change to whom a destination encrypts: from the next copy of each source on.

A pack is leaned on only if it was sealed to every recipient, so after an addition each source is
sent anew once. A removal changes nothing that is there: whoever has that key still reads it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from commands.offsite.destinations import open_session, require_attached
from commands.offsite.errors import DestinationRefused, RecipientNeeded
from commands.offsite.proving import prove_recipients
from commands.offsite.repository.layout import REPOSITORY, fingerprint, parse_repository
from commands.offsite.repository.seal import parse_recipient
from ledger.append.ledger import Draft
from ledger.events.offsite_deletion import RecipientsChanged
from ledger.vocabulary import CopyStatus, destination_stream
from projections.queries.offsite import copies_at, destination_locked

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from commands.offsite.repository.stores import ObjectStore
    from commands.site.site import Site
    from ledger.append.ledger import Context
    from ledger.append.recorder import LockedHead
    from projections.folds.offsite_copy import OffsiteCopy
    from projections.folds.offsite_destination import Destination


def add_recipient(
    site: Site,
    context: Context,
    destination: Destination,
    recipient: str,
    *,
    identities: Sequence[str] = (),
    ask_code: Callable[[str, str], str] | None = None,
) -> list[str]:
    """Encrypt to one more recipient, which is proved first; all of them afterwards.

    Raises:
        WrongKey: it is not valid, or was not proved.
        DestinationRefused: it is one already, or nothing is encrypted there.
    """
    parse_recipient(recipient)
    _require_encrypted(destination)
    if recipient in destination.recipients:
        raise DestinationRefused(f"{recipient} is a recipient of {destination.name!r} already")
    store = open_session(site, destination)
    prove_recipients(store, [recipient], identities, ask_code)

    def after(before: list[str]) -> list[str]:
        return before if recipient in before else [*before, recipient]

    return _change(site, context, destination, store, after, proved=[recipient], forced=False)


def remove_recipient(
    site: Site, context: Context, destination: Destination, recipient: str, *, force: bool = False
) -> list[str]:
    """Encrypt no longer to a recipient; those that are left.

    Raises:
        DestinationRefused: it is not a recipient, or the only one.
        RecipientNeeded: copies can be read by it alone, or a source has no newer copy that all
            others can read; `force` overrides that, and it is recorded.
    """
    _require_encrypted(destination)
    if recipient not in destination.recipients:
        raise DestinationRefused(f"{recipient} is not a recipient of {destination.name!r}")
    rest = [each for each in destination.recipients if each != recipient]
    if not rest:
        raise DestinationRefused(
            f"{recipient} is the only recipient of {destination.name!r}; add another one first"
        )
    store = open_session(site, destination)
    with site.read_models.reading() as connection:
        live = copies_at(connection, destination.repository_id, (CopyStatus.OK,))
    refusal = why_needed(live, recipient, rest)
    if refusal is not None and not force:
        raise RecipientNeeded(f"{refusal}; --force removes it all the same")

    def after(before: list[str]) -> list[str]:
        return [each for each in before if each != recipient]

    forced = refusal is not None
    return _change(site, context, destination, store, after, proved=[], forced=forced)


def why_needed(live: Iterable[OffsiteCopy], recipient: str, rest: Sequence[str]) -> str | None:
    """Why a recipient cannot go yet; None where it can. `live`: good copies, oldest first."""
    if len(rest) == 1:
        lonely = f"{rest[0]} would be the only recipient: one lost key would lose every copy"
    else:
        lonely = None
    newest: dict[str | None, OffsiteCopy] = {}
    for copy in live:
        newest[copy.source] = copy
        if recipient in copy.readable_by and not set(copy.readable_by) & set(rest):
            return f"of all recipients only {recipient} can read the copy of {copy.filename}"
    for copy in newest.values():
        unable = [each for each in rest if each not in copy.readable_by]
        if unable:
            return (
                f"the newest copy of its database, {copy.filename}, cannot be read by {unable[0]}; "
                "make a new backup and copy it first"
            )
    return lonely


def _require_encrypted(destination: Destination) -> None:
    if destination.clear:
        raise DestinationRefused(f"nothing is encrypted at {destination.name!r}")


def _change(
    site: Site,
    context: Context,
    destination: Destination,
    store: ObjectStore,
    after: Callable[[list[str]], list[str]],
    *,
    proved: list[str],
    forced: bool,
) -> list[str]:
    """Record the change, then say it in the repository, for people who find it."""

    def decide(locked: LockedHead) -> tuple[list[Draft], list[str]]:
        found = require_attached(
            destination_locked(locked, destination.repository_id), destination.name
        )
        before, wanted = found.recipients, after(found.recipients)
        if before == wanted:
            return [], wanted
        details = RecipientsChanged(before=before, after=wanted, proved=proved, forced=forced)
        return [Draft(destination_stream(destination.repository_id), details)], wanted

    recorded, recipients = site.ledger.decide_with_result(context, decide)
    if recorded:
        site.notify(recorded)
    about = parse_repository(store.get(REPOSITORY), store.place)
    prints = tuple(sorted(fingerprint(about.salt, each) for each in recipients))
    store.put(REPOSITORY, replace(about, recipients=prints).to_bytes())
    return recipients
