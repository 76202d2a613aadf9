"""Authenticate callers by bearer token; nobody is let in without one."""

from __future__ import annotations

from collections import deque
from threading import Lock
from typing import TYPE_CHECKING, cast
from urllib.parse import urlsplit

from fastapi import HTTPException, Request

from commands.http.callers import Caller
from commands.upkeep.tokens import Token, TokenBook, TokenRefused

if TYPE_CHECKING:
    from datetime import datetime

    from commands.site.site import Site

CHALLENGE = {"WWW-Authenticate": 'Bearer realm="backup-ledger"'}
FAILURES = 10
FAILURE_SECONDS = 60.0
MAX_ADDRESSES = 10_000


class Authentication:
    """The dependency that `create_app` lets callers in with."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._tokens = TokenBook(site.ledger)
        self._failures = FailedLogins()
        self.began_at = site.clock.now()

    def last_uses(self) -> dict[str, datetime]:
        """When each token was last accepted since the service began, by its id."""
        return self._tokens.last_uses()

    def __call__(self, request: Request) -> Caller:
        """The caller.

        Raises:
            HTTPException: 401 without a token that is accepted, 429 after too many tries.
        """
        let_in: Caller | None = getattr(request.state, "backup_ledger_let_in", None)
        if let_in is not None:
            return let_in
        given = request.headers.getlist("authorization")
        if not given:
            raise HTTPException(401, "a token is needed: Authorization: Bearer blt_...", CHALLENGE)
        return self._by_token(request, given)

    def let_in(self, request: Request) -> Caller:
        """The caller, who is not asked again during this request.

        Raises:
            HTTPException: as when called.
        """
        caller = self(request)
        request.state.backup_ledger_let_in = caller
        return caller

    def caller_with(self, text: str) -> Caller:
        """Whose token this is.

        Raises:
            TokenRefused: nobody's.
        """
        return self._caller_of(self._tokens.authenticate(text, self._site.clock.now()))

    def caller_of_token(self, token_id: str) -> Caller:
        """Who came in with a token before, if it is still accepted.

        Raises:
            TokenRefused: it was revoked, or has expired.
        """
        return self._caller_of(self._tokens.valid(token_id, self._site.clock.now()))

    def count_failure(self, request: Request) -> int:
        """Count a failed login; seconds to wait where it was one too many, else 0."""
        address = request.client.host if request.client else "?"
        return self._failures.add(address, self._site.clock.monotonic())

    def _caller_of(self, token: Token) -> Caller:
        def is_let_in() -> bool:
            try:
                self._tokens.valid(token.token_id, self._site.clock.now())
            except TokenRefused:
                return False
            return True

        who = str(token.user) if token.user is not None else token.token_id
        return Caller(who, token.role, token.user, is_let_in)

    def _by_token(self, request: Request, given: list[str]) -> Caller:
        scheme, _, text = given[0].partition(" ")
        try:
            if len(given) > 1 or scheme.lower() != "bearer":
                raise TokenRefused("give one header: Authorization: Bearer blt_...")
            return self.caller_with(text.strip())
        except TokenRefused as error:
            wait = self.count_failure(request)
            if wait:
                headers = {"Retry-After": str(wait)}
                raise HTTPException(
                    429, f"too many failed logins; wait {wait} s", headers
                ) from error
            raise HTTPException(401, str(error), CHALLENGE) from error


def authenticated(request: Request) -> Caller:
    """The caller, as the application that is asked lets callers in.

    Raises:
        HTTPException: as when `Authentication` is called.
    """
    return cast("Authentication", request.app.state.authentication)(request)


class FailedLogins:
    """How often an address failed lately; one that is right is let in all the same.

    Nobody can lock others out by failing, and 256 random bits are not found by trying: the
    limit keeps the noise down.
    """

    def __init__(self) -> None:
        self._failed: dict[str, deque[float]] = {}
        self._lock = Lock()

    def add(self, address: str, now: float) -> int:
        """Count one; seconds to wait where it was one too many, else 0."""
        with self._lock:
            times = self._failed.pop(address, deque())
            while times and times[0] <= now - FAILURE_SECONDS:
                times.popleft()
            wait = int(times[0] + FAILURE_SECONDS - now) + 1 if len(times) >= FAILURES else 0
            if not wait:
                times.append(now)
            self._failed[address] = times
            while len(self._failed) > MAX_ADDRESSES:
                del self._failed[next(iter(self._failed))]
            return wait


def require_own_origin(request: Request) -> None:
    """Make sure that no page of another site asks.

    Raises:
        HTTPException: 403, it does.
    """
    origin = request.headers.get("origin")
    is_ours = origin is None or urlsplit(origin).netloc == request.headers.get("host", "")
    if not is_ours or request.headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
        raise HTTPException(403, "a page of another site asked for this; nothing was done")


def host_name(host: str) -> str:
    """The name in a Host header, without its port; empty where it is none."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""
