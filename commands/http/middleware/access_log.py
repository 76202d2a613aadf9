"""One line for each request, where the setting `http_access_log` asks for it.

Who, what, how it ended, how long it took. No query, no header and no address that works once: what
stands in a log opens nothing.
"""

from __future__ import annotations

import logging
import re
import time
from typing import TYPE_CHECKING
from urllib.parse import quote

from commands.upkeep.tokens import PREFIX

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from commands.http.callers import Caller

logger = logging.getLogger("backup_ledger.access")
logger.setLevel(logging.INFO)  # it is off, or wanted
MAX_PATH = 300
_LOGGED = "backup_ledger_logged"

_SECRETS = re.compile(rf"(?<=/downloads/)[^/]+|{re.escape(PREFIX)}[^/]*")


class AccessLog:
    """ASGI middleware. `place`: the prefix of one of several sites.

    A request that an outer one logs is not logged again.
    """

    def __init__(self, app: ASGIApp, place: str = "") -> None:
        self._app = app
        self._place = place

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        state = scope.setdefault("state", {})
        if scope["type"] != "http" or state.get(_LOGGED):
            await self._app(scope, receive, send)
            return
        state[_LOGGED] = True
        began, status = time.monotonic(), 0

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, watched)
        finally:
            taken = (time.monotonic() - began) * 1000
            path = shown_path(self._place + scope["path"])
            line = f"{_who(state, scope)} {scope['method']} {path}"
            logger.info("%s %d %.0f ms", line, status, taken)


def shown_path(path: str) -> str:
    """A path that can stand in a line: escaped, cut, without secrets."""
    return _SECRETS.sub("***", quote(path[:MAX_PATH]))


def _who(state: dict[str, object], scope: Scope) -> str:
    caller: Caller | None = state.get("backup_ledger_caller")  # type: ignore[assignment]
    client = scope.get("client")
    address = client[0] if client else "-"
    return f"{address} -" if caller is None else f"{address} {caller.role}:{caller.id}"
