"""Where messages go: apprise's many services, and plain pings for a dead man's switch.

Addresses hold passwords. They never leave this file: what is logged or recorded of a target is
its place in the list and its scheme.
"""

from __future__ import annotations

import logging
import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.error import URLError
from urllib.request import HTTPRedirectHandler, build_opener

from commands.errors import InvalidArgument
from commands.notifications.target_names import names_of
from ledger.masking import MASK, masked

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from commands.notifications.incidents import Message

PING_SECONDS = 10.0
SECRET_LENGTH = 4
MAX_REASON = 200
_WORDS = re.compile(r"[^A-Za-z0-9]+")
logger = logging.getLogger("backup_ledger.notifications")


class Targets:
    """The configured services.

    Raises:
        InvalidArgument: apprise is not installed, or does not understand an address.
    """

    def __init__(self, urls: Sequence[str]) -> None:
        self._services: list[tuple[str, str, Any]] = []
        if not urls:
            return
        apprise = _apprise()
        for name, url in zip(names_of(urls), urls, strict=True):
            service = apprise.Apprise()
            if not service.add(url):
                raise InvalidArgument(
                    f"setting 'notify_urls': {name} is not an address that apprise understands; "
                    "see the list of services in its documentation"
                )
            self._services.append((name, url, service))

    def __len__(self) -> int:
        return len(self._services)

    def send(self, message: Message, only: Collection[str] = ()) -> dict[str, str]:
        """Tell every target, or only some; what went wrong, by target. Never raises."""
        failed = {}
        for name, url, service in self._services:
            if only and name not in only:
                continue
            with _said() as said:
                try:
                    is_taken = service.notify(
                        title=message.title, body=message.body, notify_type=message.severity
                    )
                    problem = None if is_taken else "NotDelivered"
                except Exception as error:  # noqa: BLE001  (a service may do anything)
                    problem = type(error).__name__
            if problem is not None:
                reason = without_secrets(said[-1], url) if said else ""
                failed[name] = f"{problem}: {reason}" if reason else problem
        return failed


@contextmanager
def _said() -> Iterator[list[str]]:
    """What apprise logs of a failure, which is all that it says of one."""
    said: list[str] = []

    class _Kept(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            said.append(record.getMessage())

    log, handler = logging.getLogger("apprise"), _Kept(logging.WARNING)
    log.addHandler(handler)
    try:
        yield said
    finally:
        log.removeHandler(handler)


def without_secrets(text: str, url: str) -> str:
    """A reason in one line, without anything of the address that could be a password."""
    known = {each for each in _WORDS.split(url.partition("://")[2]) if len(each) >= SECRET_LENGTH}
    for each in sorted(known, key=len, reverse=True):
        text = text.replace(each, MASK)
    return " ".join(masked(text).split())[:MAX_REASON]


def ping(url: str) -> str | None:
    """GET an address; what went wrong, or None. Redirections are not followed."""
    try:
        with build_opener(_NoRedirection).open(url, timeout=PING_SECONDS):
            return None
    except (URLError, OSError, ValueError) as error:
        reason = getattr(error, "reason", None) or error
        return type(reason).__name__ if not isinstance(reason, str) else reason[:200]


class _NoRedirection(HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        """A ping goes where the operator said, and nowhere else."""


def _apprise() -> Any:
    try:
        import apprise  # noqa: PLC0415  (an extra, and slow to import)
    except ImportError as error:
        raise InvalidArgument(
            "setting 'notify_urls' needs apprise: install backup-ledger[notify]"
        ) from error
    log = logging.getLogger("apprise")
    log.propagate = False  # it logs addresses
    log.setLevel(logging.WARNING)
    if not log.handlers:
        log.addHandler(logging.NullHandler())
    return apprise
