"""Who asks, and what each role may do.

A user sees and changes what is the user's own. An operator does everything but make tokens. An
auditor reads everything, verifies and exports, and changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated, cast

from fastapi import Depends, HTTPException, Request

from ledger.records.record import Actor
from ledger.vocabulary import Role

READING = ("GET", "HEAD")
EVERYBODY: tuple[Role, ...] = ("user", "operator", "auditor")


def _always() -> bool:
    return True


@dataclass(frozen=True, slots=True)
class Caller:
    """Somebody who has been let in. `id`: how the ledger names who acts.

    `user_id`: of role user, and of that role only; `id` is then the same number.
    `is_let_in`: asked again while a stream goes on, which ends where it is no longer so.
    """

    id: str
    role: Role
    user_id: int | None = None
    is_let_in: Callable[[], bool] = field(default=_always, compare=False, repr=False)

    def __post_init__(self) -> None:
        if (self.role == "user") != (self.user_id is not None):
            raise ValueError("user_id belongs to the role user, and to no other role")

    @classmethod
    def user(cls, user_id: int) -> Caller:
        return cls(str(user_id), "user", user_id)

    @property
    def actor(self) -> Actor:
        return Actor(id=self.id, kind=self.role)

    def owns(self, owner: int | None) -> bool:
        """Whether a thing of this owner is any of the caller's business."""
        return self.user_id is None or self.user_id == owner


def caller_of(request: Request) -> Caller:
    """Whom the router's own dependency let in.

    Raises:
        HTTPException: it was not asked, as FastAPI found its own arguments to be missing.
    """
    found = getattr(request.state, "backup_ledger_caller", None)
    if found is None:
        raise HTTPException(401, "the request does not say who asks")
    return cast("Caller", found)


def _allowed(*roles: Role) -> Callable[[Request], Caller]:
    def check(request: Request) -> Caller:
        caller = caller_of(request)
        if caller.role not in roles:
            needed = " or ".join(roles)
            raise HTTPException(403, f"the role {caller.role} may not do this; it takes {needed}")
        return caller

    check.roles = roles  # type: ignore[attr-defined]  # for the schema
    return check


Anybody = Annotated[Caller, Depends(_allowed(*EVERYBODY))]
Reader = Annotated[Caller, Depends(_allowed("operator", "auditor"))]
Writer = Annotated[Caller, Depends(_allowed("user", "operator"))]
Operator = Annotated[Caller, Depends(_allowed("operator"))]
