"""Several databases in one configuration: what each site's settings are, and opening them all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import commands
from commands.backups.take import take_backup
from commands.errors import InvalidArgument, StoreUnknown
from commands.site import actors
from commands.site.configuration import Configuration, load_configuration
from commands.site.opening import open_site
from commands.site.sites import chosen_site, meant_sites, open_sites, site_configurations
from ledger.append.database import file_of
from ledger.clock import ManualClock
from tests.commands.world import MIDNIGHT, make_database
from tests.postgresql_server import Server


def whole(folder: Path, /, *, shared: str = "", **sites: str) -> Configuration:
    """A file with these sites' tables; each has a database, unless its table names one."""
    text = shared
    for name, table in sites.items():
        text += f'\n[sites.{name}]\ndatabase = "{folder / name / "app.db"}"\n{table}\n'
    file = folder / "backup-ledger.toml"
    file.write_text(text, "utf-8")
    return load_configuration(config=file)


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DATABASE", "BACKUPS", "SITE"):
        monkeypatch.delenv(f"BACKUP_LEDGER_{name}", raising=False)


def test_a_site_has_its_own_settings_and_those_of_all(tmp_path: Path) -> None:
    """Its table goes before what stands beside it; database and key are never shared."""
    sites = site_configurations(
        whole(
            tmp_path,
            shared="keep_within_days = 3\nverify_digest_days = 2",
            crm="keep_within_days = 9",
            shop=f'backups = "{tmp_path / "elsewhere"}"\nkey_command = "cat /run/key"',
        )
    )
    crm, shop = sites["crm"], sites["shop"]
    assert (crm.site, crm.keep_within_days, crm.verify_digest_days) == ("crm", 9, 2)
    assert (shop.keep_within_days, shop.verify_digest_days) == (3, 2)
    assert crm.backups_folder == tmp_path / "crm" / "backups"
    assert shop.backups_folder == tmp_path / "elsewhere"
    assert (crm.keys.is_configured, shop.keys.is_configured) == (False, True)
    assert file_of(crm.ledger_url) == str(tmp_path / "crm" / "backups" / "ledger.sqlite")


def test_a_table_goes_before_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The environment is everybody's."""
    monkeypatch.setenv("BACKUP_LEDGER_KEEP_WITHIN_DAYS", "5")
    sites = site_configurations(whole(tmp_path, crm="keep_within_days = 9", shop=""))
    assert [each.keep_within_days for each in sites.values()] == [9, 5]


@pytest.mark.parametrize(
    ("shared", "table", "said"),
    [
        ("", 'databse = "x"', "no setting 'sites.crm.databse'"),
        ("", "keep_within_days = -1", "setting 'sites.crm.keep_within_days': "),
        ("", 'http_prefix = "/x"', "no setting 'sites.crm.http_prefix'"),
        ('database = "x.db"', "", "database is set beside"),
        ('ledger = "one.sqlite"', "", "'ledger' is a file, which sites cannot share"),
        ('site = "erp"', "", "no site 'erp'; there are: crm, shop"),
    ],
)
def test_what_is_wrong_is_named_with_its_site(
    tmp_path: Path, shared: str, table: str, said: str
) -> None:
    """So that a person finds the line."""
    with pytest.raises(InvalidArgument, match=said):
        chosen_site(whole(tmp_path, shared=shared, crm=table, shop=""))


def test_two_sites_are_never_one_place(tmp_path: Path) -> None:
    """A folder belongs to one database."""
    same = f'backups = "{tmp_path / "same"}"'
    with pytest.raises(InvalidArgument, match="'crm' and 'shop' have the same backups"):
        site_configurations(whole(tmp_path, crm=same, shop=same))
    with pytest.raises(InvalidArgument, match="not a valid name of a site"):
        site_configurations(Configuration(sites={"C R M": {"database": "x.db"}}))
    with pytest.raises(InvalidArgument, match=r"'sites\.crm\.database' is missing"):
        site_configurations(Configuration(sites={"crm": {}}))


def test_a_command_that_acts_on_one_has_to_know_which(tmp_path: Path) -> None:
    """Unless there is only one; without sites all is as it always was."""
    two = whole(tmp_path, crm="", shop="")
    with pytest.raises(InvalidArgument, match=r"which site.* one of: crm, shop"):
        chosen_site(two)
    assert list(meant_sites(two)) == ["crm", "shop"]
    named = load_configuration(config=tmp_path / "backup-ledger.toml", site="shop")
    assert chosen_site(named).site == "shop"
    assert meant_sites(named) == {}
    assert chosen_site(whole(tmp_path, crm="")).site == "crm"
    plain = Configuration(database=tmp_path / "app.db")
    assert chosen_site(plain) is plain
    with pytest.raises(InvalidArgument, match="no site 'crm', as no"):
        chosen_site(Configuration(database=tmp_path / "app.db", site="crm"))


def test_one_that_cannot_be_opened_leaves_the_others_open(tmp_path: Path) -> None:
    """It says why when it is asked for."""
    for name in ("crm", "shop"):
        (tmp_path / name).mkdir()
        make_database(tmp_path / name / "app.db")
    configuration = whole(tmp_path, shared="max_running = 1", crm="", shop="")
    open_site(site_configurations(configuration)["crm"], "begin").close()
    with commands.open_sites(tmp_path / "backup-ledger.toml", "act") as sites:
        assert list(sites) == ["crm"]
        assert len(sites) == 1
        with pytest.raises(StoreUnknown, match="no ledger"):
            sites["shop"]
        backup = take_backup(sites["crm"], sites["crm"].context(actors.operator()))
        assert (tmp_path / "crm" / "backups" / backup.filename).exists()
    with open_sites(configuration) as sites:  # as the facade does, it begins what is not there
        assert sites["crm"].turns is sites["shop"].turns


@pytest.fixture
def on_server(tmp_path: Path, postgresql: Server) -> Configuration:
    url = postgresql.new_database()
    for name in ("crm", "shop-2"):
        (tmp_path / name).mkdir()
        make_database(tmp_path / name / "app.db")
    tables: dict[str, Any] = {"crm": "", "shop-2": ""}
    return whole(tmp_path, shared=f'ledger = "{url}"\nprojections = "{url}"', **tables)


def test_on_one_server_each_site_has_a_schema(on_server: Configuration) -> None:
    """One's events are in no other's ledger, and its read models neither."""
    with open_sites(on_server, clock=ManualClock(MIDNIGHT)) as sites:
        for number, site in enumerate(sites.sites.values(), 1):
            for _backup in range(number):
                take_backup(site, site.context(actors.operator()))
        crm, shop = sites["crm"], sites["shop-2"]
        assert crm.ledger.meta.ledger_id != shop.ledger.meta.ledger_id
        assert crm.ledger.log_recorder.head().size == 2  # the source, and one backup
        assert shop.ledger.log_recorder.head().size == 3
        with shop.ledger.engine.connect() as connection:
            found = connection.exec_driver_sql(
                "SELECT table_schema FROM information_schema.tables "
                "WHERE table_name = 'ledger_events' ORDER BY 1"
            )
            assert found.scalars().all() == ["backup_ledger_crm", "backup_ledger_shop-2"]
