"""How destinations and copies look as JSON, the same on the command line and over HTTP."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, Self

from commands.offsite.repository.layout import manifest_path, pack_list_path
from commands.shapes.shape import Shape

if TYPE_CHECKING:
    from commands.offsite.deleting.collect import Collected
    from commands.offsite.status import DestinationStatus, PlacedCopy
    from commands.offsite.verify import CheckedCopy
    from projections.folds.offsite_copy import OffsiteCopy
    from projections.folds.offsite_destination import Destination


class DestinationShape(Shape):
    """A destination as it was set up."""

    name: str
    url: str
    repository_id: str
    status: str
    clear: bool
    share: bool
    recipients: list[str]
    options: dict[str, Any]
    settings: dict[str, Any]
    stated: dict[str, Any]
    added_at: datetime

    @classmethod
    def of(cls, destination: Destination) -> Self:
        return cls.model_validate(destination)


class StatusShape(Shape):
    """Where a destination stands. Counts of copies and packs, bytes as they are stored there."""

    name: str
    url: str
    status: str
    copies: int
    corrupt: int
    missing: int
    newest_copy_at: datetime | None
    stored_bytes: int
    append_only: bool
    condemned_copies: int
    condemned_packs: int
    next_deletion_at: datetime | None
    ledger_size: int | None

    @classmethod
    def of(cls, found: DestinationStatus) -> Self:
        return cls(
            name=found.destination.name,
            url=found.destination.url,
            status=found.destination.status,
            copies=len(found.copies),
            corrupt=len(found.corrupt),
            missing=len(found.missing),
            newest_copy_at=found.newest_copy_at,
            stored_bytes=found.stored_bytes,
            append_only=found.append_only,
            condemned_copies=len(found.deleting),
            condemned_packs=found.condemned_packs,
            next_deletion_at=found.next_deletion_at,
            ledger_size=found.ledger_size,
        )


class StatusList(Shape):
    destinations: list[StatusShape]


class CopyShape(Shape):
    """One backup's copy at a destination. What is null is not known until it is completed."""

    copy_id: str
    backup_id: str
    filename: str
    source: str | None
    status: str
    completed_at: datetime | None
    size: int | None
    sha256: str | None
    manifest_sha256: str | None
    packs: int | None
    packs_root: str | None
    pages: int | None
    new_pages: int | None
    sent_bytes: int | None
    readable_by: list[str]
    protected_until: datetime | None
    verified_level: str | None
    verified_at: datetime | None
    proved: bool
    problem: str | None

    @classmethod
    def of(cls, copy: OffsiteCopy) -> Self:
        return cls.model_validate(copy)


class WholeDestination(DestinationShape):
    """A destination, where it stands, and the copies that are there."""

    corrupt: int
    missing: int
    newest_copy_at: datetime | None
    stored_bytes: int
    append_only: bool
    condemned_copies: int
    condemned_packs: int
    next_deletion_at: datetime | None
    ledger_size: int | None
    copies: list[CopyShape]


class PlacedCopyShape(CopyShape):
    """A copy with where it is, and what leads from its event to `sha256sum` there."""

    destination: str
    url: str
    manifest: str
    pack_list: str
    event_position: int | None

    @classmethod
    def at(cls, placed: PlacedCopy) -> Self:
        copy = placed.copy
        return cls(
            **CopyShape.of(copy).model_dump(),
            destination=placed.destination.name,
            url=placed.destination.url,
            manifest=manifest_path(copy.copy_id),
            pack_list=pack_list_path(copy.copy_id),
            event_position=placed.event_position,
        )


class PlacedCopies(Shape):
    copies: list[PlacedCopyShape]


class MadeCopy(Shape):
    """A copy that was made just now."""

    filename: str
    copy_id: str
    destination: str
    sent_bytes: int | None
    new_pages: int | None
    pages: int | None
    packs: int | None

    @classmethod
    def of(cls, destination: Destination, copy: OffsiteCopy) -> Self:
        return cls(
            filename=copy.filename,
            copy_id=copy.copy_id,
            destination=destination.name,
            sent_bytes=copy.sent_bytes,
            new_pages=copy.new_pages,
            pages=copy.pages,
            packs=copy.packs,
        )


class FailedCopy(Shape):
    filename: str
    problem: str


class MadeCopies(Shape):
    """What copying came to; one backup's failure stops no other."""

    copies: list[MadeCopy]
    failed: list[FailedCopy]


class CheckedCopyShape(Shape):
    """`problem`: what is wrong with the copy, or why it could not be checked."""

    destination: str
    copy_id: str
    filename: str
    level: str
    ok: bool
    problem: str | None

    @classmethod
    def of(cls, checked: CheckedCopy) -> Self:
        return cls(
            destination=checked.destination.name,
            copy_id=checked.copy.copy_id,
            filename=checked.copy.filename,
            level=checked.level,
            ok=checked.problem is None,
            problem=checked.problem,
        )


class CheckedCopies(Shape):
    ok: bool
    copies: list[CheckedCopyShape]


class CondemnedCopy(Shape):
    """A copy that goes, why, and not before when."""

    copy_id: str
    filename: str
    reason: str
    not_before: datetime | None


class CollectedShape(Shape):
    """What deleting at a destination came to, or would come to (`dry_run`)."""

    name: str
    dry_run: bool
    condemned_copies: list[CondemnedCopy]
    condemned_packs: int
    condemned_bytes: int
    due_copies: int
    due_packs: int
    deleted_copies: int
    deleted_packs: int
    deleted_bytes: int
    orphans: int
    foreign: list[str]
    append_only: bool
    problem: str | None
    clock_doubt: str | None

    @classmethod
    def of(cls, found: Collected, *, dry_run: bool) -> Self:
        plan, claim = found.plan, found.claim
        return cls(
            name=found.destination.name,
            dry_run=dry_run,
            condemned_copies=[
                CondemnedCopy(
                    copy_id=going.copy.copy_id,
                    filename=going.copy.filename,
                    reason=going.reason,
                    not_before=moment,
                )
                for going, moment in plan.copies
            ],
            condemned_packs=found.condemned_packs,
            condemned_bytes=found.condemned_bytes,
            due_copies=len(plan.due_copies),
            due_packs=len(plan.due_packs),
            deleted_copies=0 if claim is None else claim.copies_deleted,
            deleted_packs=0 if claim is None else claim.packs_deleted,
            deleted_bytes=0 if claim is None else claim.deleted_bytes,
            orphans=len(plan.orphans),
            foreign=found.look.foreign,
            append_only=claim is not None and claim.append_only,
            problem=plan.problem,
            clock_doubt=plan.clock_doubt,
        )
