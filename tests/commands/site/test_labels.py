"""Which machine may do what; and a machine that cannot do it leaves it to those who can."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from commands.errors import InvalidArgument
from commands.health import presence
from commands.health.presence import Presence
from commands.health.roster import schedulers_of
from commands.scheduler.check import CheckReport, check
from commands.scheduler.checks import Checks
from commands.scheduler.recording import record_start
from commands.site.configuration import load_configuration
from commands.site.labels import Served, parse_users, served_users
from commands.site.site import Site
from commands.site.store import make_folder, make_store
from ledger.events.scheduling import BackupCompleted, BackupFailed, BackupStarted, CheckFailed
from tests.commands.conftest import MakeWorld
from tests.commands.world import World, make_database
from tests.postgresql_server import Server

LABELS = {"office": "1-3, 7", "court": "10-19"}
DEADLINE_SECONDS = 20


def test_whom_a_machine_serves() -> None:
    """Its labels' users; without labels, those who have none; without any labels, everybody."""
    assert served_users([], {}) is None
    assert served_users(["office"], LABELS) == Served(((1, 3), (7, 7)), is_rest=False)
    both = served_users(["office", "court"], LABELS)
    rest = served_users([], LABELS)
    assert both is not None
    assert rest is not None
    for user in (1, 3, 7, 10, 19):
        assert user in both
        assert user not in rest
    for user in (4, 6, 8, 9, 20, 2**63 - 1):
        assert user not in both
        assert user in rest


@pytest.mark.parametrize("text", ["", "x", "0", "5-1", "1,,2", "-3", "1-", "1 2", "9" * 20])
def test_what_is_no_range_of_users(text: str) -> None:
    """It is named."""
    with pytest.raises(ValueError, match="is not a range of users"):
        parse_users(text)


@pytest.mark.parametrize(
    ("labels", "label_users", "says"),
    [
        (("offce",), LABELS, "label 'offce' has no users in label_users"),
        (("office",), {}, "there are: none"),
        ((), {"a b": "1"}, "'a b' is not a label"),
        ((), {"a": "1-"}, "is not a range of users"),
        ((), {"a": ",".join(str(2 * n + 1) for n in range(501))}, "more than 500 ranges"),
    ],
)
def test_labels_that_cannot_be_used_are_refused_at_once(
    labels: tuple[str, ...], label_users: dict[str, str], says: str
) -> None:
    """A slip of the pen must not leave somebody without backups."""
    with pytest.raises(InvalidArgument, match=says):
        load_configuration(labels=labels, label_users=label_users)


def test_labels_come_from_the_file_and_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The table is the same everywhere; what a machine serves is its own."""
    monkeypatch.chdir(tmp_path)
    Path("backup-ledger.toml").write_text('labels = ["court"]\n[label_users]\ncourt = "10-19"\n')
    served = load_configuration().served
    assert served is not None
    assert 12 in served
    monkeypatch.setenv("BACKUP_LEDGER_LABEL_USERS", json.dumps({"court": "20"}))
    served = load_configuration().served
    assert served is not None
    assert 12 not in served


@pytest.mark.slow
@pytest.mark.both_databases
def test_each_machine_claims_what_it_serves(make_world: MakeWorld) -> None:
    """Between them everybody is served once; a batch full of others' users hides nobody."""
    world = make_world(label_users=LABELS)
    for user in (1, 2, 7, 10, 12, 30):
        world.configure(user)
    world.due_again()
    office = world.open("act", labels=("office",))
    rest = world.open("act")
    court = world.open("act", labels=("court",))
    claimed = []
    for site in (office, rest, court):
        before = len(world.recorded(BackupStarted))
        check(site)
        claimed.append([int(each.user_id) for each in world.events_of(BackupStarted)[before:]])
    assert claimed == [[1, 2, 7], [30], [10, 12]]
    assert len(world.recorded(BackupCompleted)) == 6


@pytest.fixture
def shared(make_world: MakeWorld, postgresql: Server) -> World:
    """A world on a server, with a user who is due."""
    url = postgresql.new_database()
    world = make_world(ledger=url, projections=url)
    world.configure()
    world.due_again()
    return world


def other_machine(world: World, folder: Path) -> Site:
    """A scheduler with a database and a folder of its own, on the same ledger."""
    folder.mkdir()
    make_folder(folder / "backups")
    make_store(folder / "backups")
    return world.open("act", database=make_database(folder / "app.db"), backups=folder / "backups")


@pytest.mark.slow
@pytest.mark.parametrize("lost", ["database", "folder", "another folder"])
def test_a_machine_that_lost_its_place_leaves_the_work_to_others(
    shared: World, tmp_path: Path, lost: str
) -> None:
    """It claims nothing and says why, once; when the place is back it goes on."""
    well = shared.site
    site = other_machine(shared, tmp_path / "other")
    checks = Checks(site)
    path = {"database": site.database, "folder": site.configuration.backups_folder}.get(lost)
    with Presence(site), Presence(well):
        if path is not None:
            path.rename(tmp_path / "away")
        else:
            (site.configuration.backups_folder / ".store").write_text(str(well.store.store_id))
        for _ in range(3):
            assert checks.check() == CheckReport()
        (failed,) = shared.events_of(CheckFailed)
        assert failed.details.error_type == "NotReady"
        assert failed.stream == f"scheduler/{site.instance}"
        assert "nothing is claimed here" in failed.error_message
        assert check(well) == CheckReport(completed=1)
        if path is not None:
            (tmp_path / "away").rename(path)
            shared.due_again()
            assert check(site) == CheckReport(completed=1)
    assert len(shared.events_of(CheckFailed)) == 1


def test_status_tells_who_cannot_work(
    shared: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As long as it is so."""
    monkeypatch.setattr(presence, "LOOK_SECONDS", 0.02)
    site = other_machine(shared, tmp_path / "other")
    record_start(site)

    def wait_for(state: str) -> None:
        deadline = time.monotonic() + DEADLINE_SECONDS
        while [each.state for each in schedulers_of(site)] != [state]:
            assert time.monotonic() < deadline

    checks = Checks(site)
    with Presence(site, lambda: checks.readiness.problem), Presence(shared.sites[0]):
        wait_for("idle")
        site.database.rename(tmp_path / "away")
        checks.check()
        wait_for("not ready")
        (tmp_path / "away").rename(site.database)
        checks.check()
        wait_for("idle")


def test_the_only_scheduler_leaves_a_record_of_its_failure(shared: World) -> None:
    """There is nobody who could do it: it claims, fails, and tries again later."""
    site = shared.site
    shared.database.rename(shared.folder / "away")
    with Presence(site):
        assert check(site) == CheckReport(failed=1)
    assert len(shared.recorded(BackupFailed)) == 1
    assert shared.recorded(CheckFailed) == []


def test_two_keys_at_once_are_not_blamed_on_labels() -> None:
    with pytest.raises(InvalidArgument) as refused:
        load_configuration(key_file="a", key_command="b")
    assert str(refused.value) == (
        "the settings: key_command and key_file are both set; give one of them"
    )
