"""Several databases in one configuration: each a site with its own folder, ledger and read models.

A site's table in `backup-ledger.toml` goes before the environment and before the settings that
stand beside the tables, which are those of all sites:

    keep_within_days = 3

    [sites.crm]
    database = "/srv/crm/app.db"
    backups = "/srv/backups/crm"
"""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass, field
from pathlib import Path
from threading import BoundedSemaphore
from typing import TYPE_CHECKING, Any, Self

from pydantic import ValidationError
from pydantic_settings import SettingsConfigDict

from commands.errors import InvalidArgument
from commands.site.configuration import Configuration, load_configuration, wrong_setting
from commands.site.opening import open_site
from ledger.append.database import file_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pydantic_settings import BaseSettings, PydanticBaseSettingsSource

    from commands.site.opening import Mode
    from commands.site.site import Site
    from ledger.clock import Clock
    from ledger.records.record import Actor

OF_ONE = ("database", "backups", "key_command", "key_file")
"""What belongs to one database, and is never taken over from beside the tables."""
OF_THE_PROCESS = frozenset(
    {"sites", "site", "max_running", "debug", "log_format", "root_in_folders_of_others"}
    | {name for name in Configuration.model_fields if name.startswith(("http_", "metrics_"))}
)
"""What a site cannot have for itself."""
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}")

logger = logging.getLogger("backup_ledger.sites")


class _OfASite(Configuration):
    """The settings of a site: from values alone, no environment and no file."""

    model_config = SettingsConfigDict(toml_file=None, extra="forbid", frozen=True)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        *_others: PydanticBaseSettingsSource,
        **_more: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        del settings_cls
        return (init_settings,)


def site_configurations(whole: Configuration) -> dict[str, Configuration]:
    """The settings of every site, by name; empty where there is one database only.

    Raises:
        InvalidArgument: names the site and what is wrong with it.
    """
    if not whole.sites:
        return {}
    beside = [name for name in OF_ONE if getattr(whole, name) is not None]
    if beside:
        raise InvalidArgument(
            f"{beside[0]} is set beside [sites]; give it to one of the sites: {_listed(whole)}"
        )
    found = {name: _of_site(whole, name) for name in whole.sites}
    _require_apart(found)
    return found


def chosen_site(whole: Configuration) -> Configuration:
    """The settings of the one database that a command acts on.

    Raises:
        InvalidArgument: there are several and none was named, or there is none of that name.
    """
    sites = site_configurations(whole)
    if whole.site is not None:
        if whole.site not in sites:
            known = f"; there are: {_listed(whole)}" if sites else ", as no [sites.NAME] is set"
            raise InvalidArgument(f"there is no site {whole.site!r}{known}")
        return sites[whole.site]
    if len(sites) > 1:
        raise InvalidArgument(f"which site? give --site NAME, one of: {_listed(whole)}")
    return next(iter(sites.values()), whole)


def meant_sites(whole: Configuration) -> dict[str, Configuration]:
    """The sites that a command means which acts on all; empty where there is one database only."""
    return {} if whole.site is not None else site_configurations(whole)


@dataclass
class Sites:
    """Several open sites by name. `troubles`: why others could not be opened."""

    sites: dict[str, Site] = field(default_factory=dict)
    troubles: dict[str, Exception] = field(default_factory=dict)

    def __getitem__(self, name: str) -> Site:
        """The site of this name.

        Raises:
            KeyError: there is none; what kept it from opening, where something did.
        """
        if name in self.troubles:
            raise self.troubles[name]
        return self.sites[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.sites)

    def __len__(self) -> int:
        return len(self.sites)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Close every site."""
        for site in self.sites.values():
            site.close()


def open_sites(
    config: Configuration | Path | str | None = None,
    mode: Mode = "begin",
    *,
    clock: Clock | None = None,
    actor: Actor | None = None,
) -> Sites:
    """Open all sites of a configuration, or of a file; by default `backup-ledger.toml`.

    One that cannot be opened is logged, and is among `troubles`; the others are open. Of one
    database without a name, the name is "default". `max_running` of them copy at once.

    Raises:
        InvalidArgument: the configuration is not right.
    """
    whole = config if isinstance(config, Configuration) else _loaded(config)
    opened, turns = Sites(), BoundedSemaphore(whole.max_running)
    given: dict[str, Any] = {} if actor is None else {"actor": actor}
    for name, configuration in (meant_sites(whole) or {"default": chosen_site(whole)}).items():
        try:
            site = open_site(configuration, mode, clock=clock, **given)
        except Exception as error:  # noqa: BLE001  (whatever it is, it is this site's alone)
            logger.error("site %s cannot be opened: %s", name, error)  # noqa: TRY400
            opened.troubles[name] = error
            continue
        site.turns = turns
        opened.sites[name] = site
    return opened


def _loaded(file: Path | str | None) -> Configuration:
    return load_configuration(config=None if file is None else Path(file))


def _of_site(whole: Configuration, name: str) -> Configuration:
    own = whole.sites[name]
    if not _NAME.fullmatch(name):
        raise InvalidArgument(
            f"{name!r} is not a valid name of a site; use small letters, digits, - and _"
        )
    for each in own:
        if each in OF_THE_PROCESS or each not in Configuration.model_fields:
            raise InvalidArgument(f"there is no setting 'sites.{name}.{each}'; remove it")
    left_out = {*own, *OF_ONE, "sites"}
    common = {
        each: getattr(whole, each)
        for each in whole.model_fields_set
        if each not in left_out and each in Configuration.model_fields
    }
    try:
        found = _OfASite(**(common | own | {"site": name}))
    except ValidationError as error:
        raise InvalidArgument(wrong_setting(error, f"sites.{name}.")) from error
    if found.database is None:
        raise InvalidArgument(f"setting 'sites.{name}.database' is missing; give its path")
    for each in ("ledger", "projections"):
        url = getattr(found, f"{each}_url")
        if each not in own and getattr(found, each) is not None and file_of(url) is not None:
            raise InvalidArgument(
                f"setting {each!r} is a file, which sites cannot share; give each site its own"
            )
    return found


def _require_apart(sites: Mapping[str, Configuration]) -> None:
    """See that no two sites are the same place."""
    for what in ("database_path", "backups_folder", "ledger_url"):
        taken: dict[str, str] = {}
        for name, configuration in sites.items():
            place = str(getattr(configuration, what))
            if place in taken:
                word = what.split("_")[0]
                raise InvalidArgument(
                    f"sites {taken[place]!r} and {name!r} have the same {word}, "
                    f"{getattr(configuration, what)}; give each its own"
                )
            taken[place] = name


def _listed(whole: Configuration) -> str:
    return ", ".join(whole.sites)
