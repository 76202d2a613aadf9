"""Add a destination: prove its keys, try its store, make or find its repository, record it."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from commands.offsite.destinations import require_earlier
from commands.offsite.errors import (
    DestinationConflict,
    DestinationRefused,
    ObjectMissing,
    RepositoryForked,
)
from commands.offsite.policy import Policy
from commands.offsite.probe import probe_store
from commands.offsite.proving import prove_recipients
from commands.offsite.repository.folder_store import FolderStore
from commands.offsite.repository.layout import (
    COPIES,
    LEDGER,
    PROBE,
    READER,
    README,
    README_TEXT,
    REPOSITORY,
    RepositoryFile,
    fingerprint,
    new_repository,
    parse_repository,
    reader_bytes,
)
from commands.offsite.repository.opening import open_store, require_url
from commands.offsite.repository.seal import parse_recipient
from ledger.append.ledger import Draft
from ledger.events.offsite import DestinationAdded
from ledger.vocabulary import destination_stream
from projections.queries.offsite import all_destinations, destination_locked

if TYPE_CHECKING:
    from collections.abc import Callable

    from commands.offsite.repository.stores import ObjectStore
    from commands.site.site import Site
    from ledger.append.ledger import Context
    from ledger.append.recorder import LockedHead
    from ledger.events.base import ChangedFields
    from projections.folds.offsite_destination import Destination

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")


@dataclass(frozen=True, slots=True)
class NewDestination:
    """What a person asked for. `identities`: private keys, only to prove the recipients.

    `options`: of the store, without secrets. `credentials`: with them; never recorded.
    `new_repository_id`: the place holds a mirror of another destination, and becomes one itself.
    """

    url: str
    name: str
    recipients: tuple[str, ...] = ()
    identities: tuple[str, ...] = ()
    one_recipient: bool = False
    clear: bool = False
    share: bool = True
    new_repository_id: bool = False
    options: dict[str, str] = field(default_factory=dict)
    credentials: dict[str, str] = field(default_factory=dict)
    settings: ChangedFields = field(default_factory=dict)
    stated: ChangedFields = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class AddedDestination:
    """What was added; the facts of the emergency sheet."""

    repository: RepositoryFile
    place: str
    resumed: bool
    proved: list[str]
    probe: ChangedFields


def add_destination(
    site: Site,
    context: Context,
    wanted: NewDestination,
    ask_code: Callable[[str, str], str] | None = None,
) -> AddedDestination:
    """Begin, or find again, a repository and record it as a destination.

    `ask_code(recipient, path)`: the code that a person read from a probe object there, decrypted
    elsewhere; None where nobody can be asked.

    Raises:
        DestinationRefused: what was asked for does not fit; nothing was made.
        DestinationConflict: the place is in use.
        WrongKey: a recipient is not valid, or was not proved.
    """
    _require_sound(site, wanted)
    _require_free(site, wanted)
    store = open_store(wanted.url, wanted.options | wanted.credentials)
    if isinstance(store, FolderStore):
        store.make_root()
    found = _found_repository(site, store, is_mirror=wanted.new_repository_id)
    probe = probe_store(store)
    proved = prove_recipients(store, wanted.recipients, wanted.identities, ask_code)
    repository = found or new_repository(site.ledger.meta.ledger_id, wanted.recipients, context.now)
    prints = tuple(sorted(fingerprint(repository.salt, each) for each in wanted.recipients))
    repository = RepositoryFile(
        repository.ledger_id,
        repository.repository_id,
        repository.created_at,
        repository.salt,
        prints,
    )
    store.put(README, README_TEXT.encode())
    store.put(READER, reader_bytes())
    store.put(REPOSITORY, repository.to_bytes())
    details = DestinationAdded(
        name=wanted.name,
        url=wanted.url,
        options=dict(wanted.options),
        recipients=list(wanted.recipients),
        proved=proved,
        clear=wanted.clear,
        share=wanted.share,
        salt=repository.salt,
        settings=wanted.settings,
        stated=wanted.stated,
        probe=probe,
        resumed=found is not None,
    )

    def decide(locked: LockedHead) -> list[Draft]:
        known = destination_locked(locked, repository.repository_id)
        if known is not None and known.status != "removed":
            raise DestinationConflict(f"destination {known.name!r} was added meanwhile")
        return [Draft(destination_stream(repository.repository_id), details)]

    site.notify(site.ledger.decide(context, decide))
    return AddedDestination(repository, store.place, found is not None, proved, probe)


def _require_sound(site: Site, wanted: NewDestination) -> None:
    if site.configuration.checkpoint_key is None:
        raise DestinationRefused(
            "the ledger goes off-site signed, and checkpoint_key is not set; make a key: "
            "backup-ledger audit keygen NAME --out FILE, then set checkpoint_key = FILE"
        )
    Policy.of_values(wanted.settings | wanted.stated)
    if not _NAME.fullmatch(wanted.name):
        raise DestinationRefused(
            f"{wanted.name!r} is not a valid destination name; use lower-case letters, digits, "
            "- and _, such as nas or office-2"
        )
    require_url(wanted.url)
    for each in wanted.recipients:
        parse_recipient(each)
    if wanted.clear:
        if wanted.recipients:
            raise DestinationRefused("--clear encrypts nothing, so give no --recipient with it")
        return
    if not wanted.recipients:
        raise DestinationRefused(
            "to whom is it encrypted? give --recipient age1... (see: backup-ledger offsite keygen "
            "--out FILE), at least two; --clear stores backups that anyone can read"
        )
    if len(set(wanted.recipients)) != len(wanted.recipients):
        raise DestinationRefused("the same recipient was given twice")
    if len(wanted.recipients) == 1 and not wanted.one_recipient:
        raise DestinationRefused(
            "with one recipient, one lost key loses every copy; give a second --recipient whose "
            "identity is kept elsewhere, or say --one-recipient"
        )


def _require_free(site: Site, wanted: NewDestination) -> None:
    """No live destination has the name, or a place within or around this one."""
    with site.read_models.reading() as connection:
        live = [each for each in all_destinations(connection) if each.status != "removed"]
    for each in live:
        if each.name == wanted.name:
            raise DestinationConflict(f"destination {wanted.name!r} already exists: {each.url}")
        if _overlap(each, wanted.url):
            raise DestinationConflict(
                f"{wanted.url} is, contains or is inside destination {each.name!r} ({each.url}); "
                "give a place of its own"
            )


def _overlap(other: Destination, url: str) -> bool:
    one, two = (f"{each.rstrip('/')}/" for each in (other.url, url))
    return one.startswith(two) or two.startswith(one)


def _found_repository(site: Site, store: ObjectStore, *, is_mirror: bool) -> RepositoryFile | None:
    """The repository that is there and ours; None where there is nothing yet, or it is a mirror.

    Raises:
        DestinationConflict: something else is there.
        RepositoryForked: it is of another ledger, or of a later state of ours.
    """
    try:
        found = parse_repository(store.get(REPOSITORY), store.place)
    except ObjectMissing:
        _require_empty(store)
        return None
    if found.ledger_id != site.ledger.meta.ledger_id:
        raise RepositoryForked(
            f"{store.place} holds the copies of another ledger ({found.ledger_id}); give a place "
            "of its own, or read it with: backup-ledger offsite recover"
        )
    with site.read_models.reading() as connection:
        known = {each.repository_id: each for each in all_destinations(connection)}
    before = known.get(found.repository_id)
    if before is not None and before.status != "removed" and not is_mirror:
        raise DestinationConflict(
            f"{store.place} is destination {before.name!r} already ({before.url}), or a mirror of "
            "it; give a place of its own, or make the mirror a destination: --new-repository-id"
        )
    if before is None and next(iter(store.list(COPIES)), None) is not None:
        raise RepositoryForked(
            f"{store.place} holds copies that this ledger does not know: it is older than them; "
            "nothing was touched"
        )
    with suppress(ObjectMissing):  # nothing was published yet
        require_earlier(site, store.get(f"{LEDGER}checkpoint"), store.place)
    # What lies in a mirror stays there, and does not count.
    return None if is_mirror and before is not None else found


def _require_empty(store: ObjectStore) -> None:
    for each in store.list():
        # What an `add` that was killed had written, in this order, before repository.json.
        if each.path not in (README, READER) and not each.path.startswith(PROBE):
            raise DestinationConflict(
                f"{store.place} contains something else ({each.path}); give an empty folder or "
                "prefix of its own"
            )
