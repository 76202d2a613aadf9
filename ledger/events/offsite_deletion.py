"""Events of deleting off-site, and of what is found there or read by whom.

A pack is condemned before it is deleted: from that position on no copy can be completed on it.
"""

from __future__ import annotations

from ledger.events.base import Count, Digest, Identifier, Instant
from ledger.events.offsite import CopyDetails, DestinationDetails
from ledger.vocabulary import CondemnReason, CopyDeletionReason, DeletionOutcome


class CollectStarted(DestinationDetails):
    """The claim of one look at what may go. Its lease is `collect/<collect_id>`."""

    event_type = "backup_offsite.collect_started"
    action = "collect"
    collect_id: Identifier
    owner: str
    lease_seconds: Count


class CollectCompleted(DestinationDetails):
    """`append_only`: the credentials of this machine may not delete, so others have to."""

    event_type = "backup_offsite.collect_completed"
    action = "collect"
    collect_id: Identifier
    copies_condemned: Count
    copies_deleted: Count
    packs_condemned: Count
    packs_deleted: Count
    deleted_bytes: Count
    append_only: bool


class CollectFailed(DestinationDetails):
    event_type = "backup_offsite.collect_error"
    action = "collect"
    success = False
    collect_id: Identifier
    error_type: str


class CopyDeletionStarted(CopyDetails):
    """From here on the copy is not restored from and does not count.

    Its objects are deleted after `not_before`. `rule`: the retention that it followed.
    """

    event_type = "backup_offsite.copy_deletion_started"
    file_names = ("filename",)
    action = "delete"
    collect_id: Identifier | None
    filename: str
    reason: CopyDeletionReason
    rule: str | None
    not_before: Instant


class CopyDeleted(CopyDetails):
    """Manifest and list of packs are gone, or hidden in a bucket that keeps versions."""

    event_type = "backup_offsite.copy_deleted"
    file_names = ("filename",)
    action = "delete"
    filename: str
    reason: CopyDeletionReason
    rule: str | None
    outcome: DeletionOutcome


class _CollectedPacks(DestinationDetails):
    """`part` of `parts`: long lists are cut; the count is of the whole."""

    collect_id: Identifier
    packs: list[Digest]
    count: Count
    part: int
    parts: int


class PacksCondemned(_CollectedPacks):
    """No live copy names them, and no later one can. Deleted after `not_before`."""

    event_type = "backup_offsite.packs_condemned"
    action = "condemn"
    reason: CondemnReason
    not_before: Instant


class PacksDeletionStarted(_CollectedPacks):
    event_type = "backup_offsite.packs_deletion_started"
    action = "delete"


class PacksDeleted(_CollectedPacks):
    """`bytes`: of the packs of all parts, as they were listed."""

    event_type = "backup_offsite.packs_deleted"
    action = "delete"
    outcome: DeletionOutcome
    bytes: Count


class CopyFound(CopyDetails):
    """A copy that this ledger did not know, read with a key: the ledger is older than it.

    `readable_by`: the recipients of the identities that opened it; there may be others.
    """

    event_type = "backup_offsite.copy_found"
    file_names = ("filename",)
    action = "find"
    copy_id: Identifier
    filename: str
    source: Identifier | None
    created_at: Instant
    size: Count
    sha256: Digest
    manifest_sha256: Digest
    packs: Count
    packs_root: Digest
    pages: Count
    readable_by: list[str]


class RecipientsChanged(DestinationDetails):
    """`proved`: those whose identity was shown to open a probe now. `forced`: against a refusal."""

    event_type = "backup_offsite.recipients_changed"
    action = "update"
    before: list[str]
    after: list[str]
    proved: list[str]
    forced: bool
