"""What is answered where something cannot be done, as programs get it (RFC 9457)."""

from __future__ import annotations

from pydantic import ConfigDict

from commands.shapes.shape import Shape


class InvalidPart(Shape):
    """One part of a request that was not understood: where it stands, and why."""

    loc: list[str]
    msg: str


class LedgerProblem(Shape):
    """`type` is for programs and stays; `detail` is for people: what, which one, what to do."""

    type: str
    title: str
    status: int
    detail: str


class InvalidRequest(LedgerProblem):
    """A request that was not understood. `errors`: each part, where several can be wrong."""

    model_config = ConfigDict(json_schema_extra={"required": ["type", "title", "status", "detail"]})

    errors: tuple[InvalidPart, ...] = ()


class JobProblem(Shape):
    """Why a job failed."""

    status: int
    detail: str
