"""Tokens: who may come in until when, and when each was used; made and ended by an operator."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple, cast

from fastapi import APIRouter, HTTPException, Request, Response

from commands.errors import InvalidArgument, UnknownUser
from commands.http.authentication import Authentication
from commands.http.callers import Caller, Operator, Reader
from commands.http.console.page import BASE, done, page
from commands.http.console.route import ConsoleRoute
from commands.http.console.session import Here
from commands.http.ledger_route import Command
from commands.http.problems import not_found
from commands.http.served_site import Served, ServedSite
from commands.reporting.humanize import parse_moment
from commands.upkeep.tokens import ROLES, Token, TokenBook, create_token, revoke_token

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ledger.append.ledger import Context

router = APIRouter(route_class=ConsoleRoute)
PLACE = f"{BASE}/tokens"


class Line(NamedTuple):
    """A token on the page. `used_at`: since the service began, None where it was not."""

    token: Token
    used_at: datetime | None
    state: str
    is_own: bool


@router.get(PLACE)
def show(request: Request, caller: Reader, served: Served) -> Response:
    return _page(request, caller, served)


@router.post(PLACE)
def make(
    request: Request, caller: Operator, context: Command, served: Served, visit: Here
) -> Response:
    """The token is on this answer's page and on no other; it is not kept."""
    try:
        text, token = _made(served, context, visit.form)
    except (InvalidArgument, UnknownUser, ValueError) as error:
        return _page(request, caller, served, visit.form, problem=str(error), status=422)
    return _page(request, caller, served, made=(text, token))


@router.post(f"{PLACE}/{{token_id}}/revoke")
def revoke(
    request: Request, _caller: Operator, context: Command, served: Served, token_id: str
) -> Response:
    found = {each.token_id: each for each in TokenBook(served.site.ledger).all()}.get(token_id)
    if found is None:
        raise not_found(f"there is no token {token_id[:100]!r}")
    if found.revoked_at is not None:
        return done(request, PLACE, "That token was revoked before.")
    revoke_token(served.site, context, token_id)
    return done(request, PLACE, f"Token {token_id} was revoked: it lets nobody in any more.")


def _made(served: ServedSite, context: Context, form: Mapping[str, str]) -> tuple[str, Token]:
    role, user, expires = (form.get(name, "").strip() for name in ("role", "user", "expires"))
    if role not in ROLES:
        raise HTTPException(422, f"{role[:40]!r} is not a role; use {', '.join(ROLES)}")
    if (role == "user") != bool(user):
        raise InvalidArgument("Give the user's number for the role user, and for no other role.")
    if user and not (user.isascii() and user.isdigit() and len(user) <= len(str(1 << 62))):
        raise InvalidArgument(f"{user[:40]!r} is not the number of a user.")
    return create_token(
        served.site,
        context,
        role,
        int(user) if user else None,
        parse_moment(expires) if expires else None,
    )


def _page(
    request: Request,
    caller: Caller,
    served: ServedSite,
    form: Mapping[str, str] | None = None,
    *,
    problem: str | None = None,
    made: tuple[str, Token] | None = None,
    status: int = 200,
) -> Response:
    now = served.site.clock.now()
    authentication = cast("Authentication", request.app.state.authentication)
    used = authentication.last_uses()
    own = request.state.console_visit.session.holder
    lines = [
        Line(each, used.get(each.token_id), _state(each, now), each.token_id == own)
        for each in reversed(TokenBook(served.site.ledger).all())
    ]
    lines.sort(key=lambda line: line.state != "valid")
    return page(
        request,
        caller,
        "tokens.html",
        status,
        now=now,
        lines=lines,
        made=made,
        problem=problem,
        form=form or {},
        roles=ROLES,
        began_at=authentication.began_at,
        may_change=caller.role == "operator",
    )


def _state(token: Token, now: datetime) -> str:
    if token.revoked_at is not None:
        return "revoked"
    return "valid" if token.is_valid(now) else "expired"
