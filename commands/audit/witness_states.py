"""How each configured witness answered last, as the ledger has it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from commands.audit.log import audit_records
from ledger.events.housekeeping import CheckpointCosigned, WitnessRefused
from ledger.records.record import Event, decode_event
from projections.queries.audit import AuditFilter

if TYPE_CHECKING:
    from datetime import datetime

    from commands.site.site import Site
    from ledger.vocabulary import WitnessRefusal

LOOKED_AT = 100
"""Events of each type, from the newest: a witness that did nothing in them is not known."""


@dataclass(frozen=True, slots=True)
class WitnessState:
    """`cosigned_size`, `cosigned_at`: of the newest checkpoint that it cosigned.

    `reason`, `message`, `refused_at`: why it has not cosigned since; None where it did.
    """

    cosigned_size: int | None = None
    cosigned_at: datetime | None = None
    reason: WitnessRefusal | None = None
    message: str | None = None
    refused_at: datetime | None = None


def witness_states(site: Site) -> dict[str, WitnessState]:
    """By the names of the configured witnesses; every one of them is there."""
    cosigned, refused = dict[str, Event](), dict[str, Event]()
    for kind in (CheckpointCosigned, WitnessRefused):
        wanted = AuditFilter(event_type=kind.event_type)
        for record in audit_records(site, wanted, limit=LOOKED_AT):
            event = decode_event(record.record)
            if isinstance(event.details, CheckpointCosigned):
                cosigned |= dict.fromkeys(event.details.witnesses, event)
            elif isinstance(event.details, WitnessRefused):
                refused[event.details.witness] = event
    names = [each.verifier.name for each in site.configuration.witnesses]
    return {name: _state(cosigned.get(name), refused.get(name)) for name in names}


def _state(cosigned: Event | None, refused: Event | None) -> WitnessState:
    good, bad = cosigned and cosigned.details, refused and refused.details
    size = good.size if isinstance(good, CheckpointCosigned) else None
    at = None if cosigned is None else cosigned.timestamp
    is_over = cosigned is not None and refused is not None and _is_after(cosigned, refused)
    if refused is None or is_over or not isinstance(bad, WitnessRefused):
        return WitnessState(size, at)
    return WitnessState(size, at, bad.reason, refused.error_message, refused.timestamp)


def _is_after(one: Event, other: Event) -> bool:
    """Both are of the ledger's stream."""
    return one.stream_version > other.stream_version
