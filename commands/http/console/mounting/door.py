"""Who looks at a page where the application says so: sessions keep what a page has to remember."""

from __future__ import annotations

from inspect import isawaitable
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Depends, HTTPException, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from commands.http.authentication import require_own_origin
from commands.http.callers import READING, Caller
from commands.http.console.page import BASE, address_of_console, referring_page
from commands.http.console.route import ConsoleRoute
from commands.http.console.session import COOKIE, Sessions, Visit, checked_form, door_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from ledger.clock import Clock

UNAUTHORIZED = 401
REDIRECTIONS = range(300, 400)


class MountedDoor:
    """Takes whom the application lets in, and checks that a form is one of our own pages'.

    A session holds the secret of the forms, what was done, and what is to be said; who looks is
    asked of the application at each request. `sign_in`: where a visitor goes whom it does not
    know. `sign_out`: what answers the button "Log out"; without it there is none.
    """

    def __init__(
        self,
        clock: Clock,
        sign_in: str | None = None,
        sign_out: Callable[[Request], Any] | None = None,
    ) -> None:
        self.sessions = Sessions()
        self.lets_out = sign_out is not None
        self._clock = clock
        self._sign_in = sign_in
        self._sign_out = sign_out

    async def admit(self, request: Request, caller: Caller) -> Caller:
        """A caller's visit, which begins a session where there is none of this caller.

        Raises:
            HTTPException: 403 where a form looks forged.
            DoneBefore: the form was sent before.
        """
        holder, now = f"{caller.role} {caller.id}", self._clock.monotonic()
        session = self.sessions.find(request.cookies.get(COOKIE), now)
        if session is None or session.holder != holder:
            if request.method not in READING:
                raise HTTPException(403, "this form is not from a page of yours; open it again")
            request.state.console_cookie, session = self.sessions.begin(holder, now)
        form = {} if request.method in READING else await checked_form(request, session)
        request.state.console_visit = Visit(session, form)
        return caller

    def way_in(self, request: Request, error: Exception) -> str | None:
        """The application's sign-in for whom it does not know, or where its dependency leads."""
        if not isinstance(error, HTTPException):
            return None
        if error.status_code in REDIRECTIONS:
            found = (error.headers or {}).get("Location")
        elif error.status_code == UNAUTHORIZED and self._sign_in is not None:
            found = f"{self._sign_in}?next={quote(_asked(request), safe='')}"
        else:
            return None
        request.state.console_is_left = True
        return found

    async def sign_out(self, request: Request) -> Response:
        """End the session, and let the application end its own."""
        assert self._sign_out is not None
        self.sessions.end(request.cookies.get(COOKIE))
        answer = await run_in_threadpool(self._sign_out, request)
        request.state.console_is_left = True
        found: Response = await answer if isawaitable(answer) else answer
        return found


def mounted_visitor(caller: Callable[..., Any]) -> Callable[..., Any]:
    """The dependency of all pages. `caller`: that of the application."""

    async def visit(request: Request, who: Caller) -> Caller:
        door: Any = door_of(request)
        admitted: Caller = await door.admit(request, who)
        return admitted

    return _asking(visit, caller)


def mounted_reader(caller: Callable[..., Any]) -> Callable[..., Any]:
    """The dependency of what scripts of our pages read."""

    def read(request: Request, who: Caller) -> Caller:
        require_own_origin(request)
        return who

    return _asking(read, caller)


def sign_out_page() -> APIRouter:
    """The form of the button "Log out"."""
    router = APIRouter(route_class=ConsoleRoute, include_in_schema=False)

    @router.post(f"{BASE}/logout", response_model=None)
    async def log_out(request: Request) -> Response:
        door: Any = door_of(request)
        answer: Response = await door.sign_out(request)
        return answer

    return router


def _asking(dependency: Callable[..., Any], caller: Callable[..., Any]) -> Callable[..., Any]:
    # Annotations are text here; FastAPI needs the dependency itself.
    dependency.__annotations__["who"] = Annotated[Caller, Depends(caller)]
    dependency.__annotations__["request"] = Request
    return dependency


def _asked(request: Request) -> str:
    """What a visitor wanted to see, as browsers know it."""
    if request.method in READING:
        query = request.url.query
        path = f"{request.url.path}?{query}" if query else request.url.path
    else:
        path = referring_page(request) or BASE
    return address_of_console(request).outside(path)
