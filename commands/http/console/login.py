"""Logging in with a token, and out again."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from starlette.concurrency import run_in_threadpool
from starlette.responses import RedirectResponse

from commands.http.authentication import require_own_origin
from commands.http.console.page import BASE, is_own, page
from commands.http.console.route import ConsoleRoute
from commands.http.console.session import COOKIE, door_of, form_of, set_cookie
from commands.upkeep.tokens import TokenRefused

router = APIRouter(route_class=ConsoleRoute, include_in_schema=False)
"""The two pages that need no session."""


@router.get(f"{BASE}/login")
def ask(request: Request, next: str = "") -> Response:  # noqa: A002  (it is the field's name)
    return page(
        request,
        None,
        "login.html",
        onward=next,
        problem=None,
    )


@router.post(f"{BASE}/login")
async def log_in(request: Request) -> Response:
    require_own_origin(request)
    form = await form_of(request)
    return await run_in_threadpool(_log_in, request, form)


@router.post(f"{BASE}/logout")
async def log_out(request: Request) -> Response:
    door = door_of(request)
    await door(request)  # a page of another site logs nobody out
    door.sessions.end(request.cookies.get(COOKIE))
    response = RedirectResponse(f"{BASE}/login", 303)
    response.delete_cookie(COOKIE, path=door.sessions.path)
    return response


def _log_in(request: Request, form: dict[str, str]) -> Response:
    door = door_of(request)
    onward = form.get("next", "")
    try:
        _caller, cookie = door.log_in(form.get("token", "").strip())
    except TokenRefused as error:
        wait = door.authentication.count_failure(request)
        told = f"too many failed logins; wait {wait} s" if wait else str(error)
        status = 429 if wait else 401
        return page(request, None, "login.html", status, onward=onward, problem=told)
    door.sessions.end(request.cookies.get(COOKIE))
    response = RedirectResponse(onward if is_own(onward) else BASE, 303)
    set_cookie(request, response, cookie, door.sessions.path)
    return response
