"""Where messages go: apprise's many services, and plain pings for a dead man's switch.

Addresses hold passwords. They never leave this file: what is logged or recorded of a target is
its place in the list and its scheme.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any
from urllib.error import URLError
from urllib.request import HTTPRedirectHandler, build_opener

from commands.errors import InvalidArgument

if TYPE_CHECKING:
    from collections.abc import Sequence

    from commands.notifications.incidents import Message

PING_SECONDS = 10.0
logger = logging.getLogger("backup_ledger.notifications")


class Targets:
    """The configured services.

    Raises:
        InvalidArgument: apprise is not installed, or does not understand an address.
    """

    def __init__(self, urls: Sequence[str]) -> None:
        self._services: list[tuple[str, Any]] = []
        if not urls:
            return
        apprise = _apprise()
        for number, url in enumerate(urls, 1):
            name = f"target {number} ({url.partition('://')[0][:32]})"
            service = apprise.Apprise()
            if not service.add(url):
                raise InvalidArgument(
                    f"setting 'notify_urls': {name} is no address that apprise understands; "
                    "see the list of services in its documentation"
                )
            self._services.append((name, service))

    def __len__(self) -> int:
        return len(self._services)

    def send(self, message: Message) -> dict[str, str]:
        """Tell every target; what went wrong, by target. Never raises."""
        failed = {}
        for name, service in self._services:
            try:
                if not service.notify(title=message.title, body=message.body):
                    failed[name] = "NotDelivered"
            except Exception as error:  # noqa: BLE001  (a service may do anything)
                failed[name] = type(error).__name__
        return failed


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
    logging.getLogger("apprise").setLevel(logging.CRITICAL + 1)  # it logs addresses
    return apprise
