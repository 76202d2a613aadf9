"""Events of off-site copies: destinations, copies, and what was found when they were looked at.

`destination` is the id of the destination's repository, and the resource of its stream.
"""

from __future__ import annotations

from typing import ClassVar

from ledger.events.base import ChangedFields, Count, Details, Digest, Identifier, Instant
from ledger.events.base import ResourceType as _ResourceType
from ledger.vocabulary import COPY, DESTINATION, CopyLevel, FetchReason


class DestinationDetails(Details):
    resource_type: ClassVar[_ResourceType] = "backup_offsite"
    stream_kind: ClassVar[str] = DESTINATION


class DestinationAdded(DestinationDetails):
    """`proved`: the recipients whose identity was shown to open a probe. `url`: without secrets.

    `settings`: retention and pace. `stated`: what the operator said of the bucket, which nobody
    here can see. `probe`: what the store was found to do. `resumed`: the repository was there.
    """

    event_type = "backup_offsite.destination_added"
    schema_version = 2
    action = "add"
    name: str
    url: str
    options: ChangedFields
    recipients: list[str]
    proved: list[str]
    clear: bool
    share: bool
    salt: str
    settings: ChangedFields
    stated: ChangedFields
    probe: ChangedFields
    resumed: bool


class DestinationChanged(DestinationDetails):
    event_type = "backup_offsite.destination_changed"
    schema_version = 2
    action = "update"
    before: ChangedFields
    after: ChangedFields


class DestinationAttached(DestinationDetails):
    """This ledger, a copy or a recovered one, may copy and delete there from now on."""

    event_type = "backup_offsite.destination_attached"
    schema_version = 2
    action = "attach"
    name: str


class DestinationDetached(DestinationDetails):
    """This ledger was recovered or copied: it only reads there until it is attached."""

    event_type = "backup_offsite.destination_detached"
    schema_version = 2
    personal = ("reason",)
    action = "detach"
    name: str
    reason: str


class DestinationRemoved(DestinationDetails):
    """Nothing was deleted there; its copies are detached."""

    event_type = "backup_offsite.destination_removed"
    schema_version = 2
    action = "remove"
    name: str


class _PackDetails(DestinationDetails):
    """`part` of `parts`: long lists are cut; the count is of the whole.

    `damaged`: about packs that are there and are, or were, not what their names say.
    """

    packs: list[Digest]
    count: Count
    damaged: bool
    part: int
    parts: int


class PacksMissing(_PackDetails):
    """Packs that were there are gone or damaged; no later copy leans on them."""

    event_type = "backup_offsite.pack_missing"
    schema_version = 2
    action = "lose"
    success = False


class PacksFound(_PackDetails):
    """Packs that were missing or damaged are there again, and whole."""

    event_type = "backup_offsite.pack_found"
    schema_version = 2
    action = "find"


class CopyDetails(Details):
    resource_type: ClassVar[_ResourceType] = "backup_offsite"
    stream_kind: ClassVar[str] = COPY
    destination: Identifier
    backup_id: Identifier


class CopyStarted(CopyDetails):
    """The claim of a copy: its lease is the stream's name. `source`: null where not known."""

    event_type = "backup_offsite.copy_started"
    schema_version = 2
    file_names = ("filename",)
    action = "copy"
    filename: str
    source: Identifier | None
    owner: str
    lease_seconds: Count


class CopyCompleted(CopyDetails):
    """The commit point: from here on the copy counts. Sizes in bytes, pages in chunks.

    `packs`: how many; `packs_root`: RFC 6962 root over the copy's list of packs. `readable_by`:
    the recipients that can open the manifest and every pack.
    """

    event_type = "backup_offsite.copy_completed"
    schema_version = 2
    action = "copy"
    copy_id: Identifier
    size: Count
    sha256: Digest
    manifest_sha256: Digest
    packs: Count
    packs_root: Digest
    pages: Count
    new_pages: Count
    sent_bytes: Count
    readable_by: list[str]
    protected_until: Instant | None


class CopyFailed(CopyDetails):
    event_type = "backup_offsite.copy_error"
    schema_version = 2
    action = "copy"
    success = False
    error_type: str


class CopyAbandoned(CopyDetails):
    """A copy whose owner is gone; it is tried again."""

    event_type = "backup_offsite.copy_abandoned"
    schema_version = 2
    action = "copy"
    success = False
    owner: str


class _CopyChecked(CopyDetails):
    """`problem`: null where all is well. `opened`: whether an identity was used."""

    action = "verify"
    level: CopyLevel
    problem: str | None
    opened: bool


class CopyVerified(_CopyChecked):
    event_type = "backup_offsite.copy_verified"
    schema_version = 2
    personal = ("problem",)


class CopyCorrupt(_CopyChecked):
    event_type = "backup_offsite.copy_corrupt"
    schema_version = 2
    personal = ("problem",)
    success = False


class CopyFetchStarted(CopyDetails):
    """Somebody gets a copy back; it is not deleted meanwhile. Its lease is `fetch/<fetch_id>`."""

    event_type = "backup_offsite.copy_fetch_started"
    schema_version = 2
    action = "fetch"
    fetch_id: Identifier
    reason: FetchReason
    owner: str
    lease_seconds: Count


class CopyFetched(CopyDetails):
    event_type = "backup_offsite.copy_fetched"
    schema_version = 2
    action = "fetch"
    fetch_id: Identifier
    reason: FetchReason
    bytes: Count


class CopyNotFetched(CopyDetails):
    event_type = "backup_offsite.copy_fetch_error"
    schema_version = 2
    action = "fetch"
    success = False
    fetch_id: Identifier
    reason: FetchReason
    error_type: str
