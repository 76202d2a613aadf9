"""Events of the ledger itself: its sources, read models, keys to it, and exports."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import ConfigDict, Field

from ledger.events.base import (
    ChangedFields,
    Count,
    Details,
    Digest,
    Identifier,
    Instant,
    Position,
)
from ledger.events.base import ResourceType as _ResourceType
from ledger.vocabulary import LEDGER_STREAM, Role, WitnessRefusal


class _LedgerDetails(Details):
    resource_type: ClassVar[_ResourceType] = "ledger"
    stream_kind: ClassVar[str] = LEDGER_STREAM


class ClockJumped(_LedgerDetails):
    """The clock of whoever appends is far from the last recorded time: `before` it, then `now`.

    Over an hour behind it or over a year ahead; it may be the last time that was wrong.
    """

    event_type = "ledger.clock_jumped"
    schema_version = 2
    action = "jump"
    before: Instant
    now: Instant


class SourceRegistered(_LedgerDetails):
    """A source is recognized by its store and real path."""

    event_type = "ledger.source_registered"
    schema_version = 2
    action = "register"
    source: Identifier
    store: Identifier
    path: str


class SourceMoved(_LedgerDetails):
    """The same database, found at another path after the first one was gone."""

    event_type = "ledger.source_moved"
    schema_version = 2
    action = "move"
    source: Identifier
    path_before: str
    path: str


class SourceOptimized(_LedgerDetails):
    event_type = "ledger.source_optimized"
    schema_version = 2
    action = "optimize"
    source: Identifier
    size_before: Count
    size_after: Count


class HookFailed(_LedgerDetails):
    """A hook around a backup failed; `exit_code` is null where it did not end by itself."""

    event_type = "ledger.hook_failed"
    personal = ("output",)
    action = "run"
    success = False
    hook: Literal["hook_before", "hook_after", "hook_failure"]
    exit_code: int | None
    output: str


class _TokenDetails(_LedgerDetails):
    token_id: Identifier
    role: Role
    user: str | None
    expires: Instant | None


class TokenCreated(_TokenDetails):
    event_type = "ledger.token_created"
    schema_version = 2
    action = "create"


class TokenRevoked(_TokenDetails):
    event_type = "ledger.token_revoked"
    schema_version = 2
    action = "revoke"


class ProjectionRebuilt(_LedgerDetails):
    event_type = "ledger.projection_rebuilt"
    schema_version = 2
    personal = ("reason",)
    action = "rebuild"
    name: str
    version: Count
    position: Count
    rows: Count
    reason: str


class LedgerMoved(_LedgerDetails):
    """The ledger is copied to a place where work may go on; off-site, one of both does.

    `place`: without secrets.
    """

    event_type = "ledger.moved"
    action = "move"
    place: str


class LedgerRecovered(_LedgerDetails):
    """Made again from what was published off-site. `signed`: the checkpoint's signature held.

    `size`, `root`: of the checkpoint, which the records were found to lead to.
    """

    event_type = "ledger.recovered"
    schema_version = 2
    action = "recover"
    size: Count
    root: Digest
    url: str
    signed: bool
    public_key: str | None


class EvidenceExported(_LedgerDetails):
    event_type = "ledger.evidence_exported"
    schema_version = 2
    action = "export"
    first_position: Count
    last_position: Count
    checkpoint_size: Count
    filter: ChangedFields


class CheckpointCosigned(_LedgerDetails):
    """Witnesses, by the names of their keys, saw that the checkpoint of `size` continues.

    `quorum`: how many must have, of all those that cosigned this checkpoint by now (`cosigned`).
    """

    event_type = "ledger.checkpoint_cosigned"
    action = "cosign"
    size: Count
    root: Digest
    witnesses: list[str]
    cosigned: Count
    quorum: Count


class WitnessRefused(_LedgerDetails):
    """A witness did not cosign the checkpoint of `size`; recorded when the reason changes.

    `witness_size`: of the checkpoint that it cosigned last, where it said so.
    """

    event_type = "ledger.witness_refused"
    action = "cosign"
    success = False
    witness: str
    size: Count
    witness_size: Count | None
    reason: WitnessRefusal


class KeyRotated(_LedgerDetails):
    """From the next checkpoint on another key signs. Both as verifier keys."""

    event_type = "ledger.key_rotated"
    action = "rotate"
    old_key: str
    new_key: str


class NotificationQueued(_LedgerDetails):
    """What happened at these positions is to be told; whoever appended this sends it.

    `topic`: `incidents`, `digest`, `overdue`, `low_space` or `test`. `count`: things told of.
    """

    event_type = "ledger.notification_queued"
    schema_version = 2
    action = "notify"
    notification_id: Identifier
    topic: str
    first_position: Count
    last_position: Count
    count: Count


class NotificationSent(_LedgerDetails):
    """`targets`: how many took it."""

    event_type = "ledger.notification_sent"
    schema_version = 2
    action = "notify"
    notification_id: Identifier
    attempt: Count
    targets: Count


class NotificationFailed(_LedgerDetails):
    """A target did not take it. Its address may hold a password, and is not said.

    Version 2 names the targets, so that these alone are tried again; none where nobody knows.
    """

    event_type = "ledger.notification_error"
    schema_version = 2
    action = "notify"
    success = False
    notification_id: Identifier
    attempt: Count
    error_type: str
    failed_targets: list[str]


class RecordRedacted(_LedgerDetails):
    """The bytes of a record were removed; its leaf hash stays. `ticket`: the request behind it.

    `redacted_type`, `event_type` in the record: of the erased one. `kept`: what folds need of it,
    without personal data. `guessable`: the record had no nonce and its event's id is known
    elsewhere, so whoever guesses the text can confirm the guess by the leaf hash.
    """

    model_config = ConfigDict(populate_by_name=True)

    event_type = "ledger.record_redacted"
    personal = ("ticket", "reason")
    action = "redact"
    position: Position
    leaf_hash: Digest
    redacted_type: str = Field(alias="event_type")
    stream: str
    stream_version: Position
    ticket: str
    reason: str
    kept: dict[str, Any]
    guessable: bool
