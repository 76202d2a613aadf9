"""Three databases, one of them encrypted, through two weeks of nights with trouble in each."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import pytest

from commands.audit.keys import make_key
from commands.audit.verify_ledger import verify_ledger
from commands.offsite.add import NewDestination, add_destination
from commands.offsite.copy_all import copy_due
from commands.offsite.repository.seal import new_identity, recipient_of
from commands.restore.from_copy import restore_from_copy
from commands.restore.restore import restore_backup
from commands.scheduler.all_sites import run_all_sites
from commands.scheduler.check import check
from commands.schedules.settings import configure
from commands.site import actors
from commands.site.configuration import Configuration
from commands.site.site import Site
from commands.site.sites import Sites, open_sites
from ledger.append.ledger import Context
from ledger.clock import ManualClock
from projections.folds.backup import Backup
from projections.queries.catalog import backups_of_store
from tests.commands.encrypted import (
    KEY,
    OTHER_KEY,
    add_secret_case,
    make_encrypted,
    opened,
    rekey,
    secret_titles,
)
from tests.commands.world import MIDNIGHT, add_case, make_database, titles_in

NIGHTS = 14
COPYING_NIGHTS = (3, 8, 13)
IDENTITIES = (new_identity(), new_identity())


@dataclass
class Town:
    """crm and shop are plain, vault is encrypted; `key`: the one of now."""

    folder: Path
    clock: ManualClock
    sites: Sites
    key: str = KEY
    backed_up: dict[str, list[str]] = field(default_factory=dict)

    def database(self, name: str) -> Path:
        return self.folder / name / "app.db"

    def context(self, name: str) -> Context:
        return self.sites[name].context(actors.operator())

    def titles(self, name: str, path: Path | None = None) -> list[str]:
        path = path or self.database(name)
        return secret_titles(path, self.key) if name == "vault" else titles_in(path)

    def add(self, name: str, title: str) -> None:
        if name == "vault":
            add_secret_case(self.database(name), title, self.key)
        else:
            add_case(self.database(name), title)

    def set_keys(self, *keys: str) -> None:
        (self.folder / "key").write_text("\n".join(keys))
        (self.folder / "key").chmod(0o600)
        self.sites["vault"].keys.forget()

    def present(self, name: str) -> list[Backup]:
        site = self.sites[name]
        with site.read_models.reading() as connection:
            return backups_of_store(connection, site.store.store_id)

    def check_all(self) -> dict[str, str]:
        """What one check came to at each site, whatever happened at the others."""
        outcomes: dict[str, str] = {}
        for name in self.sites:
            report = check(self.sites[name])
            outcomes[name] = "failed" if report.failed else "done" if report.completed else "idle"
            if report.completed:
                self.backed_up[name] = self.titles(name)
        return outcomes


@pytest.fixture
def town(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Town]:
    monkeypatch.chdir(tmp_path)
    for name in ("crm", "shop", "vault"):
        (tmp_path / name).mkdir()
        make_key(f"example.com/{name}", tmp_path / f"{name}.key")
    make_database(tmp_path / "crm" / "app.db")
    make_database(tmp_path / "shop" / "app.db")
    make_encrypted(tmp_path / "vault" / "app.db")
    configuration = Configuration(
        snapshot_wait_seconds=0.2,
        sites={
            name: {
                "database": tmp_path / name / "app.db",
                "checkpoint_key": tmp_path / f"{name}.key",
                **({"key_file": tmp_path / "key"} if name == "vault" else {}),
            }
            for name in ("crm", "shop", "vault")
        },
    )
    clock = ManualClock(MIDNIGHT)
    with open_sites(configuration, clock=clock) as sites:
        made = Town(tmp_path, clock, sites)
        made.set_keys(KEY)
        yield made


@contextmanager
def moved(path: Path) -> Iterator[None]:
    aside = path.with_name(f"{path.name}.aside")
    path.rename(aside)
    try:
        yield
    finally:
        aside.rename(path)


@contextmanager
def full_disk(site: Site) -> Iterator[None]:
    free = site.free_bytes
    site.free_bytes = lambda _folder: 0
    try:
        yield
    finally:
        site.free_bytes = free


@contextmanager
def damaged(path: Path) -> Iterator[None]:
    with moved(path):
        path.write_bytes(b"this is not a database " * 500)
        try:
            yield
        finally:
            path.unlink()


@contextmanager
def locked(path: Path, key: str) -> Iterator[None]:
    with closing(opened(path, key)) as application:
        application.execute("PRAGMA journal_mode=DELETE")
        application.execute("BEGIN EXCLUSIVE")
        yield


@contextmanager
def without_key(town: Town) -> Iterator[None]:
    keys = (town.folder / "key").read_text().split("\n")
    (town.folder / "key").unlink()
    town.sites["vault"].keys.forget()
    try:
        yield
    finally:
        town.set_keys(*keys)


def troubles(town: Town) -> dict[int, tuple[str, str, Callable[[], object]]]:
    """By night: where, what that night's check comes to, and what happens."""
    crm, shop, vault = (town.database(name) for name in ("crm", "shop", "vault"))
    return {
        1: ("crm", "failed", lambda: moved(crm)),
        2: ("shop", "failed", lambda: full_disk(town.sites["shop"])),
        4: ("vault", "done", lambda: without_key(town)),
        5: ("vault", "failed", lambda: locked(vault, town.key)),
        6: ("crm", "failed", lambda: moved(crm.parent / "backups")),
        7: ("shop", "failed", lambda: damaged(shop)),
        9: ("vault", "failed", lambda: full_disk(town.sites["vault"])),
        10: ("crm", "failed", lambda: full_disk(town.sites["crm"])),
        11: ("shop", "failed", lambda: moved(shop)),
    }


def one_night(town: Town, night: int) -> None:
    """The check at three, in trouble; an hour later without; then a day's work."""
    town.clock.move_to(MIDNIGHT + timedelta(days=night, hours=3))
    where, expected, trouble = troubles(town).get(night, ("", "done", None))
    if trouble is None:
        outcomes = town.check_all()
    else:
        with trouble():  # type: ignore[attr-defined]
            outcomes = town.check_all()
    others = {name: outcome for name, outcome in outcomes.items() if name != where}
    assert set(others.values()) == {"done"}, (night, outcomes)
    if where:
        assert outcomes[where] == expected, (night, outcomes)
    if expected != "done":
        town.clock.advance(timedelta(hours=1))
        assert town.check_all()[where] == "done", night
    if night == 8:
        rekey(town.database("vault"), KEY, OTHER_KEY)
        town.key = OTHER_KEY
        town.set_keys(OTHER_KEY, KEY)
    if night in COPYING_NIGHTS:
        for name in town.sites:
            unmounted = night == 3 and name == "shop"
            with moved(town.folder / "nas-shop") if unmounted else nullcontext():
                done = copy_due(town.sites[name], town.context(name), lambda: False)
            assert all((each.error is not None) is unmounted for each in done), (night, name)
    for name in town.sites:
        town.add(name, f"{name} of day {night}")


@pytest.mark.slow
def test_two_weeks_with_trouble_in_each_and_all_three_come_back(town: Town, tmp_path: Path) -> None:
    """From the folder and from off-site, each with the rows of its last night."""
    for name in town.sites:
        site, context = town.sites[name], town.context(name)
        configure(site, context, 1, {"backup_time": "03:00", "keep_count": 3})
        wanted = NewDestination(
            url=f"file://{tmp_path / f'nas-{name}'}",
            name="nas",
            recipients=tuple(recipient_of(each) for each in IDENTITIES),
            identities=IDENTITIES,
        )
        add_destination(site, context, wanted)
    for night in range(NIGHTS):
        one_night(town, night)
    sealed = [each for each in town.present("vault") if each.unchecked]
    assert sealed == []  # that of night 4 has made room for good ones
    for name in town.sites:
        site, newest = town.sites[name], town.present(name)[0]
        assert len(town.present(name)) == 3
        assert newest.cipher == ("sqlcipher" if name == "vault" else None)
        assert town.titles(name) != town.backed_up[name]
        for path in (tmp_path / name).glob("app.db*"):
            path.unlink()
        restore_backup(site, town.context(name), newest.filename)
        assert town.titles(name) == town.backed_up[name]
        (tmp_path / name / "backups" / newest.filename).unlink()
        fetched = tmp_path / f"{name}-fetched.db"
        restore_from_copy(
            site,
            town.context(name),
            newest.filename,
            destination="nas",
            identities=IDENTITIES[:1],
            to=fetched,
        )
        assert town.titles(name, fetched) == town.backed_up[name]
        assert verify_ledger(site.ledger.engine, site.configuration).ok


def test_a_scheduler_that_fails_is_begun_anew_and_stops_no_other(town: Town) -> None:
    """Each runs until it is told to stop; what failed is opened again."""
    stop, tries = threading.Event(), 0
    seen: set[str] = set()
    broken = sqlite3.OperationalError("the disk is gone")

    @contextmanager
    def failing_once() -> Iterator[Site]:
        nonlocal tries
        tries += 1
        if tries == 1:
            raise broken
        yield town.sites["crm"]

    @contextmanager
    def shop() -> Iterator[Site]:
        yield town.sites["shop"]

    def reporter(name: str, _site: Site) -> Callable[[object], None]:
        def told(_report: object) -> None:
            seen.add(name)
            if seen == {"crm", "shop"}:
                stop.set()

        return told

    openings = {"crm": failing_once, "shop": shop}
    run_all_sites(openings, stop=stop, retry_seconds=0.01, reporter=reporter)
    assert seen == {"crm", "shop"}
    assert tries == 2
