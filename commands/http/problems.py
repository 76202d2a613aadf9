"""Errors as application/problem+json (RFC 9457), with `detail` as the former service had it."""

from __future__ import annotations

import json
import logging
import sqlite3
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any

from fastapi import HTTPException
from fastapi.exceptions import RequestValidationError
from sqlalchemy.exc import SQLAlchemyError
from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.responses import Response

from commands.errors import (
    CONFLICT,
    NOT_FOUND,
    OUR_ERRORS,
    USAGE,
    Refused,
    SettingsChanged,
    StoreUnknown,
    VerificationFailed,
    exit_code_of,
)
from commands.sqlite.errors import DatabaseBusy, FileInTheWay, NotEnoughSpace, SQLiteFileError
from ledger.errors import LedgerBusy, LedgerError
from ledger.masking import masked

MEDIA_TYPE = "application/problem+json"
logger = logging.getLogger("backup_ledger.http")

OUR_PACKAGES = ("ledger.", "projections.", "commands.")

_KINDS: tuple[tuple[tuple[type[BaseException], ...], int], ...] = (
    ((Refused,), 403),
    ((SettingsChanged,), 412),
    ((LedgerBusy, DatabaseBusy), 503),
    ((FileInTheWay,), 409),
    ((NotEnoughSpace,), 507),
    # The database or its folder is not what it should be: the caller can do nothing about it.
    ((SQLiteFileError, StoreUnknown, VerificationFailed), 503),
)
_TYPES = {
    400: "bad-request",
    401: "no-token",
    403: "not-allowed",
    404: "not-found",
    405: "no-such-method",
    408: "too-slow",
    409: "conflict",
    412: "changed-since",
    413: "too-large",
    421: "wrong-host",
    422: "invalid",
    429: "too-many",
    500: "failed",
    503: "unavailable",
    507: "no-space",
}
"""The last part of a problem's type, for each status that is answered."""
_BY_EXIT_CODE = {USAGE: 422, NOT_FOUND: 404, CONFLICT: 409}


def problem(
    status: int, detail: str, headers: Mapping[str, str] | None = None, **more: Any
) -> Response:
    """An answer that says what went wrong and what to do; no password of a URL is in it."""
    body = {
        "type": type_of(status),
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": masked(detail),
    } | more
    return Response(json.dumps(body), status, dict(headers or {}), MEDIA_TYPE)


def type_of(status: int) -> str:
    """What programs tell problems apart by; it stays the same whatever the words are."""
    return f"urn:backup-ledger:problem:{_TYPES.get(status, 'failed')}"


def answer_to(error: Exception, say: Callable[[str], str] = str) -> Response:
    """The problem that an error is, for any error; what nobody foresaw is logged.

    `say`: how its words are put to whoever asked.
    """
    if isinstance(error, StarletteHTTPException):
        return problem(error.status_code, say(str(error.detail)), error.headers)
    if isinstance(error, RequestValidationError):
        return _invalid(error)
    if isinstance(error, OUR_ERRORS) or type(error).__module__.startswith(OUR_PACKAGES):
        status = status_of(error)
        headers = {"Retry-After": "1"} if isinstance(error, LedgerBusy | DatabaseBusy) else None
        return problem(status, say(str(error)), headers)
    logger.error("a request failed", exc_info=error)
    if isinstance(error, SQLAlchemyError | sqlite3.Error | OSError):
        return problem(503, "the ledger or the disk cannot be used now; the service's log says why")
    return problem(500, "the request failed; the service's log says why")


def status_of(error: BaseException) -> int:
    """The HTTP status of an error of ours."""
    for kinds, status in _KINDS:
        if isinstance(error, kinds):
            return status
    fallback = 503 if isinstance(error, LedgerError) else 409
    return _BY_EXIT_CODE.get(exit_code_of(error), fallback)


def _invalid(error: RequestValidationError) -> Response:
    """What was given is not repeated: it may be anything, and long."""
    found = [
        {"loc": [str(part)[:100] for part in each["loc"]], "msg": masked(str(each["msg"])[:300])}
        for each in error.errors()
    ]
    first = found[0] if found else {"loc": [], "msg": "not understood"}
    return problem(422, f"{'.'.join(first['loc'])}: {first['msg']}", errors=found[:20])


def not_found(what: str) -> HTTPException:
    return HTTPException(404, what)
