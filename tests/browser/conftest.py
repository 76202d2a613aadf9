"""A real browser on a real server: an office with a month of backups behind it."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, sync_playwright

from commands.audit.keys import make_key, read_private_key
from commands.audit.sign_checkpoint import sign_checkpoint
from commands.backups.hold import place_hold
from commands.backups.take import take_backup
from commands.http.served_site import ServedSite
from commands.http.server import listen, make_server
from commands.site import actors
from commands.upkeep.tokens import create_token
from ledger.clock import ManualClock
from tests.commands.world import World, add_case, make_database

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
BEGIN = datetime(2025, 3, 3, 2, 59, tzinfo=UTC)
NIGHTS = 14
PATIENCE_MS = 15_000
PHONE = {"width": 360, "height": 740}
DESK = {"width": 1180, "height": 820}


@dataclass
class Office:
    """A site that is served, and who may come in."""

    world: World
    address: str
    browser: Browser
    tokens: dict[str, str] = field(default_factory=dict)

    def token(self, role: str, user: int | None = None) -> str:
        who = f"{role} {user}"
        if who not in self.tokens:
            site = self.world.site
            made, _token = create_token(site, site.context(actors.operator()), role, user)
            self.tokens[who] = made
        return self.tokens[who]

    @contextmanager
    def visit(
        self,
        role: str = "operator",
        user: int | None = None,
        *,
        path: str = "/console",
        dark: bool = False,
        phone: bool = False,
    ) -> Iterator[Page]:
        """A page of somebody who has logged in; nothing may be complained about on its console."""
        with self.stranger(dark=dark, phone=phone) as page:
            page.goto(f"{self.address}/console/login")
            page.get_by_label("Access token").fill(self.token(role, user))
            page.get_by_role("button", name="Log in").click()
            page.wait_for_url(f"{self.address}/console")
            page.goto(self.address + path)
            yield page

    @contextmanager
    def stranger(self, *, dark: bool = False, phone: bool = False) -> Iterator[Page]:
        """A page of somebody who has not logged in."""
        context = self.browser.new_context(
            viewport=PHONE if phone else DESK, color_scheme="dark" if dark else "light"
        )
        context.set_default_timeout(PATIENCE_MS)
        page = context.new_page()
        complaints: list[str] = []
        page.on("console", lambda message: _note(complaints, message))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        try:
            yield page
        finally:
            context.close()
        assert complaints == []


def _note(complaints: list[str], message: ConsoleMessage) -> None:
    """Also a violation of the content security policy is an error of the console."""
    is_answer = "the server responded with a status of" in message.text
    if message.type in ("error", "warning") and not is_answer:
        complaints.append(message.text)


def find_chromium() -> str | None:
    """Where a Chromium is on this machine."""
    return next(filter(None, map(shutil.which, NAMES)), None)


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """One browser for a module: while it runs, its thread has an event loop."""
    path = find_chromium()
    if path is None and os.environ.get("BROWSER_TESTS") != "required":
        pytest.skip("there is no Chromium here; install one, or set BROWSER_TESTS=required")
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield found
        found.close()


@pytest.fixture(scope="module")
def office(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    """Three users, two weeks of nights, one of which went wrong; a hold and a key."""
    world = make_office(tmp_path_factory.mktemp("office"))
    with serving(world) as address:
        yield Office(world, address, browser)
    world.close()


@contextmanager
def serving(world: World) -> Iterator[str]:
    """The world behind a socket; its address."""
    served = ServedSite(world.site, scheduler_runs=lambda: True)
    server = make_server(served, port=0, prefix="/database", scheduler_runs=lambda: True)
    listening = listen(server)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    host, port = listening.getsockname()[:2]
    try:
        yield f"http://{host}:{port}"
    finally:
        server.should_exit = True
        thread.join()


def make_office(folder: Path, nights: int = NIGHTS, bad: Collection[int] = (NIGHTS - 5,)) -> World:
    """So many nights, on the bad ones of which the database was away when its time came."""
    make_database(folder / "app.db", rows=200, users=3)
    make_key("example.com/backups", folder / "ledger.key")
    options = {"checkpoint_key": folder / "ledger.key"}
    world = World(folder, ManualClock(BEGIN), options)
    world.configure(1, keep_count=5)
    world.configure(2, frequency="weekly", backup_time="04:30", keep_count=3)
    world.configure(3, backup_time="22:00", timezone="Europe/Berlin", keep_count=30)
    for night in range(nights):
        add_case(world.database, f"night {night}")
        hidden = folder / "elsewhere.db"
        if night in bad:
            world.database.rename(hidden)
        world.advance(hours=5)
        world.check()
        if hidden.exists():
            hidden.rename(world.database)
        world.advance(hours=19)
        world.check()
    site = world.site
    take_backup(site, world.context(), filename="before-the-move.db", user_id=1)
    held = min(world.present(1), key=lambda each: each.created_at)
    until = world.clock.now() + timedelta(days=365)
    place_hold(site, world.context(), held.filename, "Smith v. Jones, discovery", until)
    sign(world)
    return world


def sign(world: World) -> None:
    """Sign what there is: an event that is not signed yet cannot be proved."""
    key = read_private_key(world.folder / "ledger.key")
    sign_checkpoint(world.site.ledger.engine, key, world.clock)
