"""Pages from templates: what each of them is told, and how times and sizes look."""

from __future__ import annotations

import re
import secrets
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, cast
from urllib.parse import urlsplit

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.responses import HTMLResponse, RedirectResponse

from commands.http.console.static_files import address_of
from commands.http.console.times import view as times
from commands.http.served_site import STATE, served_by_app, state_of
from commands.reporting import humanize as moments
from ledger.append.software import software_version
from projections.queries.schedules import schedule_of

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

    from fastapi import Request
    from starlette.responses import Response

    from commands.http.callers import Caller

BASE = "/console"
ADDRESS = "backup_ledger_address"
"""In a request's scope: where browsers find the console, if it is not at `BASE`."""
SWITCH = "backup_ledger_switch"
"""In a request's scope: which sites there are."""


class Address(NamedTuple):
    """Where browsers find a console: that of a site, or one that an application mounted.

    `base`: what stands before its pages. `start`: its first page.
    """

    base: str = BASE
    start: str = BASE

    def outside(self, path: str) -> str:
        """The address of one of our paths, for a browser; any other path stays as it is."""
        if not is_own(path.partition("?")[0]):
            return path
        rest = path.removeprefix(BASE)
        return f"{self.base if rest.startswith('/') else self.start}{rest}"

    def inside(self, path: str) -> str | None:
        """Our own path of an address; None where it is not one of the console's."""
        if path in (self.base, self.start):
            return BASE
        within = f"{self.base}/"
        return f"{BASE}/{path.removeprefix(within)}" if path.startswith(within) else None

    def rewritten(self, page: str) -> str:
        """A page whose attributes name our own paths, with those for browsers.

        Attributes of our templates alone: what is data has its quotes escaped.
        """
        if self.base == BASE and self.start == BASE:
            return page
        return _OWN_ATTRIBUTE.sub(
            lambda found: f'="{self.base if found[1] == "/" else self.start}{found[1]}', page
        )


_OWN_ATTRIBUTE = re.compile(rf'="{BASE}(["/?#])')


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
TOKENS = f"{BASE}/tokens"
"""Not where an application lets people in: there a token opens nothing."""
NAVIGATION = (
    Place("Overview", BASE),
    Place("Trouble", f"{BASE}/trouble"),
    Place("Schedules", f"{BASE}/schedules"),
    Place("Backups", f"{BASE}/backups"),
    Place("Restore points", f"{BASE}/restore-points"),
    Place("Runs", f"{BASE}/runs"),
    Place("Off-site", f"{BASE}/offsite", READERS),
    Place("Audit", f"{BASE}/audit", READERS),
    Place("Time machine", f"{BASE}/time-machine", READERS),
    Place("Notifications", f"{BASE}/notifications", READERS),
    Place("Projections", f"{BASE}/projections", READERS),
    Place("Tokens", TOKENS, READERS),
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
        "instant": times.instant,
        "minute": times.minute,
        "bytes": moments.size,
        "words": _words,
        "count": moments.count,
        "zoned": times.zoned,
    }
    found.globals |= {"ago": times.ago, "base": BASE, "static": address_of}
    found.globals |= {"elapsed": times.elapsed, "version": software_version(), "utc": times.UTC}
    return found


ENVIRONMENT = _environment()


def page(
    request: Request, caller: Caller | None, template: str, status: int = 200, **context: Any
) -> HTMLResponse:
    """A template's page. `caller`: None before anybody is known.

    `under`, where it is given: the place of the navigation that the page belongs to, as a path.
    """
    visit = getattr(request.state, "console_visit", None)
    now = context.pop("now", None) or state_of(request).clock.now()
    places = [] if caller is None else _places_of(request, caller)
    under = context.pop("under", None) or request.url.path
    body = ENVIRONMENT.get_template(template).render(
        caller=caller,
        navigation=places,
        here=_here(under, places),
        csrf="" if visit is None else visit.session.csrf,
        can_leave=state_of(request).door.lets_out,
        form_key=secrets.token_urlsafe(12),
        said=[] if visit is None or not is_looked_at(request) else _taken(visit.session.said),
        now=now,
        times=times.view_of(request.cookies, _owner(caller, context), partial(_zone_of, request)),
        switch=request.scope.get(SWITCH),
        **context,
    )
    body = address_of_console(request).rewritten(body)
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
    path = address_of_console(request).inside(found.path)
    if path is None or found.netloc != request.headers.get("host") or not is_own(path):
        return None
    return path + (f"?{found.query}" if found.query else "")


def reader_zone(request: Request, caller: Caller) -> ZoneInfo:
    """The zone of times that the visitor types: the one in which the page shows times."""
    view = times.view_of(request.cookies, caller.user_id, partial(_zone_of, request))
    return view.zone_for(None)


def address_of_console(request: Request) -> Address:
    """Where browsers find the console that is asked."""
    return cast("Address", request.scope.get(ADDRESS, _OWN_ADDRESS))


_OWN_ADDRESS = Address()


def is_looked_at(request: Request) -> bool:
    """Whether a person sees the page, and not a script that takes a part of it."""
    return request.headers.get("sec-fetch-dest", "document") == "document"


def is_own(path: str) -> bool:
    """Whether a path leads to a page of the console, and nowhere else."""
    return path == BASE or (path.startswith(f"{BASE}/") and "\\" not in path and path.isprintable())


def _places_of(request: Request, caller: Caller) -> list[Place]:
    is_mounted = STATE in request.scope
    return [
        each
        for each in NAVIGATION
        if caller.role in each.roles and not (is_mounted and each.path == TOKENS)
    ]


def _here(path: str, places: list[Place]) -> str | None:
    """The navigation's entry that the page at a path belongs to."""
    under = [
        place.path
        for place in places
        if path == place.path or (place.path != BASE and path.startswith(place.path + "/"))
    ]
    return max(under, key=len, default=None)


def _owner(caller: Caller | None, context: dict[str, Any]) -> int | None:
    """Whose times a page shows: the owner's of its one run or backup, or a user's own."""
    thing = context.get("run") or context.get("backup")
    found: int | None = getattr(thing, "user_id", None)
    return found if found is not None or caller is None else caller.user_id


def _zone_of(request: Request, user: int) -> str | None:
    """The zone of a user's schedule, where there is one; asked once for each user of a page."""
    with served_by_app(request).site.read_models.reading(at_head=False) as connection:
        found = schedule_of(connection, user)
    return None if found is None else found.timezone


def _taken(said: Any) -> list[str]:
    taken = list(said)
    said.clear()
    return taken
