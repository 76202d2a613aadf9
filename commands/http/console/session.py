"""Who looks at a page: sessions of people who logged in with a token."""

from __future__ import annotations

import secrets
from collections import OrderedDict, deque
from dataclasses import dataclass, field, replace
from hashlib import sha256
from threading import Lock
from typing import TYPE_CHECKING, Annotated, Protocol, cast
from urllib.parse import parse_qsl, quote

from fastapi import Depends, HTTPException, Request
from starlette.concurrency import run_in_threadpool

from commands.http.authentication import require_own_origin
from commands.http.callers import READING, Caller
from commands.http.console.page import BASE, is_looked_at
from commands.http.served_site import state_of
from commands.upkeep.tokens import TokenRefused, token_id_of

if TYPE_CHECKING:
    from starlette.responses import Response

    from ledger.clock import Clock

COOKIE = "backup_ledger_session"
IDLE_SECONDS = 12 * 3600.0
MAX_SESSIONS = 10_000
MAX_DONE = 200
FORM = "application/x-www-form-urlencoded"


class LoginNeeded(Exception):
    """Nobody is logged in, or the token is not accepted any more."""


class DoneBefore(Exception):
    """The same form was sent twice; what it asks for was done the first time."""

    def __init__(self, session: Session) -> None:
        super().__init__("done before")
        self.session = session


@dataclass
class Session:
    """What is remembered of a visitor.

    `holder`: the id of the token, or whom an application let in.
    """

    holder: str
    seen_at: float
    csrf: str = field(default_factory=lambda: secrets.token_urlsafe(24))
    said: deque[str] = field(default_factory=lambda: deque(maxlen=5))
    done: deque[str] = field(default_factory=lambda: deque(maxlen=MAX_DONE))


class Sessions:
    """Sessions of one process, by the hash of what the cookie says; memory, and nothing else.

    `path`: where the cookie is sent; that of the console, or of all sites' consoles.
    """

    def __init__(self, path: str = "/console") -> None:
        self.path = path
        self._sessions: OrderedDict[bytes, Session] = OrderedDict()
        self._lock = Lock()

    def begin(self, holder: str, now: float) -> tuple[str, Session]:
        """A session and what its cookie says."""
        text, session = secrets.token_urlsafe(32), Session(holder, now)
        with self._lock:
            self._sessions[_hash(text)] = session
            while len(self._sessions) > MAX_SESSIONS:
                self._sessions.popitem(last=False)
        return text, session

    def find(self, text: str | None, now: float, *, is_idle: bool = False) -> Session | None:
        """The session of a cookie. `is_idle`: a page asks by itself, and nobody sits before it."""
        if text is None:
            return None
        with self._lock:
            found = self._sessions.get(_hash(text))
            if found is None:
                return None
            if now - found.seen_at > IDLE_SECONDS:
                del self._sessions[_hash(text)]
                return None
            if not is_idle:
                found.seen_at = now
                self._sessions.move_to_end(_hash(text))
            return found

    def end(self, text: str | None) -> None:
        if text is not None:
            with self._lock:
                self._sessions.pop(_hash(text), None)


@dataclass(frozen=True, slots=True)
class Visit:
    """One request of a visitor."""

    session: Session
    form: dict[str, str]


class TokenReader(Protocol):
    """What knows whose a token is: at one site, or at any of several."""

    def caller_with(self, text: str) -> Caller: ...

    def caller_of_token(self, token_id: str) -> Caller: ...

    def count_failure(self, request: Request) -> int: ...


class SessionAuth:
    """The dependency that lets visitors in, and checks that a form is one of our own pages'."""

    lets_out = True
    """Whether its pages have a button to log out."""

    def __init__(
        self, clock: Clock, authentication: TokenReader, sessions: Sessions | None = None
    ) -> None:
        self.authentication = authentication
        self.sessions = sessions or Sessions()
        self._clock = clock
        self._is_alone = sessions is None

    async def __call__(self, request: Request) -> Caller:
        """The caller.

        Raises:
            LoginNeeded: nobody is logged in.
            HTTPException: 403 where the request looks forged.
            DoneBefore: the form was sent before.
        """
        caller, session = await run_in_threadpool(self._enter, request)
        form = {} if request.method in READING else await checked_form(request, session)
        request.state.console_visit = Visit(session, form)
        return caller

    def now(self) -> float:
        return self._clock.monotonic()

    def way_in(self, request: Request, error: Exception) -> str | None:
        """Where a visitor goes who was not let in because of an error; None: nowhere."""
        if not isinstance(error, LoginNeeded):
            return None
        path, query = request.url.path, request.url.query
        if request.method != "GET" or path == BASE:
            return f"{BASE}/login"
        asked = f"{path}?{query}" if query else path
        return f"{BASE}/login?next={quote(asked, safe='')}"

    def log_in(self, text: str) -> tuple[Caller, str]:
        """Begin a session with a token; the caller and what the cookie says.

        Raises:
            TokenRefused: the token is not accepted.
        """
        caller = self.authentication.caller_with(text)
        token_id = token_id_of(text)
        assert token_id is not None  # it was accepted
        return caller, self.sessions.begin(token_id, self.now())[0]

    def _enter(self, request: Request) -> tuple[Caller, Session]:
        text = request.cookies.get(COOKIE)
        session = self.sessions.find(text, self.now(), is_idle=not is_looked_at(request))
        if session is None:
            raise LoginNeeded

        def is_let_in() -> bool:
            still = self.sessions.find(text, self.now(), is_idle=True)
            return still is session and caller.is_let_in()

        try:
            caller = self.authentication.caller_of_token(session.holder)
            return replace(caller, is_let_in=is_let_in), session
        except TokenRefused:
            if self._is_alone:  # else another site may accept it
                self.sessions.end(text)
            raise LoginNeeded from None


def door_of(request: Request) -> SessionAuth:
    """The door of the application that is asked."""
    return cast("SessionAuth", state_of(request).door)


async def visitor(request: Request) -> Caller:
    """The caller, let in by that door.

    Raises:
        LoginNeeded, HTTPException, DoneBefore: as when it is called.
    """
    return await door_of(request)(request)


async def reading_visitor(request: Request) -> Caller:
    """The caller, let in by the same door for the scripts of our pages, which only read.

    Raises:
        HTTPException: 401 without a session, 403 where a page of another site asks.
    """
    require_own_origin(request)
    try:
        return await visitor(request)
    except LoginNeeded:
        raise HTTPException(401, "log in to the console first") from None


async def form_of(request: Request) -> dict[str, str]:
    """The fields of a form; the last one of a name counts.

    Raises:
        HTTPException: 415 where it is not a form, 422 where it cannot be read.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != FORM:
        raise HTTPException(415, f"send a form as {FORM}")
    try:
        text = (await request.body()).decode("ascii")
        return dict(parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=100))
    except ValueError:
        raise HTTPException(422, "the form cannot be read") from None


def visit_of(request: Request) -> Visit:
    return cast("Visit", request.state.console_visit)


Here = Annotated[Visit, Depends(visit_of)]


def set_cookie(request: Request, response: Response, text: str, path: str) -> None:
    """Only for this site, only over HTTP, and gone with the browser's session."""
    response.set_cookie(
        COOKIE,
        text,
        path=path,
        httponly=True,
        samesite="strict",
        secure=request.url.scheme == "https",
    )


async def checked_form(request: Request, session: Session) -> dict[str, str]:
    """The fields of a form of one of our own pages.

    Raises:
        HTTPException: 403 where it looks forged; 415, 422 as `form_of`.
        DoneBefore: the form was sent before.
    """
    require_own_origin(request)
    form = await form_of(request)
    if not secrets.compare_digest(form.pop("csrf", "").encode(), session.csrf.encode()):
        raise HTTPException(403, "this form is not from a page of yours; open the page again")
    key = form.pop("form_key", "")
    if key and key in session.done:
        raise DoneBefore(session)
    if key:
        session.done.append(key[:100])
    return form


def _hash(text: str) -> bytes:
    return sha256(text.encode("utf-8", "surrogateescape")).digest()
