"""What the schema says of each route: its example, and the problems that it can answer with.

Which problems follows from the route itself: who may call it, whether it changes something, and
what it is given. What does not follow is said beside the route, with `also`.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter
from fastapi.routing import APIRoute

from commands.http.callers import EVERYBODY
from commands.http.examples import examples
from commands.http.ledger_route import FORMER, command_context
from commands.http.problems import MEDIA_TYPE, type_of
from commands.shapes.problem import InvalidRequest, LedgerProblem

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fastapi.dependencies.models import Dependant

Responses = dict[int | str, dict[str, Any]]
BYTES = "application/octet-stream"
FILE: Responses = {
    200: {"content": {BYTES: {"schema": {"type": "string", "format": "binary"}}}},
}
"""The answer is a file."""
_TEXTS = {
    400: "a token in an address ends up in logs and histories: revoke it",
    401: "a token is needed: Authorization: Bearer blt_...",
    403: "the role auditor may not do this; it takes user or operator",
    404: "there is no backup 'before.db'",
    408: "the body did not come in time",
    409: "backup 'before.db' already exists; give another name",
    410: "the record at position 12 was erased on request",
    412: "the settings of user 1 have changed since; read them again",
    413: "the body is longer than 65536 bytes",
    422: "query.limit: Input should be less than or equal to 1000",
    429: "too many commands; wait 3 s",
    503: "the database is locked; try again",
    507: "there is no room for the backup: 3 MB are needed and 1 MB is free",
}
INVALID = 422
_EVERYWHERE = (400, 401, 429, 503)


def also(*statuses: int) -> Responses:
    """Problems of a route that its form does not tell."""
    return {status: problem_response(status) for status in statuses}


def problem_response(status: int) -> dict[str, Any]:
    """A problem as the schema has it."""
    title = HTTPStatus(status).phrase
    example = {"type": type_of(status), "title": title, "status": status, "detail": _TEXTS[status]}
    model = InvalidRequest if status == INVALID else LedgerProblem
    schema = {"$ref": f"#/components/schemas/{model.__name__}"}
    return {
        "description": title,
        "model": model,
        "content": {MEDIA_TYPE: {"schema": schema, "example": example}},
    }


def describe(router: APIRouter) -> None:
    """Give each route the example of its answer, where there is one, and its problems."""
    for route in router.routes:
        if not isinstance(route, APIRoute):
            continue
        for status in sorted(problems_of(route) - set(route.responses)):
            route.responses[status] = problem_response(status)
        for method in route.methods or ():
            example = examples().get(f"{method} {route.path}")
            if example is not None:
                content = {"application/json": {"example": example}}
                route.responses[route.status_code or 200] = {"content": content}


def problems_of(route: APIRoute) -> set[int]:
    """Statuses that follow from what a route is."""
    found = set(_EVERYWHERE)
    dependants = list(_all(route.dependant))
    roles = [getattr(each.call, "roles", EVERYBODY) for each in dependants]
    if any(set(each) != set(EVERYBODY) for each in roles):
        found.add(403)
    if route.dependant.path_params:
        found |= {404, 422}
    if any(each.call is command_context for each in dependants):
        found |= {409, 422}
    if route.body_field is not None:
        found |= {408, 413}
    is_strict = route.openapi_extra != FORMER  # it refuses parameters that it does not know
    if is_strict or route.body_field is not None or any(each.query_params for each in dependants):
        found.add(422)
    return found


def without_copies(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema with each problem under its own media type only.

    FastAPI describes every model as the kind of answer that the route gives when all is well.
    """
    for path in schema["paths"].values():
        for operation in path.values():
            for status, response in operation["responses"].items():
                content = response.get("content", {})
                if int(status) >= HTTPStatus.BAD_REQUEST and MEDIA_TYPE in content:
                    response["content"] = {MEDIA_TYPE: content[MEDIA_TYPE]}
    for unused in ("HTTPValidationError", "ValidationError"):
        schema["components"]["schemas"].pop(unused, None)
    return schema


def _all(dependant: Dependant) -> Iterator[Dependant]:
    yield dependant
    for each in dependant.dependencies:
        yield from _all(each)
