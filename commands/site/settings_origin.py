"""Where each setting came from, and what in the environment or the file is not a setting."""

from __future__ import annotations

import os
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from commands.site.configuration import CONFIGURATION_FILE, ENVIRONMENT_PREFIX, Configuration
from ledger.masking import MASK, masked

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

KEYS_IN_ADDRESSES = {"notify_urls", "ping_start_url", "ping_success_url", "ping_failure_url"}
"""Whoever knows such an address can send: its keys may stand anywhere in it."""


@dataclass(frozen=True, slots=True)
class Setting:
    """A setting's value, passwords masked, and where it came from."""

    name: str
    value: Any
    origin: str


def settings_with_origin(
    configuration: Configuration, options: Collection[str], config: Path | None = None
) -> Iterator[Setting]:
    """Every setting. `options`: the names of those that were given on the command line."""
    file = Path(CONFIGURATION_FILE) if config is None else config
    in_file, of_site = _keys_of(file), set(_table_of(file, configuration.site))
    in_environment = {name.upper() for name in os.environ}
    for name in Configuration.model_fields:
        variable = f"{ENVIRONMENT_PREFIX}{name.upper()}"
        if name in options:
            origin = "option"
        elif name in of_site:
            origin = f"{file.absolute()}, sites.{configuration.site}"
        elif variable in in_environment:
            origin = variable
        elif name in in_file:
            origin = str(file.absolute())
        else:
            origin = "default"
        value = getattr(configuration, name)
        shown = _scheme_only(value) if name in KEYS_IN_ADDRESSES else _shown(value)
        yield Setting(name, shown, origin)


def unknown_variables() -> list[str]:
    """Variables of the environment that look like settings and are none."""
    known = {f"{ENVIRONMENT_PREFIX}{name.upper()}" for name in Configuration.model_fields}
    ours = (name for name in os.environ if name.upper().startswith(ENVIRONMENT_PREFIX))
    return sorted(name for name in ours if name.upper() not in known)


def _keys_of(file: Path) -> set[str]:
    try:
        return set(tomllib.loads(file.read_text("utf-8")))
    except FileNotFoundError:
        return set()


def _table_of(file: Path, site: str | None) -> dict[str, Any]:
    if site is None or "sites" not in _keys_of(file):
        return {}
    table: dict[str, Any] = tomllib.loads(file.read_text("utf-8"))["sites"][site]
    return table


def _scheme_only(value: tuple[str, ...] | str | None) -> list[str] | str | None:
    if value is None:
        return None
    if isinstance(value, str):
        return f"{value.partition('://')[0]}://{MASK}"
    return [f"{address.partition('://')[0]}://{MASK}" for address in value]


def _shown(value: Any) -> Any:
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, str):
        return masked(value)
    if isinstance(value, list | tuple):
        return [_shown(each) for each in value]
    if isinstance(value, dict):
        return {str(name): _shown(each) for name, each in value.items()}
    if hasattr(value, "model_dump"):
        return _shown(value.model_dump(mode="json"))
    return value if value is None or isinstance(value, bool | int | float) else str(value)
