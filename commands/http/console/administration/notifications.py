"""Notifications: who is told of what, whether the last message arrived, and a test message."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from fastapi import APIRouter, HTTPException, Request, Response
from starlette.responses import RedirectResponse

from commands.errors import CommandError
from commands.http.callers import Operator, Reader
from commands.http.console.job import job_page
from commands.http.console.page import BASE, page
from commands.http.console.route import ConsoleRoute
from commands.http.ledger_route import Command
from commands.http.served_site import Served
from commands.notifications.results import last_results
from commands.notifications.target_names import names_of
from commands.reporting.humanize import count

if TYPE_CHECKING:
    from collections.abc import Callable

    from commands.http.jobs import Job, Tell
    from commands.http.served_site import ServedSite
    from commands.site.configuration import Configuration

router = APIRouter(route_class=ConsoleRoute)
PLACE = f"{BASE}/notifications"


@router.get(PLACE)
def show(request: Request, caller: Reader, served: Served) -> Response:
    settings = served.site.configuration
    names = names_of(settings.notify_urls)
    results = last_results(served.site, names)
    return page(
        request,
        caller,
        "notifications.html",
        targets=[(name, results.get(name)) for name in names],
        topics=settings.notify_topics,
        digest_at=settings.notify_digest_at,
        pings=_pings(settings),
        console_url=settings.console_url,
        may_test=caller.role == "operator",
    )


@router.post(f"{PLACE}/test")
def test(caller: Operator, _context: Command, served: Served) -> Response:
    """A job, as a target may take its time."""
    if not served.site.configuration.notify_urls:
        raise HTTPException(409, "there is nobody to tell; set notify_urls in the configuration")
    job = served.jobs.start("notify_test", caller, _test_work(served))
    return RedirectResponse(job_page(job), 303)


def _test_work(served: ServedSite) -> Callable[[Job, Tell], dict[str, Any]]:
    def work(_job: Job, tell: Tell) -> dict[str, Any]:
        from commands.notifications.notifier import Notifier  # noqa: PLC0415 (needs the extra)

        targets = len(served.site.configuration.notify_urls)
        tell(f"sending to {count(targets, 'target')}", 0, targets)
        failed = Notifier(served.site).test()
        if failed:
            reasons = "; ".join(f"{name}: {problem}" for name, problem in failed.items())
            raise CommandError(
                f"{len(failed)} of {count(targets, 'target')} did not take the message. {reasons}"
            )
        return {"ok": True, "message": f"{count(targets, 'target')} took the test message."}

    return work


def _pings(settings: Configuration) -> list[tuple[str, str]]:
    """Which pings are set, and the host that gets them: the rest of an address is a secret."""
    found = {
        "when a run begins": settings.ping_start_url,
        "after a good run": settings.ping_success_url,
        "after a failed run": settings.ping_failure_url,
    }
    return [(when, urlsplit(url).hostname or "?") for when, url in found.items() if url]
