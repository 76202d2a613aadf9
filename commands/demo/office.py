"""The office while it lives: its database, its scheduler, and the clock that both go by."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random
from typing import TYPE_CHECKING, Final

from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from commands.demo.clock import LivedClock
from commands.demo.sample_database import connect, make_database, work
from commands.scheduler.check import CheckReport, check
from commands.scheduler.recording import record_start, record_stop
from commands.site.configuration import Configuration
from commands.site.opening import open_site
from projections.queries.schedules import all_schedules

if TYPE_CHECKING:
    import sqlite3
    from pathlib import Path

    from commands.site.site import Site

SEED: Final = 2025
"""The same office for everybody, so that two people can talk about it."""
CLOSING_HOUR: Final = 17
SATURDAY: Final = 5


class DemoConfiguration(Configuration):
    """Only what it is told: no setting of the person's own ledger may leak into the demo."""

    model_config = SettingsConfigDict(toml_file=None)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        del settings_cls, env_settings, dotenv_settings, file_secret_settings
        return (init_settings,)


@dataclass
class Office:
    """A database that somebody works on, and the backups that are made of it."""

    folder: Path
    clock: LivedClock
    site: Site
    application: sqlite3.Connection
    started: datetime
    random: Random
    report: CheckReport = field(default_factory=CheckReport)
    rows_added: int = 0

    @property
    def database(self) -> Path:
        return self.folder / "office.db"

    def day(self, number: float) -> datetime:
        """A moment so many days after the start."""
        return self.started + timedelta(days=number)

    def next_due(self) -> datetime | None:
        """When the scheduler has something to do next."""
        with self.site.read_models.reading() as connection:
            times = [each.next_backup_at for each in all_schedules(connection)]
        return min((each for each in times if each is not None), default=None)

    def live_until(self, moment: datetime) -> None:
        """Work by day, back up by night: the clock jumps to whatever happens next."""
        while True:
            evening = _next_evening(self.clock.now())
            due = self.next_due()
            upcoming = evening if due is None else min(evening, due)
            if upcoming > moment:
                break
            self.clock.move_to(upcoming)
            if due is not None and due <= upcoming:
                self.check()
            elif upcoming.weekday() < SATURDAY:
                self.rows_added += work(self.application, upcoming, self.random)
        self.clock.move_to(moment)

    def check(self) -> CheckReport:
        """What the scheduler does each minute."""
        report = check(self.site)
        self.report += report
        return report

    def restart(self) -> None:
        """The scheduler's process is gone without a word, and a new one starts."""
        self.site.close()
        self.site = open_site(self.site.configuration, "act", clock=self.clock)
        record_start(self.site)

    def reopen(self, configuration: Configuration) -> None:
        """The same place with other settings; its scheduler was started already."""
        self.site.close()
        self.site = open_site(configuration, "act", clock=self.clock)

    def stop_scheduler(self) -> None:
        """Stop it in good order; the ledger stays open."""
        record_stop(self.site, "the demo is over")

    def close(self) -> None:
        self.site.close()
        self.application.close()


def open_office(folder: Path, now: datetime) -> Office:
    """Make the database in an empty folder, begin its ledger, start the scheduler."""
    clock, random = LivedClock(now), Random(SEED)  # noqa: S311  (sample data)
    database = folder / "office.db"
    make_database(database, now, random)
    site = open_site(demo_configuration(folder), "begin", clock=clock)
    record_start(site)
    return Office(folder, clock, site, connect(database), now, random)


def demo_configuration(folder: Path) -> Configuration:
    """The places that `--database` alone stands for, and nothing else."""
    return DemoConfiguration(database=folder / "office.db")


def _next_evening(now: datetime) -> datetime:
    evening = now.replace(hour=CLOSING_HOUR, minute=0, second=0, microsecond=0)
    return evening if evening > now else evening + timedelta(days=1)
