"""Several sites behind one listener: paths, tokens, the overview of all, metrics, and troubles."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import httpx
import pytest

from commands.errors import StoreUnknown
from commands.http.middleware.access_log import logger
from commands.http.sites.application import create_sites_app
from commands.http.sites.served_sites import LOOK_SECONDS, RETRY_SECONDS, ServedSites
from commands.site import actors
from commands.site.configuration import Configuration
from commands.site.opening import open_site
from commands.site.site import Site
from commands.upkeep.tokens import create_token
from ledger.clock import ManualClock
from tests.commands.world import MIDNIGHT, make_database
from tests.http.in_process import client_of


@dataclass
class Three:
    """crm and shop can be opened; vault cannot, until `is_mounted`."""

    folder: Path
    clock: ManualClock
    is_mounted: bool = False

    def __post_init__(self) -> None:
        for name in ("crm", "shop", "vault"):
            (self.folder / name).mkdir()
            make_database(self.folder / name / "app.db")
            self.open(name).close()
        openings = {
            "crm": lambda: self.open("crm"),
            "shop": lambda: self.open("shop"),
            "vault": self.open_vault,
        }
        self.sites = ServedSites(openings, clock=self.clock, prefix="/database")
        self.app = create_sites_app(self.sites)

    def open(self, name: str) -> Site:
        database = self.folder / name / "app.db"
        configuration = Configuration(database=database, site=name, http_access_log=name == "shop")
        return open_site(configuration, "begin", clock=self.clock)

    def open_vault(self) -> Site:
        if not self.is_mounted:
            raise StoreUnknown("the folder of vault is not mounted")
        return self.open("vault")

    def token(self, *names: str, role: str = "operator", user: int | None = None) -> str:
        """One token, which these sites accept."""
        text: str | None = None
        for name in names:
            site = self.sites.open_site(name)
            context = site.context(actors.operator())
            text, _token = create_token(site, context, role, user, None, text)
        assert text is not None
        return text

    def client(self, token: str | None = None) -> httpx.Client:
        client = client_of(self.app)
        if token is not None:
            client.headers["Authorization"] = f"Bearer {token}"
        return client


@pytest.fixture
def three(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Three]:
    monkeypatch.chdir(tmp_path)
    made = Three(tmp_path, ManualClock(MIDNIGHT))
    yield made
    made.sites.close()


def logged_in(three: Three, token: str) -> httpx.Client:
    client = three.client()
    answer = client.post("/console/login", data={"token": token})
    assert (answer.status_code, answer.headers["location"]) == (303, "/console")
    client.cookies.set("backup_ledger_session", answer.cookies["backup_ledger_session"])
    return client


def test_each_site_has_its_routes_at_its_own_path(three: Three) -> None:
    """What is done there is done to that database, and to no other."""
    client = three.client(three.token("crm", "shop"))
    made = client.post("/sites/shop/database/backup")
    assert made.status_code == 201
    assert Path(made.json()["path"]).is_relative_to(three.folder / "shop")
    assert client.get("/sites/shop/database/backups").json()["count"] == 1
    assert client.get("/sites/crm/database/backups").json()["count"] == 0
    assert client.get("/database/backups").status_code == 404
    assert client.get("/sites/nope/database/backups").status_code == 404


def test_a_token_is_good_where_it_was_made(three: Three) -> None:
    """Another site knows nothing of it."""
    client = three.client(three.token("crm"))
    assert client.get("/sites/crm/database/stats").status_code == 200
    assert client.get("/sites/shop/database/stats").status_code == 401


def test_a_site_that_cannot_be_opened_disturbs_no_other_and_comes_back(three: Three) -> None:
    """It is tried again, not at every request."""
    client = three.client(three.token("crm", "shop"))
    answer = client.get("/sites/vault/database/stats")
    assert answer.status_code == 503
    assert "not mounted" not in answer.text  # its path is not for strangers
    assert client.get("/sites/crm/database/stats").status_code == 200
    ready = client.get("/ready").json()
    assert (ready["status"], ready["sites"]["crm"]["status"]) == ("in part", "ready")
    assert ready["sites"]["vault"]["status"] == "not ready"
    three.is_mounted = True
    assert client.get("/sites/vault/database/stats").status_code == 503
    three.clock.advance(timedelta(seconds=RETRY_SECONDS + 1))
    assert client.get("/sites/vault/database/stats").status_code == 401
    assert client.get("/health").json() == {"status": "ok"}


def test_the_access_log_has_each_request_once(
    three: Three, caplog: pytest.LogCaptureFixture
) -> None:
    """Those of a site, of the front, and those that are turned away."""
    client = client_of(create_sites_app(three.sites, access_log=True))
    client.headers["Authorization"] = f"Bearer {three.token('shop')}"
    paths = ("/sites/shop/database/stats", "/sites/vault/database/stats", "/ready")
    answers = [client.get(path).status_code for path in paths]
    lines = [entry.getMessage() for entry in caplog.records if entry.name == logger.name]
    assert [line.split(" GET ")[1].rsplit(maxsplit=2)[0] for line in lines] == [
        f"{path} {status}" for path, status in zip(paths, answers, strict=True)
    ]
    assert " operator:" in lines[0]


def test_metrics_have_the_label_site(three: Three) -> None:
    """One name once, with the samples of all sites that the token may read."""
    client = three.client(three.token("crm", "shop", role="auditor"))
    text = client.get("/metrics").text
    assert text.count("# HELP backup_ledger_events ") == 1
    assert set(re.findall(r'backup_ledger_events\{site="(\w+)"\}', text)) == {"crm", "shop"}
    assert 'backup_ledger_site_up{site="vault"} 0.0' in text
    assert 'backup_ledger_site_up{site="crm"} 1.0' in text
    only = three.client(three.token("crm", role="auditor")).get("/metrics").text
    assert 'backup_ledger_events{site="shop"}' not in only
    assert three.client().get("/metrics").status_code == 401
    user = three.client(three.token("crm", role="user", user=1))
    assert user.get("/metrics").status_code == 403
    assert 'site="crm"' in client.get("/sites/crm/metrics").text


def test_the_overview_shows_all_and_leads_to_each(three: Three) -> None:
    """One login for all sites that accept the token."""
    stranger = three.client()
    assert stranger.get("/console").headers["location"] == "/console/login"
    assert stranger.get("/").headers["location"] == "/console"
    client = logged_in(three, three.token("crm"))
    shown = client.get("/console").text
    assert '<a href="/sites/crm/console">crm</a>' in shown
    assert re.search(r"[0-9]+ problems?</span>", shown)
    assert "Your token is not one of this site" in shown
    assert "the service&#39;s log says why" in shown
    page = client.get("/sites/crm/console")
    assert page.status_code == 200
    assert 'href="/sites/crm/console/backups"' in page.text
    assert 'href="/console' not in page.text.replace('href="/console"', "")
    assert "<summary>crm</summary>" in page.text
    asked = client.get("/sites/shop/console/backups").headers["location"]
    assert asked.startswith("/sites/shop/console/login?next=")
    assert client.get("/console").status_code == 200  # crm's session goes on


def test_a_form_of_one_site_works_there_and_redirects_within(three: Three) -> None:
    """The addresses in answers have the site's path."""
    client = logged_in(three, three.token("crm", "shop"))
    page = client.get("/sites/shop/console/schedules/1").text
    fields = dict(re.findall(r'name="(csrf|form_key)" value="([^"]+)"', page))
    form = {"enabled": "on", "frequency": "daily", "backup_time": "03:00", "keep_count": "5"}
    headers = {"Origin": "http://localhost", "Sec-Fetch-Site": "same-origin"}
    saved = client.post("/sites/shop/console/schedules/1", data=fields | form, headers=headers)
    assert saved.status_code == 303, saved.text
    assert saved.headers["location"] == "/sites/shop/console/schedules/1"
    assert "The schedule was saved" in client.get(saved.headers["location"]).text
    crm = client.get("/sites/crm/console/schedules/1").text
    assert "daily at 03:00" not in crm


def test_a_user_sees_no_verdict_of_all(three: Three) -> None:
    """Only that there is a place for the user's own backups."""
    client = logged_in(three, three.token("crm", role="user", user=1))
    shown = client.get("/console").text
    assert "See your own backups there" in shown
    assert "problem" not in shown


def test_verdicts_are_made_anew_beside_and_not_while_somebody_waits(three: Three) -> None:
    """The overview of many sites answers at once."""
    first = three.sites.glances()
    assert [each.name for each in first] == ["crm", "shop", "vault"]
    assert three.sites.glances() is first
    three.clock.advance(timedelta(seconds=LOOK_SECONDS + 1))
    assert three.sites.glances() is first  # and a thread looks again
    with three.sites._looking:
        pass
    assert three.sites.glances() is not first


def test_closing_waits_for_a_look_without_keeping_it_from_its_end(three: Three) -> None:
    """Whoever looks still gets at the sites; then they are closed."""
    assert three.sites.app_of("crm") is not None
    with three.sites._looking:
        closing = threading.Thread(target=three.sites.close, daemon=True)
        closing.start()
        assert three.sites.stopping.wait(10)
        assert three.sites.app_of("crm") is not None
    closing.join(10)
    assert not closing.is_alive()
    assert three.sites.app_of("crm") is None
