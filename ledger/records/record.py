"""Envelope <-> canonical bytes: the record is the stored event and the audit line.

Every record has exactly these keys, sorted, in canonical JSON of at most 65,535 bytes:

    action actor causation_id correlation_id details error_message event_id event_type
    resource_id resource_type schema_version stream stream_version success timestamp user_id
"""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, Generic, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    SerializeAsAny,
    ValidationError,
    model_validator,
)
from typing_extensions import TypeVar

from ledger.canonical_json import MAX_INTEGER, canonical_bytes, parse_json
from ledger.clock import format_instant
from ledger.errors import RecordError, UnknownEvent
from ledger.events import REGISTRY, Details
from ledger.events.base import Identifier, Instant, ResourceType
from ledger.records.upcasters import upcast
from ledger.vocabulary import (
    BACKUP,
    COPY,
    DESTINATION,
    LEDGER_STREAM,
    MAX_USER_ID,
    RESTORE,
    RETENTION,
    SCHEDULE,
    SCHEDULER,
    ActorKind,
)

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_RECORD_BYTES = 65_535
MAX_ERROR_MESSAGE_BYTES = 4_096


_USER_ID = r"[1-9][0-9]{0,18}"
_UUID = r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_STREAMS = {
    SCHEDULE: re.compile(rf"schedule/({_USER_ID})"),
    BACKUP: re.compile(rf"backup/({_UUID})"),
    RETENTION: re.compile(rf"retention/(global|{_USER_ID})"),
    SCHEDULER: re.compile(r"scheduler/([^\x00-\x1f\x7f/]{1,255})"),
    RESTORE: re.compile(rf"restore/({_UUID})"),
    DESTINATION: re.compile(rf"destination/({_UUID})"),
    COPY: re.compile(rf"copy/({_UUID})"),
    LEDGER_STREAM: re.compile("(ledger)"),
}
"""Kind of stream -> its names, with the resource id as the first group."""


def _in_range(user_id: str) -> str:
    if int(user_id) > MAX_USER_ID:
        raise ValueError(f"the user id {user_id} is beyond {MAX_USER_ID}")
    return user_id


UserId = Annotated[str, Field(pattern=f"^{_USER_ID}$"), AfterValidator(_in_range)]


class Actor(BaseModel):
    """Who acted."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)
    id: str
    kind: ActorKind


AnyDetails = TypeVar("AnyDetails", bound=Details, default=Details)


class Event(BaseModel, Generic[AnyDetails]):
    """One fact with its envelope.

    `originator_id` and `originator_version` are what the eventsourcing library calls a
    stream and a place in it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    action: str
    actor: Actor
    causation_id: Identifier | None
    correlation_id: Identifier
    details: SerializeAsAny[AnyDetails]
    error_message: str | None
    event_id: Identifier
    event_type: str
    resource_id: str
    resource_type: ResourceType
    schema_version: int
    stream: str
    stream_version: Annotated[int, Field(ge=1, le=MAX_INTEGER)]
    success: bool
    timestamp: Instant
    user_id: UserId | None

    @property
    def originator_id(self) -> str:
        return self.stream

    @property
    def originator_version(self) -> int:
        return self.stream_version

    @model_validator(mode="after")
    def _agrees_with_its_type(self) -> Self:
        kind = type(self.details)
        if "nonce" not in self.details.model_fields_set:
            raise ValueError("details have no nonce")
        if (
            self.event_type != kind.event_type
            or self.action != kind.action
            or self.resource_type != kind.resource_type
            or self.schema_version != kind.schema_version
        ):
            raise ValueError(f"the envelope does not fit the event type {kind.event_type}")
        if self.success is not kind.success:
            raise ValueError(f"success of {kind.event_type} is always {kind.success}")
        stream = _STREAMS[kind.stream_kind].fullmatch(self.stream)
        if stream is None:
            raise ValueError(f"{self.stream!r} is not a stream of {kind.event_type}")
        if self.resource_id != stream[1]:
            raise ValueError(f"resource_id {self.resource_id!r} is not of stream {self.stream!r}")
        if kind.stream_kind in (SCHEDULE, RETENTION) and stream[1] != "global":
            _in_range(stream[1])
        if not self.success and self.error_message is None:
            raise ValueError("an event without success needs an error_message")
        return self


_TYPE_KEY = b'"event_type":"'


@cache
def _reader(kind: type[Details]) -> Callable[[bytes], Event]:
    """Validates records of one type at its newest version, in one go; made when first needed."""
    return Event[kind].model_validate_json  # type: ignore[valid-type]


def encode_event(event: Event) -> bytes:
    """The event's record.

    Raises:
        RecordError: it has a value that the format does not have, or is too large.
    """
    details = event.details.to_json()
    # The envelope's own keys and types are those of the class; its strings are looked at as they
    # become bytes.
    record = canonical_bytes(
        {
            "action": event.action,
            "actor": {"id": event.actor.id, "kind": event.actor.kind},
            "causation_id": event.causation_id,
            "correlation_id": event.correlation_id,
            "details": details,
            "error_message": event.error_message,
            "event_id": event.event_id,
            "event_type": event.event_type,
            "resource_id": event.resource_id,
            "resource_type": event.resource_type,
            "schema_version": event.schema_version,
            "stream": event.stream,
            "stream_version": event.stream_version,
            "success": event.success,
            "timestamp": format_instant(event.timestamp),
            "user_id": event.user_id,
        },
        to_check=details,
    )
    if len(record) > MAX_RECORD_BYTES:
        raise RecordError(
            f"the record of {event.event_type} has {len(record)} bytes; the limit is "
            f"{MAX_RECORD_BYTES}"
        )
    return record


def decode_event(record: bytes) -> Event:
    """Read a record: bytes -> dict -> upcasters -> validated event.

    Raises:
        UnknownEvent: its type or version is not in the registry.
        RecordError: it is not a valid record.
    """
    start = record.rfind(_TYPE_KEY) + len(_TYPE_KEY)
    kind = REGISTRY.get(record[start : record.find(b'"', start)].decode("ascii", "replace"))
    if kind is not None:
        try:
            return _reader(kind)(record)
        except ValidationError:
            pass  # of an older version, or not valid: what follows tells
    return _decode_step_by_step(record)


def _decode_step_by_step(record: bytes) -> Event:
    fields = parse_json(record)
    if not isinstance(fields, dict) or not isinstance(fields.get("event_type"), str):
        raise RecordError("the record is not a JSON object with an event_type")
    kind = REGISTRY.get(fields["event_type"])
    if kind is None:
        raise UnknownEvent(f"unknown event type {fields['event_type']!r}; update backup-ledger")
    try:
        newest = {"details": _newest_details(kind, fields), "schema_version": kind.schema_version}
        return Event.model_validate(fields | newest)
    except (ValidationError, KeyError, TypeError) as error:
        raise RecordError(f"no valid record of {kind.event_type}: {reason_of(error)}") from error


def _newest_details(kind: type[Details], fields: dict[str, Any]) -> Details:
    version, details = fields["schema_version"], fields["details"]
    if type(version) is not int or not isinstance(details, dict):
        raise TypeError("schema_version must be an integer, and details an object")
    return kind.model_validate(upcast(kind.event_type, version, kind.schema_version, details))


def cut_text(text: str, limit_bytes: int = MAX_ERROR_MESSAGE_BYTES) -> str:
    """At most this many bytes of UTF-8, cut on a character; lone surrogates become "?"."""
    data = text.encode("utf-8", "replace")
    return data[:limit_bytes].decode("utf-8", "ignore")


def reason_of(error: Exception) -> str:
    """What an event was refused for, in one line."""
    if isinstance(error, ValidationError):
        first = error.errors(include_url=False)[0]
        return f"{'.'.join(str(part) for part in first['loc'])}: {first['msg']}"
    return f"{type(error).__name__}: {error}"
