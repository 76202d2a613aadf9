"""Pages from templates: what each of them is told, and how times and sizes look."""

from __future__ import annotations

import secrets
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from starlette.responses import HTMLResponse, RedirectResponse

from commands.http.console.static_files import address_of
from commands.reporting import humanize as moments
from ledger.append.software import software_version
from ledger.clock import format_instant

if TYPE_CHECKING:
    from fastapi import Request
    from starlette.responses import Response

    from commands.http.callers import Caller

BASE = "/console"
PREFIX = "backup_ledger_prefix"
"""In a request's scope: the path of the site whose console this is, `/sites/crm`."""
SWITCH = "backup_ledger_switch"
"""In a request's scope: which sites there are."""


class Switch(NamedTuple):
    """The site whose pages are shown, and all that the service has."""

    current: str
    names: tuple[str, ...]


class Place(NamedTuple):
    """An entry of the navigation, and who has it."""

    name: str
    path: str
    roles: tuple[str, ...] = ("user", "operator", "auditor")


READERS = ("operator", "auditor")
NAVIGATION = (
    Place("Overview", BASE),
    Place("Schedules", f"{BASE}/schedules"),
    Place("Backups", f"{BASE}/backups"),
    Place("Runs", f"{BASE}/runs"),
    Place("Off-site", f"{BASE}/offsite", READERS),
    Place("Audit", f"{BASE}/audit", READERS),
    Place("Time machine", f"{BASE}/time-machine", READERS),
    Place("Projections", f"{BASE}/projections", READERS),
)


def _instant(moment: datetime | None, empty: str = "—") -> str | Markup:
    """A time to the second, UTC, as an element that programs can read too."""
    if moment is None:
        return empty
    return Markup('<time datetime="{}">{}</time>').format(
        format_instant(moment), moments.exact(moment)
    )


def _minute(moment: datetime | None, empty: str = "—") -> str | Markup:
    if moment is None:
        return empty
    return Markup('<time datetime="{}">{}</time>').format(
        format_instant(moment), moments.minute(moment)
    )


def _ago(moment: datetime | None, empty: str = "never", *, now: datetime) -> str | Markup:
    """How long ago or ahead, with the exact time to be pointed at."""
    if moment is None:
        return empty
    return Markup('<time datetime="{}" title="{} UTC">{}</time>').format(
        format_instant(moment), moments.exact(moment), moments.relative(moment, now)
    )


def _words(name: object) -> str:
    """An identifier as words: within_keep_count -> within keep count."""
    return str(name).replace("_", " ")


def _environment() -> Environment:
    found = Environment(
        loader=PackageLoader("commands.http.console"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.filters |= {
        "instant": _instant,
        "minute": _minute,
        "bytes": moments.size,
        "words": _words,
        "count": moments.count,
    }
    found.globals |= {"base": BASE, "static": address_of, "version": software_version()}
    return found


ENVIRONMENT = _environment()


def page(
    request: Request, caller: Caller | None, template: str, status: int = 200, **context: Any
) -> HTMLResponse:
    """A template's page. `caller`: None before anybody is known."""
    visit = getattr(request.state, "console_visit", None)
    now = context.pop("now", None) or request.app.state.clock.now()
    prefix = request.scope.get(PREFIX, "")
    places = [] if caller is None else [each for each in NAVIGATION if caller.role in each.roles]
    body = ENVIRONMENT.get_template(template).render(
        caller=caller,
        navigation=places,
        here=_here(request, places),
        csrf="" if visit is None else visit.session.csrf,
        form_key=secrets.token_urlsafe(12),
        said=[] if visit is None or not is_looked_at(request) else _taken(visit.session.said),
        now=now,
        ago=partial(_ago, now=now),
        switch=request.scope.get(SWITCH),
        **context,
    )
    if prefix:  # attributes of our templates alone: what is data has its quotes escaped
        body = body.replace(f'="{BASE}', f'="{prefix}{BASE}')
    # A form's origin is only told to us where its page's policy lets it be.
    headers = {"Referrer-Policy": "same-origin", "Cache-Control": "no-store"}
    return HTMLResponse(body, status, headers)


def done(request: Request, path: str, message: str) -> RedirectResponse:
    """On to a page, which says what was done."""
    request.state.console_visit.session.said.append(message)
    return RedirectResponse(path, 303)


def page_of_problem(request: Request, found: dict[str, Any], answer: Response) -> HTMLResponse:
    """An error as a page, with its status and headers."""
    caller = getattr(request.state, "backup_ledger_caller", None)
    response = page(
        request,
        caller,
        "problem.html",
        answer.status_code,
        problem=found,
        back=referring_page(request),
    )
    for name in ("retry-after", "www-authenticate"):
        if name in answer.headers:
            response.headers[name] = answer.headers[name]
    return response


def referring_page(request: Request) -> str | None:
    """The page of ours that the visitor comes from."""
    try:
        found = urlsplit(request.headers.get("referer", ""))
    except ValueError:
        return None
    path = found.path.removeprefix(request.scope.get(PREFIX, ""))
    if found.netloc != request.headers.get("host") or not is_own(path):
        return None
    return path + (f"?{found.query}" if found.query else "")


def is_looked_at(request: Request) -> bool:
    """Whether a person sees the page, and not a script that takes a part of it."""
    return request.headers.get("sec-fetch-dest", "document") == "document"


def is_own(path: str) -> bool:
    """Whether a path leads to a page of the console, and nowhere else."""
    return path == BASE or (path.startswith(f"{BASE}/") and "\\" not in path and path.isprintable())


def _here(request: Request, places: list[Place]) -> str | None:
    """The navigation's entry that a page belongs to."""
    path = request.url.path
    under = [each.path for each in places if path == each.path or path.startswith(each.path + "/")]
    return max(under, key=len, default=None)


def _taken(said: Any) -> list[str]:
    taken = list(said)
    said.clear()
    return taken
