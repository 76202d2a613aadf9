"""What every event's details have in common, and the types that they are made of."""

from __future__ import annotations

from datetime import datetime
from os import urandom
from types import MappingProxyType
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer

from ledger.canonical_json import MAX_INTEGER
from ledger.clock import format_instant, parse_instant, require_aware

ResourceType = Literal[
    "backup_scheduler",
    "backup_retention",
    "backup_catalog",
    "backup_restore",
    "backup_offsite",
    "ledger",
]


def _to_instant(value: Any) -> datetime:
    if isinstance(value, str):
        return parse_instant(value)
    if isinstance(value, datetime):
        return require_aware(value)
    raise ValueError(f"{value!r} is not an instant")


Instant = Annotated[
    datetime, BeforeValidator(_to_instant), PlainSerializer(format_instant, return_type=str)
]
Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Identifier = Annotated[
    str, Field(pattern=r"^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$")
]
Day = Annotated[str, Field(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$")]
"""A date of a calendar on a wall, in no particular time zone."""
Count = Annotated[int, Field(ge=0, le=MAX_INTEGER)]
Position = Annotated[int, Field(ge=1, le=MAX_INTEGER)]
ChangedFields = dict[str, str | int | bool | None]
"""Just the fields concerned: of `before`, `after` and `attempted`."""
Nonce = Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
"""128 random bits: without them nobody can guess an erased record and confirm it by its leaf."""


NONCE_BYTES = 16


def new_id() -> str:
    """A random UUID (RFC 9562, version 4), at a third of what the standard library's costs."""
    digits = urandom(16).hex()
    variant = "89ab"[int(digits[16], 16) & 3]
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-{variant}{digits[17:20]}-{digits[20:]}"


_registered: dict[str, type[Details]] = {}
REGISTRY: MappingProxyType[str, type[Details]] = MappingProxyType(_registered)
"""Event type -> its class at the newest schema version, filled as the classes are defined."""


class Details(BaseModel):
    """An event's own fields. A subclass is one event type at its newest schema version.

    `nonce`: given to each event as it is made; null in records of versions that had none, and in
    erased ones.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, defer_build=True)

    event_type: ClassVar[str]
    action: ClassVar[str]
    resource_type: ClassVar[ResourceType]
    stream_kind: ClassVar[str]
    schema_version: ClassVar[int] = 1
    success: ClassVar[bool] = True
    is_audited: ClassVar[bool] = False
    """Whether it is one of the audit types that readers of the former service filter on."""
    personal: ClassVar[tuple[str, ...]] = ()
    """Fields that can hold personal data; a dot leads into a list. Only these can be erased, with
    the actor's id and the error message, which any event has."""
    file_names: ClassVar[tuple[str, ...]] = ()
    """Fields that name a backup's file: erased where a person gave the name, once it is deleted."""

    nonce: Nonce | None = Field(default=None, repr=False)

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        """Enter a class that names an event type of its own into the registry."""
        super().__pydantic_init_subclass__(**kwargs)
        event_type = cls.__dict__.get("event_type")
        if event_type is None:
            return  # what several events have in common
        if event_type in _registered:
            raise TypeError(f"event type {event_type!r} is defined twice")
        _registered[event_type] = cls

    def to_json(self) -> dict[str, Any]:
        """The fields as JSON values, every field present."""
        return self.model_dump(mode="json", by_alias=True)

    def to_facts(self) -> dict[str, Any]:
        """The fields as JSON values for everybody but the ledger: without the nonce."""
        return self.model_dump(mode="json", exclude={"nonce"}, by_alias=True)

    def with_nonce(self) -> Self:
        """The details of a new event."""
        return self.model_copy(update={"nonce": urandom(NONCE_BYTES).hex()})
