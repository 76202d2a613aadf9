"""Retention: what it would do, and doing it."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Response

from commands.http.callers import Anybody, Caller, Operator, Writer
from commands.http.ledger_route import FORMER, Command, LedgerRoute
from commands.http.problems import not_found
from commands.http.schema import also
from commands.http.served_site import Served
from commands.http.shapes import answer
from commands.recovery.reconcile import reconcile
from commands.retention.apply import apply_retention, preview_retention
from commands.retention.cleanup import clean_up_empty, clean_up_old_protected
from commands.shapes.retention import (
    AppliedRetention,
    CleanedUp,
    RetentionPlanShape,
    RetentionSummary,
)
from ledger.vocabulary import KEEP_COUNT_MAX, KEEP_COUNT_MIN, MAX_USER_ID

router = APIRouter(route_class=LedgerRoute, tags=["retention"])

KeepCount = Annotated[int, Query(ge=KEEP_COUNT_MIN, le=KEEP_COUNT_MAX)]
Scope = Annotated[
    int | None,
    Query(ge=1, le=MAX_USER_ID, description="Whose backups; of all for an operator without it."),
]


@router.get(
    "/retention",
    operation_id="preview_retention",
    response_model=RetentionPlanShape,
    responses=also(404),
    summary="What applying it would do, with reasons",
)
def preview(
    caller: Anybody, served: Served, keep_count: KeepCount = 7, user_id: Scope = None
) -> Response:
    whose = _scope(caller, user_id)
    outcome = preview_retention(served.site, served.asking(), keep_count, whose)
    return answer(RetentionPlanShape.of(outcome))


@router.post(
    "/retention",
    operation_id="apply_retention",
    response_model=AppliedRetention,
    responses=also(404),
    summary="Delete what is beyond the newest",
    openapi_extra=FORMER,
)
def apply(
    caller: Writer,
    context: Command,
    served: Served,
    keep_count: KeepCount = 7,
    user_id: Scope = None,
) -> Response:
    whose = _scope(caller, user_id)
    reconcile(served.site, context)
    outcome = apply_retention(served.site, context, keep_count, whose)
    gone = CleanedUp.of(outcome.deleted)
    return answer(
        AppliedRetention(
            **gone.model_dump(),
            message=f"{gone.deleted_count} backups were deleted",
            summary=RetentionSummary.of(outcome),
        )
    )


@router.post(
    "/retention/cleanup-empty",
    operation_id="clean_up_empty_backups",
    response_model=CleanedUp,
    summary="Delete backups of zero bytes",
)
def cleanup_empty(_caller: Operator, context: Command, served: Served) -> Response:
    reconcile(served.site, context)
    deleted = clean_up_empty(served.site, context)
    return answer(CleanedUp.of(deleted))


@router.post(
    "/retention/cleanup-protected",
    operation_id="clean_up_protected_backups",
    response_model=CleanedUp,
    summary="Delete old protected backups",
)
def cleanup_protected(
    _caller: Operator,
    context: Command,
    served: Served,
    days: Annotated[int, Query(ge=1, le=36_500)] = 90,
) -> Response:
    reconcile(served.site, context)
    deleted = clean_up_old_protected(served.site, context, days)
    return answer(CleanedUp.of(deleted))


def _scope(caller: Caller, user_id: int | None) -> int | None:
    if user_id is not None and not caller.owns(user_id):
        raise not_found(f"user {user_id} has no backups")
    return caller.user_id or user_id
