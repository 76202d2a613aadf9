"""What every route does besides its own work: limits, problems, answers given before."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import Depends, Header, HTTPException, Request
from fastapi.routing import APIRoute
from pydantic import BaseModel
from pydantic.json_schema import SkipJsonSchema
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from commands.http.advice import over_http
from commands.http.callers import READING, Caller, caller_of
from commands.http.idempotency import AlreadyAnswered, OpenRequest
from commands.http.problems import answer_to
from commands.http.served_site import MAX_BODY_BYTES, Served, ServedSite
from commands.http.shapes import Located
from commands.upkeep.tokens import PREFIX
from ledger.append.database import read_meta
from ledger.append.ledger import Context

ENTERED = "backup_ledger.entered"
TOKEN_NAMES = {"token", "access_token", "api_key", "authorization", "bearer"}
FORMER = {"x-former-service": True}
"""In the schema of the former service's twelve routes: its callers may send what they like."""
BODY_SECONDS = 20.0
"""For the whole of a body, however it comes."""
NoBody = SkipJsonSchema[None]
"""A body may be left out; in the schema it is one thing, which generated clients understand."""
Handler = Callable[[Request], Coroutine[Any, Any, Response]]


class TooLarge(HTTPException):
    """The body is longer than the service takes."""

    def __init__(self) -> None:
        super().__init__(
            413, f"the body is longer than {MAX_BODY_BYTES} bytes", {"Connection": "close"}
        )


class TooSlow(HTTPException):
    """The body does not come."""

    def __init__(self) -> None:
        super().__init__(408, "the body did not come in time", {"Connection": "close"})


class LedgerRoute(APIRoute):
    """A route whose errors are problems, wherever it is mounted."""

    def get_route_handler(self) -> Handler:
        inner = super().get_route_handler()

        async def handle(request: Request) -> Response:
            limited = Request(request.scope, limited_receive(request.receive))
            try:
                require_no_token_in_address(request)
                response = await inner(limited)
            except AlreadyAnswered as answered:
                response = answered.response
            except Exception as error:  # noqa: BLE001  (whatever it is, it becomes an answer)
                response = await run_in_threadpool(self.failed, limited, error)
            if isinstance(response, Located):
                address = request.url_for(response.route, **response.path)
                response.headers["Location"] = quote(address.path)
            if hasattr(request.state, "backup_ledger_request"):
                await run_in_threadpool(finish_request, limited, response)
            response.headers.setdefault("Cache-Control", "no-store")
            response.headers.setdefault("X-Content-Type-Options", "nosniff")
            return response

        return handle

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """A caller's request has ended when its answer was sent, also one that is a stream."""
        try:
            await super().handle(scope, receive, send)
        finally:
            leave(scope)

    def failed(self, request: Request, error: Exception) -> Response:
        """What is answered to an error: in routes, and to a user without paths of the server."""
        caller: Caller | None = getattr(request.state, "backup_ledger_caller", None)
        if caller is None:
            return answer_to(error, over_http)
        served: ServedSite = request.state.backup_ledger
        return answer_to(error, lambda text: over_http(served.shown_to(caller, text)))


def require_known_parameters(request: Request) -> None:
    """A misspelled filter must not look like an answer to the right one.

    Raises:
        HTTPException: 422, the route has no such parameter.
    """
    route = request.scope.get("route")
    if not request.query_params or not isinstance(route, APIRoute) or route.openapi_extra == FORMER:
        return
    known = _query_names(route)
    for name in request.query_params:
        if name not in known:
            has = f"it has {', '.join(sorted(known))}" if known else "it has none"
            raise HTTPException(422, f"query.{name[:100]}: not a parameter of this route; {has}")


def _query_names(route: APIRoute) -> set[str]:
    """The query parameters of a route; of a model that holds several, its fields."""
    names: set[str] = set()
    waiting = [route.dependant]
    while waiting:
        dependant = waiting.pop()
        waiting += dependant.dependencies
        for field in dependant.query_params:
            kind = field.field_info.annotation
            if isinstance(kind, type) and issubclass(kind, BaseModel):
                names |= {each.alias or name for name, each in kind.model_fields.items()}
            else:
                names.add(field.alias)
    return names


def require_no_token_in_address(request: Request) -> None:
    """Refuse a secret where every proxy writes it down.

    Raises:
        HTTPException: 400, there is one.
    """
    if has_token_in_address(request):
        raise HTTPException(
            400,
            "a token in an address ends up in logs and histories: revoke it, and send the next "
            "one as `Authorization: Bearer`",
        )


def has_token_in_address(request: Request) -> bool:
    """Whether somebody put a secret where every proxy writes it down."""
    if PREFIX in request.url.path:
        return True
    return any(
        name.lower() in TOKEN_NAMES or value.startswith(PREFIX)
        for name, value in request.query_params.multi_items()
    )


def enter(request: Request, served: ServedSite, caller: Caller) -> None:
    """Count a request among its caller's; once, however often it is asked.

    Raises:
        HTTPException: 429, the caller asks too much.
    """
    if ENTERED not in request.scope:
        served.limits.enter(caller, is_command=request.method not in READING)
        request.scope[ENTERED] = (served, caller)


def leave(scope: Scope) -> None:
    """The answer was sent."""
    served, caller = scope.pop(ENTERED, (None, None))
    if served is not None:
        served.limits.leave(caller)


def limited_receive(receive: Receive, limit: int = MAX_BODY_BYTES) -> Receive:
    """A body that ends with an error where it gets too long, said so or not, or takes too long."""
    taken = 0
    deadline: float | None = None

    async def limited() -> Message:
        nonlocal taken, deadline
        loop = asyncio.get_running_loop()
        deadline = deadline or loop.time() + BODY_SECONDS
        try:
            async with asyncio.timeout_at(deadline):
                message = await receive()
        except TimeoutError:
            raise TooSlow from None
        taken += len(message.get("body", b""))
        if taken > limit:
            raise TooLarge
        return message

    return limited


def finish_request(request: Request, response: Response) -> None:
    """Keep the answer to a command that had a key."""
    opened: OpenRequest | None = getattr(request.state, "backup_ledger_request", None)
    if opened is not None:
        opened.finish(response)


async def command_context(
    request: Request,
    served: Served,
    idempotency_key: Annotated[
        str | None,
        Header(description="The same key asks for the same command once more, done once."),
    ] = None,
) -> Context:
    """Who commands, and when; the same command under one key is done once.

    Raises:
        LedgerTooNew: newer software has worked on the ledger since the service began.
    """
    caller: Caller = caller_of(request)
    await run_in_threadpool(read_meta, served.site.ledger.engine)
    if idempotency_key is None:
        return served.site.context(caller.actor)
    asked = f"{request.method} {request.url.path}?{request.url.query}\n".encode()
    asked += await request.body()
    opened = await run_in_threadpool(served.requests.begin, caller, idempotency_key, asked)
    request.state.backup_ledger_request = opened
    return served.site.context(caller.actor).correlated(opened.correlation_id)


Command = Annotated[Context, Depends(command_context)]
