"""What can be set, and from where: options, then the environment, then `backup-ledger.toml`."""

from __future__ import annotations

import os
import stat
from functools import cached_property
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, ValidationError, field_validator, model_validator
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
    TomlConfigSettingsSource,
)
from sqlalchemy.engine import URL

from commands.errors import InvalidArgument, NoDatabase
from commands.site.labels import Served, check_labels, served_users
from commands.site.texts import in_our_words
from commands.site.topics import TOPICS, Topic
from commands.site.witnesses import Witness, check_witnesses
from commands.sqlite.cipher.keys import Keys
from ledger.append.database import database_url, file_of
from ledger.append.databases.schemas import in_schema
from ledger.errors import LedgerError

ENVIRONMENT_PREFIX = "BACKUP_LEDGER_"
CONFIGURATION_FILE = "backup-ledger.toml"
SCHEMA_PREFIX = "backup_ledger_"
MEGABYTE = 1_000_000
"""Bytes of the MB in settings and messages, everywhere."""

LogFormat = Literal["text", "json"]
_TIME_OF_DAY = r"^([01][0-9]|2[0-3]):[0-5][0-9]$"
_PING_URL = r"^https?://[^\s]+$"


class Configuration(BaseSettings):
    """Every setting, with its unit in its name.

    Raises:
        pydantic.ValidationError: an unknown key, or a value out of range.
    """

    model_config = SettingsConfigDict(
        env_prefix=ENVIRONMENT_PREFIX, toml_file=CONFIGURATION_FILE, extra="forbid", frozen=True
    )

    sites: dict[str, dict[str, Any]] = Field(default_factory=dict)
    site: str | None = None
    max_running: Annotated[int, Field(ge=1, le=1_000)] = 2
    database: Path | None = None
    backups: Path | None = None
    ledger: str | None = None
    projections: str | None = None
    key_command: str | None = None
    key_file: Path | None = None
    debug: bool = False
    root_in_folders_of_others: bool = False
    log_format: LogFormat = "text"
    check_interval_seconds: Annotated[int, Field(ge=1, le=86_400)] = 60
    labels: Annotated[tuple[str, ...], NoDecode] = ()
    label_users: dict[str, str] = Field(default_factory=dict)
    lease_seconds: Annotated[int, Field(ge=5, le=86_400)] = 300
    snapshot_wait_seconds: Annotated[float, Field(ge=0, le=3_600)] = 30.0
    restore_wait_seconds: Annotated[float, Field(ge=0, le=3_600)] = 30.0
    spread_seconds: Annotated[int, Field(ge=0, le=43_200)] = 0
    calendar_months: bool = False
    independent_copies: bool = False
    share_unchanged: bool = False
    max_mb_per_second: Annotated[float, Field(ge=0, le=1_000_000)] = 0.0
    niceness: Annotated[int, Field(ge=0, le=19)] = 0
    keep_within_days: Annotated[int, Field(ge=0, le=36_500)] = 0
    verify_digest_days: Annotated[int, Field(ge=0, le=36_500)] = 7
    verify_integrity_days: Annotated[int, Field(ge=0, le=36_500)] = 14
    drill_days: Annotated[int, Field(ge=0, le=36_500)] = 30
    drill_mb_per_check: Annotated[int, Field(ge=1)] = 2_048
    checkpoint_key: Path | None = None
    checkpoint_interval_minutes: Annotated[int, Field(ge=1, le=525_600)] = 60
    checkpoint_folder: Path | None = None
    witnesses: tuple[Witness, ...] = ()
    witness_quorum: Annotated[int, Field(ge=1)] | None = None
    upload_mb_per_second: Annotated[float, Field(ge=0, le=1_000_000)] = 0.0
    offsite_credentials: Path | None = None
    offsite_identity: Path | None = None
    offsite_listed_days: Annotated[int, Field(ge=0, le=36_500)] = 7
    offsite_digest_days: Annotated[int, Field(ge=0, le=36_500)] = 0
    offsite_drill_days: Annotated[int, Field(ge=0, le=36_500)] = 30
    offsite_overdue_hours: Annotated[float, Field(gt=0, le=8_760)] = 48.0
    notify_urls: tuple[str, ...] = ()
    notify_topics: tuple[Topic, ...] = TOPICS
    console_url: Annotated[str, Field(pattern=_PING_URL)] | None = None
    notify_digest_at: Annotated[str, Field(pattern=_TIME_OF_DAY)] | None = None
    overdue_after_hours: Annotated[float, Field(gt=0, le=8_760)] = 2.0
    low_space_mb: Annotated[int, Field(ge=0)] = 0
    metrics_users: Annotated[int, Field(ge=0, le=100_000)] = 1_000
    hook_before: Annotated[str, Field(min_length=1)] | None = None
    hook_after: Annotated[str, Field(min_length=1)] | None = None
    hook_failure: Annotated[str, Field(min_length=1)] | None = None
    hook_seconds: Annotated[float, Field(gt=0, le=86_400)] = 60.0
    ping_start_url: Annotated[str, Field(pattern=_PING_URL)] | None = None
    ping_success_url: Annotated[str, Field(pattern=_PING_URL)] | None = None
    ping_failure_url: Annotated[str, Field(pattern=_PING_URL)] | None = None

    http_prefix: str = "/database"
    http_hosts: tuple[str, ...] = ()
    http_trusted_proxies: tuple[str, ...] = ()
    http_requests_per_minute: Annotated[int, Field(ge=0, le=1_000_000)] = 600
    http_commands_per_minute: Annotated[int, Field(ge=0, le=1_000_000)] = 60
    http_user_backups: Annotated[int, Field(ge=0, le=1_000_000)] = 50
    http_access_log: bool = False
    metrics_open: bool = False
    user_name_column: Annotated[str, Field(min_length=1, max_length=200)] | None = None

    @field_validator(
        "database", "backups", "key_file", "checkpoint_key", "checkpoint_folder", mode="after"
    )
    @classmethod
    def _no_nul(cls, value: Path | None) -> Path | None:
        if value is not None and ("\0" in str(value) or str(value) in ("", ".")):
            raise ValueError("give a path")
        return value

    @field_validator("http_trusted_proxies", mode="after")
    @classmethod
    def _networks(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for each in value:
            try:
                ip_network(each)
            except ValueError:
                raise ValueError(
                    f"{each!r} is not an address or a network; write 127.0.0.1 or 10.0.0.0/8"
                ) from None
        return value

    @field_validator(
        "database",
        "backups",
        "ledger",
        "projections",
        "key_file",
        "checkpoint_key",
        "checkpoint_folder",
        "offsite_credentials",
        "offsite_identity",
        mode="before",
    )
    @classmethod
    def _home(cls, value: Any) -> Any:
        """`~` is the home folder, in the file and the environment as in a shell."""
        if isinstance(value, str | Path) and str(value).startswith("~"):
            return os.path.expanduser(value)
        return value

    @field_validator("labels", mode="before")
    @classmethod
    def _labels_in_one_text(cls, value: Any) -> Any:
        """A list, or one text with commas, as in the environment."""
        if isinstance(value, str):
            return tuple(label for each in value.split(",") if (label := each.strip()))
        return value

    @model_validator(mode="after")
    def _known_labels(self) -> Self:
        check_labels(self.labels, self.label_users)
        return self

    @model_validator(mode="after")
    def _one_key(self) -> Self:
        if self.key_command is not None and self.key_file is not None:
            raise ValueError("key_command and key_file are both set; give one of them")
        return self

    @cached_property
    def keys(self) -> Keys:
        """The keys of the database, where it is encrypted."""
        return Keys(self.key_command, self.key_file)

    @model_validator(mode="after")
    def _enough_witnesses(self) -> Self:
        check_witnesses(self.witnesses, self.witness_quorum)
        return self

    @property
    def served(self) -> Served | None:
        """Whose runs this machine takes; None for everybody's."""
        return served_users(self.labels, self.label_users)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        del dotenv_settings, file_secret_settings
        require_trusted(Path(str(settings_cls.model_config.get("toml_file"))))
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls)

    @property
    def backups_folder(self) -> Path:
        """The backups folder: by default `backups` beside the database.

        Raises:
            NoDatabase: neither is set.
        """
        if self.backups is not None:
            return self.backups.absolute()
        if self.database is None:
            raise NoDatabase(
                "which database? give --database PATH (or BACKUP_LEDGER_DATABASE), or --backups DIR"
            )
        return self.database.absolute().parent / "backups"

    @property
    def names_a_folder(self) -> bool:
        """Whether the backups folder is known: to read a ledger on a server it need not be."""
        return self.backups is not None or self.database is not None

    @property
    def database_path(self) -> Path:
        """The database that is backed up.

        Raises:
            NoDatabase: it is not set.
        """
        if self.database is None:
            raise NoDatabase("which database? give --database PATH (or BACKUP_LEDGER_DATABASE)")
        return self.database.absolute()

    @property
    def ledger_url(self) -> URL:
        """By default `ledger.sqlite` in the backups folder; a plain path means SQLite."""
        given = self._in_own_schema(_as_url(self.ledger))
        return given or sqlite_url(self.backups_folder / "ledger.sqlite")

    @property
    def has_projections(self) -> bool:
        """Whether the read models have a place: to read a ledger they need none."""
        return self.projections is not None or self.names_a_folder

    @property
    def projections_url(self) -> URL:
        given = self._in_own_schema(_as_url(self.projections))
        return given or sqlite_url(self.backups_folder / "projections.sqlite")

    @property
    def own_schema(self) -> str | None:
        """The schema of a site's ledger where that is on a server; None for any other."""
        return None if self.site is None else f"{SCHEMA_PREFIX}{self.site}"

    def _in_own_schema(self, url: URL | None) -> URL | None:
        if url is None or self.own_schema is None or file_of(url) is not None:
            return url
        return in_schema(url, self.own_schema)


def require_trusted(path: Path) -> None:
    """See that nobody else decides what is backed up where: it is read from where one stands.

    Raises:
        InvalidArgument: the file is another account's (not root's), or others can write to it.
    """
    try:
        found = path.stat()
    except OSError:
        return  # there is none, or it cannot be read, which reading it says better
    if not stat.S_ISREG(found.st_mode):
        raise InvalidArgument(
            f"{path.absolute()} is not a regular file; it should hold settings: rename it"
        )
    if found.st_uid not in (0, os.geteuid()):
        raise InvalidArgument(
            f"{path.absolute()} belongs to another account (uid {found.st_uid}) and is not read; "
            "run the command elsewhere, or as that account, or take the file over with chown"
        )
    if found.st_mode & (stat.S_IWGRP | stat.S_IWOTH) and not _is_of_a_group_of_one(found):
        raise InvalidArgument(
            f"others can write to {path.absolute()}, so it is not read; take that away: "
            f"chmod go-w {path}"
        )


def _is_of_a_group_of_one(found: os.stat_result) -> bool:
    """A file that only its owner's own group may write to (the usual umask of many systems)."""
    return not found.st_mode & stat.S_IWOTH and found.st_gid == os.getegid()


def load_configuration(*, config: Path | None = None, **options: Any) -> Configuration:
    """Options that are None count as not given. `config`: another file than the usual one.

    Raises:
        InvalidArgument: names the setting and what is wrong with it.
    """
    given = {name: value for name, value in options.items() if value is not None}
    file = CONFIGURATION_FILE if config is None else str(config)
    try:
        return _reading(file)(**given)
    except InvalidArgument:
        raise
    except ValidationError as error:
        raise InvalidArgument(wrong_setting(error, file=file)) from error
    except SettingsError as error:
        # Of a setting that is a list or a table, from the environment.
        raise InvalidArgument(
            f"{error}; in the environment it is written as JSON, such as "
            '{"office": "1-999"} or ["one", "two"]'
        ) from error
    except UnicodeDecodeError as error:
        raise InvalidArgument(
            f"{file} is not UTF-8 text (byte {error.start}); a configuration file is TOML"
        ) from error
    except ValueError as error:
        raise InvalidArgument(f"{file} cannot be read: {error}") from error


def wrong_setting(error: ValidationError, prefix: str = "", file: str | None = None) -> str:
    """Which setting is wrong, and how. `prefix`: before its name."""
    first = error.errors(include_url=False)[0]
    name = prefix + ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        return f"there is no setting {name!r}; remove it" + (f" from {file}" if file else "")
    where = f"setting {name!r}" if first["loc"] else prefix.removesuffix(".") or "the settings"
    return f"{where}: {in_our_words(first['msg'])}"


def _reading(file: str) -> type[Configuration]:
    """The settings, with another file behind them."""
    if file == CONFIGURATION_FILE:
        return Configuration
    if not Path(file).exists():
        raise InvalidArgument(f"there is no configuration file {file}; check --config")
    if not Path(file).is_file():
        raise InvalidArgument(
            f"{file} is not a regular file; name a configuration file with --config"
        )

    class FromFile(Configuration):
        model_config = SettingsConfigDict(toml_file=file)

    return FromFile


def sqlite_url(path: Path) -> URL:
    """The URL of a SQLite file; its name may hold any character."""
    return URL.create("sqlite", database=str(path))


def _as_url(text: str | None) -> URL | None:
    if text is None:
        return None
    if "://" not in text:
        return sqlite_url(Path(text).absolute())
    try:
        return database_url(text)
    except LedgerError as error:
        raise InvalidArgument(str(error)) from error
