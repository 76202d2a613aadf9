"""The sites that one process serves: opened when they can be, each with its own application."""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

from commands.http.application import create_app
from commands.http.console.session import Sessions
from commands.http.served_site import ServedSite
from commands.upkeep.tokens import TokenRefused

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from fastapi import FastAPI

    from commands.health.verdict import Verdict
    from commands.http.callers import Caller
    from commands.site.site import Site
    from ledger.clock import Clock

RETRY_SECONDS = 10.0
"""A site that could not be opened is tried again after this time, when somebody asks for it."""
LOOK_SECONDS = 10.0
"""Verdicts of all sites are made anew after this time, while somebody looks at them."""
SITES = "/sites"

logger = logging.getLogger("backup_ledger.http")


class SiteNotOpen(Exception):
    """A site cannot be opened; the message is why."""


@dataclass(slots=True)
class Place:
    """A site as it is served; `trouble`: why it is not."""

    open: Callable[[], Site]
    served: ServedSite | None = None
    app: FastAPI | None = None
    trouble: str | None = None
    tried_at: float | None = None


@dataclass(frozen=True, slots=True)
class Glance:
    """What is known of a site; `verdict`: None where `trouble` says why there is none."""

    name: str
    verdict: Verdict | None
    trouble: str | None = None


class ServedSites:
    """Every site by its name; one that cannot be opened disturbs no other.

    `openings`: what opens each; they are closed by `close`. `prefix`: of the routes, behind the
    site's own path.
    """

    def __init__(
        self,
        openings: Mapping[str, Callable[[], Site]],
        *,
        clock: Clock,
        prefix: str,
        metrics_open: bool = False,
    ) -> None:
        self.clock = clock
        self.metrics_open = metrics_open
        self.stopping = threading.Event()
        self.sessions = Sessions(path="/")
        self._prefix = prefix
        self._places = {name: Place(each) for name, each in openings.items()}
        self._lock = threading.RLock()
        self._glances: tuple[float, list[Glance]] | None = None
        self._looking = threading.Lock()

    @property
    def names(self) -> list[str]:
        return list(self._places)

    def app_of(self, name: str) -> FastAPI | None:
        """The application of a site; None where it cannot be opened now."""
        return self._place(name).app

    def open_site(self, name: str) -> Site:
        """A site for its scheduler.

        Raises:
            SiteNotOpen: it cannot be opened now.
        """
        place = self._place(name)
        if place.served is None:
            raise SiteNotOpen(place.trouble or "it is closed")
        return place.served.site

    def served(self) -> dict[str, ServedSite]:
        """Those that are open."""
        places = {name: self._place(name) for name in self._places}
        return {name: each.served for name, each in places.items() if each.served is not None}

    def callers(self, token_id: str) -> dict[str, Caller]:
        """Who a token's owner is at each site that accepts it."""
        found: dict[str, Caller] = {}
        for name in self.served():
            app = self._places[name].app
            assert app is not None
            try:
                found[name] = app.state.authentication.caller_of_token(token_id)
            except TokenRefused:
                continue
        return found

    def glances(self) -> list[Glance]:
        """Every site's verdict, at most `LOOK_SECONDS` old when somebody looks all the time.

        The first look makes them; later ones are answered at once, and made anew beside.
        """
        known = self._glances
        if known is None:
            with self._looking:
                return self._looked() if self._glances is None else self._glances[1]
        is_old = self.clock.monotonic() - known[0] > LOOK_SECONDS
        if is_old and self._looking.acquire(blocking=False):
            threading.Thread(target=self._look_again, name="glances", daemon=True).start()
        return known[1]

    def look_ahead(self) -> None:
        """Make the first verdicts beside, so that nobody waits for them."""
        threading.Thread(target=self.glances, name="first glances", daemon=True).start()

    def close(self) -> None:
        """End what goes on at each site, and close it."""
        self.stopping.set()
        with self._looking, self._lock:  # in this order: a look needs the lock
            for each in self._places.values():
                if each.served is not None:
                    each.served.close()
                    each.served.site.close()
                    each.served = each.app = None

    def _look_again(self) -> None:
        try:
            if not self.stopping.is_set():
                self._looked()
        finally:
            self._looking.release()

    def _looked(self) -> list[Glance]:
        found = [self._glance(name) for name in self._places]
        self._glances = self.clock.monotonic(), found
        return found

    def _glance(self, name: str) -> Glance:
        place = self._place(name)
        if place.served is None:
            return Glance(name, None, "the site cannot be opened; the service's log says why")
        try:
            return Glance(name, place.served.recent_verdict())
        except Exception as error:
            logger.exception("site %s: its state cannot be read", name)
            return Glance(name, None, f"its state cannot be read ({type(error).__name__})")

    def _place(self, name: str) -> Place:
        place = self._places[name]
        with self._lock:
            now = self.clock.monotonic()
            is_early = place.tried_at is not None and now - place.tried_at < RETRY_SECONDS
            if place.app is None and not is_early and not self.stopping.is_set():
                place.tried_at = now
                try:
                    self._open(place)
                except Exception as error:  # noqa: BLE001  (whatever it is, it is this site's)
                    place.trouble = str(error)
                    logger.error("site %s: %s", name, error)  # noqa: TRY400
        return place

    def _open(self, place: Place) -> None:
        site = place.open()
        place.served = ServedSite(site, metrics_open=self.metrics_open, stopping=self.stopping)
        place.app = create_app(place.served, prefix=self._prefix, sessions=self.sessions)
        place.trouble = None
