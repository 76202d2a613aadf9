"""The schema as a page for people, which works without the net: no script, nothing of others."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from typing import Any

from fastapi import APIRouter, Request, Response

from commands.http.console.page import ENVIRONMENT


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of one address. `parameters`: name, where, and what it is."""

    method: str
    path: str
    operation_id: str
    summary: str
    about: str
    parameters: tuple[tuple[str, str, str], ...]
    body: str | None
    statuses: tuple[tuple[str, str], ...]
    example: str | None


@cache
def page_of(title: str, text: str) -> bytes:
    """The page of a schema, which is given as JSON."""
    schema = json.loads(text)
    groups: dict[str, list[Operation]] = {}
    for path, operations in schema["paths"].items():
        for method, told in operations.items():
            found = _operation(schema, method.upper(), path, told)
            groups.setdefault(told.get("tags", ["others"])[0], []).append(found)
    about = schema["info"]["description"].strip().split("\n\n")
    page = ENVIRONMENT.get_template("api.html").render(title=title, about=about, groups=groups)
    return page.encode()


def documentation(prefix: str) -> APIRouter:
    """The page at /docs behind the prefix."""
    router = APIRouter(include_in_schema=False)

    @router.get(f"{prefix}/docs")
    def docs(request: Request) -> Response:
        schema = request.app.openapi()
        return Response(
            page_of(schema["info"]["title"], json.dumps(schema)), media_type="text/html"
        )

    return router


def _operation(schema: dict[str, Any], method: str, path: str, told: dict[str, Any]) -> Operation:
    parameters = tuple(
        (each["name"], each["in"], each.get("description") or _kind(schema, each["schema"]))
        for each in told.get("parameters", ())
    )
    answers = told["responses"]
    content: dict[str, Any] = next(
        (each.get("content", {}) for s, each in answers.items() if s[0] == "2"), {}
    )
    example = next((each["example"] for each in content.values() if "example" in each), None)
    return Operation(
        method,
        path,
        told["operationId"],
        told.get("summary", ""),
        told.get("description", ""),
        parameters,
        _body(schema, told),
        tuple(sorted((status, each.get("description", "")) for status, each in answers.items())),
        None if example is None else json.dumps(example, indent=2, ensure_ascii=False),
    )


def _body(schema: dict[str, Any], told: dict[str, Any]) -> str | None:
    """The fields of a body, a line each."""
    for media in told.get("requestBody", {}).get("content", {}).values():
        model = _followed(schema, media["schema"])
        needed = model.get("required", ())
        lines = [
            f"{name}: {_kind(schema, each)}{' (needed)' if name in needed else ''}"
            for name, each in model.get("properties", {}).items()
        ]
        return "\n".join(lines) or _kind(schema, media["schema"])
    return None


def _kind(schema: dict[str, Any], told: dict[str, Any]) -> str:
    if "anyOf" in told:
        return " or ".join(_kind(schema, each) for each in told["anyOf"])
    found = _followed(schema, told)
    if "enum" in found:
        return ", ".join(map(str, found["enum"]))
    if found.get("type") == "array":
        return f"list of {_kind(schema, found.get('items', {}))}"
    return str(found.get("format") or found.get("type") or "any")


def _followed(schema: dict[str, Any], told: dict[str, Any]) -> dict[str, Any]:
    if "$ref" not in told:
        return told
    found: dict[str, Any] = schema["components"]["schemas"][told["$ref"].rpartition("/")[2]]
    return found
